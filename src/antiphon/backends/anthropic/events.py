"""The events of a Messages stream, as far as they are heard. Fields that are not named here are skipped undecoded."""

from __future__ import annotations

from msgspec import Raw, Struct

NO_INPUT = Raw(b"{}")
"""What a call begins with whose arguments are told later."""


class Thoughts(Struct, frozen=True):
    """How much of the output was thought."""

    thinking_tokens: int | None = None


class Spent(Struct, frozen=True):
    """Usage, in tokens, as far as an event tells it; a later one counts for more."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: Thoughts | None = None


class Block(Struct, frozen=True, rename={"content": "data"}):
    """A block as it begins, or, where the answer is no stream, the whole of it."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    content: str | None = None
    name: str | None = None
    input: Raw = NO_INPUT


class Why(Struct, frozen=True):
    """Why the model declined."""

    explanation: str | None = None


class Piece(Struct, frozen=True, gc=False):
    """A piece of a block, or the news that the model has ended."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_details: Why | None = None


class Begun(Struct, frozen=True):
    """The message before anything of it is said."""

    usage: Spent | None = None


class Event(Struct, frozen=True, gc=False):
    """Any event. ``index`` tells blocks apart. A plain message, which is no event, has its blocks as ``content``."""

    type: str = ""
    index: int = 0
    delta: Piece | None = None
    content_block: Block | None = None
    message: Begun | None = None
    usage: Spent | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: Why | None = None
