"""What may be left out of a turn that is too long: screenshots, and whole groups of items, the oldest first.

A call stays with its output and a thought with what it led to. Instructions, a summary of what was said before, the
last thing that the user said and the last group are never left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.core.estimate import weight
from antiphon.core.screen import in_words, old_screens
from antiphon.protocol.calls import LocalShellCallOutput, McpApprovalRequest, McpApprovalResponse
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Message, ReasoningItem, answered, called

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.turn import Turn
    from antiphon.protocol.items import Item

SUMMARY = (
    "[Summary of the earlier conversation, which is not shown any more. You wrote it yourself to be able to go on. It "
    "also covers what has been done for the request below, if there is one.]"
)
"""What a message begins with that is a summary, and no word of the user's."""


def tie(item: Item) -> str | None:
    """What a call and its output have in common: the id of the call; None for an item that is neither."""
    match item:
        case McpApprovalRequest(id=id) | McpApprovalResponse(approval_request_id=id):
            return id
        case LocalShellCallOutput(id=id) if not isinstance(item.call_id, str):
            return id
        case _:
            call = called(item)
            return answered(item) if call is None else call


def blocks(items: Sequence[Item]) -> list[list[Item]]:
    """The items in the smallest groups that may be told apart, in order; joined they are the items again."""
    last = {key: index for index, item in enumerate(items) if (key := tie(item)) is not None}
    groups: list[list[Item]] = []
    end = -1  # of the group that is being filled
    for index, item in enumerate(items):
        if index > end:
            groups.append([])
        groups[-1].append(item)
        key = tie(item)
        following = index + isinstance(item, ReasoningItem)
        end = max(end, index, following, index if key is None else last[key])
    return groups


def is_instruction(item: Item) -> bool:
    """Whether an item tells the model how to behave."""
    return isinstance(item, Message) and item.role in {"system", "developer"}


def is_summary(item: Item) -> bool:
    """Whether an item tells what was said before."""
    match item:
        case Message(role="user", content=[InputText(text=text)]):
            return text.startswith(SUMMARY)
        case _:
            return False


def is_said(item: Item) -> bool:
    """Whether an item is what the user said."""
    return isinstance(item, Message) and item.role == "user" and not is_summary(item)


def last_said(items: Sequence[Item]) -> Item | None:
    """The last thing that the user said; None where the user said nothing."""
    return next((item for item in reversed(items) if is_said(item)), None)


def without_old_screens(turn: Turn, excess: float) -> Turn:
    """The turn with its oldest screenshots told in words, as many as cost ``excess`` tokens; the last one stays."""
    old: set[str] = set()
    gone = 0.0
    for output in old_screens(turn.items, 1):
        if gone < excess:
            gone += weight(output, turn)
            old.add(output.call_id)
    return replace(turn, items=in_words(turn.items, old)) if old else turn


def with_fewer_screens(turn: Turn, share: float) -> Turn:
    """The turn without the oldest ``share`` (0 to 1) of its screenshots, in tokens; the same where there is but one."""
    most = sum(weight(output, turn) for output in old_screens(turn.items, 1))
    return without_old_screens(turn, most * share) if most else turn


def shortened(turn: Turn, excess: float) -> Turn:
    """The turn without its oldest groups, as many as cost ``excess`` tokens; with all that may not be left out."""
    groups = blocks(turn.items)
    spared = _spared(turn, groups)
    kept: list[Item] = []
    gone = 0.0
    for group, is_spared in zip(groups, spared, strict=True):
        if is_spared or gone >= excess:
            kept += group
        else:
            gone += sum(weight(item, turn) for item in group)
    return turn if len(kept) == len(turn.items) else replace(turn, items=kept)


def dropped(turn: Turn, share: float) -> Turn:
    """The turn without the oldest ``share`` (0 to 1) of what may be left out, in tokens, but one group at least.

    It is the same turn where nothing may be left out.
    """
    groups = blocks(turn.items)
    spare = [group for group, is_spared in zip(groups, _spared(turn, groups), strict=True) if not is_spared]
    most = sum(weight(item, turn) for group in spare for item in group)
    return shortened(turn, max(most * share, 1e-9))  # what costs nothing goes with what stands behind it


def _spared(turn: Turn, groups: list[list[Item]]) -> list[bool]:
    said = last_said(turn.items)
    return [
        group is groups[-1] or any(item is said or is_instruction(item) or is_summary(item) for item in group)
        for group in groups
    ]
