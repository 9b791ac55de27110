"""The events of a Responses stream, as far as they are heard. Fields that are not named here are skipped undecoded."""

from __future__ import annotations

from typing import get_args

from msgspec import Raw, Struct

from antiphon.protocol.events import PhaseType

NONE = Raw(b"null")


class Head(Struct, frozen=True, gc=False):
    """Any event, or what is none: then there is no type."""

    type: str = ""


class Rival(Struct, frozen=True):
    """A token with its natural-log probability."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class Token(Rival, frozen=True):
    """A token that was said, with its rivals."""

    top_logprobs: list[Rival] | None = None


class Piece(Struct, frozen=True, gc=False):
    """A piece of what an item says; ``content_index``, ``summary_index`` or ``command_index`` tells its parts apart."""

    delta: str
    item_id: str = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    command_index: int | None = None
    logprobs: list[Token] | None = None


class ItemHead(Struct, frozen=True):
    """What is looked at in any item. What is open in items of other types is decoded where it is wanted."""

    type: str = ""
    id: str | None = None
    name: str | None = None
    status: object = None
    phase: object = None
    arguments: object = None
    input: object = None
    action: Raw = NONE
    actions: Raw = NONE
    operation: Raw = NONE
    pending_safety_checks: Raw = NONE


class Part(Struct, frozen=True):
    """A part of what was thought, or of its summary."""

    text: str = ""


class Pondered(Struct, frozen=True):
    """A reasoning item, whole."""

    summary: list[Part] | None = None
    content: list[Part] | None = None
    encrypted_content: str | None = None


class Whole(Struct, frozen=True):
    """The whole of what a call says."""

    item_id: str = ""
    output_index: int | None = None
    arguments: str | None = None
    input: str | None = None

    def as_item(self) -> ItemHead:
        """The same, as the item says it."""
        return ItemHead(arguments=self.arguments, input=self.input)


class Noted(Struct, frozen=True):
    """Something is cited in what was said last."""

    annotation: Raw


class Shown(Struct, frozen=True):
    """An item, at its beginning or its end."""

    item: Raw
    output_index: int | None = None


class Phase(Struct, frozen=True):
    """An item of a tool of the upstream's own goes on."""

    item_id: str = ""


class InputDetails(Struct, frozen=True):
    """How much of the input came from or went into a cache."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(Struct, frozen=True):
    """How much of the output was thought."""

    reasoning_tokens: int | None = None


class Spent(Struct, frozen=True):
    """Usage, in tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Reason(Struct, frozen=True):
    """Why a response ended early."""

    reason: str | None = None


class Final(Struct, frozen=True):
    """The response, as far as its end matters."""

    incomplete_details: Reason | None = None
    output: list[Raw] | None = None
    usage: Spent | None = None


class Ended(Struct, frozen=True):
    """The response has ended, well or early."""

    response: Final


class Failed(Struct, frozen=True):
    """The response has failed; ``response`` is the body of an error."""

    response: Raw


SHOWN = ("response.output_item.added", "response.output_item.done")
PIECES = (
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_text.delta",
    "response.reasoning.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
    "response.mcp_call_arguments.delta",
    "response.shell_call_command.delta",
    "response.apply_patch_call_operation_diff.delta",
)
WHOLES = ("response.function_call_arguments.done", "response.custom_tool_call_input.done")
ENDS = ("response.completed", "response.incomplete")
MCP_PHASES: dict[str, PhaseType] = {
    phase: phase
    for phase in get_args(PhaseType)
    if phase.startswith(("response.mcp_call.", "response.mcp_list_tools."))
}
