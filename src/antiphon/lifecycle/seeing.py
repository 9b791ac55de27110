"""Seeing: the pictures and documents of a conversation, in the form in which a deployment's model can take them.

A picture that a URL or a file names is loaded, looked at and handed on as data, upright and no larger than the model
takes; a model without eyes is told what another sees in it, if the operator says so. A document becomes text with page
marks, and pictures of its pages for a model that sees. What cannot be read is refused before a model is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
from msgspec import UNSET
from msgspec.structs import replace

from antiphon.documents import Unreadable, sniffed
from antiphon.lifecycle.looking import Looking
from antiphon.lifecycle.shelf import digest, inlined, kept_digest
from antiphon.outbound import OutboundError
from antiphon.protocol import picture_faults as faults
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Message
from antiphon.protocol.refusals import file_not_found, server_error
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import NoSuchBlob

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from antiphon.documents import Documents, Picture
    from antiphon.lifecycle import Caller, Deployment
    from antiphon.lifecycle.describing import Describing
    from antiphon.lifecycle.filing import Filing
    from antiphon.lifecycle.shelf import Shelf
    from antiphon.outbound import Outbound
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item

    Visible: TypeAlias = InputImage | InputFile | ComputerScreenshot
    Part: TypeAlias = MessagePart | ComputerScreenshot
    Source: TypeAlias = tuple[object, ...]

Key = TypeVar("Key")

PICTURE_BYTES = 20_971_520
FILE_BYTES = 52_428_800
MOST_PARTS = 500
"""Pictures and documents of one conversation (hosted service: 500 images)."""

MOST_CHARACTERS = 104_857_600
"""What they come to at most, as text and base64."""

SECONDS = 120.0
"""How long all of them may take together."""

AT_ONCE = 4
"""Pictures and documents of one request that are worked on side by side."""


class Budget:
    """What one request may show, all together: so many ``parts``, and what they come to. Raises ``ApiError``."""

    def __init__(self, parts: int) -> None:
        if parts > MOST_PARTS:
            raise faults.too_many_shown(MOST_PARTS)
        self._left = MOST_CHARACTERS

    def take(self, characters: int) -> None:
        """Count so many characters more."""
        self._left -= characters
        if self._left < 0:
            raise faults.too_much_shown(MOST_CHARACTERS)


class Seeing:
    """Makes what callers show readable. It fetches, opens and looks; it keeps nothing."""

    def __init__(
        self, *, outbound: Outbound, filing: Filing, documents: Documents, shelf: Shelf, describing: Describing
    ) -> None:
        self._outbound = outbound
        self._filing = filing
        self.documents = documents
        self._shelf = shelf
        self.describing = describing

    async def fetched(self, items: Sequence[Item], deployment: Deployment, caller: Caller) -> list[Item]:
        """The same items with the content of what a URL names in its place, as it is kept from now on.

        A URL may be dead when the chain goes on. Raises ``ApiError`` for what cannot be fetched.
        """
        named: dict[tuple[str, bool], list[Visible]] = {}
        for part in _visible(items):
            if (url := _url(part, deployment)) is not None:
                named.setdefault((url, not isinstance(part, InputFile)), []).append(part)
        found: dict[int, list[Part]] = {}
        budget = Budget(len(named))

        async def fetch(source: tuple[str, bool]) -> None:
            url, is_picture = source
            content = await self._fetch(url, caller, is_picture=is_picture)
            budget.take(len(content))
            for part in named[source]:
                found[id(part)] = [_holding(part, content, url)]

        await _each(sorted(named), fetch)
        return _with(items, found)

    async def seen(
        self, items: Sequence[Item], deployment: Deployment, caller: Caller, *, draws: bool = False
    ) -> list[Item]:
        """The same items as the deployment's model takes them.

        ``draws``: the request brings the tool that draws, for which pictures may be meant that the model cannot see.
        Raises ``ApiError`` for what cannot be read, and for a picture that nobody can see.
        """
        looking = Looking(self, deployment, caller, draws=draws)
        parts = [part for part in _visible(items) if looking.concerns(part)]
        found: dict[int, list[Part]] = {}
        budget = Budget(len(parts))
        sources: dict[Source, list[Visible]] = {}
        for part in parts:
            sources.setdefault(_source(part), []).append(part)

        async def look(source: Source) -> None:
            shown = await looking.at(sources[source][0])
            for part in sources[source]:  # each counts, as the model is told of each
                budget.take(sum(map(_characters, shown)))
                found[id(part)] = shown

        await _each(list(sources), look)
        return _with(items, found)

    async def content(self, part: Visible, caller: Caller) -> bytes:
        """The bytes of a picture or a document, wherever they lie. Raises ``ApiError``."""
        match part:
            case InputFile(file_data=str(encoded)):
                return await self._decoded(encoded, caller, faults.unreadable_file)
            case InputImage(image_url=str(url)) | ComputerScreenshot(image_url=str(url)):
                if url[:5].lower() == "data:":
                    return await self._decoded(url, caller, faults.unreadable_picture)
                return await self._download(url, is_picture=True)
            case InputImage(file_id=str(id)) | ComputerScreenshot(file_id=str(id)):
                return await self._of_file(id, caller, faults.no_such_picture, PICTURE_BYTES)
            case InputFile(file_id=str(id)):
                return await self._of_file(id, caller, file_not_found, FILE_BYTES)
            case InputFile(file_url=str(url)):
                return await self._download(url, is_picture=False)
            case _:
                raise faults.unreadable_picture()

    async def digest(self, part: Visible, caller: Caller) -> str:
        """What tells whether two pictures or documents have the same content. Raises ``ApiError``."""
        url = part.image_url if not isinstance(part, InputFile) else part.file_data
        known = kept_digest(url) if isinstance(url, str) else None
        return known or digest(await self.content(part, caller))

    async def looked_at(self, content: bytes, side: int, caller: Caller) -> Picture:
        """A picture that can be shown, its longer edge no longer than ``side`` pixels. Raises ``ApiError``."""
        try:
            return await self.documents.picture(content, side=side, party=caller.tenant)
        except Unreadable as error:
            raise faults.picture_refused(error.reason, str(error)) from error

    async def name(self, file: InputFile, caller: Caller) -> str:
        """What a document is called."""
        if isinstance(file.filename, str) and file.filename:
            return file.filename
        if isinstance(file.file_id, str):
            rows = await self._filing.lookup([file.file_id], caller)
            return rows[file.file_id].filename if file.file_id in rows else file.file_id
        return _last_of(file.file_url) if isinstance(file.file_url, str) else "file"

    async def _fetch(self, url: str, caller: Caller, *, is_picture: bool) -> str:
        """A data URL of what a URL leads to; a picture was looked at, and a document is one of any type."""
        content = await self._download(url, is_picture=is_picture)
        if is_picture:
            await self.looked_at(content, faults.LONGEST_SIDE, caller)
        media_type = sniffed(content) if is_picture else None
        return await inlined(content, media_type or "application/octet-stream")

    async def _download(self, url: str, *, is_picture: bool) -> bytes:
        limit, accept = (PICTURE_BYTES, "image/*") if is_picture else (FILE_BYTES, "*/*")
        try:
            return (await self._outbound.fetch(url, limit=limit, accept=accept)).content
        except OutboundError as error:
            raise faults.not_downloaded(str(error), is_picture=is_picture) from error

    async def _decoded(self, encoded: str, caller: Caller, unreadable: Callable[[], ApiError]) -> bytes:
        try:
            return await self._shelf.content(encoded, caller.tenant)
        except (ValueError, NoSuchBlob) as error:
            raise unreadable() from error

    async def _of_file(self, id: str, caller: Caller, absent: Callable[[str], ApiError], limit: int) -> bytes:
        row = (await self._filing.lookup([id], caller)).get(id)
        if row is None:
            raise absent(id)
        if row.size > limit:
            raise faults.file_too_large(row.filename, limit)
        try:
            return await self._filing.read(row)
        except ApiError as error:  # deleted in this moment
            raise absent(id) from error


def shows(items: Sequence[Item]) -> bool:
    """Whether there is any picture or document among these items."""
    return any(True for _ in _visible(items))


def _holding(part: Visible, content: str, url: str) -> Part:
    """A part with the content of what its URL led to."""
    if isinstance(part, InputFile):
        name = part.filename if isinstance(part.filename, str) else _last_of(url)
        return replace(part, file_url=UNSET, file_data=content, filename=name)
    return replace(part, image_url=content)


def _last_of(url: str) -> str:
    """The name of a document that a URL names."""
    return unquote(urlsplit(url).path.rpartition("/")[2]) or "file"


def _url(part: Visible, deployment: Deployment) -> str | None:
    """The URL that is fetched for a part: a document's always, a picture's where the deployment has it fetched."""
    match part:
        case InputFile(file_url=str(url)):
            return url
        case InputImage(image_url=str(url)) | ComputerScreenshot(image_url=str(url)) if deployment.fetch_images:
            return None if url[:5].lower() == "data:" else url
        case _:
            return None


def _visible(items: Sequence[Item]) -> Iterable[Visible]:
    """Every picture and document."""
    for item in items:
        if type(item) not in _SHOWING:  # most items of a long history
            continue
        for part in _parts(item):
            if isinstance(part, InputImage | InputFile | ComputerScreenshot):
                yield part


_SHOWING = frozenset({Message, ComputerCallOutput, FunctionCallOutput, CustomToolCallOutput})


def _source(part: Visible) -> Source:
    """What tells whether two parts show the same."""
    match part:
        case InputFile():
            return (type(part), part.file_id, part.file_url, part.file_data, part.filename, part.detail)
        case _:
            return (type(part), part.file_id, part.image_url, part.detail)


def _characters(part: Part) -> int:
    """How long a part is as a model is told it."""
    match part:
        case InputText(text=text) | InputImage(image_url=str(text)) | ComputerScreenshot(image_url=str(text)):
            return len(text)
        case InputFile(file_data=str(content)):
            return len(content)
        case _:
            return 0


def _parts(item: Item) -> Sequence[Part]:
    match item:
        case Message():
            return item.content
        case ComputerCallOutput():
            return [item.output]
        case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
            return parts
        case _:
            return []


def _with(items: Sequence[Item], found: Mapping[int, list[Part]]) -> list[Item]:
    """The items with what was found for their parts."""
    if not found:
        return list(items)
    return [_replaced(item, found) if any(id(part) in found for part in _parts(item)) else item for item in items]


def _replaced(item: Item, found: Mapping[int, list[Part]]) -> Item:
    parts = [new for part in _parts(item) for new in found.get(id(part), [part])]
    match item:
        case Message():
            return replace(item, content=parts)
        case ComputerCallOutput():
            match parts[0]:
                case InputText(text=told):  # a screen in words: as a function would answer
                    return FunctionCallOutput(id=item.id, call_id=item.call_id, output=told)
                case screenshot:
                    return replace(item, output=screenshot)
        case FunctionCallOutput() | CustomToolCallOutput():
            return replace(item, output=parts)
        case _:
            return item


async def _each(keys: Sequence[Key], work: Callable[[Key], Awaitable[None]]) -> None:
    """Work on all, a few side by side. Raises the first ``ApiError`` or `StoreUnavailable`, and drops the rest."""
    if not keys:
        return
    refused: list[ApiError | StoreUnavailable] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def one(key: Key) -> None:
        async with limiter:
            try:
                await work(key)
            except (ApiError, StoreUnavailable) as error:
                refused.append(error)
                group.cancel_scope.cancel()

    with anyio.move_on_after(SECONDS) as scope:
        async with anyio.create_task_group() as group:
            for key in keys:
                group.start_soon(one, key)
    if refused:
        raise refused[0]
    if scope.cancelled_caught:
        raise server_error("The images and files of the request could not be read in time.", status=504)
