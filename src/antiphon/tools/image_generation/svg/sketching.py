"""Draws a wish: asks the model, draws what it wrote, shows it while it is being written, and asks again if need be."""

from __future__ import annotations

import logging
import re
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.deltas import Finish, Refused, Text
from antiphon.core.usage import total
from antiphon.documents import Unreadable
from antiphon.documents.sketches import LONGEST_EDGE, MOST_PIXELS, SketchOrder
from antiphon.protocol.calls import SvgUsage
from antiphon.tools.image_generation.drawing import DrawingError, Drawn, Wish, raise_if_busy
from antiphon.tools.image_generation.svg import prompting, shapes
from antiphon.tools.image_generation.svg.cleaning import MOST_CHARACTERS, Drawing, cleaned
from antiphon.tools.image_generation.svg.elements import Undrawable
from antiphon.tools.image_generation.svg.mending import found, is_whole, mended
from antiphon.tools.image_generation.svg.sources import drawing_in, is_svg

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.documents import Documents, Picture
    from antiphon.protocol.items import Item
    from antiphon.protocol.response import Usage
    from antiphon.tools.image_generation.drawing import Background, Show
    from antiphon.tools.image_generation.svg.config import Config

    Ask = Callable[[Turn], AsyncGenerator[list[Delta], None]]

log = logging.getLogger(__name__)

ATTEMPTS = ("first", "again", "shapes")
"""In the last one the model lists shapes, in a form that its backend holds it to."""
DEFAULT_SIZE = (1024, 1024)
SIDE_OF_EDITED = 2048
"""Pixels of the longer edge of an edited picture, where no size is wished for."""
TYPICAL_CHARACTERS = 900
"""How long a drawing of the embedded model is: unfinished pictures are shown at equal parts of that."""
AFTER_THE_END = 200
"""Characters that a model may say after its drawing before it is stopped: most end by themselves and tell the usage."""
_SIGNED = re.compile(r" ?\(a sketch, drawn as SVG by [^()]*\)")
NO_PARTIALS = frozenset({"svg", "gif"})


class Unanswered(Exception):
    """The model that should draw did not answer; the message is for the caller, the code for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Plan(Struct, frozen=True):
    """How a wish is drawn: on which canvas, out of which drawing or on which picture."""

    wish: Wish
    width: int
    height: int
    canvas: prompting.Canvas
    earlier: str | None = None
    under: bytes | None = None

    @property
    def background(self) -> Background:
        """Whether what is nowhere drawn is seen through."""
        fits = self.wish.format in {"png", "webp", "gif", "svg"}
        return "transparent" if self.wish.settings.background == "transparent" and fits else "opaque"


class Sketcher:
    """One way to draw, for one request: ``ask`` asks the model that is called ``writer``."""

    def __init__(self, config: Config, documents: Documents, *, ask: Ask, writer: str) -> None:
        self._config = config
        self._documents = documents
        self._ask = ask
        self._writer = writer

    async def draw(self, wish: Wish, show: Show) -> Drawn:
        """See `antiphon.tools.image_generation.drawing.Way`."""
        plan = await self._plan(wish)
        try:
            with anyio.fail_after(self._config.timeout):
                return await self._drawn(plan, show)
        except TimeoutError as error:
            raise DrawingError("timeout", "The picture was not drawn in time.") from error

    async def _plan(self, wish: Wish) -> _Plan:
        if not wish.sources:
            width, height = _checked(wish.size or DEFAULT_SIZE)
            return _Plan(wish, width, height, prompting.canvas_for(width, height))
        content = wish.sources[0]
        drawing = await run_sync(drawing_in, content)  # a caller may have made it slow to read
        picture = await self._picture(content, drawing, wish)
        width, height = _checked(wish.size or (picture.width, picture.height))
        earlier = drawing.svg(width, height) if drawing is not None else None
        if earlier is not None and len(earlier) > prompting.MOST_SHOWN:
            earlier = None
        under = picture.content if earlier is None or wish.mask is not None else None
        return _Plan(wish, width, height, prompting.canvas_for(width, height), earlier=earlier, under=under)

    async def _picture(self, content: bytes, drawing: Drawing | None, wish: Wish) -> Picture:
        """What is to be edited, as it looks."""
        try:
            if drawing is not None and is_svg(content):
                width, height = DEFAULT_SIZE
                order = SketchOrder(drawing.svg(width, height), width, height, background="transparent")
                return await self._documents.sketch(order, party=wish.party)
            return await self._documents.picture(content, side=SIDE_OF_EDITED, party=wish.party)
        except Unreadable as error:
            raise_if_busy(error)
            raise DrawingError("invalid_image", f"The picture to edit cannot be read: {error}") from error

    async def _drawn(self, plan: _Plan, show: Show) -> Drawn:
        items: list[Item] = prompting.asked(
            plan.wish.prompt,
            plan.canvas,
            earlier=plan.earlier,
            lies_on_picture=plan.earlier is None and bool(plan.under),
        )
        glimpses = _Glimpses(self, plan, show)
        usage: Usage | None = None
        fault = ""
        tokens = self._config.max_output_tokens
        question = prompting.turn(items, plan.canvas, model=self._writer, tokens=tokens)
        for attempt in ATTEMPTS:
            writing = _Writing(glimpses, is_svg=attempt != "shapes")
            await self._write(question, writing)
            usage = total(usage, writing.usage)
            try:
                said = writing.said if attempt != "shapes" else shapes.written(writing.said, plan.canvas)
                drawing = await run_sync(_told_apart if attempt == "first" else _drawing, said)
                drawn = await self.sketched(plan, drawing)
            except (Undrawable, Unreadable) as error:
                if isinstance(error, Unreadable):
                    raise_if_busy(error)
                fault = fault if attempt == "shapes" else str(error)
                log.info("sketch failed", extra={"action": "sketch_failed", "model": self._writer, "attempt": attempt})
                question = shapes.turn(plan.wish.prompt, plan.canvas, model=self._writer, tokens=tokens)
                if attempt == "first":
                    items = prompting.asked_again(items, writing.said, fault)
                    question = prompting.turn(items, plan.canvas, model=self._writer, tokens=tokens)
            else:
                return self._signed(drawn, plan, usage)
        raise DrawingError("server_error", f"What the model wrote could not be drawn: {fault}")

    async def _write(self, question: Turn, writing: _Writing) -> None:
        try:
            async with aclosing(self._ask(question)) as lists:
                await writing.listen(lists)
        except Unanswered as error:
            raise DrawingError(error.code, str(error)) from error

    async def sketched(self, plan: _Plan, drawing: Drawing) -> Drawn:
        """A drawing as a picture. Raises `Unreadable` where it cannot be made one."""
        svg = drawing.svg(plan.width, plan.height)
        wanted = plan.wish.format
        compression = plan.wish.settings.output_compression
        order = SketchOrder(
            svg=svg,
            width=plan.width,
            height=plan.height,
            format="png" if wanted == "svg" else wanted,
            compression=100 if compression is None else compression,
            background=plan.background,
            covers=plan.earlier is not None,
        )
        mask = plan.wish.mask if plan.under else None
        picture = await self._documents.sketch(order, under=plan.under, mask=mask, party=plan.wish.party)
        is_text = wanted == "svg" and plan.under is None  # what lies on a picture is no SVG alone
        return Drawn(
            content=svg.encode() if is_text else picture.content,
            format=wanted if is_text else order.format,
            width=plan.width,
            height=plan.height,
            background=plan.background,
        )

    def _signed(self, drawn: Drawn, plan: _Plan, usage: Usage | None) -> Drawn:
        shows = _SIGNED.sub("", plan.wish.prompt)  # a model may repeat how an earlier sketch was signed
        revised = f"{shows} ({self._manner(plan)})"
        if usage is None:
            return replace(drawn, revised_prompt=revised)
        spent = SvgUsage(
            model=self._writer,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.output_tokens_details.reasoning_tokens,
            total_tokens=usage.total_tokens,
        )
        return replace(drawn, revised_prompt=revised, svg_usage=spent)

    def _manner(self, plan: _Plan) -> str:
        manner = f"a sketch, drawn as SVG by {self._writer}"
        many = len(plan.wish.sources)
        return f"{manner}, from the first of {many} pictures" if many > 1 else manner


class _Writing:
    """What a model has said of a drawing."""

    def __init__(self, glimpses: _Glimpses, *, is_svg: bool) -> None:
        self._glimpses = glimpses
        self._is_svg = is_svg
        self.said = ""
        self.usage: Usage | None = None
        self._is_over = False

    async def listen(self, lists: AsyncGenerator[list[Delta], None]) -> None:
        """Take what it says until it ends, or has said enough. Raises `DrawingError` where it refuses."""
        async for deltas in lists:
            await self._hear(deltas)
            if self._is_over:
                return

    async def _hear(self, deltas: list[Delta]) -> None:
        before = len(self.said)
        for delta in deltas:
            match delta:
                case Text(text=text):
                    self.said += text
                case Refused():
                    raise DrawingError("refused", "The model refused to draw this.")
                case Finish(reason="content_filter"):
                    raise DrawingError("moderation_blocked", "The drawing was stopped by a content filter.")
                case Finish(usage=usage):
                    self.usage = usage
                case _:
                    pass
        if not self._is_svg:
            self._is_over = len(self.said) > MOST_CHARACTERS
        elif len(self.said) > before:
            await self._look()

    async def _look(self) -> None:
        if is_whole(self.said):
            end = self.said.rfind("</svg")
            self._is_over = len(self.said) - end > AFTER_THE_END
        else:
            end_of_sense = prompting.end_of_sense(self.said)
            self.said = self.said[:end_of_sense]
            self._is_over = len(self.said) > MOST_CHARACTERS or end_of_sense is not None
            await self._glimpses.look(self.said)


class _Glimpses:
    """Shows a drawing while it is written, about equally often."""

    def __init__(self, sketcher: Sketcher, plan: _Plan, show: Show) -> None:
        self._sketcher = sketcher
        self._plan = plan
        self._show = show
        self._left = 0 if plan.wish.format in NO_PARTIALS else plan.wish.partials
        self._step = TYPICAL_CHARACTERS // (self._left + 1)
        self._next = self._step
        self._shown = ""

    async def look(self, said: str) -> None:
        """Show what is written so far, if it is time."""
        if not self._left or len(said) < self._next:
            return
        self._next = len(said) + self._step
        try:
            drawing = await run_sync(_drawing, said)
            if drawing.content == self._shown:
                return
            drawn = await self._sketcher.sketched(self._plan, drawing)
        except (Undrawable, Unreadable):
            return
        self._left -= 1
        self._shown = drawing.content
        await self._show(drawn)


def _drawing(said: str) -> Drawing:
    document = found(said)
    if document is None:
        raise Undrawable("There is no <svg> element in the answer.")
    return cleaned(mended(document))


def _told_apart(said: str) -> Drawing:
    """The same, unless nothing in it can be told from anything else."""
    drawing = _drawing(said)
    if prompting.is_of_one_color(drawing.content):
        raise Undrawable("All is of one color. Draw each thing in its own colors.")
    return drawing


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    """A size that can be drawn. Raises `DrawingError`."""
    width, height = size
    if max(size) > LONGEST_EDGE or width * height > MOST_PIXELS:
        raise DrawingError(
            "image_too_large",
            f"A picture of {width}x{height} pixels is too large: an edge has at most {LONGEST_EDGE} pixels, and the "
            f"picture at most {MOST_PIXELS}.",
        )
    return width, height
