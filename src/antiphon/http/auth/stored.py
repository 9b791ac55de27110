"""Callers who bring a key that the store knows. What was looked up of one holds for a few seconds, on every node.

So a key that is made works at once, and one that is revoked works for `FRESH_SECONDS` more at most.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.lifecycle import Caller
from antiphon.protocol.errors import bad_key, expired_key, revoked_key
from antiphon.store import StoreUnavailable
from antiphon.store.keys import Found, digest, is_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store.keys import Keys

log = logging.getLogger(__name__)

FRESH_SECONDS = 3.0
"""How long what was looked up holds."""
MOST_REMEMBERED = 4096


class _Seen(Struct, frozen=True):
    """What a key was found to be, and until when that holds."""

    found: Found | None
    until: float


class StoredKeys:
    """Tells callers by the keys of the store. ``clock`` counts seconds, and ``most`` keys are remembered."""

    def __init__(self, keys: Keys, *, clock: Callable[[], float] = time.monotonic, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._keys = keys
        self._clock = clock
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def caller(self, key: str) -> Caller:
        """Whose key this is. Raises ``ApiError`` (401) and `StoreUnavailable`."""
        found = await self._look(digest(key)) if is_key(key) else None
        if found is None:
            raise bad_key(key)
        match found.state:
            case "good":
                return Caller(found.tenant)
            case "expired":
                raise expired_key(key)
            case "revoked":
                raise revoked_key(key)

    async def any_good(self) -> bool:
        """Whether anybody has a key that opens. Raises `StoreUnavailable`."""
        return await self._keys.any_good()

    async def _look(self, print_: str) -> Found | None:
        seen = self._seen.get(print_)
        if seen is not None and self._clock() < seen.until:
            return seen.found
        until = self._clock() + FRESH_SECONDS  # counted from before the look: what happens meanwhile is not seen
        found = await self._keys.find(print_)
        self._seen[print_] = _Seen(found, until)
        self._seen.move_to_end(print_)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        if found is not None and found.state == "good" and found.is_used_anew:
            await self._touch(found.id)
        return found

    async def _touch(self, id: str) -> None:
        """Note that the key is in use; that this cannot be noted is no reason to refuse its owner."""
        try:
            await self._keys.touch(id)
        except StoreUnavailable as error:
            log.warning("use of a key not noted", extra={"action": "key_use_not_noted", "key": id, "error": str(error)})
