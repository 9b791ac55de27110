"""Approvals of calls: a request is known again by its id alone, and an answer to it counts once.

The id of a request carries a tag over its owner, its server, its tool and its arguments, made with a key of this
server's. So an answer needs nothing that was stored, and one to a request that was forged, changed, another's or for
another server is refused. Which requests were answered is kept for as long as they can be.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from msgspec.json import encode

from antiphon.protocol.refusals import approval_spent, approval_unknown
from antiphon.store.approvals import AlreadySpent, Spending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from antiphon.core.approvals import Decision
    from antiphon.sealing import Seal
    from antiphon.store.approvals import Approvals

TAG_BYTES = 9
_DIGITS = 2 * TAG_BYTES
_ID = re.compile(r"mcpr_[0-9a-f]{16}00(?P<made_at>[0-9a-f]{8})[0-9a-f]{6}(?P<tag>[0-9a-f]{18})")
COUNTS_SECONDS = 30 * 86_400
"""How long an answer to a request counts. It is no setting: were it made longer, answers would count again."""


class Approving:
    """Signs requests and takes answers. ``now`` gives unix seconds."""

    def __init__(self, seal: Seal, spent: Approvals, *, now: Callable[[], int]) -> None:
        self._seal = seal
        self._spent = spent
        self._now = now

    def sign(self, *, tenant: str, label: str, url: str, name: str) -> Callable[[str, str], str]:
        """What gives a request its id, from a fresh one and the arguments of the call."""
        return partial(self._signed, [tenant, label, url, name])

    async def check(self, decided: Sequence[Decision], urls: dict[str, str], *, tenant: str) -> None:
        """Raise ``ApiError`` unless every answer is to a request of this server's, and the first to it.

        ``urls`` are those of the request's MCP servers, by label.
        """
        for decision in decided:
            if not self._is_genuine(decision, urls.get(decision.request.server_label), tenant=tenant):
                raise approval_unknown(decision.request.id)
        ids = [decision.request.id for decision in decided]
        for id in await self._spent.spent(ids, tenant=tenant) if ids else ():
            raise approval_spent(id)

    async def spend(self, ids: Sequence[str], *, tenant: str, response: str) -> None:
        """Use answers up for a response. Raises ``ApiError`` where another response used one before."""
        if not ids:
            return
        try:
            await self._spent.spend(self.spending(ids, tenant=tenant, response=response))
        except AlreadySpent as error:
            raise approval_spent(error.id) from error

    def spending(self, ids: Sequence[str], *, tenant: str, response: str) -> Spending:
        """What the store keeps of answers that a response uses."""
        now = self._now()
        return Spending(list(ids), tenant, response, expires_at=now + COUNTS_SECONDS, now_ms=now * 1000)

    def _signed(self, bound: list[str], id: str, arguments: str) -> str:
        head = id[:-_DIGITS]
        return head + self._seal.tag(encode([*bound, arguments, head]))[:TAG_BYTES].hex()

    def _is_genuine(self, decision: Decision, url: str | None, *, tenant: str) -> bool:
        request = decision.request
        read = _ID.fullmatch(request.id)
        if read is None or url is None or int(read["made_at"], 16) + COUNTS_SECONDS < self._now():
            return False
        bound = [tenant, request.server_label, url, request.name, request.arguments, request.id[:-_DIGITS]]
        return self._seal.is_tagged(encode(bound), bytes.fromhex(read["tag"]))
