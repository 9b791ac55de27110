"""The backend for an upstream that speaks the Responses API itself: OpenAI, Azure, vLLM, or another Antiphon."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.backends.responses.asking import mended, to_count, to_wire
from antiphon.backends.responses.config import Config
from antiphon.backends.responses.hearing import Decoder
from antiphon.backends.responses.natives import Natives
from antiphon.backends.responses.pondering import Custom
from antiphon.backends.responses.telling import servers
from antiphon.backends.upstream import Upstream
from antiphon.backends.upstream.faults import fault_of_turn
from antiphon.backends.upstream.replies import ask, confidential, counted, drain, hiding, secrets_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.backends.upstream import Reply
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

__all__ = ["Config", "Decoder", "Responses", "to_wire"]

log = logging.getLogger(__name__)


class Count(Struct, frozen=True):
    """How many tokens a prompt has."""

    input_tokens: int


class Responses:
    """Speaks the Responses API to one upstream, over connections of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._custom = Custom()
        self._secrets = secrets_in(config.base_url, config.api_key, *config.headers.values())
        self._query = f"?api-version={config.api_version}" if config.api_version else ""
        self._upstream = Upstream(
            config.base_url,
            headers=_headers(config),
            connect_seconds=config.connect_timeout,
            idle_seconds=config.idle_timeout,
        )

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Ask the model and yield what it says, one list for each read. Closing the generator closes the connection.

        Raises `UpstreamError` for an answer with an error status and for an error inside the stream; one that is cut
        short ends without `Finish`.
        """
        names = Natives(turn, self._config.native_tools).names
        decoder = Decoder(
            hosted=bool(turn.handed_over), names=names, custom=self._custom if _is_summed_up(turn) else None
        )
        with hiding([*self._secrets, *_secrets(turn)]), await self._ask(turn) as reply:
            while not decoder.finished and (chunk := await reply.take()):
                if deltas := decoder.feed(chunk):
                    yield deltas  # noqa: ASYNC119 - the engine reads under `aclosing`, so the reply is left in its task
                if decoder.error is not None:
                    raise decoder.error
            if not decoder.finished and (deltas := decoder.end()):
                yield deltas  # noqa: ASYNC119 - as above
            if not reply.is_over:
                await drain(reply)
        if decoder.ignored:
            log.warning(
                "upstream items ignored", extra={"action": "upstream_ignored", "types": sorted(decoder.ignored)}
            )

    async def count(self, turn: Turn) -> int:
        """Let the upstream count the tokens of a turn. Raises `UpstreamError`, if only since it cannot count."""
        with hiding([*self._secrets, *_secrets(turn)]):
            path, body = f"/responses/input_tokens{self._query}", to_count(turn, self._config)
            return (await counted(self._upstream, path, body, Count)).input_tokens

    async def aclose(self) -> None:
        """Close all connections."""
        await self._upstream.aclose()

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
        return await self._upstream.post(f"/responses{self._query}", to_wire(turn, config))


def _headers(config: Config) -> dict[str, str]:
    if config.api_key is None:
        return config.headers
    name = config.api_key_header or ("api-key" if config.api_version else "authorization")
    key = f"Bearer {config.api_key}" if name.lower() == "authorization" else config.api_key
    return {name: key, **config.headers}


def _is_summed_up(turn: Turn) -> bool:
    """Whether a summary of what is thought was asked for."""
    return bool(turn.reasoning and (turn.reasoning.summary or turn.reasoning.generate_summary))


def _secrets(turn: Turn) -> list[str]:
    """What the tools of a turn are told in confidence."""
    words = [tool.authorization for tool in servers(turn) if isinstance(tool.authorization, str)]
    return confidential([*words, *(value for tool in servers(turn) for value in (tool.headers or {}).values())])
