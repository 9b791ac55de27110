"""What the public Open Responses suite accepts of an answer, as types: narrower than the official client's.

Unknown keys pass; unknown items, tools and events do not, and what may be left out may not be null.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

Phase: TypeAlias = Literal["commentary", "final_answer"]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]
Effort: TypeAlias = Literal["none", "low", "medium", "high", "xhigh"]


class UrlCitation(Struct, frozen=True, tag="url_citation"):
    """The only annotation."""

    url: str
    start_index: int
    end_index: int
    title: str


class OutputText(Struct, frozen=True, tag="output_text"):
    """Text."""

    text: str
    annotations: list[UrlCitation]
    logprobs: list[Raw] | UnsetType = UNSET


class Refusal(Struct, frozen=True, tag="refusal"):
    """A refusal."""

    refusal: str


class Summary(Struct, frozen=True, tag="summary_text"):
    """A part of a summary."""

    text: str


class ReasoningText(Struct, frozen=True, tag="reasoning_text"):
    """A raw thought."""

    text: str


Part: TypeAlias = OutputText | Refusal | Summary | ReasoningText


class Message(Struct, frozen=True, tag="message"):
    """A message."""

    id: str
    status: Status
    role: str
    content: list[Part]
    phase: Phase | UnsetType = UNSET


class FunctionCall(Struct, frozen=True, tag="function_call"):
    """A call."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: Status


class FunctionCallOutput(Struct, frozen=True, tag="function_call_output"):
    """What a call gave."""

    id: str
    call_id: str
    output: Raw
    status: Status


class Reasoning(Struct, frozen=True, tag="reasoning"):
    """A thought."""

    id: str
    summary: list[Part]
    content: list[Part] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET


class Compaction(Struct, frozen=True, tag="compaction"):
    """A history made shorter."""

    id: str
    encrypted_content: str


Item: TypeAlias = Message | FunctionCall | FunctionCallOutput | Reasoning | Compaction


class Function(Struct, frozen=True, tag="function"):
    """The only tool."""

    name: str
    description: str | None
    parameters: dict[str, Raw] | None
    strict: bool | None


class NamedFunction(Struct, frozen=True, tag="function"):
    """A function that must be called."""

    name: str


class Allowed(Struct, frozen=True, tag="allowed_tools"):
    """Functions that may be called."""

    tools: list[Raw]
    mode: Literal["none", "auto", "required"]


class Thinking(Struct, frozen=True):
    """How the model thinks."""

    effort: Effort | None
    summary: Literal["auto", "concise", "detailed"] | None  # in the order of ours: Python keeps one of equal unions


class Cached(Struct, frozen=True):
    """What was not read anew."""

    cached_tokens: int


class Thought(Struct, frozen=True):
    """What was not said."""

    reasoning_tokens: int


class Usage(Struct, frozen=True):
    """What it cost."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: Cached
    output_tokens_details: Thought


class Incomplete(Struct, frozen=True):
    """Why it ended early."""

    reason: str


class Fault(Struct, frozen=True):
    """Why it failed."""

    code: str
    message: str


class Text(Struct, frozen=True):
    """In which form the model speaks."""

    format: Raw


class Response(Struct, frozen=True):
    """A response. Every key is required; numbers may not be null."""

    id: str
    created_at: int
    completed_at: int | None
    status: str
    incomplete_details: Incomplete | None
    model: str
    previous_response_id: str | None
    instructions: str | None
    output: list[Item]
    error: Fault | None
    tools: list[Function]
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | Allowed
    truncation: Literal["auto", "disabled"]
    parallel_tool_calls: bool
    text: Text
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    temperature: float
    reasoning: Thinking | None
    usage: Usage | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    store: bool
    background: bool
    service_tier: str
    safety_identifier: str | None
    prompt_cache_key: str | None


class Event(Struct, frozen=True, kw_only=True):
    """Any event."""

    sequence_number: int


class Snapshot(Event, frozen=True, kw_only=True):
    """The whole response."""

    response: Response


class OfItem(Event, frozen=True, kw_only=True):
    """A whole item."""

    output_index: int
    item: Item


class Inside(Event, frozen=True, kw_only=True):
    """Something inside of an item."""

    item_id: str
    output_index: int
    content_index: int | UnsetType = UNSET
    summary_index: int | UnsetType = UNSET


class OfPart(Inside, frozen=True, kw_only=True):
    """A whole part."""

    part: Part


class Delta(Inside, frozen=True, kw_only=True):
    """A piece."""

    delta: str
    logprobs: list[Raw] | UnsetType = UNSET


class Whole(Inside, frozen=True, kw_only=True):
    """A whole text."""

    text: str
    logprobs: list[Raw] | UnsetType = UNSET


class Refused(Inside, frozen=True, kw_only=True):
    """A whole refusal."""

    refusal: str


class Annotated(Inside, frozen=True, kw_only=True):
    """A citation."""

    annotation_index: int
    annotation: UrlCitation | None


class Called(Inside, frozen=True, kw_only=True):
    """All arguments of a call."""

    arguments: str


class Failed(Event, frozen=True, kw_only=True):
    """An error, nested."""

    error: Fault


EVENTS: dict[str, type[Event]] = {
    "response.created": Snapshot,
    "response.queued": Snapshot,
    "response.in_progress": Snapshot,
    "response.completed": Snapshot,
    "response.failed": Snapshot,
    "response.incomplete": Snapshot,
    "response.output_item.added": OfItem,
    "response.output_item.done": OfItem,
    "response.content_part.added": OfPart,
    "response.content_part.done": OfPart,
    "response.reasoning_summary_part.added": OfPart,
    "response.reasoning_summary_part.done": OfPart,
    "response.output_text.delta": Delta,
    "response.refusal.delta": Delta,
    "response.reasoning.delta": Delta,
    "response.reasoning_summary_text.delta": Delta,
    "response.function_call_arguments.delta": Delta,
    "response.output_text.done": Whole,
    "response.reasoning.done": Whole,
    "response.reasoning_summary_text.done": Whole,
    "response.refusal.done": Refused,
    "response.output_text.annotation.added": Annotated,
    "response.function_call_arguments.done": Called,
    "error": Failed,
}
"""All 24 events."""


def read_response(body: bytes) -> Response:
    """Read a response. Raises `msgspec.ValidationError` where the suite would refuse it."""
    return msgspec.json.decode(body, type=Response)


def read_event(name: str, body: bytes) -> Event:
    """Read an event. Raises `msgspec.ValidationError` where the suite would refuse it."""
    if name not in EVENTS:
        raise msgspec.ValidationError(f"the suite knows no {name}")
    return msgspec.json.decode(body, type=EVENTS[name])
