"""The backend for every OpenAI-compatible upstream: chat completions, streamed."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions.asking import to_wire
from antiphon.backends.chat_completions.config import Config
from antiphon.backends.chat_completions.hearing import Decoder
from antiphon.backends.upstream import Upstream
from antiphon.backends.upstream.faults import fault_of_answer, rejects_field
from antiphon.backends.upstream.replies import ERROR_LIMIT, drain, hiding, secrets_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.backends.upstream import Reply
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

__all__ = ["ChatCompletions", "Config", "Decoder", "to_wire"]

REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


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

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Ask the model and yield what it says, one list for each read. Closing the generator closes the connection.

        Raises `UpstreamError` for an answer with an error status, an error inside the stream and a stream cut short
        before the model has spoken.
        """
        decoder = Decoder()
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

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()

    async def _ask(self, turn: Turn) -> Reply:
        """Post the turn; if only the name of the limit is wrong, post it with the other name, and keep that."""
        config = self._config
        reply = await self._post(turn, config)
        if reply.status == HTTPStatus.OK:
            return reply
        with reply:
            body = await reply.read(ERROR_LIMIT)
        limited = turn.max_output_tokens is not None and reply.status in REFUSALS
        if limited and rejects_field(body, config.max_tokens_field):
            other = replace(config, max_tokens_field=_other_field(config))
            reply = await self._post(turn, other)
            if reply.status == HTTPStatus.OK:
                self._config = other
                return reply
            with reply:
                body = await reply.read(ERROR_LIMIT)
        raise fault_of_answer(reply.status, reply.headers, body)

    async def _post(self, turn: Turn, config: Config) -> Reply:
        return await self._upstream.post(self._path, to_wire(turn, config))


def _headers(config: Config) -> dict[str, str]:
    if config.api_key is None:
        return config.headers
    if config.api_version is None:
        return {"authorization": f"Bearer {config.api_key}", **config.headers}
    return {"api-key": config.api_key, **config.headers}


def _other_field(config: Config) -> str:
    return "max_tokens" if config.max_tokens_field == "max_completion_tokens" else "max_completion_tokens"


def _early_end(error: UpstreamError, decoder: Decoder) -> bytes:
    """No more bytes, where the body broke off or fell silent after the model has spoken; before, it is an error."""
    if not decoder.spoken:
        raise error
    return b""
