"""A model that says what a test tells it to, right or wrong, and a server of two tenants before it."""

from __future__ import annotations

import json
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx2 as httpx
import pytest
from msgspec import Struct

from antiphon.config import Config, Server
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.acceptance.bad_bodies import Refused

Json: TypeAlias = Any  # bodies are told as plain JSON here

KEYS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
ERROR = {"message", "type", "param", "code"}
USAGE = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
FRAGMENT = 4096
"""Characters of a long text that come at a time."""


class Fault(Struct, frozen=True):
    """A refusal of the model's server."""

    status: int
    error: Json


class Model:
    """What a model was ``asked``, and what it says next, turn by turn; when nothing is left, ``Ok.``."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Json] = []
        self.turns: deque[bytes | Fault] = deque()

    def will(self, *turns: bytes | Fault) -> None:
        """Say this, and nothing of what was to be said before."""
        self.turns = deque(turns)

    @property
    def heard(self) -> list[Json]:
        """The messages of its last request."""
        messages: list[Json] = self.asked[-1]["messages"]
        return messages

    @property
    def offered(self) -> list[str]:
        """The functions of its last request."""
        return [tool["function"]["name"] for tool in self.asked[-1].get("tools", [])]


class Stand:
    """A server, at ``address``, and the model behind it."""

    def __init__(self, address: str, model: Model, client: httpx.Client) -> None:
        self.address = address
        self.model = model
        self.client = client

    def post(self, body: Json, path: str = "/v1/responses", key: str = "key-a") -> httpx.Response:
        """Send a body as it is."""
        return self.client.post(path, json=body, headers={"api-key": key})

    def ask(self, **body: Json) -> httpx.Response:
        """Ask for a response."""
        return self.post({"model": "m", "input": "hi", **body})

    def made(self, **body: Json) -> Json:
        """A response that was made."""
        answer = self.ask(**body)
        assert 200 == answer.status_code, answer.text
        response = answer.json()
        assert response["status"] in {"completed", "incomplete"}, response
        return response

    def heard(self, **body: Json) -> list[Json]:
        """What the model hears of a request."""
        self.made(**body)
        return self.model.heard


def error(answer: httpx.Response) -> Json:
    """The error of an answer that is nothing else, all four keys of it."""
    assert ["error"] == list(answer.json()), answer.text
    found = answer.json()["error"]
    assert ERROR == found.keys(), found
    return found


def refuses(stand: Stand, refused: Refused) -> None:
    """A body is refused, on all paths and as a stream, in these words; no model hears of it."""
    before = len(stand.model.asked)
    body = {"model": "m", "input": "hi", **refused.body}
    expected = (refused.status, "invalid_request_error", refused.param, refused.code, refused.message)
    for path in ("/v1/responses", "/openai/v1/responses", "/openai/responses?api-version=2025-04-01-preview"):
        for more in ({}, {"stream": True}):
            answer = stand.post({**body, **more}, path)
            found = error(answer)
            assert expected == (answer.status_code, found["type"], found["param"], found["code"], found["message"])
            assert before == len(stand.model.asked), refused


def named(refused: Refused) -> str:
    """A name for a case."""
    return f"{refused.param}-{refused.code}-{refused.message[:40]}"


# What a model says


def turn(*deltas: Json, finish: str = "stop") -> bytes:
    """A whole stream of chat completions: these deltas, a reason to end, and what it cost."""
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    return b"".join(sse(chunk) for chunk in (*chunks, end, USAGE)) + b"data: [DONE]\n\n"


def sse(value: Json) -> bytes:
    """One event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def says(text: str) -> bytes:
    """A turn of text."""
    return turn({"content": text})


def call(name: str, arguments: Json, id: str = "call_1", index: int = 0) -> list[Json]:
    """The deltas of a call, its arguments in pieces; what is no text is written as JSON."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    head = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [written[at : at + FRAGMENT] for at in range(0, len(written), FRAGMENT)]
    rest = [{"index": index, "function": {"arguments": piece}} for piece in pieces]
    return [{"tool_calls": [each]} for each in (head, *rest)]


def calls(name: str, arguments: Json, id: str = "call_1") -> bytes:
    """A turn with one call."""
    return turn(*call(name, arguments, id), finish="tool_calls")


def kinds(response: Json) -> list[str]:
    """The types of the items of a response."""
    return [item["type"] for item in response["output"]]


# The tools of a client, each with a call of it as a model makes it, and with its output


FUNCTION: Json = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CUSTOM: Json = {"type": "custom", "name": "c"}
SHELL: Json = {"type": "shell"}
LOCAL_SHELL: Json = {"type": "local_shell"}
PATCH: Json = {"type": "apply_patch"}
SEARCH: Json = {"type": "tool_search", "execution": "client"}
NAMESPACE: Json = {"type": "namespace", "name": "n", "description": "All.", "tools": [FUNCTION]}
TOOLS: dict[str, Json] = {
    "function_call": FUNCTION,
    "custom_tool_call": CUSTOM,
    "shell_call": SHELL,
    "local_shell_call": LOCAL_SHELL,
    "apply_patch_call": PATCH,
    "tool_search_call": SEARCH,
}
CALLED: dict[str, tuple[str, Json]] = {
    "function_call": ("f", {"a": None}),
    "custom_tool_call": ("c", {"input": "free text"}),
    "shell_call": ("shell", {"commands": ["ls", "pwd"]}),
    "local_shell_call": ("local_shell", {"command": ["ls", "-l"]}),
    "apply_patch_call": ("apply_patch", {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b"}),
    "tool_search_call": ("tool_search", {"query": "weather"}),
}
EXIT: Json = {"type": "exit", "exit_code": 0}
OUTPUTS: dict[str, Json] = {
    "function_call": {"type": "function_call_output", "output": "Rain."},
    "custom_tool_call": {"type": "custom_tool_call_output", "output": "Rain."},
    "shell_call": {"type": "shell_call_output", "output": [{"stdout": "Rain.", "stderr": "", "outcome": EXIT}]},
    "local_shell_call": {"type": "local_shell_call_output", "output": '{"stdout":"Rain."}'},
    "apply_patch_call": {"type": "apply_patch_call_output", "status": "completed", "output": "Rain."},
    "tool_search_call": {"type": "tool_search_output", "execution": "client", "tools": [FUNCTION]},
    "computer_call": {
        "type": "computer_call_output",
        "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgo="},
    },
}
WRITTEN: dict[str, Json] = {
    "function_call": {"type": "function_call", "name": "f", "arguments": "{}"},
    "custom_tool_call": {"type": "custom_tool_call", "name": "c", "input": "free text"},
    "shell_call": {"type": "shell_call", "action": {"commands": ["ls"]}},
    "local_shell_call": {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    "apply_patch_call": {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a"}},
    "tool_search_call": {"type": "tool_search_call", "execution": "client", "arguments": {}},
    "computer_call": {"type": "computer_call", "action": {"type": "wait"}, "pending_safety_checks": []},
}
"""Calls as a client may write them."""


def answered(kind: str, call_id: str = "call_1") -> Json:
    """The output of a call of this kind."""
    return {**OUTPUTS[kind], "call_id": call_id}


def written(kind: str, call_id: str = "call_1") -> Json:
    """A call of this kind that a client wrote."""
    return {**WRITTEN[kind], "call_id": call_id}


# A server


@contextmanager
def playing() -> Iterator[Model]:
    """Serve a model on this machine."""
    model = Model()

    class Visit(BaseHTTPRequestHandler):
        """One request to it."""

        def do_POST(self) -> None:
            """Note what is asked, and say what is to be said."""
            model.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            match model.turns.popleft() if model.turns else says("Ok."):
                case Fault(status, error):
                    self._send(status, "application/json", json.dumps({"error": error}).encode())
                case bytes(stream):
                    self._send(200, "text/event-stream", stream)

        def _send(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Visit) as model.url:
        yield model


@contextmanager
def standing(*deployments: Json, **settings: Json) -> Iterator[Stand]:
    """Serve. The deployment ``m`` is the model; ``settings`` are tables of the configuration."""
    with playing() as model:
        chat = {"name": "m", "backend": "chat_completions", "base_url": model.url}
        tables = {"store": MEMORY, "auth": KEYS, "server": Server(max_tool_calls=20), **settings}
        config = Config(deployments=[chat, *deployments], **tables)
        with serving(config) as address, httpx.Client(base_url=address, timeout=HANG_SECONDS) as client:
            yield Stand(address, model, client)


def outputs(response: Json) -> list[Json]:
    """The outputs that the calls of a response wait for."""
    return [answered(item["type"], item["call_id"]) for item in response["output"] if item["type"] in OUTPUTS]


def ids(cases: Sequence[Refused]) -> pytest.MarkDecorator:
    """Run a test for each of these refusals."""
    return pytest.mark.parametrize("refused", cases, ids=named)
