"""What a model sees of a conversation that was summed up, and what of it is summed up.

A sealed summary is an item of its type, ``compaction``. Only the last one of a conversation counts. One that stands
alone brings all that is to be seen of what came before it: clients may drop that. One that does not (the answer of
``/responses/compact``) stands behind what the user said, word for word, and those messages stay.

The summary is shown as a message of the user's. Many chat templates know no instructions but at the beginning, and
small models follow what a user says best; the words before it say what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.core.cutting import SUMMARY, blocks, is_instruction, is_said, last_said, tie
from antiphon.core.estimate import weight
from antiphon.protocol.content import InputFile, InputImage, InputText
from antiphon.protocol.items import Compaction, FunctionCallOutput, Item, Message
from antiphon.protocol.refusals import invalid_encrypted_content

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from antiphon.core.turn import Turn
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.request import CreateResponse

SHARE_OF_WINDOW = 0.8
"""How full a window may become before what stands in it is summed up, where the request does not say."""

END = "[End of the summary.]"


class Summary(Struct, frozen=True):
    """What a compaction item holds: the text, and the items before it that are still shown as they are.

    ``stands_alone``: nothing else before it is seen; else what the user said is.
    """

    text: str
    stands_alone: bool = True
    kept: list[Item] = []


class Split(Struct, frozen=True):
    """A conversation in two: what is summed up, and what is still shown as it is. Both are in order."""

    old: list[Item]
    kept: list[Item]


def threshold(request: CreateResponse, window: int | None) -> int | None:
    """From how many tokens on a request wants its context summed up; None where it does not, or no window is known."""
    if not request.context_management:
        return None
    named = [rule.compact_threshold for rule in request.context_management if rule.compact_threshold is not None]
    if named:
        return min(named)
    return None if window is None else int(window * SHARE_OF_WINDOW)


def last_compaction(items: Sequence[Item]) -> Compaction | None:
    """The compaction that counts; None where there is none."""
    return next((item for item in reversed(items) if isinstance(item, Compaction)), None)


def unfolded(items: Sequence[Item], summaries: Mapping[str, Summary]) -> list[Item]:
    """The items as a model sees them: the last summary in words, in the place of what it sums up.

    ``summaries`` has it by the id of its item. Raises ``ApiError`` where it is not there.
    """
    compaction = last_compaction(items)
    if compaction is None:
        return list(items)
    if (summary := summaries.get(compaction.id)) is None:
        raise invalid_encrypted_content(compaction.id)
    at = next(index for index, item in enumerate(items) if item is compaction)
    before, after = items[:at], list(items[at + 1 :])
    said = summary.kept if summary.stands_alone else user_messages(before)
    first = [item for item in said if is_instruction(item) or not summary.stands_alone]
    rest = [item for item in said if not is_instruction(item) and summary.stands_alone]
    return [*first, told(summary.text, compaction.id), *rest, *_asked(before, rest, after), *after]


def _asked(before: Sequence[Item], shown: Sequence[Item], after: Sequence[Item]) -> list[Item]:
    """The calls from before that are answered only behind the compaction: none is torn from its output."""
    made = {tie(item) for item in (*shown, *after) if not _is_output(item)}
    answered = {tie(item) for item in after if _is_output(item)} - made - {None}
    return [item for item in before if tie(item) in answered and not _is_output(item)]


def _is_output(item: Item) -> bool:
    tag = str(item.__struct_config__.tag)
    return tag.endswith("_output") or tag == "mcp_approval_response"


def told(text: str, id: str) -> Message:
    """A summary as a model reads it, under the id of its item."""
    return Message(id=id, role="user", content=[InputText(text=f"{SUMMARY}\n\n{text}\n\n{END}")])


def user_messages(items: Iterable[Item]) -> list[Item]:
    """What the user said, word for word; a summary is no word of the user's."""
    return [item for item in items if is_said(item)]


def split(turn: Turn, room: float) -> Split:
    """What of a turn is summed up where a summary stands alone, and what is still shown.

    Shown are the instructions, the last thing that the user said, calls without an output, and what came last, as far
    as that fits into so many tokens. Of an earlier summary a new one is made.
    """
    groups = blocks(turn.items)
    said = last_said(turn.items)
    recent = _recent(groups, turn, room, said)
    old: list[Item] = []
    kept: list[Item] = []
    for index, group in enumerate(groups):
        is_kept = (
            index >= recent or _is_open(group, turn) or any(item is said or is_instruction(item) for item in group)
        )
        (kept if is_kept else old).extend(group)
    return Split(old, kept)


def _recent(groups: list[list[Item]], turn: Turn, room: float, said: Item | None) -> int:
    """The first of the last groups that fit, none of them older than what the user said last."""
    left = room
    for index in range(len(groups) - 1, -1, -1):
        left -= sum(weight(item, turn) for item in groups[index])
        if left < 0 or any(item is said for item in groups[index]):
            return index + 1
    return 0


def _is_open(group: list[Item], turn: Turn) -> bool:
    """Whether a call waits for its output."""
    answered = {tie(item) for item in group if _is_output(item)}
    calls = [item for item in group if tie(item) is not None and not _is_output(item)]
    return any(tie(call) not in answered and call.id not in turn.outputs for call in calls)


def without_sight(items: Iterable[Item]) -> list[Item]:
    """The items with words in the place of images and files, which would make a sealed summary too long."""
    return [_in_words(item) for item in items]


def _in_words(item: Item) -> Item:
    match item:
        case Message(content=parts):
            return Message(id=item.id, role=item.role, content=[_worded(part) for part in parts], status=item.status)
        case FunctionCallOutput(output=list(parts)):
            return FunctionCallOutput(id=item.id, call_id=item.call_id, output=[_seen(part) for part in parts])
        case _:
            return item


def _worded(part: MessagePart) -> MessagePart:
    match part:
        case InputImage() | InputFile():
            return _seen(part)
        case _:
            return part


def _seen(part: InputText | InputImage | InputFile) -> InputText:
    match part:
        case InputText():
            return part
        case InputImage():
            return InputText(text="[an image, which was shown before]")
        case _:
            return InputText(text="[a file, which was shown before]")
