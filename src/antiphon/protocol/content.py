"""The parts that items are made of: what people and models say, show and cite.

Keys that the live service leaves out when they are empty are ``UNSET``; keys that it sends as null are ``None``.
Lengths are in characters (Responses API reference, section 8).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

LongText = Annotated[str, Meta(max_length=10_485_760)]
ImageUrl = Annotated[str, Meta(max_length=20_971_520)]
FileContent = Annotated[str, Meta(max_length=73_400_320)]


class Part(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Any content part, told apart by its ``type``."""


class CacheBreakpoint(Struct, frozen=True, kw_only=True):
    """A hint of the caller's where a cached prefix may end."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | UnsetType = UNSET


class InputText(Part, frozen=True, kw_only=True, tag="input_text"):
    """Text from the caller."""

    text: LongText
    prompt_cache_breakpoint: CacheBreakpoint | UnsetType = UNSET


class InputImage(Part, frozen=True, kw_only=True, tag="input_image"):
    """An image from the caller: an http(s) or data URL, or an uploaded file, one of the two."""

    detail: Literal["low", "high", "auto", "original"] = "auto"
    image_url: ImageUrl | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    prompt_cache_breakpoint: CacheBreakpoint | UnsetType = UNSET


class InputFile(Part, frozen=True, kw_only=True, tag="input_file"):
    """A document from the caller: an uploaded file, a URL, or base64 with its name, one of the three."""

    file_id: str | UnsetType = UNSET
    file_url: str | UnsetType = UNSET
    file_data: FileContent | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET
    prompt_cache_breakpoint: CacheBreakpoint | UnsetType = UNSET


class AudioClip(Struct, frozen=True, kw_only=True):
    """Base64 audio and its format."""

    data: FileContent
    format: Literal["mp3", "wav"]


class InputAudio(Part, frozen=True, kw_only=True, tag="input_audio"):
    """Sound from the caller."""

    input_audio: AudioClip


class TopLogprob(Struct, frozen=True, kw_only=True):
    """A token that the model might have said instead, its UTF-8 bytes and its natural-log probability."""

    token: str
    logprob: float
    bytes: list[int] = []


class Logprob(Struct, frozen=True, kw_only=True):
    """A token that the model said, its UTF-8 bytes, its natural-log probability and its rivals."""

    token: str
    logprob: float
    bytes: list[int] = []
    top_logprobs: list[TopLogprob] = []


class FileCitation(Part, frozen=True, kw_only=True, tag="file_citation"):
    """Where in the text an uploaded file is cited."""

    file_id: str
    filename: str
    index: int


class UrlCitation(Part, frozen=True, kw_only=True, tag="url_citation"):
    """Which span of the text a web page backs; the end is exclusive."""

    url: str
    title: str
    start_index: int
    end_index: int


class ContainerFileCitation(Part, frozen=True, kw_only=True, tag="container_file_citation"):
    """Which span of the text names a file that a container made."""

    container_id: str
    file_id: str
    filename: str
    start_index: int
    end_index: int


class FilePath(Part, frozen=True, kw_only=True, tag="file_path"):
    """Where in the text a made file is named."""

    file_id: str
    index: int


Annotation = FileCitation | UrlCitation | ContainerFileCitation | FilePath


class OutputText(Part, frozen=True, kw_only=True, tag="output_text"):
    """Text from the model. The live service sends ``annotations`` and ``logprobs`` always, if need be empty."""

    text: LongText
    annotations: list[Annotation] = []
    logprobs: list[Logprob] = []


class RefusalPart(Part, frozen=True, kw_only=True, tag="refusal"):
    """The model's words for not answering."""

    refusal: LongText


class ReasoningText(Part, frozen=True, kw_only=True, tag="reasoning_text"):
    """Raw reasoning."""

    text: LongText


class SummaryText(Part, frozen=True, kw_only=True, tag="summary_text"):
    """A summary of reasoning."""

    text: LongText


class ComputerScreenshot(Part, frozen=True, kw_only=True, tag="computer_screenshot"):
    """What a screen shows after an action: a data URL or an uploaded file, and where it knows that, the page's URL."""

    image_url: ImageUrl | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    detail: Literal["low", "high", "auto", "original"] | UnsetType = UNSET
    current_url: str | UnsetType = UNSET


InputPart = InputText | InputImage | InputFile
OutputPart = OutputText | RefusalPart
MessagePart = InputText | InputImage | InputFile | InputAudio | OutputText | RefusalPart
