"""The backend that speaks from a script: for tests, demonstrations and loads. Deterministic, and it needs no model.

A script is a TOML file, or the same tables inside of the deployment. Its replies are tried in order; the first that
fits the turn is performed, and without one the model echoes.

.. code-block:: toml

    [[replies]]
    when = "(?i)weather"       # searched in the last text that the model reads: a user's, or the output of a call
    after_output = false       # only where it reads an output (true) or a user's words (false)
    outputs = 0                # only after so many outputs since the last user message
    remembers = "Paris"        # searched in the thoughts that the model is shown again, and in what came with them
    tokens_per_second = 50     # without it nothing waits
    finish = "stop"            # or max_output_tokens, content_filter
    usage = { input_tokens = 9, output_tokens = 4, cached_tokens = 0, reasoning_tokens = 0 }
    steps = [
        { thought = "Where?" },                  # a text is cut into words ...
        { summary = "**Looking it up**" },       # each summary step in a row is a part of its own
        { keepsake = { form = "encrypted", token = "gAAA" } },   # ends the thought: encrypted, signature, redacted
        { voice = "commentary" },                # a message begins; or final_answer
        { cite = { type = "url_citation", url = "https://example.com", title = "A", start_index = 0, end_index = 3 } },
        { text = ["One", " moment."] },          # ... a list is said as it is cut
        { refusal = "I would rather not." },
        { pause_ms = 250 },
        { call = { name = "get_weather", arguments = { city = "Paris" } } },   # or JSON text
        { fail = { fault = "rate_limit_exceeded", message = "Too fast.", retry_after = 2 } },
        { die = true },                          # the stream ends, unfinished
    ]

Every key may be left out. Steps go in order, so an error comes before the first word or in the middle of one.

**The echo** says ``You said:`` and the last user text, word by word, or ``The tool said:`` and the last output where
one is to be read. A turn that demands a call gets one of the first function that it allows, once; a turn that demands
JSON gets the least JSON that fits.

**Tokens are words** here, cut before each white space, and eight characters of a call's arguments; usage counts them,
and ``max_output_tokens`` is kept. Summaries, keepsakes, voices and citations cost none. Asked for log-probabilities,
the script is certain of all that it says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import msgspec

from antiphon.backends.scripted.hearing import ends_with_output, last_user_text, outputs, word_count
from antiphon.backends.scripted.instance import instance
from antiphon.backends.scripted.script import Call, Config, Reply, ScriptError, Step, read_script
from antiphon.backends.scripted.speaking import Performance
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

__all__ = ["Config", "ScriptError", "Scripted"]


class Scripted:
    """Speaks from a script. Raises `ScriptError` if the script cannot be read."""

    def __init__(self, config: Config) -> None:
        self._replies = [*config.replies, *(read_script(config.script) if config.script else [])]
        self._tokens_per_second = config.tokens_per_second

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Perform the reply that fits the turn, a list a token. Raises `UpstreamError` where the script fails."""
        reply = choose(self._replies, turn)
        for beat in Performance(reply, turn, tokens_per_second=self._tokens_per_second).beats():
            if beat.pause:
                await anyio.sleep(beat.pause)
            else:
                await anyio.lowlevel.checkpoint()  # a caller that has gone stops a long speech
            if beat.deltas:
                yield beat.deltas

    async def count(self, turn: Turn) -> int:
        """Count the words of a turn, as its usage does."""
        await anyio.lowlevel.checkpoint()
        return word_count(turn)

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def choose(replies: list[Reply], turn: Turn) -> Reply:
    """Give the first reply that fits the turn, or the echo."""
    read = outputs(turn)
    awaited = ends_with_output(turn)
    text = read[-1] if awaited and read else last_user_text(turn)
    remembered = "\n".join(f"{thinking.text}\n{thinking.token}" for thinking in turn.thoughts.values())
    for reply in replies:
        fits = re.search(reply.when or "", text) and re.search(reply.remembers or "", remembered)
        if fits and reply.after_output in {None, awaited} and reply.outputs in {None, len(read)}:
            return reply
    return echo(turn)


def echo(turn: Turn) -> Reply:
    """Make the reply of a model without a script."""
    awaited = ends_with_output(turn)
    names = turn.choice.names
    allowed = [function for function in turn.functions if names is None or function.name in names]
    if turn.choice.mode == "required" and allowed and not awaited:
        arguments = instance(msgspec.json.decode(allowed[0].parameters))
        return Reply([Step(call=Call(allowed[0].name, msgspec.json.encode(arguments).decode()))])
    match turn.text.format if turn.text else None:
        case FormatJsonSchema() as form:
            return Reply([Step(text=msgspec.json.encode(instance(form.schema_)).decode())])
        case FormatJsonObject():
            return Reply([Step(text="{}")])
        case _:
            said = f"The tool said: {outputs(turn)[-1]}" if awaited else f"You said: {last_user_text(turn)}"
            return Reply([Step(text=said)])
