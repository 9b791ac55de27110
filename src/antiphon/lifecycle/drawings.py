"""Drawings: who draws for a request, from which pictures, and how a model gets to see what was drawn."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.lifecycle import EVERY_MODEL
from antiphon.lifecycle.asides import asked
from antiphon.lifecycle.sight import Sight
from antiphon.protocol import picture_faults as faults
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.content import InputImage
from antiphon.protocol.errors import ApiError
from antiphon.protocol.refusals import server_error
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import NoSuchBlob
from antiphon.tools.image_generation import Subject, Unanswered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from antiphon.backends import Backend
    from antiphon.core.deltas import Delta
    from antiphon.core.offer import DrawingTool, Offer
    from antiphon.core.pictures import Origin, Shown
    from antiphon.core.turn import Turn
    from antiphon.engine.task import Show
    from antiphon.lifecycle import Caller, Deployment, Order
    from antiphon.lifecycle.seeing import Seeing
    from antiphon.lifecycle.shelf import Shelf
    from antiphon.lifecycle.tallying import Book
    from antiphon.protocol.tool_settings import ImageMask
    from antiphon.tools import Tool
    from antiphon.tools.image_generation import Studio


class Drawings:
    """Joins requests with the image deployments. What a model takes that writes drawings is counted in the ``book``."""

    def __init__(
        self,
        studio: Studio,
        seeing: Seeing,
        shelf: Shelf,
        deployments: Mapping[str, Deployment],
        book: Book | None = None,
    ) -> None:
        self._book = book
        self._studio = studio
        self.seeing = seeing
        self._shelf = shelf
        self._deployments = deployments

    def painter(self, drawing: DrawingTool | None, header: str | None) -> str | None:
        """The image deployment that draws; None where the request does not bring the tool. Raises ``ApiError``."""
        if drawing is None:
            return None
        model = drawing.settings.model if isinstance(drawing.settings.model, str) else None
        try:
            return self._studio.choose(model or None, header or None)
        except LookupError as error:
            param = f"tools[{drawing.index}].model" if model else None
            raise faults.image_deployment_not_found(str(error.args[0]), param=param) from error

    def without_effect(self, drawing: DrawingTool | None, painter: str | None) -> list[str]:
        """The settings of the tool that have no effect where this deployment draws."""
        if drawing is None or painter is None:
            return []
        return [f"tools[image_generation].{name}" for name in self._studio.ignored(painter, drawing.settings)]

    async def check(self, drawing: DrawingTool | None, caller: Caller) -> None:
        """Look at the mask of the tool that draws, before a model is asked. Raises ``ApiError``."""
        mask = None if drawing is None else self._mask(drawing.settings.input_image_mask or None, caller)
        if drawing is None or mask is None:
            return
        try:
            await self.seeing.looked_at(await mask.load(), faults.LONGEST_SIDE, caller)
        except ApiError as error:
            param = f"tools[{drawing.index}].input_image_mask"
            raise ApiError(error.status, replace(error.error, param=param), headers=error.headers) from error

    def tools(
        self,
        drawing: DrawingTool | None,
        order: Order,
        shown: Sequence[Shown],
        *,
        deployment: Deployment,
        caller: Caller,
    ) -> dict[str, Tool]:
        """The tool that draws, under the name that the model knows; empty where the request does not bring it.

        Raises ``ApiError`` where it shall edit and there is nothing to edit, and where nobody draws any more.
        """
        if drawing is None or order.painter is None:
            return {}
        settings = drawing.settings
        if settings.action == "edit" and not shown:
            raise faults.nothing_to_edit(f"tools[{drawing.index}].action")
        painter = self._painter(order.painter)
        writer = self._writer(painter, deployment)
        tool = self._studio.tool(
            settings,
            name=painter,
            subjects=[Subject(partial(self._load, each.origin, caller), each.is_default) for each in shown],
            mask=self._mask(settings.input_image_mask or None, caller),
            ask=partial(_asked, asked(writer, self._book, caller.tenant)),
            party=caller.tenant,
            writer=writer.model or self._studio.writer(painter) or order.name,
        )
        return {drawing.name: tool}

    def sight(self, deployment: Deployment, turn: Turn, offered: Offer, caller: Caller) -> Show | None:
        """How turns are shown to a model; None where no drawing and no picture of a tool may come up."""
        is_drawn = offered.drawing is not None or any(isinstance(item, ImageGenerationCall) for item in turn.items)
        is_seen = any(isinstance(output, list) for output in turn.outputs.values())
        if not is_drawn and not is_seen and not offered.remote and not offered.may_grow:
            return None
        return Sight(self._shelf, caller.tenant, sees=deployment.vision).shown

    def _painter(self, name: str) -> str:
        """The image deployment that was chosen when the response was queued, as far as it is still there."""
        try:
            return self._studio.choose(name)
        except LookupError as error:
            raise faults.image_deployment_not_found(name, param=None) from error

    def _writer(self, painter: str, deployment: Deployment) -> Deployment:
        """The deployment whose model writes, where drawings are written: as configured, or the one that answers."""
        name = self._studio.writer(painter)
        if name is None:
            return deployment
        return self._deployments.get(name) or self._deployments.get(EVERY_MODEL) or deployment

    def _mask(self, mask: ImageMask | None, caller: Caller) -> Subject | None:
        if mask is None:
            return None
        origin = InputImage(image_url=mask.image_url or UNSET, file_id=mask.file_id or UNSET)
        return Subject(partial(self._load, origin, caller), is_default=False)

    async def _load(self, origin: Origin, caller: Caller) -> bytes:
        try:
            return await self._content(origin, caller)
        except StoreUnavailable as error:
            raise server_error("The picture cannot be read at the moment.", status=503) from error

    async def _content(self, origin: Origin, caller: Caller) -> bytes:
        match origin:
            case InputImage():
                return await self.seeing.content(origin, caller)
            case ImageGenerationCall(result=str(result)):
                try:
                    return await self._shelf.content(result, caller.tenant)
                except (NoSuchBlob, ValueError) as error:
                    raise faults.no_such_drawing(origin.id) from error
            case _:
                raise faults.no_such_drawing(origin.id)


async def _asked(writer: Backend, turn: Turn) -> AsyncGenerator[list[Delta], None]:
    """What the model says that writes a drawing. Raises `Unanswered`, in words for the caller."""
    heard = writer.stream(turn)
    try:
        async for deltas in heard:
            yield deltas
    except UpstreamError as error:
        raise Unanswered(error.fault, str(error)) from error
    finally:
        await heard.aclose()
