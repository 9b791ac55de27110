"""The tool: which pictures a drawing starts from, and what the client and the model are told of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from anyio.to_thread import run_sync
from msgspec import UNSET, Struct

from antiphon.core.calls import CallKind, Glimpse, Silent
from antiphon.protocol.calls import ImageFault, ImageGenerationCall
from antiphon.protocol.errors import ApiError
from antiphon.tools import Answer
from antiphon.tools.image_generation.drawing import DrawingError, Drawn, Way, Wish

if TYPE_CHECKING:
    import asyncio

    from antiphon.core.calls import OpenCall
    from antiphon.protocol.tools import ImageGenerationTool
    from antiphon.tools import Report

MOST_DRAWINGS = 16
"""Pictures of one response: each is paid for, and all are held until it ends."""

MOST_SOURCES = 16
MOST_PROMPT_CHARACTERS = 32_000

KIND = Silent(
    "ig",
    lambda call: ImageGenerationCall(id=call.id, status="in_progress"),
    "response.image_generation_call.in_progress",
)


class Subject(Struct, frozen=True):
    """A picture of the conversation that a drawing may start from.

    ``load`` gives the encoded picture; it raises ``ApiError`` where it is gone. ``is_default``: an edit starts from it
    where the model names none.
    """

    load: Callable[[], Awaitable[bytes]]
    is_default: bool


class _Arguments(Struct, frozen=True):
    """What the model gave: what to draw, and the numbers of the pictures to start from, the first being 1."""

    prompt: str
    images: list[int] | None = None


class Drawer:
    """Answers calls of ``image_generation`` in one way to draw, for one request; ``turns`` bounds all requests."""

    kind: CallKind = KIND

    def __init__(
        self,
        way: Way,
        settings: ImageGenerationTool,
        *,
        subjects: Sequence[Subject],
        mask: Subject | None,
        turns: asyncio.Semaphore,
        party: str = "",
    ) -> None:
        self._begun = 0
        self._turns = turns
        self._party = party
        self._way = way
        self._settings = settings
        self._subjects = subjects
        self._mask = mask

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Draw. Never raises for what a model, a picture or an upstream does."""
        try:
            self._count()
            wish = await self._wish(call.arguments)
            await report("response.image_generation_call.generating")
            async with self._turns:
                drawn = await self._way.draw(wish, _Partials(report, wish.partials).show)
        except DrawingError as error:
            return _failed(call, error)
        answer = await _finished(call, wish, drawn)
        await report("response.image_generation_call.completed")
        return answer

    def repeats(self, call: OpenCall) -> bool:
        """Whether it may be drawn again: it changes nothing, and a picture that nobody got is of use to nobody."""
        return True

    def lost(self, call: OpenCall) -> Answer:
        """Nothing was drawn that anybody could see."""
        return _failed(call, DrawingError("server_error", "The server stopped before the picture was drawn."))

    def _count(self) -> None:
        self._begun += 1
        if self._begun > MOST_DRAWINGS:
            raise DrawingError("too_many_drawings", f"A response draws {MOST_DRAWINGS} pictures at most.")

    async def _wish(self, text: str) -> Wish:
        try:
            arguments = msgspec.json.decode(text, type=_Arguments, strict=False)
        except (msgspec.DecodeError, RecursionError) as error:
            raise DrawingError("invalid_arguments", "The arguments are not an object with a prompt.") from error
        prompt = arguments.prompt.strip()
        if not prompt:
            raise DrawingError("invalid_arguments", "The prompt is empty: say what the picture shows.")
        if len(prompt) > MOST_PROMPT_CHARACTERS:
            raise DrawingError("invalid_arguments", f"The prompt is longer than {MOST_PROMPT_CHARACTERS} characters.")
        sources = [await _loaded(subject) for subject in self._chosen(arguments.images)]
        mask = await _loaded(self._mask) if sources and self._mask is not None else None
        return Wish(prompt=prompt, settings=self._settings, sources=sources, mask=mask, party=self._party)

    def _chosen(self, numbers: list[int] | None) -> list[Subject]:
        """What the drawing starts from: by the settings' ``action``, the model's choice, and what is there."""
        action = self._settings.action
        if action == "generate":
            return []
        if action == "edit":
            chosen = self._named(numbers or []) or self._defaults() or list(self._subjects[-1:])
            if not chosen:
                raise DrawingError("nothing_to_edit", "There is no picture in the conversation that could be edited.")
            return chosen
        return self._defaults() if numbers is None else self._named(numbers)

    def _defaults(self) -> list[Subject]:
        return [subject for subject in self._subjects if subject.is_default][-MOST_SOURCES:]

    def _named(self, numbers: list[int]) -> list[Subject]:
        distinct = list(dict.fromkeys(numbers))
        most = len(self._subjects)
        if wrong := [number for number in distinct if not 1 <= number <= most]:
            there = f"they are numbered from 1 to {most}" if most else "the conversation has none"
            raise DrawingError("invalid_arguments", f"There is no picture with the number {wrong[0]}: {there}.")
        if len(distinct) > MOST_SOURCES:
            raise DrawingError("invalid_arguments", f"A drawing starts from {MOST_SOURCES} pictures at most.")
        return [self._subjects[number - 1] for number in distinct]


class _Partials:
    """Reports pictures that are not finished, as many as are wanted and each with its number."""

    def __init__(self, report: Report, wanted: int) -> None:
        self._report = report
        self._wanted = wanted
        self._next = 0

    async def show(self, drawn: Drawn) -> None:
        if self._next == self._wanted:
            return
        glimpse = Glimpse(
            index=self._next,
            image=await _encoded(drawn.content),
            size=_size(drawn),
            quality=drawn.quality,
            background=drawn.background,
            output_format=drawn.format,
        )
        self._next += 1
        await self._report(glimpse)


async def _loaded(subject: Subject) -> bytes:
    try:
        return await subject.load()
    except ApiError as error:
        raise DrawingError(error.code or "image_file_not_found", error.message) from error


async def _finished(call: OpenCall, wish: Wish, drawn: Drawn) -> Answer:
    shows = drawn.revised_prompt or wish.prompt
    verb = "edited" if wish.sources else "drawn"
    item = ImageGenerationCall(
        id=call.id,
        status="completed",
        action="edit" if wish.sources else "generate",
        background=drawn.background,
        output_format=drawn.format,
        quality=drawn.quality,
        result=await _encoded(drawn.content),
        revised_prompt=shows,
        size=_size(drawn),
        svg_usage=drawn.svg_usage or UNSET,
    )
    output = (
        f"The picture was {verb}, and the user sees it already ({_size(drawn)}, {drawn.format}). It shows: {shows}\n"
        "Do not draw it again and do not write a link to it."
    )
    return Answer(item=item, output=output, usage=drawn.usage)


def _failed(call: OpenCall, error: DrawingError) -> Answer:
    """The result is empty rather than absent: clients read it as text whatever the status is."""
    fault = ImageFault(
        type="image_generation_error", code=error.code, message=str(error), moderation_details=error.refusal or UNSET
    )
    item = ImageGenerationCall(id=call.id, status="failed", error=fault, result="")
    return Answer(item=item, output=f"No picture was drawn: {error}")


def _size(drawn: Drawn) -> str:
    return f"{drawn.width}x{drawn.height}"


async def _encoded(content: bytes) -> str:
    return (await run_sync(b64encode, content)).decode()
