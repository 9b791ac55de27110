"""What every dialect does with a reply, whatever it says: keep its secrets, read its error, take what is left of it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from antiphon.backends import UpstreamError
from antiphon.backends.upstream.faults import fault_of_answer, hidden

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence

    from antiphon.backends.upstream import Reply, Upstream

Settings = TypeVar("Settings")
Answer = TypeVar("Answer")

ERROR_LIMIT = 1024 * 1024
"""How many bytes of an error answer are read."""

COUNT_LIMIT = 64 * 1024 * 1024
"""How many bytes of a counted prompt are read: some tokenizers send all that they made of it."""

COUNT_SECONDS = 20.0
"""How long a tokenizer may take."""

DRAIN_SECONDS = 0.5
"""How long to wait for the end of a body after all was said, so that its connection can be used again."""

SECRET_CHARACTERS = 8

REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
UNKNOWN_ROUTES = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
UNCOUNTED = "The tokenizer of this model cannot be asked."


def secrets_in(base_url: str, *words: str | None) -> list[str]:
    """The words that an upstream is told in confidence, the URL's password with them."""
    return confidential([*words, urlsplit(base_url).password])


def confidential(words: Iterable[str | None]) -> list[str]:
    """Those of these words that are secrets: a shorter one, such as ``EMPTY``, stands in for one."""
    return [word for word in words if word and len(word) >= SECRET_CHARACTERS]


@contextmanager
def hiding(secrets: Sequence[str]) -> Generator[None, None, None]:
    """Keep these words out of any `UpstreamError` that is raised in here."""
    try:
        yield
    except UpstreamError as error:
        raise hidden(error, secrets) from error


async def ask(
    settings: Settings,
    post: Callable[[Settings], Awaitable[Reply]],
    mend: Callable[[Settings, bytes], Settings | None],
    fault: Callable[[int, Mapping[str, str], bytes], UpstreamError],
) -> tuple[Reply, Settings]:
    """Post a turn until it is answered; give the reply, and the settings with which it was.

    ``mend`` says how to ask again after the body of a refusal (400, 422), None if not at all; settings that were tried
    before are not tried again. ``fault`` says what an answer with an error status means: it is raised for the last one.
    """
    tried = [settings]
    while True:
        reply = await post(settings)
        if reply.status == HTTPStatus.OK:
            return reply, settings
        with reply:
            body = await reply.read(ERROR_LIMIT)
        mended = mend(settings, body) if reply.status in REFUSALS else None
        if mended is None or mended in tried:
            raise fault(reply.status, reply.headers, body)
        settings = mended
        tried.append(settings)


async def counted(upstream: Upstream, path: str, body: bytes, type: type[Answer]) -> Answer:
    """Ask a tokenizer. Raises `UpstreamError`: ``unavailable`` where there is none, ``timeout`` where it is slow."""
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            with await upstream.post(path, body) as reply:
                answer = await reply.read(COUNT_LIMIT)
    except TimeoutError as error:
        raise UpstreamError("timeout", "The tokenizer of this model did not answer in time.") from error
    if reply.status in UNKNOWN_ROUTES:
        raise UpstreamError("unavailable", UNCOUNTED, detail=f"status {reply.status}")
    if reply.status != HTTPStatus.OK:
        raise fault_of_answer(reply.status, reply.headers, answer)
    try:
        return msgspec.json.decode(answer, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamError("unavailable", UNCOUNTED, detail=str(error)) from error


async def drain(reply: Reply) -> None:
    """Take what still comes, for a short while."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await reply.take():
                pass
