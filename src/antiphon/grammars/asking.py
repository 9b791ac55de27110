"""What the server asks its children of grammars, and remembers."""

from __future__ import annotations

import hashlib
import logging
import math
import sys
import time
from typing import TYPE_CHECKING

from antiphon.documents import Config, Unreadable
from antiphon.documents.crew import IDLE_SECONDS, Crew
from antiphon.documents.remembering import Memory
from antiphon.documents.wire import Judge, Judged
from antiphon.grammars.nouns import MOST_CHARACTERS, BadGrammar, too_complex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from antiphon.documents.nouns import Reason
    from antiphon.protocol.tool_settings import CustomGrammar

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-B", "-P", "-s", "-m", "antiphon.grammars.child")
TERMS = Config(workers=2, seconds=5, memory_mib=256)
"""What a child may take for one grammar or one text; where several wait, no party holds both children."""
REMEMBERED = 1024 * 1024
TIMEOUT_SECONDS = 300.0
"""How long a grammar that took too long is not tried again: a busy machine may have been to blame."""
_KEPT = 512  # bytes about a verdict


class Grammars:
    """Judges grammars and texts in child processes, which are started when they are needed.

    A ``party`` is whoever brings them; those of several are judged in rotation. ``command`` stands in for the program
    of a child, ``terms`` for what it may take, ``now`` for a clock in seconds.
    """

    def __init__(
        self,
        terms: Config = TERMS,
        *,
        command: Sequence[str] = COMMAND,
        idle_seconds: float = IDLE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._crew = Crew(terms, command=command, idle_seconds=idle_seconds)
        self._memory: Memory[Judged] = Memory(REMEMBERED, now=now)

    async def check(self, grammar: CustomGrammar, *, party: str = "") -> None:
        """Raises `BadGrammar` for a definition that is no grammar, or takes too much to judge.

        While there is no child to ask, a grammar counts as one, and the log says so: its texts are judged later.
        """
        if len(grammar.definition) > MOST_CHARACTERS:
            raise BadGrammar(f"The grammar is too long: at most {MOST_CHARACTERS} characters are allowed.")
        definition = _encoded(grammar.definition)
        key = (grammar.syntax, hashlib.sha256(definition).digest())
        judged = self._memory.recall(key)
        if judged is None:
            judged = await self._judged(grammar, definition, key, party)
        if judged.fault is not None:
            raise BadGrammar(judged.fault)

    async def fits(self, grammar: CustomGrammar, text: str, *, party: str = "") -> bool:
        """Whether a whole text is what a grammar allows. What cannot be judged counts as fitting; the log says so."""
        contents = [_encoded(grammar.definition), _encoded(text)]
        try:
            async with self._crew.turn(party):
                judged = await self._asked(grammar, contents)
        except Unreadable as error:
            _unjudged(error.reason)
            return True
        return judged.fits

    async def aclose(self) -> None:
        """End the children."""
        await self._crew.aclose()

    async def _judged(self, grammar: CustomGrammar, definition: bytes, key: tuple[object, ...], party: str) -> Judged:
        """What a child says of a definition, which is remembered."""
        seconds = math.inf
        try:
            async with self._crew.turn(party):
                judged = self._memory.recall(key)  # another has asked the same while this one waited
                if judged is None:
                    judged = await self._asked(grammar, [definition])
        except Unreadable as error:
            if error.reason == "busy":
                _unjudged(error.reason)
                return Judged()
            judged, seconds = Judged(fault=str(too_complex())), TIMEOUT_SECONDS
        self._memory.keep(key, judged, size=_KEPT, seconds=seconds)
        return judged

    async def _asked(self, grammar: CustomGrammar, contents: Sequence[bytes]) -> Judged:
        match await self._crew.ask(Judge(grammar.syntax), contents):
            case Judged() as judged:
                return judged
            case _:
                raise Unreadable("crashed", "A child answered another question.")


def _encoded(text: str) -> bytes:
    """Half a surrogate pair, which a model may write, is no text that any grammar allows."""
    return text.encode("utf-8", "surrogatepass")


def _unjudged(reason: Reason) -> None:
    extra = {"action": "grammar_not_judged", "reason": reason}
    log.warning("a grammar or a text was let through unjudged", extra=extra)
