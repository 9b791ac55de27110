"""The shelf: what is large in items and events lies in the blob store, and rows and logs hold references to it.

A reference stands where the base64 stood: ``antiphon-blob:RESPONSE/DIGEST``, in a data URL behind its ``base64,``. It
is no base64, so no caller can bring one to where base64 is read, and it leads only to blobs of the tenant for whom it
is read. On the way out it is filled in again, see `antiphon.lifecycle.filling`. A blob is named by its content: what
was told once is told again byte for byte.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from antiphon.lifecycle import holding
from antiphon.lifecycle.filling import MARK, MOST_BYTES, TooMuch, filled, referenced
from antiphon.lifecycle.inlining import decoded, encoded, headed, regular, sized
from antiphon.lifecycle.patience import Patience
from antiphon.protocol.errors import invalid_request
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import MIB, NoSuchBlob, response_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from antiphon.core.turn import Output
    from antiphon.lifecycle.filling import Reference
    from antiphon.lifecycle.holding import Swap
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import Item
    from antiphon.protocol.response import Response
    from antiphon.protocol.tools import Tool
    from antiphon.store.blobs import Blobs
    from antiphon.store.erasing import Erasing

T = TypeVar("T")

log = logging.getLogger(__name__)

LARGE = 16 * 1024
"""Characters of base64 from which on it is put on the shelf."""

PLANNED_SECONDS = 3600
"""After how long what was put away for a response that was never stored is erased."""

CLEARING_SECONDS = 10.0
"""How long it may take to clear the shelf at once of what is not kept."""


class Shelf:
    """Puts away, fills in, and gives back."""

    def __init__(self, blobs: Blobs, erasing: Erasing, now: Callable[[], int]) -> None:
        self._blobs = blobs
        self._erasing = erasing
        self._now = now

    def board(self, tenant: str, response: str) -> Board:
        """The place of a response whose row is there already, and says that it may have blobs.

        The row may be deleted and swept while something is put there, which would leave a blob to which nothing leads.
        So it is looked for behind each; what stays are two cases. The process is killed between the two, and the
        storage takes a blob after all that it had no answer for in time.
        """
        return Board(self._blobs, tenant, response, recheck=partial(self._plan, tenant, response))

    @asynccontextmanager
    async def fresh_board(self, tenant: str, response: str) -> AsyncGenerator[Board]:
        """The place of a response whose row, with ``has_blobs``, is stored right after this: both are, or neither is.

        What fails within this takes its blobs along at once. Of what fails later nobody may know whether the row came
        to be, nor when the storage takes what it had no answer for in time: then the plan decides, which the row takes
        out.
        """
        board = Board(self._blobs, tenant, response, plan=partial(self._plan, tenant, response))
        try:
            yield board
        except BaseException:
            if board.is_planned and not board.is_unsettled:
                with suppress(StoreUnavailable), anyio.move_on_after(CLEARING_SECONDS, shield=True):
                    await self._erasing.carry_out(self._blobs, [response_prefix(tenant, response)])
            raise

    async def _plan(self, tenant: str, response: str) -> bool:
        return await self._erasing.plan_response(tenant, response, due_at=self._now() + PLANNED_SECONDS)

    # Back

    async def filled(self, text: bytes, tenant: str) -> bytes:
        """What is told, with its references filled in. One that leads nowhere is filled with nothing.

        Raises ``ApiError`` for JSON that would be too long; see `antiphon.lifecycle.filling.filled`.
        """
        try:
            return await filled(text, partial(self._base64, tenant=tenant))
        except TooMuch as error:
            raise invalid_request(
                f"With its pictures and files this answer would be longer than {MOST_BYTES // MIB} MiB, which is the "
                "most that can be told at once. Please ask for fewer items, or for less of them."
            ) from error

    async def content(self, text: str, tenant: str) -> bytes:
        """What base64 stands for, or a reference in its place; it may be a whole data URL.

        Raises `NoSuchBlob`, and ``ValueError`` for what is neither.
        """
        if (found := referenced(text)) is not None:
            return await self._read(found.blob, tenant)
        start = text.find(",", 0, 1024) + 1 if text[:5].lower() == "data:" else 0
        return await decoded(text, start)

    async def whole(self, text: str, tenant: str) -> str:
        """Base64, or a data URL, in which no reference stands any more. Raises `NoSuchBlob`."""
        found = referenced(text)
        return text if found is None else await headed(text[: found.start], await self._read(found.blob, tenant))

    async def _base64(self, blob: str, tenant: str) -> bytes:
        try:
            return await encoded(await self._read(blob, tenant))
        except NoSuchBlob:
            log.warning("blob missing", extra={"action": "blob_missing", "blob": blob})
            return b""

    async def _read(self, blob: str, tenant: str) -> bytes:
        return await self._blobs.read(_key(blob, tenant))


class Board:
    """The place of one response on the shelf.

    ``plan`` is awaited before anything is put there: it plans that all of it is erased, and returns whether it did.
    ``recheck`` does so behind each that was put there, where the response is gone. What is large is put away side by
    side, for as long as `Patience` says; what is not there by then stays where it is, and nothing is lost.
    """

    def __init__(
        self,
        blobs: Blobs,
        tenant: str,
        response: str,
        *,
        plan: Callable[[], Awaitable[bool]] | None = None,
        recheck: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._blobs = blobs
        self._plan = plan
        self._recheck = recheck
        self._tenant = tenant
        self._response = response
        self._patience = Patience(is_renewed=plan is None)
        self._turns: dict[str, asyncio.Lock] = {}
        self._planning = asyncio.Lock()
        self._kept: set[str] = set()
        self._unsettled: set[str] = set()
        self._is_told = False
        self.is_used = False
        self.is_planned = False

    @property
    def is_unsettled(self) -> bool:
        """Whether something may still come to be that the storage had no answer for."""
        return bool(self._unsettled)

    async def events(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Events as they are logged. Most hold nothing large, and are given back as they are."""
        if not any(type(event) in holding.HOLDERS for event in events):
            return events
        return await self._each(events, holding.in_event)

    async def response(self, response: Response) -> Response:
        """A response with references for the pictures that it drew."""
        [kept] = await self._each([response], holding.in_response)
        return kept

    async def tools(self, tools: Sequence[Tool]) -> list[Tool]:
        """Tools with a reference for the mask of a drawing."""
        return await self._each(tools, holding.in_tool)

    async def items(self, items: Sequence[Item]) -> list[Item]:
        """Items of an input with references for what is large in them."""
        return await self._each(items, holding.in_item)

    async def outputs(self, outputs: Sequence[Output]) -> list[Output]:
        """What a model read of hosted calls, with references for the pictures in it."""
        return await self._each(outputs, holding.in_output)

    async def base64(self, text: str) -> str:
        """Base64, or a data URL, with a reference in it where it is large."""
        start = _start(text)
        if start is None:
            return text
        found = referenced(text)
        if len(text) - start < LARGE if found is None else found.blob.startswith(f"{self._response}/"):
            return text
        try:
            async with self._patience.place() as until:
                return await self._put_away(text, start, found, until)
        except StoreUnavailable as error:  # a large row is better than a lost picture
            self._patience.lose()
            self._tell(error)
            return text

    def _tell(self, error: StoreUnavailable) -> None:
        if not self._is_told:
            self._is_told = True
            named = {"action": "blob_not_kept", "response": self._response, "error": str(error)}
            log.warning("blob not kept", extra=named)

    async def _each(self, things: Sequence[T], within: Callable[[T, Swap], T]) -> list[T]:
        """All of them with references for what is large: first what that is is found, then put away side by side."""
        large: dict[int, str] = {}

        def find(text: str) -> str:
            if len(text) >= LARGE or MARK in text:
                large[id(text)] = text
            return text

        for thing in things:
            within(thing, find)
        if not large:
            return list(things)
        async with asyncio.TaskGroup() as group:
            tasks = {key: group.create_task(self.base64(text)) for key, text in large.items()}
        kept = {key: task.result() for key, task in tasks.items()}
        return [within(thing, lambda text: kept.get(id(text), text)) for thing in things]

    async def _put_away(self, text: str, start: int, found: Reference | None, until: float) -> str:
        if found is None:
            content = await regular(text, start)
            return text if content is None else text[:start] + await self._put(content, until)
        # What lies in another response's place lies in this one's too: that one may be deleted any day.
        try:
            async with asyncio.timeout_at(until):
                content = await self._blobs.read(_key(found.blob, self._tenant))
        except NoSuchBlob:  # whoever reads it will be told
            return text
        except TimeoutError as error:
            raise StoreUnavailable("What was kept before could not be read in time.") from error
        return text[: found.start] + await self._put(content, until)

    async def _put(self, content: bytes, until: float) -> str:
        """Put something away, and return the reference to it."""
        blob = f"{self._response}/{await sized(len(content), digest, content)}"
        async with self._turns.setdefault(blob, asyncio.Lock()):
            if blob not in self._kept:
                await self._prepare()
                await self._keep(blob, content, until)
                self._kept.add(blob)
        return MARK + blob

    async def _prepare(self) -> None:
        async with self._planning:
            if self._plan is not None and not self.is_used:
                self.is_planned = await self._plan()
            self.is_used = True

    async def _keep(self, blob: str, content: bytes, until: float) -> None:
        self._unsettled.add(blob)
        try:
            left = max(0.0, until - asyncio.get_running_loop().time())
            await self._blobs.put(_key(blob, self._tenant), content, seconds=left)
        finally:
            if self._recheck is not None:
                with suppress(StoreUnavailable), anyio.move_on_after(CLEARING_SECONDS, shield=True):
                    await self._recheck()
        self._unsettled.discard(blob)


async def inlined(content: bytes, media_type: str) -> str:
    """Content as a data URL."""
    return await headed(f"data:{media_type};base64,", content)


def is_referenced(text: str, start: int) -> bool:
    """Whether a reference stands in a text instead of its base64, which begins at ``start``."""
    return text.startswith(MARK, start)


def _start(text: str) -> int | None:
    """Where base64 may begin in a text; None in a URL of the web."""
    if text[:5].lower() == "data:":
        return text.find(",", 0, 1024) + 1
    return None if ":" in text[:32] and not text.startswith(MARK) else 0


def _key(blob: str, tenant: str) -> str:
    response, _, digest = blob.partition("/")
    return response_prefix(tenant, response) + digest


def kept_digest(text: str) -> str | None:
    """The digest of the content to which a reference leads; None where there is none."""
    found = referenced(text)
    return None if found is None else found.blob.partition("/")[2]


def digest(content: bytes) -> str:
    """What content is known by on the shelf."""
    return hashlib.sha256(content).hexdigest()
