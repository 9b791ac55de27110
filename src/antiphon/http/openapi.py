"""The OpenAPI document: what the server answers, for programs that read it.

The routes are those of `antiphon.http.app.routes`, described under the paths that clients use most.
"""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any  # an OpenAPI document is open

import msgspec

from antiphon.http.operations import OPERATIONS, Operation
from antiphon.http.schemas import FRAMES, Schema, components, parameters, ref

SERVERS = ("/v1", "/openai/v1")
"""The mounts that are described; the others answer the same."""

_OF_ALL = (400, 401, 403, 500, 503)

_MEANINGS = {
    400: "The request cannot be understood, or asks for what cannot be done; `param` says where.",
    401: "There is no key or token, or one that opens nothing.",
    403: "The token lacks a role; or the `Host` does not name this server, which has no keys and answers this machine.",
    404: "What is named is unknown, was deleted, was never kept, or is somebody else's.",
    408: "The body did not arrive in time.",
    409: "The events of this response are not kept any more, or a response is being written into the conversation.",
    413: "The body is longer than this server takes.",
    415: "The body is not declared as JSON, or not as a form where a file is sent.",
    416: "The file has no such range.",
    429: "The model behind this server takes no more requests for now.",
    500: "This server failed.",
    502: "The model behind this server failed.",
    503: "The model behind this server, or the storage, cannot be reached.",
    504: "The model behind this server did not answer in time.",
}

_PLAINLY = {200: "Done.", 503: "The storage cannot be written."}

_QUERY_MEANINGS = {
    "after": "The id of an item or a file: the page begins behind it.",
    "include": "What is shown besides; also written `include[]`, and several joined with commas.",
    "include_obfuscation": "Whether deltas are padded to hide how long they are.",
    "limit": "How many a page holds at most.",
    "order": "The newest first (`desc`), or the oldest.",
    "purpose": "What the files were uploaded for.",
    "starting_after": "The number of an event: the stream begins behind it.",
    "stream": "Whether the events of the response are sent instead of the response, those to come as they come.",
}

_HEADERS = {
    "x-request-id": "The id of this request, to find it in the logs.",
    "apim-request-id": "The same id, under the name and in the form that Azure gives it.",
    "x-ignored-params": "The parameters that had no effect, joined with commas; absent if all had.",
    "x-unavailable-tools": "The types of tools that cannot run here, joined with commas; absent if all can.",
    "x-token-count": "`exact` where the model's own tokenizer counted, `estimated` where none could be asked.",
    "x-ratelimit-limit-requests": "How many requests the caller has in a minute; absent if there is no such limit.",
    "x-ratelimit-remaining-requests": "How many of them are left.",
    "x-ratelimit-reset-requests": "When all of them will be free again, such as `1m1s`; under `/openai` in seconds.",
    "x-ratelimit-limit-tokens": "How many tokens the caller has in a minute; absent if there is no such limit.",
    "x-ratelimit-remaining-tokens": "How many of them are left, with what this response may take taken away.",
    "x-ratelimit-reset-tokens": "When all of them will be free again, likewise.",
    "retry-after": "After so many seconds it is worth trying again; absent if unknown.",
    "www-authenticate": "How to send a key.",
}
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")
_OF_EVERY_ANSWER = ("x-request-id", "apim-request-id")
_OF_A_REFUSAL = {401: ("www-authenticate",), 429: ("retry-after",), 503: ("retry-after",)}


def _typed(type_: str, **properties: Schema) -> Schema:
    """A frame of this type, with these properties."""
    return {
        "type": "object",
        "properties": {"type": {"const": type_}, **properties},
        "required": ["type", *properties],
    }


_SAID: Schema = {
    "description": "What a user says: a text, or messages.",
    "oneOf": [{"type": "string"}, {"type": "array", "items": ref("InputItem")}],
}
_EVENT: Schema = {
    "description": "With `stream`: one event of the stream, as readers of server-sent events see it.",
    "type": "object",
    "properties": {
        "event": {"type": "string", "description": "The type of the event."},
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": ref("StreamEvent")},
    },
    "required": ["event", "data"],
}

EXTENSION = "x-websocket"
"""What OpenAPI has no words for, in words of ours."""
_WEBSOCKET: Schema = {
    "summary": "The same path takes WebSockets, whose frames are JSON texts",
    "received": {
        "oneOf": [
            {"allOf": [ref("CreateResponse"), _typed("response.create")]},
            _typed("response.steer", previous_response_id={"type": "string"}, input=_SAID),
            _typed("response.inject", response_id={"type": "string"}, input={"type": "array"}),
        ]
    },
    "sent": {"anyOf": [ref("StreamEvent"), *(ref(kind.__name__) for kind in FRAMES)]},
}
"""What goes over a WebSocket. Events carry the ``stream_id`` of their lane besides."""

REQUESTS: dict[str, Schema] = {
    "text": {"model": "gpt-4o", "input": "What is an antiphon?"},
    "messages": {
        "model": "gpt-4o",
        "instructions": "Answer in one sentence.",
        "input": [
            {"role": "user", "content": "What is an antiphon?"},
            {"role": "assistant", "content": "A song of call and response."},
            {"role": "user", "content": [{"type": "input_text", "text": "Who sang it?"}]},
        ],
        "max_output_tokens": 200,
        "temperature": 0.2,
        "metadata": {"topic": "music"},
        "store": False,
    },
    "stream": {"model": "gpt-4o", "input": "What is an antiphon?", "stream": True},
    "reasoning": {
        "model": "gpt-4o",
        "input": "Is 1001 prime?",
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    },
    "background": {"model": "gpt-4o", "input": "Write the history of the antiphon.", "background": True},
    "function": {
        "model": "gpt-4o",
        "input": "What is the weather in Paris?",
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "The weather of a city, now.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                    "additionalProperties": False,
                },
                "strict": True,
            }
        ],
    },
    "schema": {
        "model": "gpt-4o",
        "input": "Name a city and its country.",
        "text": {
            "format": {
                "type": "json_schema",
                "name": "city",
                "schema": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
                    "required": ["city", "country"],
                    "additionalProperties": False,
                },
                "strict": True,
            }
        },
    },
}
"""Examples of requests, by name."""


@cache
def document() -> bytes:
    """The document as JSON; made when it is first asked for, which takes a tenth of a second."""
    return msgspec.json.encode({
        "openapi": "3.1.0",
        "info": {
            "title": "Antiphon",
            "version": version("antiphon"),
            "summary": "A self-hosted server for the OpenAI and Azure OpenAI Responses API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url} for url in SERVERS],
        "security": [{"apiKey": []}, {"bearer": []}, {}],
        "paths": {path: _path(path, methods) for path, methods in OPERATIONS.items()} | _beside_the_api(),
        "components": {
            "schemas": components(),
            "headers": {
                name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in _HEADERS.items()
            },
            "responses": {_refusal_name(status): _refusal(status) for status in _MEANINGS},
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })


def _path(path: str, methods: dict[str, Operation]) -> Schema:
    described: Schema = {method.lower(): _operation(operation) for method, operation in methods.items()}
    if names := _PATH_PARAMETER.findall(path):
        text = {"type": "string", "minLength": 1}
        described["parameters"] = [{"name": name, "in": "path", "required": True, "schema": text} for name in names]
    if path == "/responses":
        described[EXTENSION] = _WEBSOCKET
    return described


def _operation(operation: Operation) -> Schema:
    described: Schema = {"operationId": operation.id, "summary": operation.summary}
    if operation.query is not None:
        described["parameters"] = [_parameter(name, schema) for name, schema in parameters(operation.query).items()]
    if (content := _sent(operation)) is not None:
        described["requestBody"] = {"required": not operation.is_bare, "content": content}
    answers: dict[str, Any] = {"200": _success(operation)}  # OpenAPI is open
    for status in sorted({*_OF_ALL, *operation.refusals}):
        answers[str(status)] = {"$ref": f"#/components/responses/{_refusal_name(status)}"}
    return described | {"responses": answers}


def _sent(operation: Operation) -> Schema | None:
    """What the body of a request holds; None where it has none."""
    if operation.form is not None:
        return {"multipart/form-data": {"schema": operation.form}}
    if operation.body is None:
        return None
    described: Schema = {"schema": ref(operation.body)}
    if operation.id == "createResponse":
        described["examples"] = {name: {"value": value} for name, value in REQUESTS.items()}
    return {"application/json": described}


def _success(operation: Operation) -> Schema:
    content: Schema = {"application/octet-stream": {}}
    if operation.answer is not None:
        content = {"application/json": {"schema": ref(operation.answer)}}
    if operation.is_streamed:
        content["text/event-stream"] = {"schema": _EVENT}
    return {"description": "Done.", "headers": _headers(_OF_EVERY_ANSWER + operation.headers), "content": content}


def _parameter(name: str, schema: Schema) -> Schema:
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    return {"name": name, "in": "query", "description": _QUERY_MEANINGS[name], "schema": kinds[0] if kinds else schema}


def _refusal(status: int) -> Schema:
    return {
        "description": _MEANINGS[status],
        "headers": _headers(_OF_EVERY_ANSWER + _OF_A_REFUSAL.get(status, ())),
        "content": {"application/json": {"schema": ref("ErrorBody")}},
    }


def _refusal_name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def _headers(names: tuple[str, ...]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _beside_the_api() -> dict[str, Schema]:
    """What stands at the root of the server, and needs no key."""
    return {
        path: {"servers": [{"url": "/"}], "get": {"operationId": id, "summary": summary, "security": [{}]} | answers}
        for path, id, summary, answers in (
            ("/health", "health", "Whether requests are answered, and responses kept", _plain(ref("Health"), 200, 503)),
            ("/health/ready", "ready", "The same, and whether the server goes on", _plain(ref("Health"), 200, 503)),
            ("/health/live", "live", "Whether the process answers at all", _plain(ref("Health"), 200)),
            ("/openapi.json", "document", "This document", _plain({"type": "object"}, 200)),
        )
    }


def _plain(schema: Schema, *statuses: int) -> Schema:
    answer = {"headers": _headers(_OF_EVERY_ANSWER), "content": {"application/json": {"schema": schema}}}
    return {"responses": {str(status): {"description": _PLAINLY[status], **answer} for status in statuses}}
