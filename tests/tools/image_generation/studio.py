"""A studio for tests: what its tools report, what they answer, and a language model that says what a test wants."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any  # settings of a test

import msgspec

from antiphon.core.calls import Glimpse, OpenCall
from antiphon.core.deltas import Finish, Text
from antiphon.core.place import Place
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.response import OutputTokens, Usage
from antiphon.protocol.tools import ImageGenerationTool
from antiphon.tools.image_generation import KIND, Studio, Subject
from tests.images_api import opened

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from PIL import Image

    from antiphon.core.calls import Phase
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.documents import Documents
    from antiphon.tools import Answer

GENERATING = "response.image_generation_call.generating"
COMPLETED = "response.image_generation_call.completed"

USAGE = Usage(input_tokens=10, output_tokens=5, total_tokens=15, output_tokens_details=OutputTokens(reasoning_tokens=1))
HOUSE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512">'
    '<rect width="512" height="512" fill="#0000ff"/><rect x="128" y="128" width="256" height="256" fill="#ff0000"/>'
    "</svg>"
)


class Writer:
    """A language model that gives one answer after another, in pieces of some characters, and notes what it is asked.

    An answer that is a list of deltas is said as it is, an exception is raised.
    """

    def __init__(self, *answers: str | list[Delta] | Exception, piece: int = 40) -> None:
        self._answers = list(answers)
        self._piece = piece
        self.turns: list[Turn] = []
        self.said = 0
        self.is_closed = False

    async def ask(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Answer a turn."""
        self.turns.append(turn)
        answer = self._answers.pop(0)
        try:
            match answer:
                case Exception():
                    raise answer
                case str():
                    for start in range(0, len(answer), self._piece):
                        self.said += self._piece
                        yield [Text(answer[start : start + self._piece])]
                    yield [Finish(usage=USAGE)]
                case deltas:
                    yield deltas
        finally:
            self.is_closed = True


class Told:
    """What a call reported, and its answer."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.answer: Answer | None = None

    async def report(self, phase: Phase) -> None:
        """Take a phase."""
        self.phases.append(phase)

    @property
    def item(self) -> ImageGenerationCall:
        """The item of the answer."""
        assert self.answer is not None
        assert isinstance(self.answer.item, ImageGenerationCall)
        return self.answer.item

    @property
    def output(self) -> str:
        """What the model reads."""
        assert self.answer is not None
        assert isinstance(self.answer.output, str)
        return self.answer.output

    @property
    def names(self) -> list[str]:
        """The phases by their names; a glimpse is its number."""
        return [str(phase.index) if isinstance(phase, Glimpse) else phase for phase in self.phases]

    @property
    def glimpses(self) -> list[Glimpse]:
        """The pictures that were not finished."""
        return [phase for phase in self.phases if isinstance(phase, Glimpse)]

    @property
    def content(self) -> bytes:
        """The picture's file."""
        assert isinstance(self.item.result, str)
        return b64decode(self.item.result)

    @property
    def picture(self) -> Image.Image:
        """The picture."""
        return opened(self.content)

    @property
    def error(self) -> tuple[str | None, str]:
        """The code and the words of a failure."""
        assert not isinstance(self.item.error, msgspec.UnsetType)
        return self.item.error.code, self.item.error.message


def settings(**given: Any) -> ImageGenerationTool:  # what a caller writes
    """The tool as a request names it."""
    return msgspec.convert({"type": "image_generation", **given}, ImageGenerationTool)


def written(arguments: str) -> OpenCall:
    """A call that a model has written."""
    call = OpenCall(KIND, Place("ig_1", 0, lambda: 0), key="k", name="image_generation", call_id="call_1")
    call.recall(arguments)
    return call


def subject(content: bytes | Exception, *, is_default: bool = False) -> Subject:
    """A picture of the conversation, or one that is gone."""

    async def load() -> bytes:
        if isinstance(content, Exception):
            raise content
        return content

    return Subject(load=load, is_default=is_default)


async def drawing(  # noqa: PLR0913 - a test names what it is about
    documents: Documents,
    deployment: dict[str, Any] | None = None,
    *,
    arguments: dict[str, Any] | str | None = None,
    tool: ImageGenerationTool | None = None,
    subjects: Sequence[Subject] = (),
    mask: Subject | None = None,
    writer: Writer | None = None,
) -> Told:
    """Make one call in one way to draw; without a deployment the embedded way."""
    studio = Studio([{"name": "m", **deployment}] if deployment else [], documents)
    told = Told()
    arguments = arguments if arguments is not None else {"prompt": "a red house"}
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    drawer = studio.tool(
        tool or settings(),
        name=studio.choose(None),
        subjects=subjects,
        mask=mask,
        ask=(writer or Writer(HOUSE)).ask,
        writer="qwen",
    )
    try:
        told.answer = await drawer.call(written(text), told.report)
    finally:
        await studio.aclose()
    return told
