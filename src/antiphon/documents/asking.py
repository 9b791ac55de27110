"""What the server asks of its children, and remembers."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from anyio.to_thread import run_sync
from msgspec import Raw

from antiphon.documents import crew
from antiphon.documents.nouns import Document, Picture, Unreadable
from antiphon.documents.plain_png import plain_size
from antiphon.documents.remembering import Memory
from antiphon.documents.sniffing import sniffed
from antiphon.documents.texts import kind_by_name
from antiphon.documents.wire import (
    CheckPicture,
    Describe,
    Described,
    Draw,
    Outcome,
    ReadDocument,
    Redrawn,
    Refused,
    Told,
    Unchanged,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from antiphon.documents.nouns import Config
    from antiphon.documents.sketches import SketchOrder
    from antiphon.documents.wire import Job

REMEMBERED = 32 * 1024 * 1024
TIMEOUT_SECONDS = 300.0
"""How long a file that took too long is not tried again: a busy machine may have been to blame."""
HASHED_AT_ONCE = 262_144
_KEPT = 512  # bytes about a value: its key, its structs


class Documents:
    """Reads pictures and documents in child processes, which are started when they are needed.

    All that it raises is `Unreadable`. A ``party`` is whoever brings files; those of several are read in rotation.
    ``command`` stands in for the program of a child, ``idle_seconds`` is after how long it ends, ``now`` a clock.
    """

    def __init__(
        self,
        config: Config,
        *,
        command: Sequence[str] = crew.COMMAND,
        idle_seconds: float = crew.IDLE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._crew = crew.Crew(config, command=command, idle_seconds=idle_seconds)
        self._memory: Memory[Outcome] = Memory(REMEMBERED, now=now)

    async def picture(self, content: bytes, *, side: int, party: str = "") -> Picture:
        """A PNG, JPEG, WebP or GIF that was wholly decoded, upright, its longer edge at most ``side`` pixels.

        Where nothing needs to change, its content is the same object. What is drawn anew has lost its metadata.
        """
        key = ("picture", await _digest(content), side)
        known = self._known(key) or await self._plain(key, content, side)
        match known or await self._remembered(key, CheckPicture(side), content, party):
            case Unchanged(media_type, width, height):
                return Picture(content, media_type, width, height)
            case Redrawn(picture):
                return picture
            case _:
                raise _astray()

    async def document(
        self, content: bytes, *, filename: str | None, picture_side: int | None, party: str = ""
    ) -> Document:
        """A document, with pictures of its pages up to ``picture_side`` pixels; None: without them."""
        kind = kind_by_name(filename)
        key = ("document", await _digest(content), picture_side, kind)
        job = ReadDocument(
            text_kind=kind,
            picture_side=picture_side,
            max_pages=self._config.max_pages,
            page_pictures=self._config.page_pictures,
            seconds=self._config.seconds,
        )
        match await self._remembered(key, job, content, party):
            case Told(document):
                return document
            case _:
                raise _astray()

    async def description(self, content: bytes, *, party: str = "") -> str:
        """A picture in words: its size, format and colour, and its text where that can be read here."""
        key = ("description", await _digest(content))
        match await self._remembered(key, Describe(), content, party):
            case Described(text):
                return text
            case _:
                raise _astray()

    async def sketch(
        self, order: SketchOrder, *, under: bytes | None = None, mask: bytes | None = None, party: str = ""
    ) -> Picture:
        """Draw an SVG, over the picture ``under`` where there is one, and there only where ``mask`` lets it."""
        job = Draw(Raw(msgspec.msgpack.encode(order)), has_under=under is not None, has_mask=mask is not None)
        async with self._crew.turn(party):
            outcome = await self._crew.ask(job, [part for part in (under, mask) if part is not None])
        match outcome:
            case Redrawn(picture):
                return picture
            case _:
                raise _astray()

    async def aclose(self) -> None:
        """End the children."""
        await self._crew.aclose()

    async def _plain(self, key: tuple[object, ...], content: bytes, side: int) -> Outcome | None:
        """What is said of a screenshot, for which no child is needed; None for all else."""
        if sniffed(content) != "image/png":
            return None
        size = await run_sync(partial(plain_size, content, side=side))
        if size is None:
            return None
        unchanged = Unchanged("image/png", *size)
        self._memory.keep(key, unchanged, size=_size(unchanged))
        return unchanged

    async def _remembered(self, key: tuple[object, ...], job: Job, content: bytes, party: str) -> Outcome:
        """What a child says to a job, or said before."""
        known = self._known(key)
        if known is not None:
            return known
        async with self._crew.turn(party):
            known = self._known(key)  # another has asked the same while this one waited
            if known is not None:
                return known
            try:
                outcome = await self._crew.ask(job, [content])
            except Unreadable as error:
                self._keep_refusal(key, error)
                raise
        self._memory.keep(key, outcome, size=_size(outcome))
        return outcome

    def _known(self, key: tuple[object, ...]) -> Outcome | None:
        """What was said before. Raises `Unreadable` if that was said."""
        match self._memory.recall(key):
            case Refused(reason, words):
                raise Unreadable(reason, words)
            case known:
                return known

    def _keep_refusal(self, key: tuple[object, ...], error: Unreadable) -> None:
        """Remember why a file is not read, where the file is to blame."""
        match error.reason:
            case "busy" | "crashed":
                return
            case reason:
                seconds = TIMEOUT_SECONDS if reason == "timeout" else math.inf
                self._memory.keep(key, Refused(reason, str(error)), size=_KEPT, seconds=seconds)


async def _digest(content: bytes) -> bytes:
    if len(content) <= HASHED_AT_ONCE:
        return hashlib.sha256(content).digest()
    return await run_sync(lambda: hashlib.sha256(content).digest())


def _size(outcome: Outcome) -> int:
    """About how many bytes an outcome holds."""
    match outcome:
        case Redrawn(picture):
            return _KEPT + len(picture.content)
        case Told(document):
            return _KEPT + sum(
                _KEPT + sys.getsizeof(page.text) + (len(page.picture.content) if page.picture else 0)
                for page in document.pages
            )
        case Described(text):
            return _KEPT + sys.getsizeof(text)
        case _:
            return _KEPT


def _astray() -> Unreadable:
    """The error of a child that answered another question."""
    return Unreadable("crashed", "The file cannot be read: reading it broke off.")
