"""What is to be done on a screen, as a call of the tool says it once its actions are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.protocol.computer import Action, SafetyCheck, Screenshot, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable


class Steps(Struct, frozen=True):
    """Actions in pixels of the client's display, and the checks before them. A check without an id gets one later."""

    actions: list[Action]
    pending_safety_checks: list[SafetyCheck] = []


_decode = msgspec.json.Decoder(Steps).decode
_encode = msgspec.json.Encoder().encode


def written(steps: Steps) -> str:
    """The arguments of a call that has these steps, as JSON text."""
    return _encode(steps).decode()


def steps_of(arguments: str) -> Steps | None:
    """The steps of a call; None where its arguments are no whole ones."""
    try:
        return _decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def only_look(actions: Iterable[Action]) -> bool:
    """Whether actions change nothing: to look and to wait needs nobody's leave."""
    return all(isinstance(action, Screenshot | Wait) for action in actions)
