"""How each operation of the API names what is somebody's: the kind of the thing, and a request with its id in it."""

from __future__ import annotations

import json
from typing import Any  # JSON

from msgspec import Struct

MODEL = {"model": "m", "input": "Go on."}
RESPONSES = ("response", "running", "ended")
REFERENCE = {"type": "item_reference", "id": "{id}"}


class Naming(Struct, frozen=True):
    """A request that names a thing of this kind. In its texts stand marks: ``{id}`` for the thing, and others.

    ``{own}`` is a conversation of whoever asks and ``{own upload}`` an upload; ``{item}`` and ``{part}`` are another's.
    """

    kind: str
    method: str
    path: str
    body: Any = None  # JSON
    is_form: bool = False

    def url(self, marks: dict[str, str]) -> str:
        """The path with the ids."""
        return _marked(self.path, marks)

    def sent(self, marks: dict[str, str]) -> dict[str, Any]:
        """What goes with it, as a client of HTTP takes it."""
        if self.is_form:
            return {"files": {"data": ("x", b"abc")}}
        return {} if self.body is None else {"json": json.loads(_marked(json.dumps(self.body), marks))}


def _marked(text: str, marks: dict[str, str]) -> str:
    for mark, id in marks.items():
        text = text.replace(f"{{{mark}}}", id)
    return text


def said(part: dict[str, Any]) -> dict[str, Any]:
    """A message with a part in it."""
    return {"role": "user", "content": [part, {"type": "input_text", "text": "What is it?"}]}


BODIES: dict[str, dict[str, Any]] = {
    **{kind: {"previous_response_id": "{id}"} for kind in RESPONSES},
    "conversation": {"conversation": "{id}"},
    "item": {"input": [REFERENCE, {"role": "user", "content": "x"}]},
    "conversation item": {"input": [REFERENCE]},
    "file": {"input": [said({"type": "input_file", "file_id": "{id}"})]},
    "picture": {"input": [said({"type": "input_image", "file_id": "{id}"})]},
    "approval": {"input": [{"type": "mcp_approval_response", "approval_request_id": "{id}", "approve": True}]},
}
"""Every way in which the body of a request to a model names what is somebody's."""
WAYS: tuple[dict[str, Any], ...] = ({}, {"stream": True}, {"background": True}, {"store": False})


def _to_a_model(path: str, *ways: dict[str, Any]) -> list[Naming]:
    return [Naming(kind, "POST", path, {**MODEL, **body, **way}) for kind, body in BODIES.items() for way in ways]


def _of_responses(method: str, path: str, *queries: str) -> list[Naming]:
    return [Naming(kind, method, path + query) for kind in RESPONSES for query in queries or ("",)]


def _of_files(method: str, path: str) -> list[Naming]:
    return [Naming(kind, method, path) for kind in ("file", "picture")]


OPERATIONS: dict[str, list[Naming]] = {
    "createResponse": _to_a_model("/responses", *WAYS),
    "countInputTokens": _to_a_model("/responses/input_tokens", {}),
    "compactResponse": _to_a_model("/responses/compact", {}),
    "retrieveResponse": _of_responses(
        "GET",
        "/responses/{id}",
        "",
        "?stream=true",
        "?stream=true&starting_after=1",
        "?include=message.output_text.logprobs",
    ),
    "deleteResponse": _of_responses("DELETE", "/responses/{id}"),
    "cancelResponse": _of_responses("POST", "/responses/{id}/cancel"),
    "listInputItems": _of_responses("GET", "/responses/{id}/input_items", "", "?limit=1&order=asc"),
    "createConversation": [Naming("item", "POST", "/conversations", {"items": [REFERENCE]})],
    "retrieveConversation": [Naming("conversation", "GET", "/conversations/{id}")],
    "updateConversation": [Naming("conversation", "POST", "/conversations/{id}", {"metadata": {"a": "b"}})],
    "deleteConversation": [Naming("conversation", "DELETE", "/conversations/{id}")],
    "listConversationItems": [
        Naming("conversation", "GET", "/conversations/{id}/items"),
        Naming("conversation", "GET", "/conversations/{id}/items?limit=1"),
        Naming("conversation item", "GET", "/conversations/{own}/items?after={id}"),
    ],
    "addConversationItems": [
        Naming("conversation", "POST", "/conversations/{id}/items", {"items": [{"role": "user", "content": "x"}]}),
        Naming("item", "POST", "/conversations/{own}/items", {"items": [REFERENCE]}),
    ],
    "retrieveConversationItem": [
        Naming("conversation", "GET", "/conversations/{id}/items/{item}"),
        Naming("conversation item", "GET", "/conversations/{own}/items/{id}"),
    ],
    "deleteConversationItem": [
        Naming("conversation", "DELETE", "/conversations/{id}/items/{item}"),
        Naming("conversation item", "DELETE", "/conversations/{own}/items/{id}"),
    ],
    "listFiles": [Naming("file", "GET", "/files?after={id}")],
    "retrieveFile": _of_files("GET", "/files/{id}"),
    "deleteFile": _of_files("DELETE", "/files/{id}"),
    "downloadFile": _of_files("GET", "/files/{id}/content"),
    "addUploadPart": [Naming("upload", "POST", "/uploads/{id}/parts", is_form=True)],
    "completeUpload": [
        Naming("upload", "POST", "/uploads/{id}/complete", {"part_ids": ["{part}"]}),
        Naming("part", "POST", "/uploads/{own upload}/complete", {"part_ids": ["{id}"]}),
    ],
    "cancelUpload": [Naming("upload", "POST", "/uploads/{id}/cancel")],
}
"""Every operation that can name something of a tenant's, and how it does."""

NAMELESS = {"createFile", "createUpload", "listModels", "retrieveModel"}
"""Operations that name nothing of a tenant's: they make something new, or tell of what is the operator's."""
