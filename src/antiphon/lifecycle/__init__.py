"""A response from request to row: prepare, perform, cancel. Here are its nouns; the verbs have a file each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, UnsetType, to_builtins

from antiphon.backends import Backend
from antiphon.core.echo import without_secret_keys, without_secrets
from antiphon.core.quota import Reserved
from antiphon.core.screen import Coordinates
from antiphon.core.transcript import Said
from antiphon.core.turn import Output, Thinking
from antiphon.engine.task import Task
from antiphon.ids import Ids
from antiphon.lifecycle.routing import Rule
from antiphon.lifecycle.tickets import Ticket
from antiphon.protocol.items import Item, ReasoningItem
from antiphon.protocol.parts import Json
from antiphon.protocol.request import CreateResponse
from antiphon.store import ItemRow

if TYPE_CHECKING:
    from antiphon.core.tally import Ending
    from antiphon.protocol.response import Response as Response

EVERY_MODEL = "*"
DAY_SECONDS = 86_400
LOW_SIDE = 512
"""The longer edge, in pixels, of a picture of low detail."""


class Caller(Struct, frozen=True):
    """Who asks: the tenant that every row belongs to."""

    tenant: str


class Asker(Struct, frozen=True):
    """Who asks, and how. ``path_deployment`` is the deployment that the path names; it counts more than the model.

    ``painter`` is the image deployment that a header names; the tool's own model counts more. ``memory``, by the ids of
    responses, is what the connection remembers, if it remembers anything.
    """

    caller: Caller
    path_deployment: str | None = None
    painter: str | None = None
    memory: Mapping[str, History] | None = None


class Deployment(Struct, frozen=True):
    """A model that callers may name, and the backend behind it.

    ``model`` is what the response says that answered; None: the name that the caller used. ``fetch_images``: images
    that are named by a URL are fetched here and handed on as data. ``raw_thoughts``: reasoning is shown as it is.
    ``recalls_thoughts``: the model sees again what it thought in all turns, not in the last one alone.
    ``context_window``: how many tokens it reads and writes at most, if that is known.
    ``vision``: it sees images, whose longer edge has ``image_side`` pixels at most; ``is_blind``: it does not, nor is
    it told what they show. ``read_files``: documents are read
    here and handed on as text, and as pictures of their pages where ``shows_pages``; else their content is.
    ``pass_through``: its upstream runs the tools of MCP servers itself. ``native_tools``: the types of the client's
    tools that its upstream knows itself. ``screenshots``: how many of the newest screenshots it is shown, if not all;
    ``coordinates``: how its model points. ``provider``: whose dialect the upstream speaks.
    """

    name: str
    backend: Backend
    model: str | None = None
    fetch_images: bool = False
    raw_thoughts: bool = False
    recalls_thoughts: bool = False
    context_window: int | None = None
    vision: bool = True
    is_blind: bool = False
    image_side: int = 2048
    read_files: bool = True
    shows_pages: bool = False
    pass_through: bool = False
    provider: str = ""
    native_tools: frozenset[str] = frozenset()
    screenshots: int | None = None
    coordinates: Coordinates = "pixels"

    def side(self, detail: str | UnsetType) -> int:
        """The longer edge, in pixels, of a picture that its model is shown in this detail."""
        return min(self.image_side, LOW_SIDE) if detail == "low" else self.image_side


class Policy(Struct, frozen=True):
    """What the operator decided for all requests.

    ``default_deployment`` answers a request that names no model. ``max_tool_calls``: how many calls of tools a response
    makes at most. ``routers`` are the deployments that choose among others, by their names, with their rules.
    """

    strict_params: bool = False
    retention_days: int = 30
    default_deployment: str | None = None
    max_tool_calls: int = 256
    routers: Mapping[str, Sequence[Rule]] = {}


class History(Struct, frozen=True):
    """A conversation: its items, oldest first, and what only the model reads of them, by item id.

    ``outputs`` are what hosted calls answered, ``thoughts`` what was thought in reasoning items.
    """

    items: list[Item]
    outputs: dict[str, Output] = {}
    thoughts: dict[str, Thinking] = {}

    def and_then(self, more: History) -> History:
        """The same, and then more."""
        return History([*self.items, *more.items], {**self.outputs, **more.outputs}, {**self.thoughts, **more.thoughts})


class Origin(Struct, frozen=True):
    """By what a request is known to operators: its id, and where it stands in a trace (W3C Trace Context)."""

    request: str = ""
    traceparent: str = ""
    tracestate: str = ""


class Order(Struct, frozen=True):
    """What was asked for, and the deployment by the name that the caller used.

    ``request.input`` holds only the items that bring secrets: of the others all that a run needs is kept. ``answered``
    are the ids of the requests for an approval that it answers, ``anew`` the labels of the servers that are listed
    anew, as the lists in the context were made for something else. ``painter`` is the image deployment that draws, and
    ``pointed`` are the ids of the drawings to which the input points. ``preface`` are the messages of a prompt
    template: the model hears them first. ``origin`` is that of a response that runs in the background. ``reserved`` is
    what it holds of a limit: who performs it settles that.
    """

    name: str
    request: CreateResponse
    answered: list[str] = []
    anew: list[str] = []
    painter: str | None = None
    pointed: list[str] = []
    preface: list[Item] = []
    reserved: Reserved | None = None
    origin: Origin = Origin()


class Hold:
    """A conversation that a response holds."""

    def __init__(self) -> None:
        self.is_kept = False

    def keep(self) -> None:
        """The row of the response is there: it has let the conversation go, or its job holds it until it ends."""
        self.is_kept = True


class Prepared(Struct, frozen=True):
    """A request that is ready to run, with all that will be kept of it.

    ``context`` is the whole conversation, ``said`` are the items that the request adds to it, and ``extras`` the keys
    beside each item of its input that only the caller understands. ``ignored`` and ``unavailable`` name the parameters
    and the types of tools that had no effect. ``hold`` is its conversation's, and leaving ``held`` lets that go.
    ``ticket``, which is left with it, is what it holds of limits.
    """

    order: Order
    task: Task
    context: History
    deployment: Deployment
    caller: Caller
    ids: Ids
    said: list[Said]
    extras: list[dict[str, Json]]
    ignored: list[str]
    unavailable: list[str]
    hold: Hold | None
    held: AsyncExitStack
    ticket: Ticket | None = None


encode = msgspec.json.Encoder().encode


def made_items(ending: Ending) -> list[ItemRow]:
    """The items that a response made, with what only the model reads of them."""
    return [item_row(item, encode(item), ending.outputs, ending.thoughts) for item in ending.response.output]


def kept_json(item: Item, extra: dict[str, Json]) -> bytes:
    """An item as it is kept: no secrets, and beside its own keys those that only the caller understands."""
    kept, unknown = without_secrets(item), without_secret_keys(extra)
    return encode({**unknown, **to_builtins(kept)}) if unknown else encode(kept)


def item_row(item: Item, json: bytes, outputs: Mapping[str, Output], thoughts: Mapping[str, Thinking]) -> ItemRow:
    """An item as it is kept. What was thought in it stands where a hosted call has its output."""
    if not isinstance(item, ReasoningItem):
        return ItemRow(id=item.id, json=json, output=outputs.get(item.id))
    thinking = thoughts.get(item.id)
    return ItemRow(id=item.id, json=json, output=None if thinking is None else encode(thinking).decode())


def conversation_id(request: CreateResponse) -> str | None:
    """The conversation that a request belongs to."""
    named = request.conversation
    return named if named is None or isinstance(named, str) else named.id


def history(rows: list[ItemRow]) -> History:
    """The conversation that kept items are."""
    items = decode_items(rows)
    outputs: dict[str, Output] = {}
    thoughts: dict[str, Thinking] = {}
    for item, row in zip(items, rows, strict=True):
        match item, row.output:
            case _, None:
                pass
            case ReasoningItem(), str(text):
                thoughts[item.id] = _decode_thinking(text)
            case _, output:
                outputs[item.id] = output
    return History(items, outputs, thoughts)


def decode_items(rows: list[ItemRow]) -> list[Item]:
    """The items of rows."""
    return _decode_items(b"[" + b",".join([row.json for row in rows]) + b"]")


_decode_items = msgspec.json.Decoder(list[Item]).decode
_decode_thinking = msgspec.json.Decoder(Thinking).decode
