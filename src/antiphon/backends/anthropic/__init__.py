"""The backend for Anthropic's Messages API, and whoever speaks it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.anthropic.asking import to_count, to_wire
from antiphon.backends.anthropic.config import Config
from antiphon.backends.anthropic.faults import refusal
from antiphon.backends.anthropic.hearing import Decoder
from antiphon.backends.anthropic.traits import Traits, assumed, learned
from antiphon.backends.upstream import Upstream
from antiphon.backends.upstream.replies import ERROR_LIMIT, ask, drain, hiding, secrets_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from antiphon.backends.upstream import Reply
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

__all__ = ["Anthropic", "Config", "Decoder", "to_count", "to_wire"]

log = logging.getLogger(__name__)

ANSWER = "/messages"
COUNT = "/messages/count_tokens"


class Length(Struct, frozen=True):
    """How many tokens there are."""

    input_tokens: int


class Anthropic:
    """Speaks the Messages API to one upstream, over connections of its own, and learns what its models take."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._secrets = secrets_in(config.base_url, config.api_key, *config.headers.values())
        self._known: dict[str | None, Traits] = {}
        self._upstream = Upstream(
            config.base_url,
            headers=_headers(config),
            connect_seconds=config.connect_timeout,
            idle_seconds=config.idle_timeout,
        )

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Ask the model and yield what it says, one list for each read. Closing the generator closes the connection.

        Raises `UpstreamError` for an answer with an error status and for an error inside the stream; one that is cut
        short before the model has said why it ended ends without `Finish`.
        """
        decoder = Decoder()
        with hiding(self._secrets), await self._ask(turn, ANSWER, to_wire) as reply:
            while not decoder.finished:
                try:
                    chunk = await reply.take()
                except UpstreamError as error:
                    chunk = _early_end(error, decoder)
                if deltas := decoder.feed(chunk) if chunk else decoder.end():
                    yield deltas  # noqa: ASYNC119 - the engine reads under `aclosing`, so the reply is left in its task
                if decoder.error is not None:
                    raise decoder.error
                if not chunk:
                    break
            if not reply.is_over:
                await drain(reply)
        if decoder.ignored:
            log.warning(
                "upstream items ignored", extra={"action": "upstream_ignored", "types": sorted(decoder.ignored)}
            )

    async def count(self, turn: Turn) -> int:
        """How many tokens the model would read of a turn. Raises `UpstreamError` where the upstream cannot say."""
        with hiding(self._secrets), await self._ask(turn, COUNT, to_count) as reply:
            body = await reply.read(ERROR_LIMIT)
            try:
                return msgspec.json.decode(body, type=Length).input_tokens
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                message = "The model's server did not say how long the input is."
                raise UpstreamError("server_error", message, detail=str(error)) from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()

    async def _ask(self, turn: Turn, path: str, write: Callable[[Turn, Config, Traits], bytes]) -> Reply:
        """Post the turn; where a refusal teaches something about the model, post it anew, and keep that."""
        model = self._config.model or turn.model
        known = self._known.get(model) or assumed(self._config)

        def post(traits: Traits) -> Awaitable[Reply]:
            if traits is not known:
                log.info("upstream asked otherwise", extra={"action": "upstream_learned", "model": model})
            return self._upstream.post(path, write(turn, self._config, traits))

        reply, answered = await ask(known, post, learned, refusal)
        self._known[model] = replace(answered, remembers=True)
        return reply


def _headers(config: Config) -> dict[str, str]:
    headers = {"anthropic-version": config.version}
    if config.api_key is not None:
        name = config.api_key_header
        headers[name] = f"Bearer {config.api_key}" if name.lower() == "authorization" else config.api_key
    return headers | config.headers


def _early_end(error: UpstreamError, decoder: Decoder) -> bytes:
    """No more bytes, where the body broke off or fell silent after the model has spoken; before, it is an error."""
    if not decoder.spoken:
        raise error
    return b""
