"""The routes of ``/models``: the deployments that a caller may name."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from antiphon.lifecycle import EVERY_MODEL
from antiphon.protocol.errors import ApiError
from antiphon.protocol.refusals import model_not_found

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Caller, Deployment


class Model(Struct, frozen=True):
    """A model as clients list it; ``created`` is in unix seconds."""

    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = "antiphon"


class ModelList(Struct, frozen=True):
    """All models."""

    data: list[Model]
    object: Literal["list"] = "list"


class Models:
    """Answers the routes of ``/models``. ``since`` is when the server began, in unix seconds.

    ``routers`` are the names of deployments that choose among others.
    """

    def __init__(self, deployments: Mapping[str, Deployment], *, since: int, routers: Collection[str] = ()) -> None:
        self._deployments = deployments
        self._routers = routers
        self._since = since

    async def list_all(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /models``. A deployment that answers every name is listed under the name of its own model."""
        await exchange.answer_with(ModelList([Model(id, self._since) for id in self._names()]))

    async def retrieve(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /models/{id}``."""
        id = exchange.params["id"]
        if {id, EVERY_MODEL}.isdisjoint([*self._deployments, *self._routers]):
            asked = model_not_found(id)
            raise ApiError(HTTPStatus.NOT_FOUND, asked.error, azure=asked.azure)
        await exchange.answer_with(Model(id, self._since))

    def _names(self) -> list[str]:
        shown = [each.model or "default" if name == EVERY_MODEL else name for name, each in self._deployments.items()]
        return sorted({*shown, *(name for name in self._routers if name != EVERY_MODEL)})
