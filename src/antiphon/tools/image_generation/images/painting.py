"""Draws a wish by asking a server of the images API, and believes nothing that it answers."""

from __future__ import annotations

import binascii
import logging
from base64 import b64decode
from contextlib import aclosing
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Literal, get_args

import anyio
from anyio.to_thread import run_sync
from msgspec.structs import replace

from antiphon.documents import Unreadable, sniffed
from antiphon.documents.sketches import LONGEST_EDGE, MOST_PIXELS, SketchOrder
from antiphon.protocol.picture_faults import LONGEST_SIDE
from antiphon.tools.image_generation.drawing import (
    Background,
    DrawingError,
    Drawn,
    Quality,
    raise_if_busy,
)
from antiphon.tools.image_generation.images.asking import asked, without_stream
from antiphon.tools.image_generation.images.faults import MISCONFIGURED, Refused, drawing_error
from antiphon.tools.image_generation.images.hearing import Hearing, Nonsense, TooLong, is_final, is_partial, usage_of
from antiphon.tools.image_generation.images.shapes import NULL, Said
from antiphon.tools.image_generation.svg.cleaning import size_of
from antiphon.tools.image_generation.svg.elements import Undrawable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.documents import Documents, Picture
    from antiphon.protocol.calls import ImageFormat
    from antiphon.tools.image_generation.drawing import Show, Wish
    from antiphon.tools.image_generation.images.asking import Question
    from antiphon.tools.image_generation.images.config import Config
    from antiphon.tools.image_generation.images.wire import Reply, Wire

log = logging.getLogger(__name__)

MOST_REFUSAL_BYTES = 65_536
_FORMATS: dict[str, ImageFormat] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "image/gif": "gif",
}
_SUCCESSES = range(200, 300)
MOST_SVG_BYTES = 2 * 1024 * 1024
_BLANK = '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"/>'
_MOST_REVISED = 4_000


class _NoStream(Exception):
    """The server does not stream, or has no unfinished pictures."""


class Painter:
    """One server of the images API, for all requests."""

    def __init__(self, config: Config, documents: Documents) -> None:
        self._config = config
        self._documents = documents
        self._wire: Wire | None = None

    async def draw(self, wish: Wish, show: Show) -> Drawn:
        """See `antiphon.tools.image_generation.drawing.Way`."""
        try:
            with anyio.fail_after(self._config.timeout):
                return await self._drawn(wish, show)
        except TimeoutError as error:
            raise DrawingError("timeout", "The image model did not draw in time.") from error

    async def aclose(self) -> None:
        """Close what is open."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.aclose()

    async def _drawn(self, wish: Wish, show: Show) -> Drawn:
        question = asked(wish, self._config)
        try:
            said = await self._answer(question, wish, show)
        except _NoStream:
            said = await self._answer(without_stream(question), wish, show)
        drawn = await self._picture(said, wish)
        return replace(await self._converted(drawn, wish), usage=usage_of(said))

    async def _answer(self, question: Question, wish: Wish, show: Show) -> Said:
        """The words with the finished picture. Raises `DrawingError`, and `_NoStream` where a stream was refused."""
        wire = await self._opened()
        from antiphon.tools.image_generation.images.wire import Unreached  # noqa: PLC0415 - imported with the wire

        try:
            async with wire.post(question) as reply:
                if reply.status not in _SUCCESSES:
                    raise await self._refusal(reply, question)
                if reply.is_compressed:
                    raise self._nonsense("a compressed answer, though none was asked for")
                return await self._heard(reply, question, wish, show)
        except Unreached as error:
            extra = {"action": "image_upstream_unreached", "deployment": self._config.name, "error": str(error)}
            log.warning("image server not reached", extra=extra)
            raise DrawingError("server_error", "The image model cannot be reached, or broke off.") from error
        except Nonsense as error:
            raise self._nonsense(str(error)) from error
        except TooLong as error:
            raise self._too_large() from error

    async def _heard(self, reply: Reply, question: Question, wish: Wish, show: Show) -> Said:
        wanted = wish.partials
        async with aclosing(self._said(reply, wish)) as answers:
            async for said in answers:
                if said.error != NULL or said.type == "error":
                    raise self._refused(Refused(None, b'{"error":%b}' % bytes(said.error)), question)
                if is_final(said):
                    return said
                if is_partial(said) and wanted > 0:  # each has to be looked at, and a server may send any number
                    wanted -= 1
                    await self._show(said, wish, show)
        raise Nonsense("an answer without a picture")

    async def _said(self, reply: Reply, wish: Wish) -> AsyncGenerator[Said, None]:
        """All that an answer says, as it comes."""
        hearing = Hearing(self._config.body_bytes)
        room = self._config.body_bytes * (wish.partials + 1)
        while chunk := await reply.take():
            room -= len(chunk)
            if room < 0:
                raise TooLong
            for said in hearing.feed(chunk):
                yield said
        for said in hearing.end():
            yield said

    async def _show(self, said: Said, wish: Wish, show: Show) -> None:
        """Show an unfinished picture. One that is none is left out: the finished one is still to come."""
        try:
            drawn = await self._picture(said, wish)
        except DrawingError:
            return
        await show(drawn)

    async def _refusal(self, reply: Reply, question: Question) -> Exception:
        body = await reply.whole(MOST_REFUSAL_BYTES) or b""
        refused = Refused(reply.status, body)
        if question.streams and refused.is_of_streaming:
            return _NoStream()
        return self._refused(refused, question)

    def _refused(self, refused: Refused, question: Question) -> DrawingError:
        extra = {"action": "image_upstream_refused", "deployment": self._config.name, **refused.logged}
        log.warning("image server refused", extra=extra)
        sent = frozenset({*question.fields, *(file.field for file in question.files)})
        return drawing_error(refused, sent)

    def _nonsense(self, what: str) -> DrawingError:
        extra = {"action": "image_upstream_nonsense", "deployment": self._config.name, "error": what}
        log.warning("image server answered nonsense", extra=extra)
        return DrawingError("server_error", "The image model answered with something that is no picture.")

    async def _picture(self, said: Said, wish: Wish) -> Drawn:
        """The picture in what was said, checked. Raises `DrawingError`."""
        content = await self._content(said)
        is_svg = wish.format == "svg" and sniffed(content) not in _FORMATS
        width, height, format_ = await (self._checked_svg(content) if is_svg else self._checked(content, wish))
        settings = wish.settings
        revised = said.picture.revised_prompt if said.picture is not None else None
        return Drawn(
            content=content,
            format=format_,
            width=width,
            height=height,
            background="opaque" if format_ == "jpeg" else _background(said.background or settings.background),
            quality=_quality(said.quality or settings.quality),
            revised_prompt=(revised or "")[:_MOST_REVISED] or None,
        )

    async def _content(self, said: Said) -> bytes:
        picture = said.picture
        if picture is None:
            raise self._nonsense("an event without its picture")
        if picture.b64_json:
            return await self._decoded(picture.b64_json)
        return await self._fetched(picture.url or "")

    async def _decoded(self, text: str) -> bytes:
        if text.startswith("data:"):
            text = text.partition(",")[2]
        if len(text) * 3 // 4 > self._config.image_bytes:
            raise self._too_large()
        try:
            return await run_sync(_from_base64, text)
        except (binascii.Error, ValueError) as error:
            raise self._nonsense("a picture that is not base64") from error

    async def _fetched(self, url: str) -> bytes:
        wire = await self._opened()
        from antiphon.tools.image_generation.images.wire import Elsewhere, Unreached  # noqa: PLC0415 - imported already

        try:
            async with wire.fetch(url) as reply:
                if reply.status != HTTPStatus.OK or reply.is_compressed:
                    raise self._nonsense("a URL that leads to no picture")
                content = await reply.whole(self._config.image_bytes)
        except Elsewhere as error:
            extra = {"action": "image_upstream_elsewhere", "deployment": self._config.name}
            log.warning("image server named a URL of another server", extra=extra)
            raise DrawingError("misconfigured", MISCONFIGURED) from error
        except Unreached as error:
            raise self._nonsense("a URL that cannot be reached") from error
        if content is None:
            raise self._too_large()
        return content

    def _too_large(self) -> DrawingError:
        most = self._config.max_image_mib
        return DrawingError("image_too_large", f"The image model sent more than a picture of {most} MiB.")

    async def _checked(self, content: bytes, wish: Wish) -> tuple[int, int, ImageFormat]:
        """Width, height and format of what is certainly a picture."""
        format_ = _FORMATS.get(sniffed(content) or "")
        if format_ is None:
            raise self._nonsense("something that is no picture")
        try:
            picture = await self._documents.picture(content, side=LONGEST_SIDE, party=wish.party)
        except Unreadable as error:
            raise_if_busy(error)
            raise self._nonsense(f"a picture that cannot be read ({error.reason})") from error
        return picture.width, picture.height, format_

    async def _checked_svg(self, content: bytes) -> tuple[int, int, ImageFormat]:
        """Width and height of what is certainly a drawing; it is handed on as it came."""
        if len(content) > MOST_SVG_BYTES:
            raise DrawingError("image_too_large", "The image model sent a drawing that is too large.")
        try:
            width, height = await run_sync(size_of, content.decode())
        except (Undrawable, UnicodeDecodeError) as error:
            raise self._nonsense("something that is no drawing") from error
        return max(1, round(width)), max(1, round(height)), "svg"

    async def _converted(self, drawn: Drawn, wish: Wish) -> Drawn:
        """The picture in the format that the caller asked for, where the server sent another and it can be done."""
        fits = max(drawn.width, drawn.height) <= LONGEST_EDGE and drawn.width * drawn.height <= MOST_PIXELS
        match wish.settings.output_format:
            case "png" | "jpeg" | "webp" | "gif" as wanted if wanted != drawn.format != "svg" and fits:
                return await self._as(wanted, drawn, wish)
            case _:
                return drawn

    async def _as(self, wanted: Literal["png", "jpeg", "webp", "gif"], drawn: Drawn, wish: Wish) -> Drawn:
        """The same picture in another format, or as it is where that fails: the caller is told what it is."""
        order = SketchOrder(
            svg=_BLANK.format(width=drawn.width, height=drawn.height),
            width=drawn.width,
            height=drawn.height,
            format=wanted,
            compression=100 if (compression := wish.settings.output_compression) is None else compression,
            background="transparent",
        )
        try:
            picture: Picture = await self._documents.sketch(order, under=drawn.content, party=wish.party)
        except Unreadable:
            return drawn
        background: Background = "opaque" if wanted == "jpeg" else drawn.background
        return replace(drawn, content=picture.content, format=wanted, background=background)

    async def _opened(self) -> Wire:
        # aiohttp takes a quarter of a second and 12 MB: the first picture pays for it, in a thread, and no start does.
        await run_sync(import_module, "antiphon.tools.image_generation.images.wire")
        from antiphon.tools.image_generation.images.wire import Wire  # noqa: PLC0415 - the thread has just imported it

        if self._wire is None:
            self._wire = Wire(self._config)
        return self._wire


def _from_base64(text: str) -> bytes:
    return b64decode("".join(text.split()), validate=True)


def _background(word: str | None) -> Background:
    match word:
        case "transparent" | "opaque":
            return word
        case _:
            return "auto"


def _quality(word: str | None) -> Quality:
    return next((quality for quality in get_args(Quality) if quality == word), "auto")
