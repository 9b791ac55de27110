"""The response: the resource that a request makes, and the sum of its events."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from antiphon.protocol.items import Item, OutputItem
from antiphon.protocol.parts import Tagged
from antiphon.protocol.prompt import PromptConfig
from antiphon.protocol.settings import Reasoning, TextConfig
from antiphon.protocol.tools import Tool, ToolChoice

Status = Literal["queued", "in_progress", "completed", "failed", "incomplete", "cancelled"]
IncompleteReason = Literal["max_output_tokens", "max_messages", "content_filter", "steered"]


class CacheWriteTokens(Struct, frozen=True, kw_only=True):
    """Tokens written to a cache, by how long they stay there."""

    ttl_30m_tokens: int = 0
    ttl_12h_tokens: int = 0


class InputTokens(Struct, frozen=True, kw_only=True):
    """Which of the input tokens came from or went into a cache."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_tokens_details: CacheWriteTokens | UnsetType = UNSET


class OutputTokens(Struct, frozen=True, kw_only=True):
    """How many of the output tokens were spent on thinking."""

    reasoning_tokens: int = 0


class Usage(Struct, frozen=True, kw_only=True):
    """What a response cost, in tokens, the whole chain's input included."""

    input_tokens: int
    input_tokens_details: InputTokens = InputTokens()
    output_tokens: int
    output_tokens_details: OutputTokens = OutputTokens()
    total_tokens: int


class ImageTokens(Struct, frozen=True, kw_only=True):
    """Tokens of an image tool, by kind."""

    image_tokens: int = 0
    text_tokens: int = 0


class CachedImageTokens(Struct, frozen=True, kw_only=True):
    """Cached tokens of an image tool, by kind."""

    cached_image_tokens: int = 0
    cached_text_tokens: int = 0


class ImageToolUsage(Struct, frozen=True, kw_only=True):
    """What made images cost, in tokens."""

    input_tokens: int = 0
    input_tokens_details: ImageTokens = ImageTokens()
    output_tokens: int = 0
    output_tokens_details: ImageTokens = ImageTokens()
    total_tokens: int = 0
    cached_tokens: int | UnsetType = UNSET
    cached_tokens_details: CachedImageTokens | UnsetType = UNSET


class WebSearchUsage(Struct, frozen=True, kw_only=True):
    """How many searches were asked."""

    num_requests: int = 0


class ToolUsage(Struct, frozen=True, kw_only=True):
    """What hosted tools cost."""

    image_gen: ImageToolUsage = ImageToolUsage()
    web_search: WebSearchUsage = WebSearchUsage()


class MisalignmentSteer(Struct, frozen=True, kw_only=True):
    """What may be said to the model to set it right."""

    message: str


class Misalignment(Struct, frozen=True, kw_only=True):
    """Why a policy stopped a response."""

    detailed_explanation: str | UnsetType = UNSET
    error_type: str | UnsetType = UNSET
    review_target: str | UnsetType = UNSET
    steer: MisalignmentSteer | UnsetType = UNSET


class ResponseError(Struct, frozen=True, kw_only=True):
    """Why a response failed. ``type`` is sent because a widely used client refuses an error without it."""

    code: str
    message: str
    type: str = "server_error"
    param: str | None = None
    misalignment: Misalignment | UnsetType = UNSET


class IncompleteDetails(Struct, frozen=True, kw_only=True):
    """Why a response ended early."""

    reason: IncompleteReason


class ConversationRef(Struct, frozen=True, kw_only=True):
    """The conversation that a response belongs to."""

    id: str


class ImageSettings(Struct, frozen=True, kw_only=True):
    """How images in the input are kept."""

    context_compression: Literal["auto", "enabled", "disabled"] = "auto"


class AccessPrograms(Struct, frozen=True, kw_only=True):
    """Programs that the caller takes part in."""

    cyber: Literal["standard", "daybreak_blue", "daybreak_red"]


class InputTransformation(Tagged, frozen=True, kw_only=True, tag="reasoning"):
    """A reasoning item that was taken out of the input, and why."""

    id: str
    action: Literal["removed"] = "removed"
    reason: Literal["organization_mismatch", "end_user_mismatch", "model_mismatch", "prefix_mismatch", "turn_boundary"]


class ModerationResult(Tagged, frozen=True, kw_only=True, tag="moderation_result"):
    """What a moderation model found; scores lie between 0 and 1."""

    model: str
    flagged: bool
    categories: dict[str, bool] = {}
    category_scores: dict[str, float] = {}
    category_applied_input_types: dict[str, list[Literal["text", "image"]]] = {}


class ModerationError(Tagged, frozen=True, kw_only=True, tag="error"):
    """Why nothing was moderated."""

    code: str
    message: str


class ModerationReport(Struct, frozen=True, kw_only=True):
    """What moderation said of the input and of the output."""

    input: ModerationResult | ModerationError
    output: ModerationResult | ModerationError


class CacheMiss(Tagged, frozen=True, kw_only=True, tag="cache_miss"):
    """Nothing could be taken from the cache, and what changed."""

    cache_missed_tokens: int
    reason: str
    comparison_reusable_tokens: int | UnsetType = UNSET


class CacheHit(Tagged, frozen=True, kw_only=True, tag="cache_hit"):
    """The prefix came from the cache."""


class ComparisonNotFound(Tagged, frozen=True, kw_only=True, tag="comparison_response_not_found"):
    """There is no response to compare with."""


class CacheUnavailable(Tagged, frozen=True, kw_only=True, tag="unavailable"):
    """Nothing is known of the cache."""


class CacheOptions(Struct, frozen=True, kw_only=True):
    """How the prompt cache was used."""

    mode: Literal["implicit", "explicit"] = "implicit"
    ttl: Literal["30m", "12h"] = "30m"
    comparison_response_id: str | UnsetType = UNSET


class FilterVerdict(Struct, frozen=True, kw_only=True):
    """What a content filter said of one category."""

    filtered: bool
    severity: Literal["safe", "low", "medium", "high"] | UnsetType = UNSET
    detected: bool | UnsetType = UNSET


class ContentFilter(Struct, frozen=True, kw_only=True):
    """Azure: what the content filter found in the prompt or in the completion."""

    blocked: bool
    source_type: Literal["prompt", "completion"]
    content_filter_raw: list[str] | None = None
    content_filter_results: dict[str, FilterVerdict] = {}
    content_filter_offsets: dict[str, int] = {}


class Response(Struct, frozen=True, kw_only=True):
    """The resource, in the key order of the live service. Times are unix seconds.

    A key that is ``UNSET`` is present only where it is used; every other key is always sent.
    """

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    background: bool = False
    completed_at: int | None = None
    content_filters: list[ContentFilter] | UnsetType | None = UNSET
    conversation: ConversationRef | UnsetType = UNSET
    error: ResponseError | None = None
    frequency_penalty: float = 0.0
    incomplete_details: IncompleteDetails | None = None
    instructions: str | list[Item] | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    model: str
    moderation: ModerationReport | None = None
    output: list[OutputItem] = []
    parallel_tool_calls: bool = True
    presence_penalty: float = 0.0
    previous_response_id: str | None = None
    prompt: PromptConfig | UnsetType = UNSET
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | UnsetType = UNSET
    prompt_cache_diagnostics: CacheMiss | CacheHit | ComparisonNotFound | CacheUnavailable | UnsetType = UNSET
    prompt_cache_retention: str | None = "in_memory"
    reasoning: Reasoning = Reasoning()
    safety_identifier: str | None = None
    service_tier: str = "auto"
    store: bool = True
    temperature: float = 1.0
    text: TextConfig = TextConfig()
    tool_choice: ToolChoice = "auto"
    tools: list[Tool] = []
    tool_usage: ToolUsage = ToolUsage()
    top_logprobs: int = 0
    top_p: float = 1.0
    truncation: Literal["auto", "disabled"] = "disabled"
    usage: Usage | None = None
    user: str | None = None
    metadata: dict[str, str] = {}
    image: ImageSettings | UnsetType = UNSET
    access_programs: AccessPrograms | UnsetType = UNSET
    input_transformations: list[InputTransformation] | UnsetType = UNSET
