"""The body of a chat completion request, as far as it is ever sent. A key that is ``UNSET`` is left out."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from antiphon.backends.chat_completions.details import Detail
from antiphon.backends.upstream.hints import CacheWish


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """Text beside other parts."""

    text: str


class ImageUrl(Struct, frozen=True):
    """An http(s) or data URL."""

    url: str
    detail: Literal["low", "high"] | UnsetType = UNSET


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    """An image."""

    image_url: ImageUrl


class AudioClip(Struct, frozen=True, rename={"content": "data"}):
    """Base64 audio and its format."""

    content: str
    format: str


class AudioPart(Struct, frozen=True, tag_field="type", tag="input_audio"):
    """Sound."""

    input_audio: AudioClip


class File(Struct, frozen=True, rename={"content": "file_data"}):
    """A document as a data URL, with its name."""

    content: str
    filename: str | UnsetType = UNSET


class FilePart(Struct, frozen=True, tag_field="type", tag="file"):
    """A document."""

    file: File


Part = TextPart | ImagePart | AudioPart | FilePart
Content = str | list[Part]


class Called(Struct, frozen=True):
    """Which function was called, with what JSON text."""

    name: str
    arguments: str


class ToolCall(Struct, frozen=True, tag_field="type", tag="function"):
    """A call that the model made."""

    id: str
    function: Called


class System(Struct, frozen=True, tag_field="role", tag="system"):
    """An instruction."""

    content: str


class Developer(Struct, frozen=True, tag_field="role", tag="developer"):
    """An instruction, for upstreams that know the role."""

    content: str


class User(Struct, frozen=True, tag_field="role", tag="user"):
    """What a person said or showed."""

    content: Content


class Assistant(Struct, frozen=True, tag_field="role", tag="assistant"):
    """What the model said and called in one go."""

    content: str | None
    tool_calls: list[ToolCall] | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    reasoning_details: list[Detail] | UnsetType = UNSET


class ToolOutput(Struct, frozen=True, tag_field="role", tag="tool"):
    """What came of a call."""

    tool_call_id: str
    content: str


Message = System | Developer | User | Assistant | ToolOutput


class Function(Struct, frozen=True):
    """A function that the model may call."""

    name: str
    parameters: Raw
    description: str | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class Tool(Struct, frozen=True, tag_field="type", tag="function"):
    """A tool; there is but one sort."""

    function: Function


class Name(Struct, frozen=True):
    """A function by its name."""

    name: str


class NamedChoice(Struct, frozen=True, tag_field="type", tag="function"):
    """The demand for one function."""

    function: Name


ToolChoice = Literal["none", "auto", "required"] | NamedChoice


class JsonObject(Struct, frozen=True, tag_field="type", tag="json_object"):
    """The demand for any JSON object."""


class Schema(Struct, frozen=True, rename={"schema_": "schema"}):
    """A JSON Schema under a name."""

    name: str
    schema_: dict[str, Any]  # JSON Schema is open
    description: str | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class JsonSchema(Struct, frozen=True, tag_field="type", tag="json_schema"):
    """The demand for JSON that fits a schema."""

    json_schema: Schema


ResponseFormat = JsonObject | JsonSchema


class StreamOptions(Struct, frozen=True):
    """The wish for a last chunk with the usage."""

    include_usage: bool = True


class Request(Struct, frozen=True, kw_only=True):
    """The whole body."""

    model: str | UnsetType = UNSET
    messages: list[Message]
    stream: bool = True
    stream_options: StreamOptions | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    response_format: ResponseFormat | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    max_completion_tokens: int | UnsetType = UNSET
    max_tokens: int | UnsetType = UNSET
    logprobs: bool | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET
    reasoning_effort: str | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    safety_identifier: str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    prompt_cache_key: str | UnsetType = UNSET
    prompt_cache_retention: str | UnsetType = UNSET
    prompt_cache_options: CacheWish | UnsetType = UNSET


class Prompt(Struct, frozen=True, kw_only=True):
    """A prompt whose tokens are to be counted, as vLLM takes it and as llama.cpp's template does."""

    model: str | UnsetType = UNSET
    messages: list[Message]
    tools: list[Tool] | UnsetType = UNSET
    add_generation_prompt: bool = True


class Plain(Struct, frozen=True):
    """Text whose tokens are to be counted (llama.cpp), its special ones among them."""

    content: str
    add_special: bool = True
    parse_special: bool = True
