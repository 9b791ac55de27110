"""The transcript: what a model sees of a conversation, made of what was kept and of what the request adds.

Order is kept, with one exception: the outputs of a group of calls follow it at once, as models expect them, even where
the client said something in between. Instructions are no items and are not carried from one response to the next.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, TypeGuard, get_args

from msgspec import UNSET, Struct

from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    FileSearchCall,
    ImageGenerationCall,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from antiphon.protocol.computer import ComputerCall, ComputerCallOutput
from antiphon.protocol.errors import ApiError, invalid_request
from antiphon.protocol.items import (
    Compaction,
    CompactionTrigger,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Message,
    ReasoningItem,
)
from antiphon.protocol.refusals import (
    invalid_encrypted_content,
    item_not_found,
    no_call_for_output,
    no_output_for_call,
    unacknowledged,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ClientCall = FunctionCall | CustomToolCall | ComputerCall | LocalShellCall | ShellCall | ApplyPatchCall | ToolSearchCall
ClientOutput = (
    FunctionCallOutput
    | CustomToolCallOutput
    | ComputerCallOutput
    | LocalShellCallOutput
    | ShellCallOutput
    | ApplyPatchCallOutput
    | ToolSearchOutput
)

CALLS: frozenset[type] = frozenset(get_args(ClientCall))
OUTPUTS: frozenset[type] = frozenset(get_args(ClientOutput))
"""Those of a search for tools are the client's only where it made the search."""
SPOKEN: frozenset[type] = CALLS | {
    ReasoningItem,
    FileSearchCall,
    WebSearchCall,
    ImageGenerationCall,
    CodeInterpreterCall,
    McpCall,
    McpApprovalRequest,
}
"""What a model makes, messages apart: thoughts and calls."""


class Said(Struct, frozen=True):
    """An item that a request adds, and its position in the request's input."""

    position: int
    item: Item


def added(history: list[Item], said: list[Item], kept: Mapping[str, Item]) -> list[Said]:
    """What a request adds to its history: references resolved, and nothing twice that the history has already.

    ``kept`` holds the items that the store knows, by id. Raises ``ApiError`` where a reference leads nowhere.
    """
    known: dict[str, list[Item]] = {}
    for item in history:
        known.setdefault(item.id, []).append(item)
    fresh: list[Said] = []
    for position, item in enumerate(said):
        if item.id and any(_says_again(item, before) for before in known.get(item.id, [])):
            continue
        if not is_reference(item):
            fresh.append(Said(position, item))
        elif item.id in kept:
            fresh.append(Said(position, kept[item.id]))
        else:
            raise item_not_found(item.id)
    return fresh


def is_reference(item: Item) -> bool:
    """Whether an item only names one that the server knows: so clients point at a drawing too, to have it changed."""
    if isinstance(item, ImageGenerationCall):
        return item.status == "completed" and not item.result
    return isinstance(item, ItemReference)


def _says_again(item: Item, before: Item) -> bool:
    """Whether an item is the one before that has its id: clients may give an id of theirs to something new."""
    match item, before:
        case ItemReference(), _:
            return True
        case Message(role="user" | "developer" | "system"), Message():
            return (item.role, item.content) == (before.role, before.content)
        case (
            FunctionCall() | CustomToolCall() | FunctionCallOutput() | CustomToolCallOutput(),
            FunctionCall() | CustomToolCall() | FunctionCallOutput() | CustomToolCallOutput(),
        ):
            return item.call_id == before.call_id and type(item) is type(before)
        case (
            McpApprovalRequest() | McpApprovalResponse(),
            McpApprovalRequest() | McpApprovalResponse(),
        ):  # one that was changed is another
            return item == before
        case _:  # what the model said: clients send it back with less in it
            return type(item) is type(before)


def transcript(items: list[Item]) -> list[Item]:
    """The items that a model is shown, oldest first, each call with its output.

    A call that was cut short and never answered is left out, and so are what was broken off, and thoughts that led to
    nothing before the user spoke again. Raises ``ApiError`` for a call without output, an output without call, a call
    id that stands twice, and a sealed item that no key of this server opens.
    """
    outputs = _outputs(items)
    shown: list[Item] = []
    group: list[ClientCall] = []
    for item in _not_broken_off(items):
        if not _is_call(item):
            if group:
                shown += _with_outputs(group, outputs)
                group = []
            shown += _shown(item)
        elif _called(item) in outputs:
            group.append(item)
        elif not _may_lack_output(item):
            raise no_output_for_call(_called(item), kind=_kind(item))
    return _with_what_thoughts_led_to(shown + _with_outputs(group, outputs))


def _may_lack_output(call: ClientCall) -> bool:
    """Whether a call was cut short, so that nobody ran it. A patch that was has no better word than ``in_progress``."""
    return call.status == ("in_progress" if isinstance(call, ApplyPatchCall) else "incomplete")


def _with_what_thoughts_led_to(items: list[Item]) -> list[Item]:
    """Without the thoughts that a caller's message follows: a turn was stopped there, and upstreams refuse them."""
    kept: list[Item] = []
    for item in reversed(items):
        leads_nowhere = bool(kept) and isinstance(kept[-1], Message) and kept[-1].role != "assistant"
        if not (isinstance(item, ReasoningItem) and leads_nowhere):
            kept.append(item)
    return kept[::-1]


def _not_broken_off(items: list[Item]) -> list[Item]:
    """Without the prose that was broken off and said anew: what a limit cuts short is the last of its response."""
    return [
        item
        for item, following in zip_longest(items, items[1:])
        if not (_is_cut_short(item) and following is not None and is_spoken(following))
    ]


def _is_cut_short(item: Item) -> bool:
    if isinstance(item, Message):
        return item.status == "incomplete" and item.role == "assistant"
    return isinstance(item, ReasoningItem) and item.status == "incomplete"


def is_spoken(item: Item) -> bool:
    """Whether a model makes such an item."""
    match item:
        case Message():
            return item.role == "assistant"
        case _:
            return type(item) in SPOKEN


def _outputs(items: list[Item]) -> dict[str, ClientOutput]:
    """The outputs by call id, each after its call. Kinds need not match: a client may answer any call as a function."""
    called: dict[str, ClientCall] = {}
    outputs: dict[str, ClientOutput] = {}
    for item in items:
        if _is_call(item):
            call_id = _called(item)
            if call_id in called:
                raise _twice(call_id)
            called[call_id] = item
        elif _is_output(item):
            call_id = _answered(item)
            if call_id not in called:
                raise no_call_for_output(call_id, kind=_kind(item))
            if call_id in outputs:
                raise _twice(call_id)
            _expect_leave(called[call_id], item)
            outputs[call_id] = item
    return outputs


def _expect_leave(call: ClientCall, output: ClientOutput) -> None:
    """What was to be asked of a person before a computer was moved must have been asked."""
    if not isinstance(call, ComputerCall) or not call.pending_safety_checks:
        return
    given = output.acknowledged_safety_checks if isinstance(output, ComputerCallOutput) else UNSET
    acknowledged = {check.id for check in given or []}
    missing = [check.id for check in call.pending_safety_checks if check.id not in acknowledged]
    if missing:
        raise unacknowledged(missing)


def _is_call(item: Item) -> TypeGuard[ClientCall]:
    if isinstance(item, ToolSearchCall):
        return item.execution == "client" and item.call_id is not None
    return type(item) in CALLS


def _is_output(item: Item) -> TypeGuard[ClientOutput]:
    if isinstance(item, ToolSearchOutput):
        return item.execution == "client" and item.call_id is not None
    return type(item) in OUTPUTS


def _called(call: ClientCall) -> str:
    return call.call_id or call.id


def _answered(output: ClientOutput) -> str:
    """The call that an output answers; that of a local shell may name it by its own id alone."""
    return output.call_id if isinstance(output.call_id, str) else output.id


def _with_outputs(group: list[ClientCall], outputs: Mapping[str, ClientOutput]) -> list[Item]:
    return [*group, *(outputs[_called(call)] for call in group)]


def _shown(item: Item) -> list[Item]:
    match item:
        case CompactionTrigger():
            return []
        case Compaction():
            raise invalid_encrypted_content(item.id)
        case _:
            return [] if _is_output(item) else [item]


def _kind(item: ClientCall | ClientOutput) -> str:
    """What the error calls a call: ``function``, ``custom tool``, ``local shell``, ``computer`` ..."""
    words = str(item.__struct_config__.tag).removesuffix("_output").removesuffix("_call")
    return words.replace("_", " ")


def _twice(call_id: str) -> ApiError:
    return invalid_request(f"Duplicate call_id: '{call_id}' stands more than once in the conversation.", param="input")
