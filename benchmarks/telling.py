"""The floor's nouns and its one verb: a request becomes a chat request, and what the model says becomes events."""

from __future__ import annotations

import os
import random
import string
import time

import msgspec
from msgspec import Struct

TEXT_DELTA = (
    b"event: response.output_text.delta\ndata: "
    b'{"type":"response.output_text.delta","sequence_number":%d,"item_id":"%b","output_index":0,"content_index":0,'
    b'"delta":%b,"logprobs":[],"obfuscation":"%b"}\n\n'
)
NOISE = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=4096)).encode()
PAD = 16
"""A delta and its obfuscation are together a multiple of this many characters long, as the live service sends them."""


class Message(Struct, frozen=True):
    """One message of a chat."""

    role: str
    content: str


class Request(Struct, frozen=True):
    """The part of a request that a plain text turn needs."""

    model: str
    input: str | list[Message]
    stream: bool = False
    store: bool = True
    instructions: str | None = None
    metadata: dict[str, str] = {}


class ChatStreamOptions(Struct, frozen=True):
    """Asks the upstream for the usage."""

    include_usage: bool = True


class ChatRequest(Struct, frozen=True):
    """What the upstream is asked."""

    model: str
    messages: list[Message]
    stream: bool = True
    stream_options: ChatStreamOptions = ChatStreamOptions()


class ChatDelta(Struct, frozen=True):
    """What one chunk adds."""

    content: str | None = None


class ChatChoice(Struct, frozen=True):
    """The only choice of a chunk."""

    delta: ChatDelta = ChatDelta()
    finish_reason: str | None = None


class ChatUsage(Struct, frozen=True):
    """Tokens, in the upstream's words."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Chunk(Struct, frozen=True):
    """The part of an upstream chunk that is read."""

    choices: list[ChatChoice] = []
    usage: ChatUsage | None = None


class OutputText(Struct, frozen=True, tag_field="type", tag="output_text"):
    """A content part."""

    annotations: list[str]
    logprobs: list[str]
    text: str


class OutputMessage(Struct, frozen=True, tag_field="type", tag="message"):
    """The one item of the output."""

    id: str
    status: str
    content: list[OutputText]
    role: str = "assistant"


class Usage(Struct, frozen=True):
    """Tokens, in our words."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class Reasoning(Struct, frozen=True):
    """How the model was asked to think."""

    effort: str | None = None
    summary: str | None = None


class TextFormat(Struct, frozen=True):
    """Plain text."""

    type: str = "text"


class TextConfig(Struct, frozen=True):
    """How the text was asked for."""

    format: TextFormat = TextFormat()
    verbosity: str = "medium"


class ImageUsage(Struct, frozen=True):
    """What images cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0


class SearchUsage(Struct, frozen=True):
    """How many searches were asked."""

    num_requests: int = 0


class ToolUsage(Struct, frozen=True):
    """What hosted tools cost."""

    image_gen: ImageUsage = ImageUsage()
    web_search: SearchUsage = SearchUsage()


class Response(Struct, frozen=True, kw_only=True):
    """The whole resource, with every key that the live service always sends."""

    id: str
    object: str = "response"
    created_at: int
    status: str
    background: bool = False
    completed_at: int | None = None
    error: str | None = None
    frequency_penalty: float = 0.0
    incomplete_details: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    model: str
    moderation: str | None = None
    output: list[OutputMessage] = []
    parallel_tool_calls: bool = True
    presence_penalty: float = 0.0
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = "in_memory"
    reasoning: Reasoning = Reasoning()
    safety_identifier: str | None = None
    service_tier: str = "auto"
    store: bool = True
    temperature: float = 1.0
    text: TextConfig = TextConfig()
    tool_choice: str = "auto"
    tools: list[str] = []
    tool_usage: ToolUsage = ToolUsage()
    top_logprobs: int = 0
    top_p: float = 1.0
    truncation: str = "disabled"
    usage: Usage | None = None
    user: str | None = None
    metadata: dict[str, str] = {}


class Snapshot(Struct, frozen=True):
    """An event that carries the whole response."""

    type: str
    sequence_number: int
    response: msgspec.Raw


class ItemEvent(Struct, frozen=True):
    """An item begins or is finished."""

    type: str
    sequence_number: int
    output_index: int
    item: OutputMessage


class PartEvent(Struct, frozen=True):
    """A content part begins or is finished."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: OutputText


class TextDone(Struct, frozen=True):
    """The whole text of a part."""

    type: str
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    logprobs: list[str]
    text: str


encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_chunk = msgspec.json.Decoder(Chunk).decode


def frame(event: Snapshot | ItemEvent | PartEvent | TextDone) -> bytes:
    """Give the event as one frame of an event stream."""
    return b"event: %b\ndata: %b\n\n" % (event.type.encode(), encode(event))


class Telling:
    """One response while it is told: it owns the sequence number and the text so far."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._number = -1
        self._noise = 0
        self._parts: list[str] = []
        self._item = "msg_" + os.urandom(25).hex()
        self._item_bytes = self._item.encode()
        self._response = Response(
            id="resp_" + os.urandom(25).hex(),
            created_at=int(time.time()),
            status="in_progress",
            model=request.model,
            instructions=request.instructions,
            store=request.store,
            metadata=request.metadata,
        )

    def _next(self) -> int:
        self._number += 1
        return self._number

    def start(self) -> bytes:
        """Give the events before the first word of the model."""
        snapshot = msgspec.Raw(encode(self._response))
        return b"".join(
            frame(Snapshot(f"response.{name}", self._next(), snapshot)) for name in ("created", "in_progress")
        )

    def feed(self, texts: list[str]) -> bytes:
        """Give the events of what the model said in one read."""
        frames = [] if self._parts else [self._open()]
        for text in texts:
            self._parts.append(text)
            length = -len(text) % PAD
            self._noise = (self._noise + PAD) % (len(NOISE) - PAD)
            noise = NOISE[self._noise : self._noise + length]
            frames.append(TEXT_DELTA % (self._next(), self._item_bytes, encode(text), noise))
        return b"".join(frames)

    def _open(self) -> bytes:
        item = OutputMessage(self._item, "in_progress", [])
        part = OutputText([], [], "")
        return frame(ItemEvent("response.output_item.added", self._next(), 0, item)) + frame(
            PartEvent("response.content_part.added", self._next(), self._item, 0, 0, part)
        )

    def complete(self, usage: ChatUsage) -> tuple[bytes, bytes]:
        """Give the last events, and the finished response by itself."""
        text = "".join(self._parts)
        part = OutputText([], [], text)
        item = OutputMessage(self._item, "completed", [part])
        body = encode(self._finished(item, usage))
        return (
            frame(TextDone("response.output_text.done", self._next(), self._item, 0, 0, [], text))
            + frame(PartEvent("response.content_part.done", self._next(), self._item, 0, 0, part))
            + frame(ItemEvent("response.output_item.done", self._next(), 0, item))
            + frame(Snapshot("response.completed", self._next(), msgspec.Raw(body)))
        ), body

    def _finished(self, item: OutputMessage, usage: ChatUsage) -> Response:
        return msgspec.structs.replace(
            self._response,
            status="completed",
            completed_at=int(time.time()),
            output=[item],
            usage=Usage(
                usage.prompt_tokens,
                {"cached_tokens": 0, "cache_write_tokens": 0},
                usage.completion_tokens,
                {"reasoning_tokens": 0},
                usage.total_tokens,
            ),
        )


def chat(request: Request) -> ChatRequest:
    """Map a request to the upstream's dialect."""
    messages = [Message("user", request.input)] if isinstance(request.input, str) else request.input
    if request.instructions is not None:
        messages = [Message("system", request.instructions), *messages]
    return ChatRequest(request.model, messages)
