"""The chunks of a streamed chat completion, as far as they are heard. Fields not named here are skipped undecoded."""

from __future__ import annotations

from msgspec import Raw, Struct

from antiphon.backends.chat_completions.calling import Fragment, Named
from antiphon.backends.upstream.faults import Complaint

NONE = Raw(b"null")


class Candidate(Struct, frozen=True):
    """A token with its natural-log probability; ``bytes`` is null where it has none."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class Chosen(Candidate, frozen=True):
    """A token that was said, with its rivals."""

    top_logprobs: list[Candidate] | None = None


class Logprobs(Struct, frozen=True):
    """The log-probabilities of a chunk."""

    content: list[Chosen] | None = None


class Piece(Struct, frozen=True):
    """A part of content that is a list (Mistral): text, or thinking made of such parts."""

    text: str = ""
    thinking: list[Piece] | str = ""


class Said(Struct, frozen=True, gc=False):
    """What one chunk adds, or the whole message. The names for reasoning never differ where several are sent."""

    content: str | list[Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: Raw = NONE
    refusal: str | None = None
    tool_calls: list[Fragment] | None = None
    function_call: Named | None = None


class Choice(Struct, frozen=True, gc=False):
    """One answer of those asked for; only the first is ever asked for."""

    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    index: int | None = None


class PromptDetails(Struct, frozen=True):
    """How much of the prompt was cached."""

    cached_tokens: int | None = None


class CompletionDetails(Struct, frozen=True):
    """How much of the answer was thought."""

    reasoning_tokens: int | None = None


class Spent(Struct, frozen=True):
    """Usage, in tokens. DeepSeek names the cache, and SGLang the thinking, at the top."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    reasoning_tokens: int | None = None


class Chunk(Struct, frozen=True, gc=False):
    """The fields of a chunk that matter here; all else is skipped undecoded."""

    choices: list[Choice] | None = None
    usage: Spent | None = None
    error: Complaint | str | None = None
