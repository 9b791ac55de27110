"""Conversations on the wire (Conversations API): what is sent of them, and how what callers send is read.

Items are those that the input of a request may hold, written in the same shorthand and held to the same rules.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from antiphon.protocol.checks import check
from antiphon.protocol.errors import ApiError
from antiphon.protocol.faults import refusal
from antiphon.protocol.items import Item
from antiphon.protocol.parts import Json
from antiphon.protocol.places import Object, is_array
from antiphon.protocol.reading import decode
from antiphon.protocol.request import CreateResponse, Metadata
from antiphon.protocol.shorthand import written_out

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T", bound=Struct)

MOST_ITEMS = 20
"""How many items one request may bring."""


class ConversationObject(Struct, frozen=True, kw_only=True):
    """A conversation (recorded). ``created_at`` is in Unix seconds."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: Metadata


class ConversationDeleted(Struct, frozen=True, kw_only=True):
    """What the deletion of a conversation answers."""

    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: bool = True


class CreateConversation(Struct, frozen=True, kw_only=True):
    """What a conversation begins with."""

    items: Annotated[list[Item], Meta(max_length=MOST_ITEMS)] = []
    metadata: Metadata = {}


class UpdateConversation(Struct, frozen=True, kw_only=True):
    """The metadata that a conversation has from now on, in place of all that it had."""

    metadata: Metadata


class AddItems(Struct, frozen=True, kw_only=True):
    """What is added to a conversation, oldest first."""

    items: Annotated[list[Item], Meta(min_length=1, max_length=MOST_ITEMS)]


class Brought(Struct, frozen=True, kw_only=True):
    """Items and metadata as they were read.

    ``extras`` holds, for each item, the keys that the protocol does not know; ``ignored`` names the parameters that do
    not exist, in the order sent.
    """

    items: list[Item] = []
    metadata: Metadata = {}
    extras: list[dict[str, Json]] = []
    ignored: list[str] = []


def read_creation(body: bytes) -> Brought:
    """Read the body of ``POST /conversations``, which may be empty. Raises ``ApiError`` 400."""
    body = body or b"{}"
    value = decode(body)
    extras = _write_out(value, nulls=b"null" in body)
    asked = _converted(value, CreateConversation, body)
    _check(asked.items)
    return Brought(
        items=asked.items, metadata=asked.metadata, extras=extras, ignored=_ignored(value, CreateConversation)
    )


def read_addition(body: bytes) -> Brought:
    """Read the body of ``POST /conversations/{id}/items``. Raises ``ApiError`` 400."""
    value = decode(body)
    extras = _write_out(value, nulls=b"null" in body)
    asked = _converted(value, AddItems, body)
    _check(asked.items)
    return Brought(items=asked.items, extras=extras, ignored=_ignored(value, AddItems))


def read_update(body: bytes) -> Brought:
    """Read the body of ``POST /conversations/{id}``; null takes all metadata away. Raises ``ApiError`` 400."""
    value = decode(body)
    if "metadata" in value and value["metadata"] is None:
        value["metadata"] = {}
    asked = _converted(value, UpdateConversation, body)
    return Brought(metadata=asked.metadata, ignored=_ignored(value, UpdateConversation))


@contextmanager
def in_terms_of_items() -> Generator[None, None, None]:
    """What is wrong with an input is told of the parameter ``items``, as it is called here. Raises ``ApiError``."""
    try:
        yield
    except ApiError as error:
        place = (error.param or "input").removeprefix("input")
        message = error.message.replace("'input[", "'items[")
        told = replace(error.error, message=message, param=f"items{place}")
        raise ApiError(error.status, told, headers=error.headers) from error


def _write_out(value: Object, *, nulls: bool) -> list[Object]:
    """Drop the nulls of the top level, and write out the shorthand of the items in place; give their unknown keys."""
    for name in [name for name, part in value.items() if part is None]:
        del value[name]
    items = value.get("items")
    if not is_array(items):
        return []
    with in_terms_of_items():
        return written_out({"input": items}, nulls=nulls)


def _converted(value: Object, kind: type[T], body: bytes) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise refusal(error, value, kind, sent=decode(body)) from error


def _check(items: list[Item]) -> None:
    with in_terms_of_items():
        check(CreateResponse(input=items))


def _ignored(value: Object, kind: type[Struct]) -> list[str]:
    known = frozenset(kind.__struct_encode_fields__)
    return [name for name in value if name not in known]
