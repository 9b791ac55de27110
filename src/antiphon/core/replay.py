"""A machine from its log: in the state after the last entry, so that a run can go on where another process left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.machine import Machine
from antiphon.core.past import Past

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from antiphon.core.calls import CallKind
    from antiphon.core.machine import NewId
    from antiphon.core.notes import Note
    from antiphon.protocol.events import StreamEvent


def replayed(
    entries: Iterable[StreamEvent | Note],
    *,
    new_id: NewId,
    kinds: Mapping[str, CallKind] | None = None,
    allowed: frozenset[str] | None = None,
    raw_thoughts: bool = False,
) -> Machine:
    """The machine that these entries, from number 0 on, came of; the last must end what one of its steps returned.

    It can be broken off at once, and goes on with `Machine.resume`. Raises ``ValueError`` for a log without its
    beginning or with a gap.
    """
    past = Past(kinds)
    for entry in entries:
        past.hear(entry)
    if past.response is None:
        raise ValueError("the log lacks its beginning")
    return Machine(past.response, new_id=new_id, kinds=kinds, allowed=allowed, raw_thoughts=raw_thoughts, past=past)
