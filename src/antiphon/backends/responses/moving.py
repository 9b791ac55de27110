"""Hears calls of a computer: what is to be done there comes whole, with the upstream's own checks before it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from antiphon.backends import UpstreamError
from antiphon.backends.responses.shapes import without_nulls
from antiphon.core.actions import Steps, written
from antiphon.protocol.computer import Action, SafetyCheck

if TYPE_CHECKING:
    from antiphon.backends.responses.events import ItemHead, Piece

_decode_one = msgspec.json.Decoder(dict[str, object] | None).decode
_decode_list = msgspec.json.Decoder(list[dict[str, object]] | None).decode


class Moves:
    """The actions on a computer become ``{"actions": [...], "pending_safety_checks": [...]}``; one alone is a list."""

    def feed(self, piece: Piece) -> str:
        """Nothing: there are no fragments."""
        del piece
        return ""

    def end(self, item: ItemHead) -> str:
        """All of it. Raises `UpstreamError` where nothing is to be done, but for a call that was cut short."""
        actions = _actions(item)
        if actions:
            return written(Steps(actions, _checks(item)))
        if item.status == "incomplete":
            return ""
        raise UpstreamError("server_error", "The model used the computer without saying how.")


def _actions(item: ItemHead) -> list[Action]:
    """What is to be done, in whichever of the two forms it is said."""
    several, one = _decode_list(item.actions), _decode_one(item.action)
    return [_action(each) for each in several or ([] if one is None else [one])]


def _action(keys: dict[str, object]) -> Action:
    action: Action = msgspec.convert(without_nulls(keys), Action)  # an absent field may come as null
    return action


def _checks(item: ItemHead) -> list[SafetyCheck]:
    found = _decode_list(item.pending_safety_checks)
    return [msgspec.convert({"id": "", **without_nulls(each)}, SafetyCheck) for each in found or ()]
