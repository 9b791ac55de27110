"""A machine from its log: in the state after the last entry, so that a run can go on where another process left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.machine import Machine
from antiphon.core.past import Past

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.core.notes import Note
    from antiphon.core.place import NewId
    from antiphon.core.speech import Manner
    from antiphon.protocol.events import StreamEvent


def replayed(entries: Iterable[StreamEvent | Note], *, new_id: NewId, manner: Manner | None = None) -> Machine:
    """The machine that these entries, from number 0 on, came of; the last must end what one of its steps returned.

    It can be broken off at once, and goes on with `Machine.resume`. Raises ``ValueError`` for a log without its
    beginning or with a gap.
    """
    past = Past({**manner.kinds, **manner.grants} if manner is not None else {})
    for entry in entries:
        past.hear(entry)
    if past.response is None:
        raise ValueError("the log lacks its beginning")
    return Machine(past.response, new_id=new_id, manner=manner, past=past)
