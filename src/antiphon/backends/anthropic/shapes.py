"""The body of a request to the Messages API, as far as it is ever sent. A key that is ``UNSET`` is left out."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from antiphon.protocol.parts import Json


class Cache(Struct, frozen=True, tag_field="type", tag="ephemeral"):
    """A prompt up to here is worth keeping: for five minutes, or for the time that is named."""

    ttl: Literal["1h"] | UnsetType = UNSET


class Base64(Struct, frozen=True, tag_field="type", tag="base64", rename={"content": "data"}):
    """Content right here."""

    media_type: str
    content: str


class Url(Struct, frozen=True, tag_field="type", tag="url"):
    """Content that the upstream fetches."""

    url: str


class Plain(Struct, frozen=True, tag_field="type", tag="text", rename={"content": "data"}):
    """The content of a text file."""

    content: str
    media_type: str = "text/plain"


class Text(Struct, frozen=True, tag_field="type", tag="text"):
    """Words."""

    text: str
    cache_control: Cache | UnsetType = UNSET


class Image(Struct, frozen=True, tag_field="type", tag="image"):
    """An image."""

    source: Base64 | Url
    cache_control: Cache | UnsetType = UNSET


class Document(Struct, frozen=True, tag_field="type", tag="document"):
    """A document, with its name."""

    source: Base64 | Url | Plain
    title: str | UnsetType = UNSET
    cache_control: Cache | UnsetType = UNSET


class ToolResult(Struct, frozen=True, tag_field="type", tag="tool_result"):
    """What came of a call."""

    tool_use_id: str
    content: Content
    cache_control: Cache | UnsetType = UNSET


class ToolUse(Struct, frozen=True, tag_field="type", tag="tool_use"):
    """A call that the model made."""

    id: str
    name: str
    input: Raw


class Thought(Struct, frozen=True, tag_field="type", tag="thinking"):
    """What the model thought, signed by the upstream."""

    thinking: str
    signature: str


class Redacted(Struct, frozen=True, tag_field="type", tag="redacted_thinking", rename={"content": "data"}):
    """What the model thought, in a form that only the upstream reads."""

    content: str


Shown = Text | Image | Document
Content = str | list[Shown]
Asked = Text | Image | Document | ToolResult
Kept = Thought | Redacted
Said = Text | ToolUse | Kept


class User(Struct, frozen=True, tag_field="role", tag="user"):
    """What a person said or showed, and what came of calls: that stands first."""

    content: list[Asked]


class Assistant(Struct, frozen=True, tag_field="role", tag="assistant"):
    """What the model thought, said and called in one go."""

    content: list[Said]


Message = User | Assistant


class Tool(Struct, frozen=True):
    """A function that the model may call."""

    name: str
    input_schema: Raw
    description: str | UnsetType = UNSET
    cache_control: Cache | UnsetType = UNSET


class Auto(Struct, frozen=True, tag_field="type", tag="auto"):
    """The model decides whether to call."""

    disable_parallel_tool_use: Literal[True] | UnsetType = UNSET


class Some(Struct, frozen=True, tag_field="type", tag="any"):
    """The model must call."""

    disable_parallel_tool_use: Literal[True] | UnsetType = UNSET


class Named(Struct, frozen=True, tag_field="type", tag="tool"):
    """The model must call this."""

    name: str
    disable_parallel_tool_use: Literal[True] | UnsetType = UNSET


class Never(Struct, frozen=True, tag_field="type", tag="none"):
    """The model may not call."""


ToolChoice = Auto | Some | Named | Never


class Adaptive(Struct, frozen=True, tag_field="type", tag="adaptive"):
    """The model thinks as much as it needs to."""

    display: Literal["summarized"] = "summarized"  # newer models show nothing of it where this is not said


class Budget(Struct, frozen=True, tag_field="type", tag="enabled"):
    """The model thinks, for so many tokens at most."""

    budget_tokens: int


class Disabled(Struct, frozen=True, tag_field="type", tag="disabled"):
    """The model does not think."""


Thinking = Adaptive | Budget | Disabled


class JsonSchema(Struct, frozen=True, tag_field="type", tag="json_schema", rename={"schema_": "schema"}):
    """The demand for JSON that fits a schema."""

    schema_: dict[str, Json]


class OutputConfig(Struct, frozen=True):
    """How hard the model tries, and the form of what it says."""

    effort: str | UnsetType = UNSET
    format: JsonSchema | UnsetType = UNSET


class Metadata(Struct, frozen=True):
    """Who asks, by an opaque name."""

    user_id: str


class Request(Struct, frozen=True, kw_only=True):
    """The whole body."""

    model: str | UnsetType = UNSET
    system: list[Text] | UnsetType = UNSET
    messages: list[Message]
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    thinking: Thinking | UnsetType = UNSET
    output_config: OutputConfig | UnsetType = UNSET
    max_tokens: int
    stream: bool = True
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    service_tier: Literal["auto", "standard_only"] | UnsetType = UNSET
