"""Who draws in tests: a real tool whose way to draw paints noise, and the parts that keep what it drew."""

from __future__ import annotations

import asyncio
import random
from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING

import anyio
from PIL import Image

from antiphon.documents import Config as DocumentsConfig
from antiphon.documents import Documents
from antiphon.lifecycle import Policy
from antiphon.lifecycle.describing import Describing
from antiphon.lifecycle.drawings import Drawings
from antiphon.lifecycle.filing import Filing, Terms
from antiphon.lifecycle.guarding import Config as GuardConfig
from antiphon.lifecycle.guarding import Guarding
from antiphon.lifecycle.keeping import Keeping
from antiphon.lifecycle.screens import Screens
from antiphon.lifecycle.seeing import Seeing
from antiphon.lifecycle.shelf import Shelf
from antiphon.outbound import Config, Outbound
from antiphon.protocol.response import ImageTokens, ImageToolUsage
from antiphon.sealing import Seal
from antiphon.store.blobs import Blobs
from antiphon.store.erasing import Erasing
from antiphon.store.files import Files
from antiphon.tools.image_generation import Drawn, Studio
from antiphon.tools.image_generation.drawer import Drawer
from tests.playing import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from antiphon.lifecycle import Deployment
    from antiphon.protocol.tools import ImageGenerationTool
    from antiphon.store import Database
    from antiphon.tools import Tool
    from antiphon.tools.image_generation import Subject, Wish
    from antiphon.tools.image_generation.drawing import Show
    from antiphon.tools.image_generation.svg.sketching import Ask

SIDE = 96
"""Pixels of an edge: noise of that size is more than what a row holds."""

PAID = ImageToolUsage(
    input_tokens=2,
    input_tokens_details=ImageTokens(text_tokens=2),
    output_tokens=9,
    output_tokens_details=ImageTokens(image_tokens=9),
    total_tokens=11,
)


def noise(seed: str, *, side: int = SIDE) -> bytes:
    """A PNG that differs by its seed, and always is the same."""
    pixels = random.Random(seed).randbytes(3 * side * side)  # noqa: S311 - no secret
    picture = BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(picture, "png")
    return picture.getvalue()


def inlined(content: bytes, media_type: str = "image/png") -> str:
    """A picture as a data URL."""
    return f"data:{media_type};base64,{encoded(content)}"


def encoded(content: bytes) -> str:
    """Base64."""
    return b64encode(content).decode()


class Brush:
    """A way to draw: noise by the prompt. It notes its wishes, and never comes to the end of one prompt."""

    def __init__(self, *, stuck_at: str | None = None) -> None:
        self.wishes: list[Wish] = []
        self.stuck_at = stuck_at
        self.stuck = anyio.Event()

    async def draw(self, wish: Wish, show: Show) -> Drawn:
        """Show what is not finished, then finish."""
        self.wishes.append(wish)
        for number in range(wish.partials):
            await show(Drawn(noise(f"{wish.prompt} {number}"), "png", SIDE, SIDE, "opaque", "low"))
        if wish.prompt == self.stuck_at:
            self.stuck.set()
            await anyio.sleep_forever()
        return Drawn(noise(wish.prompt), "png", SIDE, SIDE, "opaque", "low", usage=PAID)


class Easel(Studio):
    """A studio in which one brush draws whatever is wished for."""

    def __init__(self, documents: Documents, brush: Brush, *names: str) -> None:
        super().__init__([{"name": name} for name in names], documents)
        self.brush = brush
        self.asks: list[Ask] = []
        self.writers: list[str] = []

    def tool(  # noqa: PLR0913 - as the studio has it
        self,
        settings: ImageGenerationTool,
        *,
        name: str,
        subjects: Sequence[Subject],
        mask: Subject | None,
        ask: Ask,
        writer: str,
        party: str = "",
    ) -> Tool:
        """The real tool, with the brush."""
        super().tool(settings, name=name, subjects=subjects, mask=mask, ask=ask, writer=writer, party=party)
        self.asks.append(ask)
        self.writers.append(writer)
        return Drawer(self.brush, settings, subjects=subjects, mask=mask, turns=asyncio.Semaphore(4))


class Shelves:
    """The parts that keep and show pictures, over a database; ``brush`` draws."""

    def __init__(
        self,
        database: Database,
        *,
        blobs: Blobs | None = None,
        deployments: Mapping[str, Deployment] | None = None,
        outbound: Outbound | None = None,
        now: Callable[[], int] = lambda: NOW,
    ) -> None:
        self.blobs = blobs or Blobs("memory:")
        self.erasing = Erasing(database, now)
        self.shelf = Shelf(self.blobs, self.erasing, now)
        self.filing = Filing(Files(database), self.blobs, self.erasing, terms=Terms(), now=now)
        self.documents = Documents(DocumentsConfig())
        self.seeing = Seeing(
            outbound=outbound or Outbound(Config()),
            filing=self.filing,
            documents=self.documents,
            shelf=self.shelf,
            describing=Describing(self.documents),
        )
        self.brush = Brush()
        self.easel = Easel(self.documents, self.brush)
        self.drawings = Drawings(self.easel, self.seeing, self.shelf, deployments or {})
        self.screens = Screens(self.seeing, Guarding(GuardConfig(), None, self.seeing), most_repeats=5)
        self.keeping = Keeping(self.shelf, Seal(["secret"]), Policy())

    async def aclose(self) -> None:
        """Let go of child processes."""
        await self.documents.aclose()
        await self.easel.aclose()
        await self.blobs.aclose()
