"""The body of a request to the Responses API, as far as it is ever sent. A key that is ``UNSET`` is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from antiphon.backends.upstream.hints import CacheWish
from antiphon.core.turn import Output
from antiphon.protocol.calls import McpApprovalRequest, McpCall, McpListTools
from antiphon.protocol.content import MessagePart, ReasoningText, SummaryText
from antiphon.protocol.items import Role

Bare = dict[str, object]
"""A struct of ours without its nulls, which upstreams refuse in many places."""


def without_nulls(keys: Mapping[str, object]) -> Bare:
    """The same without the nulls right in it."""
    return {key: value for key, value in keys.items() if value is not None}


Content = str | list[MessagePart]
"""A message as its text, or in parts."""


class Said(Struct, frozen=True, tag_field="type", tag="message"):
    """What somebody said."""

    role: Role
    content: Content
    phase: str | UnsetType = UNSET


class Called(Struct, frozen=True, tag_field="type", tag="function_call"):
    """A call that the model made."""

    call_id: str
    name: str
    arguments: str


class Answered(Struct, frozen=True, tag_field="type", tag="function_call_output"):
    """What came of a call."""

    call_id: str
    output: Output


class Pondered(Struct, frozen=True, tag_field="type", tag="reasoning"):
    """What the model thought, in a form that only its maker opens, or in plain text (which is told with an ``id``)."""

    summary: list[SummaryText]
    encrypted_content: str | UnsetType = UNSET
    content: list[ReasoningText] | UnsetType = UNSET
    id: str | UnsetType = UNSET


class Approval(Struct, frozen=True, tag_field="type", tag="mcp_approval_response"):
    """A person's answer to a request of the upstream's."""

    approval_request_id: str
    approve: bool
    reason: str | UnsetType = UNSET


Item = Said | Called | Answered | Pondered | McpListTools | McpCall | McpApprovalRequest | Approval


class Function(Struct, frozen=True, tag_field="type", tag="function"):
    """A function that the model may call. Without ``strict`` the upstream would make it strict."""

    name: str
    parameters: Raw
    strict: bool
    description: str | UnsetType = UNSET


class Server(Struct, frozen=True, tag_field="type", tag="mcp"):
    """All tools of an MCP server."""

    server_label: str


class Allowed(Struct, frozen=True, tag_field="type", tag="allowed_tools"):
    """The only tools that may be called."""

    mode: Literal["auto", "required"]
    tools: Sequence[Server | Bare]


ToolChoice = Literal["none", "required"] | Allowed | Bare
"""One tool is demanded by its type, and by its name if it has one."""


class Text(Struct, frozen=True):
    """The form of the text."""

    format: Bare | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET


class Prompt(Struct, frozen=True, kw_only=True):
    """What a model reads, and all that its tokens are counted of."""

    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    input: list[Item | Bare]
    tools: list[Function | Bare] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    text: Text | UnsetType = UNSET
    reasoning: Bare | UnsetType = UNSET


class Request(Prompt, frozen=True, kw_only=True):
    """The whole body. Nothing is kept by the upstream: it is told everything, every time."""

    stream: bool = True
    store: bool = False
    truncation: Literal["auto"] | UnsetType = UNSET
    include: list[str] | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET
    user: str | UnsetType = UNSET
    safety_identifier: str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    prompt_cache_key: str | UnsetType = UNSET
    prompt_cache_retention: str | UnsetType = UNSET
    prompt_cache_options: CacheWish | UnsetType = UNSET
