"""What every dialect does with a reply, whatever it says: keep its secrets, read its error, take what is left of it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from antiphon.backends import UpstreamError
from antiphon.backends.upstream.faults import hidden

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from antiphon.backends.upstream import Reply

ERROR_LIMIT = 1024 * 1024
"""How many bytes of an error answer are read."""

DRAIN_SECONDS = 0.5
"""How long to wait for the end of a body after all was said, so that its connection can be used again."""

SECRET_CHARACTERS = 8


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


async def drain(reply: Reply) -> None:
    """Take what still comes, for a short while."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await reply.take():
                pass
