"""A response from request to row: prepare, perform, cancel. Here are its nouns; the verbs have a file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.backends import Backend
from antiphon.core.transcript import Said
from antiphon.core.turn import Output
from antiphon.engine.task import Task
from antiphon.ids import Ids
from antiphon.protocol.parts import Json
from antiphon.protocol.request import CreateResponse
from antiphon.store import ItemRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.protocol.response import Response

EVERY_MODEL = "*"
DAY_SECONDS = 86_400


class Caller(Struct, frozen=True):
    """Who asks: the tenant that every row belongs to."""

    tenant: str


class Deployment(Struct, frozen=True):
    """A model that callers may name, and the backend behind it.

    ``model`` is what the response says that answered; None: the name that the caller used. ``fetch_images``: images
    that are named by a URL are fetched here and handed on as data. ``raw_thoughts``: reasoning is shown as it is.
    ``vision``: it sees images, whose longer edge has ``image_side`` pixels at most. ``read_files``: documents are read
    here and handed on as text, and as pictures of their pages where ``shows_pages``; else their content is.
    ``pass_through``: its upstream runs the tools of MCP servers itself.
    """

    name: str
    backend: Backend
    model: str | None = None
    fetch_images: bool = False
    raw_thoughts: bool = False
    vision: bool = True
    image_side: int = 2048
    read_files: bool = True
    shows_pages: bool = False
    pass_through: bool = False


class Policy(Struct, frozen=True):
    """What the operator decided for all requests.

    ``default_deployment`` answers a request that names no model. ``max_tool_calls``: how many calls of tools a response
    makes at most.
    """

    strict_params: bool = False
    retention_days: int = 30
    default_deployment: str | None = None
    max_tool_calls: int = 256


class Order(Struct, frozen=True):
    """What was asked for, and the deployment by the name that the caller used.

    ``request.input`` holds only the items that bring secrets: of the others all that a run needs is kept. ``answered``
    are the ids of the requests for an approval that it answers, ``anew`` the labels of the servers that are listed
    anew, as the lists in the context were made for something else. ``painter`` is the image deployment that draws, and
    ``pointed`` are the ids of the drawings to which the input points.
    """

    name: str
    request: CreateResponse
    answered: list[str] = []
    anew: list[str] = []
    painter: str | None = None
    pointed: list[str] = []


class Prepared(Struct, frozen=True):
    """A request that is ready to run, with all that will be kept of it.

    ``said`` are the items that it adds, and ``extras`` the keys beside each item of its input that only the caller
    understands. ``ignored`` and ``unavailable`` name the parameters and the types of tools that had no effect.
    """

    order: Order
    task: Task
    caller: Caller
    ids: Ids
    said: list[Said]
    extras: list[dict[str, Json]]
    ignored: list[str]
    unavailable: list[str]


encode = msgspec.json.Encoder().encode


def made_items(response: Response, outputs: Mapping[str, Output]) -> list[ItemRow]:
    """The items that a response made, with what the model read of its hosted calls, by item id."""
    return [ItemRow(id=item.id, json=encode(item), output=outputs.get(item.id)) for item in response.output]
