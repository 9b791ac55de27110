"""Tokens: what only this server may read, in the hands of clients: thoughts, and summaries of conversations.

Any process with the same keys opens them, with no database. A token belongs to one tenant and is good for as long as a
stored response is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from antiphon.lifecycle import DAY_SECONDS
from antiphon.protocol.refusals import invalid_encrypted_content
from antiphon.sealing import CannotOpen

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.lifecycle import Policy
    from antiphon.sealing import Seal

Kind = Literal["thought", "summary"]
_TIME_BYTES = 5
"""Unix seconds, for the next 34,000 years."""


class Tokens:
    """Makes tokens and reads them. ``now`` gives unix seconds."""

    def __init__(self, seal: Seal, policy: Policy, *, now: Callable[[], int]) -> None:
        self._seal = seal
        self._lifetime = policy.retention_days * DAY_SECONDS
        self._now = now

    def seal(self, kind: Kind, plain: bytes, tenant: str) -> str:
        """A token of ``plain`` that opens for this tenant alone, and as nothing else than what it is."""
        return self._seal.seal(self._now().to_bytes(_TIME_BYTES) + plain, _bound(kind, tenant))

    def open(self, kind: Kind, token: str, tenant: str, item_id: str, *, is_kept: bool = False) -> bytes:
        """What was sealed. Raises ``ApiError`` for what was changed, is another's or too old; it names the item.

        What is kept here (``is_kept``) opens for as long as it is, whatever its age.
        """
        try:
            opened = self._seal.open(token, _bound(kind, tenant))
        except CannotOpen as error:
            raise invalid_encrypted_content(item_id) from error
        if not is_kept and int.from_bytes(opened[:_TIME_BYTES]) + self._lifetime < self._now():
            raise invalid_encrypted_content(item_id)
        return opened[_TIME_BYTES:]


def _bound(kind: Kind, tenant: str) -> str:
    return f"{kind} {tenant}"
