"""Calls that are held back while they are written, so that they can be looked at whole before they go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.arguments import MOST_ARGUMENTS, Arguments
from antiphon.core.deltas import Call, Finish
from antiphon.core.usage import total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from antiphon.core.turn import Function


class Draft:
    """A call that is held back, as far as it is written."""

    def __init__(self, key: str, function: Function) -> None:
        self.key = key
        self.function = function
        self.is_out = False
        self.is_dropped = False
        self._arguments = Arguments(most=MOST_ARGUMENTS + 1)  # whoever hears it is to know that there was more

    @property
    def is_cut(self) -> bool:
        """Whether it is longer than any call may be: it is passed on, and is never completed."""
        return self._arguments.is_cut

    @property
    def arguments(self) -> str:
        """As far as they are written."""
        return self._arguments.text

    def write(self, arguments: str) -> None:
        """Append to them."""
        self._arguments.write(arguments)

    def call(self) -> Call:
        """All of it, as one delta."""
        return Call(self.key, self.function.name, self.arguments)

    def is_whole(self) -> bool:
        """Whether nothing can follow."""
        return self._arguments.is_whole()


class Held:
    """The calls of one answer that are held back, and what else is known of it only at its end."""

    def __init__(self, bound: Mapping[str, Function]) -> None:
        self._bound = bound
        self._drafts: dict[str, Draft] = {}
        self._open: list[Draft] = []
        self.misfits: list[Draft] = []
        self.finish: Finish | None = None

    def takes(self, call: Call) -> bool:
        """Keep a fragment of a call; False for one that goes on as it comes."""
        draft = self._drafts.get(call.key)
        if draft is None:
            function = self._bound.get(call.name)
            if function is None:
                return False
            draft = self._drafts[call.key] = Draft(call.key, function)
            self._open.append(draft)
        if not draft.is_out:
            draft.write(call.arguments)
        return draft.is_dropped or not draft.is_out

    def whole(self) -> list[Draft]:
        """The calls that are whole, once."""
        return self._let_go(lambda draft: draft.is_whole())

    def rest(self) -> list[Draft]:
        """All that are left."""
        return self._let_go(lambda _: True)

    def drop(self, draft: Draft) -> None:
        """A call that does not fit is not passed on, nor is anything that follows of it."""
        draft.is_dropped = True
        self.misfits.append(draft)

    def _let_go(self, is_ready: Callable[[Draft], bool]) -> list[Draft]:
        ready: list[Draft] = []
        still_open: list[Draft] = []
        for draft in self._open:
            draft.is_out = is_ready(draft)
            (ready if draft.is_out else still_open).append(draft)
        self._open = still_open
        return ready


def both(first: Finish | None, second: Finish | None) -> Finish | None:
    """The end of both answers together; None where one of them was cut off."""
    if first is None or second is None:
        return None
    return Finish(second.reason, total(first.usage, second.usage))
