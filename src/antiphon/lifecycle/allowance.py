"""How much a tenant may keep: looked up before its bytes are taken, watched while they come, and once they are all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from antiphon.lifecycle.limiting import ANY, bound
from antiphon.protocol.limit_faults import storage_full
from antiphon.store.blobs import MIB

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.limiting import Rule


class Allowance:
    """Storage limits. ``kept`` gives the bytes that a tenant keeps; what is on its way into this process counts too."""

    def __init__(self, rules: Sequence[Rule], kept: Callable[[str], Awaitable[int]]) -> None:
        self._rules = [rule for rule in rules if rule.storage_mib is not None]
        self._kept = kept
        self._coming: dict[str, int] = {}

    async def check(self, caller: Caller, size: int) -> None:
        """Raise ``ApiError`` where a tenant cannot keep so many bytes more."""
        limit = self._limit(caller)
        if limit is not None and await self._kept(caller.tenant) + self.coming(caller.tenant) + size > limit * MIB:
            raise storage_full(limit)

    @asynccontextmanager
    async def watching(self, caller: Caller) -> AsyncGenerator[Watch, None]:
        """Watch what comes until it is kept, or is not. Raises ``ApiError`` where there is no room for a byte."""
        limit = self._limit(caller)
        await self.check(caller, 1)
        room = None if limit is None else limit * MIB - await self._kept(caller.tenant)
        watch = Watch(self, caller, room)
        try:
            yield watch
        finally:
            self.come(caller.tenant, -watch.came)

    def coming(self, tenant: str) -> int:
        """The bytes that are on their way."""
        return self._coming.get(tenant, 0)

    def come(self, tenant: str, size: int) -> None:
        """So many more are, or less."""
        coming = self.coming(tenant) + size
        if coming:
            self._coming[tenant] = coming
        else:
            self._coming.pop(tenant, None)

    def refuse(self, caller: Caller) -> None:
        """Raise the ``ApiError`` of a tenant that keeps as much as it may."""
        raise storage_full(self._limit(caller) or 0)

    def _limit(self, caller: Caller) -> int | None:
        found = bound(self._rules, "storage_mib", tenant=caller.tenant, deployment=ANY) if self._rules else None
        return None if found is None else found.limit


class Watch:
    """Bytes on their way. ``room`` is how many bytes more the tenant might keep when they began to come."""

    def __init__(self, allowance: Allowance, caller: Caller, room: int | None) -> None:
        self.came = 0
        self._allowance = allowance
        self._caller = caller
        self._room = room

    def count(self, size: int) -> None:
        """So many more have come. Raises ``ApiError``."""
        if self._room is None:
            return
        self.came += size
        self._allowance.come(self._caller.tenant, size)
        if self._allowance.coming(self._caller.tenant) > self._room:
            self._allowance.refuse(self._caller)

    async def confirm(self) -> None:
        """All have come. Raises ``ApiError`` where others that were kept meanwhile have left no room for them."""
        if self._room is not None:
            await self._allowance.check(self._caller, 0)
