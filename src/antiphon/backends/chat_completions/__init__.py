"""The backend for every OpenAI-compatible upstream: chat completions, streamed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions.asking import mended, to_wire
from antiphon.backends.chat_completions.config import Config
from antiphon.backends.chat_completions.hearing import Decoder
from antiphon.backends.chat_completions.tokenizing import tokenizer
from antiphon.backends.upstream import Upstream
from antiphon.backends.upstream.faults import fault_of_turn
from antiphon.backends.upstream.replies import UNCOUNTED, ask, drain, hiding, secrets_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.backends.upstream import Reply
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

__all__ = ["ChatCompletions", "Config", "Decoder", "to_wire"]


class ChatCompletions:
    """Speaks chat completions to one upstream, over connections of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._secrets = secrets_in(config.base_url, config.api_key, *config.headers.values())
        self._path = "/chat/completions" + (f"?api-version={config.api_version}" if config.api_version else "")
        self._upstream = Upstream(
            config.base_url,
            headers=_headers(config),
            connect_seconds=config.connect_timeout,
            idle_seconds=config.idle_timeout,
        )
        self._tokenizer = tokenizer(config, _headers(config))

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Ask the model and yield what it says, one list for each read. Closing the generator closes the connection.

        Raises `UpstreamError` for an answer with an error status, an error inside the stream and a stream cut short
        before the model has spoken.
        """
        decoder = Decoder(self._config.think_tags)
        with hiding(self._secrets), await self._ask(turn) as reply:
            while not decoder.finished:
                try:
                    chunk = await reply.take()
                except UpstreamError as error:
                    chunk = _early_end(error, decoder)
                if deltas := decoder.feed(chunk) if chunk else decoder.end():
                    yield deltas  # noqa: ASYNC119 - the engine reads under `aclosing`, so the reply is left in its task
            if not reply.is_over:
                await drain(reply)

    async def count(self, turn: Turn) -> int:
        """Count the tokens of a turn with the upstream's tokenizer. Raises `UpstreamError`, if only for want of one."""
        if self._tokenizer is None:
            raise UpstreamError("unavailable", UNCOUNTED, detail='tokenizer = "none"')
        with hiding(self._secrets):
            return await self._tokenizer.count(turn, self._config)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()
        if self._tokenizer is not None:
            await self._tokenizer.aclose()

    async def _ask(self, turn: Turn) -> Reply:
        """Post the turn; what the upstream turns out not to know it is not asked again."""
        config = self._config
        reply, answered = await ask(
            config, partial(self._post, turn), partial(mended, turn), partial(fault_of_turn, turn)
        )
        if answered is not config:
            self._config = answered
        return reply

    async def _post(self, turn: Turn, config: Config) -> Reply:
        return await self._upstream.post(self._path, to_wire(turn, config))


def _headers(config: Config) -> dict[str, str]:
    if config.api_key is None:
        return config.headers
    if config.api_version is None:
        return {"authorization": f"Bearer {config.api_key}", **config.headers}
    return {"api-key": config.api_key, **config.headers}


def _early_end(error: UpstreamError, decoder: Decoder) -> bytes:
    """No more bytes, where the body broke off or fell silent after the model has spoken; before, it is an error."""
    if not decoder.spoken:
        raise error
    return b""
