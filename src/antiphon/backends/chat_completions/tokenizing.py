"""Counts the tokens of a prompt with the tokenizer of a vLLM or llama.cpp server: their own API, beside OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from antiphon.backends.chat_completions import shapes
from antiphon.backends.chat_completions.asking import to_count
from antiphon.backends.upstream import Upstream
from antiphon.backends.upstream.replies import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.backends.chat_completions.config import Config
    from antiphon.core.turn import Turn


class Count(Struct, frozen=True):
    """What vLLM answers."""

    count: int


class Templated(Struct, frozen=True):
    """What llama.cpp's template makes of messages."""

    prompt: str


class Tokens(Struct, frozen=True):
    """What llama.cpp's tokenizer makes of a text."""

    tokens: list[int]


class Tokenizer(Protocol):
    """Whoever counts the tokens of a turn."""

    async def count(self, turn: Turn, config: Config) -> int:
        """Count. Raises `UpstreamError`."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


def tokenizer(config: Config, headers: Mapping[str, str]) -> Tokenizer | None:
    """The tokenizer that an operator names. Its API is beside the last ``/v1`` of the upstream's own."""
    if config.tokenizer == "none":
        return None
    url = urlsplit(config.base_url)
    root = url._replace(path=url.path.rstrip("/").removesuffix("/v1")).geturl()
    upstream = Upstream(root, headers=headers, connect_seconds=config.connect_timeout, attempts=1)
    return Vllm(upstream) if config.tokenizer == "vllm" else LlamaCpp(upstream)


class Vllm:
    """Messages go in, and a number comes out."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def count(self, turn: Turn, config: Config) -> int:
        """Count the tokens of a turn."""
        return (await counted(self._upstream, "/tokenize", to_count(turn, config), Count)).count

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()


class LlamaCpp:
    """The template is asked first, the tokenizer then."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def count(self, turn: Turn, config: Config) -> int:
        """Count the tokens of a turn."""
        templated = await counted(self._upstream, "/apply-template", to_count(turn, config), Templated)
        plain = msgspec.json.encode(shapes.Plain(templated.prompt))
        return len((await counted(self._upstream, "/tokenize", plain, Tokens)).tokens)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()
