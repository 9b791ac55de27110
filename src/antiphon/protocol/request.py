"""A request for a response: every parameter of ``POST /responses`` with its limits.

Nulls of the body's top level are dropped before it is read, so None and an empty list stand for "not said". String
input and shorthand items are written out before, too. Keys that are not named here are ignored. Source: Responses API
reference, sections 2 and 8.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from antiphon.protocol.content import LongText
from antiphon.protocol.items import Item
from antiphon.protocol.parts import Tagged
from antiphon.protocol.prompt import PromptConfig
from antiphon.protocol.response import AccessPrograms, ConversationRef, ImageSettings
from antiphon.protocol.settings import Reasoning, TextConfig
from antiphon.protocol.tools import Tool, ToolChoice

MAX_INTEGER = 2**31 - 1
"""The most that clients and servers of every language count."""

Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]
CacheRetention = Literal["in_memory", "in-memory", "24h"]

Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
StreamId = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[a-zA-Z0-9_.-]+\Z")]
Penalty = Annotated[float, Meta(ge=-2, le=2)]


class BackgroundOptions(Struct, frozen=True, kw_only=True):
    """How soon a background run must end, and which runs belong together."""

    completion_window: Literal["soonest", "2h", "8h"] | None = None
    continuation_id: str | None = None


class StreamOptions(Struct, frozen=True, kw_only=True):
    """Whether deltas are padded to hide how long they are."""

    include_obfuscation: bool | None = None


class CompactionRule(Tagged, frozen=True, kw_only=True, tag="compaction"):
    """Compact the context once it is longer than so many tokens."""

    compact_threshold: Annotated[int, Meta(ge=1000)] | None = None


class ModerationMode(Struct, frozen=True, kw_only=True):
    """Whether what is found is only scored, or blocked."""

    mode: Literal["score", "block"]


class ModerationPolicy(Struct, frozen=True, kw_only=True):
    """What happens to the input and to the output."""

    input: ModerationMode | None = None
    output: ModerationMode | None = None


class ModerationConfig(Struct, frozen=True, kw_only=True):
    """Which model moderates, and by what policy."""

    model: str
    policy: ModerationPolicy | None = None


class CacheRequest(Struct, frozen=True, kw_only=True):
    """Hints for the prompt cache; ``prewarm`` fills it and generates nothing."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None
    prewarm: bool | None = None
    comparison_response_id: str | None = None


class CreateResponse(Struct, frozen=True, kw_only=True):
    """What a caller asks for. ``generate`` and ``stream_id`` are for WebSocket connections alone."""

    model: str | None = None
    input: list[Item] = []
    instructions: LongText | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationRef | None = None
    prompt: PromptConfig | None = None
    store: bool | None = None
    background: bool | None = None
    background_options: BackgroundOptions | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stream_id: StreamId | None = None
    generate: bool | None = None
    include: list[Include] = []
    max_output_tokens: Annotated[int, Meta(ge=16, le=MAX_INTEGER)] | None = None
    max_tool_calls: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None = None
    parallel_tool_calls: bool | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] = []
    tool_choice: ToolChoice | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    truncation: Literal["auto", "disabled"] | None = None
    context_management: Annotated[list[CompactionRule], Meta(min_length=1)] | None = None
    metadata: Metadata = {}
    user: str | None = None
    safety_identifier: Annotated[str, Meta(max_length=128)] | None = None
    service_tier: ServiceTier | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=64)] | None = None
    prompt_cache_retention: CacheRetention | None = None
    prompt_cache_options: CacheRequest | None = None
    moderation: ModerationConfig | None = None
    image: ImageSettings | None = None
    access_programs: AccessPrograms | None = None
