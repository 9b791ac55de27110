"""The JSON Schemas of all that crosses the wire, made from the structs that read and write it.

Structs say what a value is once it was read. What a caller may write besides (a text for a whole input, messages in
short, nulls) and what the server always sends is told here in addition.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args  # JSON Schema is open

import msgspec
from msgspec import Struct

from antiphon.http.models import Model, ModelList
from antiphon.http.responses import Deleted
from antiphon.protocol.compaction import CompactedResponse, TokenCount
from antiphon.protocol.content import InputPart, LongText, MessagePart
from antiphon.protocol.conversations import (
    AddItems,
    ConversationDeleted,
    ConversationObject,
    CreateConversation,
    UpdateConversation,
)
from antiphon.protocol.errors import ErrorBody
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.files import (
    CompleteUpload,
    CreateUpload,
    FileDeleted,
    FileList,
    FileObject,
    UploadObject,
    UploadPart,
)
from antiphon.protocol.frames import ServerFrame
from antiphon.protocol.items import Item, OutputItem, Role
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.response import Response
from antiphon.protocol.tools import Tool

Schema = dict[str, Any]  # JSON Schema is open

REF = "#/components/schemas/{name}"


class ShortMessage(Struct, frozen=True, kw_only=True):
    """A message in short: ``type`` may be left out, and a text stands for one part of text."""

    type: Literal["message"] = "message"
    role: Role
    content: LongText | list[MessagePart]


class ShortReference(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item that the server keeps, by its id and nothing else."""

    id: str


class ItemPage(Struct, frozen=True, kw_only=True, rename={"items": "data"}):
    """A page of items. Their ids are cursors for ``after``."""

    object: Literal["list"]
    items: list[Item]
    first_id: str | None
    has_more: bool
    last_id: str | None


class Health(Struct, frozen=True, kw_only=True):
    """Whether the server can keep what it answers."""

    status: Literal["ok", "store unavailable", "shutting down"]


_TALKS = (CreateConversation, UpdateConversation, AddItems)
_READ = (CreateResponse, ShortMessage, ShortReference, CreateUpload, CompleteUpload, *_TALKS)
_FILES = (FileObject, FileDeleted, FileList, UploadObject, UploadPart)
_TOLD = (ConversationObject, ConversationDeleted)
_SENT = (Response, TokenCount, CompactedResponse, ItemPage, Deleted, Model, ModelList, ErrorBody, Health)
_EVENTS = get_args(StreamEvent)
FRAMES: tuple[type[Struct], ...] = get_args(ServerFrame)
"""What goes over a WebSocket beside the events."""
_UNIONS = {
    "Item": Item,
    "OutputItem": OutputItem,
    "MessagePart": MessagePart,
    "InputPart": InputPart,
    "Tool": Tool,
}
"""Unions that stand at many places, under the names by which the document refers to them."""

_REWRITTEN = (
    ("antiphon.protocol.errors.ErrorObject", "ErrorObject"),
    ("antiphon.protocol.events.ErrorObject", "StreamErrorObject"),
    (r"\\Z", "$"),  # the end of a text, as other languages write it
    ("``", "`"),
)
_INDENT = re.compile(r"(?<=\\n) +")
_REFERENCE = re.compile(REF.format(name=r"([\w.]+)"))
_NULL: Schema = {"type": "null"}


def components() -> dict[str, Schema]:
    """All schemas by name; they refer to each other as components of an OpenAPI document."""
    kinds = [*_UNIONS.values(), *_READ, *_SENT, *_FILES, *_TOLD, *_EVENTS, *FRAMES]
    (*outer,), structs = msgspec.json.schema_components(kinds, ref_template=REF)
    unions = dict(zip(_UNIONS, outer, strict=False))  # what follows the unions are references to structs
    schemas = _tidy(structs, unions) | _tidy(unions, {})
    _require_what_is_always_sent(schemas)
    schemas["CreateResponse"] = _as_written(schemas["CreateResponse"])
    for name in ("CreateConversation", "AddItems"):
        schemas[name]["properties"]["items"]["items"] = ref("InputItem")
    schemas["InputItem"] = {
        "description": "An item. A key whose value is null counts as absent.",
        "anyOf": [ref(name) for name in ("Item", "ShortMessage", "ShortReference")],
    }
    schemas["StreamEvent"] = _any_event(schemas)
    return dict(sorted(schemas.items()))


def parameters(query: type[Struct]) -> dict[str, Schema]:
    """The schema of each parameter of a query, by name."""
    properties: dict[str, Schema] = msgspec.json.schema(query, ref_template=REF)["$defs"][query.__name__]["properties"]
    return properties


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": REF.format(name=name)}


def _tidy(schemas: dict[str, Schema], unions: dict[str, Schema]) -> dict[str, Schema]:
    """Refer to the unions by name, and write names, patterns and descriptions as readers of the document expect."""
    text = _encode(schemas)
    for name, union in unions.items():
        text = text.replace(_encode(union), _encode(ref(name)))
    for ours, theirs in _REWRITTEN:
        text = text.replace(ours, theirs)
    tidy: dict[str, Schema] = msgspec.json.decode(_INDENT.sub("", text))
    return tidy


def _encode(value: dict[str, Schema] | Schema) -> str:
    return msgspec.json.encode(value).decode()


def _require_what_is_always_sent(schemas: dict[str, Schema]) -> None:
    """In what only the server writes, a default says that the key is there even so."""
    read = _reachable(schemas, {kind.__name__ for kind in _READ})
    for name in schemas.keys() - read:
        properties: dict[str, Schema] = schemas[name].get("properties", {})
        sent = {key for key, schema in properties.items() if schema.pop("default", schema) is not schema}
        schemas[name]["required"] = [key for key in properties if key in sent or key in schemas[name]["required"]]


def _reachable(schemas: dict[str, Schema], names: set[str]) -> set[str]:
    """The names of these schemas and of all that they refer to."""
    known: set[str] = set()
    while names:
        known |= names
        names = {found for name in names for found in _REFERENCE.findall(_encode(schemas[name]))} - known
    return known


def _as_written(request: Schema) -> Schema:
    """A request as callers write it: any parameter may be null, and the input may be a text."""
    properties = {name: _nullable(schema) for name, schema in request["properties"].items()}
    properties["input"] = {
        "description": "What is said: a text of the user's, or items.",
        "oneOf": [{"type": "string"}, {"type": "array", "items": ref("InputItem")}, _NULL],
    }
    return request | {"properties": properties}


def _nullable(schema: Schema) -> Schema:
    if _NULL in schema.get("anyOf", []):
        return schema
    default = {"default": schema["default"]} if "default" in schema else {}
    return {"anyOf": [{key: part for key, part in schema.items() if key != "default"}, _NULL], **default}


def _any_event(schemas: dict[str, Schema]) -> Schema:
    """The union of events, told apart by their types; some structs serve several types."""
    names = [kind.__name__ for kind in _EVENTS]
    mapping = {type_: REF.format(name=name) for name in names for type_ in schemas[name]["properties"]["type"]["enum"]}
    return {
        "description": "What one `data:` line of a stream holds.",
        "anyOf": [ref(name) for name in names],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
