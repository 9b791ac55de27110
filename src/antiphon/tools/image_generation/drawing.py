"""The words between the tool and the ways to draw: what is wished for, what was drawn, and why nothing was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import UNSET, Struct

from antiphon.protocol.calls import ImageFormat, ImageRefusal, SvgUsage
from antiphon.protocol.response import ImageToolUsage
from antiphon.protocol.tools import ImageGenerationTool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from antiphon.documents import Unreadable

    Show = Callable[["Drawn"], Awaitable[None]]
    """Takes a picture that is not finished."""

Background = Literal["transparent", "opaque", "auto"]
Quality = Literal["low", "medium", "high", "xhigh", "max", "auto"]

DEFAULT_FORMAT: ImageFormat = "png"
BUSY = "The server has too many pictures and documents to look at. Please try again."


class Wish(Struct, frozen=True):
    """What is to be drawn: out of ``sources`` (encoded pictures), if any, and only where ``mask`` is transparent.

    ``party`` is for whom: child processes take turns by it.
    """

    prompt: str
    settings: ImageGenerationTool
    sources: list[bytes] = []
    mask: bytes | None = None
    party: str = ""

    @property
    def partials(self) -> int:
        """How many unfinished pictures are wanted at most."""
        wanted = self.settings.partial_images
        return 0 if wanted is UNSET or wanted is None else wanted

    @property
    def format(self) -> ImageFormat:
        """The format that is wanted."""
        return self.settings.output_format or DEFAULT_FORMAT

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; None where they are left to whoever draws."""
        size = self.settings.size
        if size is None or size == "auto":
            return None
        width, _, height = size.partition("x")
        return int(width), int(height)


class Drawn(Struct, frozen=True):
    """A picture, and what is known of it; sizes in pixels."""

    content: bytes
    format: ImageFormat
    width: int
    height: int
    background: Background = "auto"
    quality: Quality = "auto"
    revised_prompt: str | None = None
    usage: ImageToolUsage | None = None
    svg_usage: SvgUsage | None = None


class DrawingError(Exception):
    """Nothing was drawn. The message is for the caller and the model: it holds nothing of what an upstream said."""

    def __init__(self, code: str, message: str, *, refusal: ImageRefusal | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.refusal = refusal


def raise_if_busy(error: Unreadable) -> None:
    """What nobody had time to look at is no fault of the picture. Raises `DrawingError`."""
    if error.reason == "busy":
        raise DrawingError("server_error", BUSY) from error


class Way(Protocol):
    """A way to draw."""

    async def draw(self, wish: Wish, show: Show) -> Drawn:
        """Draw, and show what is not finished yet. Raises `DrawingError`."""
        ...
