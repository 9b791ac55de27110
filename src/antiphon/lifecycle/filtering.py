"""Filtering: what is asked is judged before a model hears it, and what a model says before anybody else does.

* A prompt is what a request adds, as the model would read it: the text of documents included, the history not.
* A completion is held back until it is judged, a piece at a time. A piece that is too bad is never told and never kept,
  and the model is stopped there.
* Where the judge fails, nothing passes, unless the configuration says that it may.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Literal

import anyio
from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Call, Finish, Judged, Refused, Summary, Text, Thought, Wrote
from antiphon.core.speaking import spoken
from antiphon.core.verdicts import Found, Source, Threshold, verdict, worst
from antiphon.lifecycle.judging import JudgeError
from antiphon.protocol.refusals import content_filtered, server_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from antiphon.backends import Backend
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.lifecycle.judging import Judge
    from antiphon.protocol.items import Item
    from antiphon.protocol.response import ContentFilter

log = logging.getLogger(__name__)

PIECE = 12_000
"""Characters of a text that are judged at once."""
OVERLAP = 200
"""Characters that are judged again with the next piece: what is bad may lie across a cut."""
AT_ONCE = 4
"""Pieces of one prompt that are judged side by side."""
HARMS = ("hate", "sexual", "violence", "self_harm")


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """``[content_filter.thresholds]``: from which severity on a text is too bad; ``off``: it is not looked at."""

    hate: Threshold = "medium"
    sexual: Threshold = "medium"
    violence: Threshold = "medium"
    self_harm: Threshold = "medium"
    jailbreak: Threshold = "medium"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[content_filter]``: who judges, what is judged, and what becomes of it where nobody can judge."""

    deployment: str | None = None
    endpoint: str | None = None
    key: str | None = None
    on: Annotated[tuple[Source, ...], Meta(min_length=1)] = ("prompt", "completion")
    on_error: Literal["block", "pass"] = "block"
    timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    hold_characters: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    thresholds: Thresholds = Thresholds()

    def __post_init__(self) -> None:
        """Raises `ValueError` where nobody judges, or two do."""
        if (self.deployment is None) == (self.endpoint is None):
            raise ValueError("either `deployment` or `endpoint` names who judges")
        if self.key is not None and self.endpoint is None:
            raise ValueError("`key` is the key of an `endpoint`")


class Filtering:
    """Judges by a configuration."""

    def __init__(self, config: Config, judge: Judge) -> None:
        self._judge = judge
        self._limits: dict[str, Threshold] = asdict(config.thresholds)
        self._on = frozenset(config.on)
        self._passes = config.on_error == "pass"
        self._seconds = config.timeout_seconds
        self.hears_completions = "completion" in self._on
        self.hold = config.hold_characters if self.hears_completions else 1

    async def prompt(self, text: str) -> list[ContentFilter]:
        """What is found in a prompt. Raises ``ApiError`` where it is too bad, and where it cannot be judged."""
        if "prompt" not in self._on or not text:
            return []
        try:
            found = await self.judged(text, "prompt")
        except JudgeError as error:
            raise server_error("The content filter could not be asked. Please try again.", status=502) from error
        said = verdict(found, self._limits, "prompt", len(text))
        if said.blocked:
            log.info("prompt blocked", extra={"action": "prompt_blocked", "categories": _blocking(said)})
            raise content_filtered(said.content_filter_results)
        return [said]

    def guarded(self, backend: Backend) -> Backend:
        """A backend that says nothing which is too bad, and says what was found."""
        return Guarded(backend, self)

    def verdict(self, found: Found, size: int) -> ContentFilter:
        """What was found in a completion, of so many characters."""
        return verdict(found, self._limits, "completion", size)

    async def probe(self) -> None:
        """Have a word judged, whatever is done where nobody can judge. Raises `JudgeError`."""
        try:
            with anyio.fail_after(self._seconds):
                await self._judge.found("Hello.", "prompt", list(self._limits))
        except TimeoutError as error:
            raise JudgeError(f"no verdict within {self._seconds:g} seconds") from error

    async def judged(self, text: str, source: Source) -> Found:
        """How bad a text is. Raises `JudgeError`, unless what cannot be judged passes: then the rest counts."""
        categories = [name for name in self._looked_for(source) if self._limits[name] != "off"]
        if not categories:
            return {}
        findings: list[Found] = []
        try:
            with anyio.fail_after(self._seconds):
                await self._look_at_pieces(text, source, categories, findings)
        except (JudgeError, TimeoutError) as error:
            reason = str(error) or f"no verdict within {self._seconds:g} seconds"
            log.warning("content not judged", extra={"action": "content_not_judged", "source": source, "error": reason})
            if not self._passes:
                raise JudgeError(reason) from error
        return worst(findings)

    def _looked_for(self, source: Source) -> Iterable[str]:
        return self._limits if source == "prompt" else HARMS

    async def _look_at_pieces(self, text: str, source: Source, categories: list[str], findings: list[Found]) -> None:
        """Add what is found in each piece. Raises `JudgeError` where one cannot be judged."""
        pieces = [text[start : start + PIECE] for start in range(0, max(1, len(text) - OVERLAP), PIECE - OVERLAP)]
        faults: list[JudgeError] = []
        room = anyio.CapacityLimiter(AT_ONCE)

        async def look(piece: str) -> None:
            async with room:
                if self._passes or not faults:
                    try:
                        findings.append(await self._judge.found(piece, source, categories))
                    except JudgeError as fault:
                        faults.append(fault)

        async with anyio.create_task_group() as group:
            for piece in pieces:
                group.start_soon(look, piece)
        if faults:
            raise faults[0]

    async def aclose(self) -> None:
        """Let go of the judge."""
        await self._judge.aclose()


class Guarded:
    """Asks another backend, and holds what it says back until it is judged."""

    def __init__(self, backend: Backend, filtering: Filtering) -> None:
        self._backend = backend
        self._filtering = filtering

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """See `Backend.stream`. Raises `UpstreamError` as well where the judge fails."""
        held = _Held(self._filtering.hold)
        async with aclosing(self._backend.stream(turn)) as heard:
            async for deltas in heard:
                held.take(deltas)
                if not held.is_due and held.finish is None:
                    continue
                found = await self._look(held)
                if any(each.blocked for each in found):
                    finish = held.finish or Finish()
                    yield [Judged(found), replace(finish, reason="content_filter")]  # noqa: ASYNC119 - read under `aclosing`
                    return
                yield [*([Judged(found)] if found else []), *held.release()]  # noqa: ASYNC119 - see above

    async def aclose(self) -> None:
        """There is nothing of its own to let go of."""

    async def _look(self, held: _Held) -> list[ContentFilter]:
        """What is found in what is held; empty where there is nothing to be judged."""
        text, size = held.unjudged()
        if not self._filtering.hears_completions or not (text or held.finish is not None):
            return []
        found: Found = {}
        if text:
            try:
                found = await self._filtering.judged(text, "completion")
            except JudgeError as error:
                message = "The content filter could not be asked."
                raise UpstreamError("server_error", message, detail=str(error)) from error
        said = self._filtering.verdict(found, size)
        if said.blocked:
            log.info("completion blocked", extra={"action": "completion_blocked", "categories": _blocking(said)})
        return [said]


class _Held:
    """What was said and is not told yet. ``most``: characters that are held until they are judged; 0: all of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._deltas: list[Delta] = []
        self._texts: list[str] = []
        self._waiting = 0
        self._tail = ""
        self.finish: Finish | None = None

    @property
    def is_due(self) -> bool:
        """Whether enough is held to be judged; what brings no text waits for nobody, but for what stands before it."""
        return not self._waiting or 0 < self._most <= self._waiting

    def take(self, deltas: list[Delta]) -> None:
        """Hold more."""
        self._deltas += deltas
        texts = [text for delta in deltas if (text := _text(delta))]
        self._texts += texts
        self._waiting += sum(map(len, texts))
        if isinstance(deltas[-1], Finish):
            self.finish = deltas[-1]

    def unjudged(self) -> tuple[str, int]:
        """The text that is judged next, with a little of what came before, and how much of it is new."""
        text = "".join(self._texts)
        if not text:
            return "", 0
        seen = self._tail + text
        self._tail = seen[-OVERLAP:]
        return seen, len(text)

    def release(self) -> list[Delta]:
        """All that was held."""
        deltas, self._deltas, self._texts, self._waiting = self._deltas, [], [], 0
        return deltas


def fresh_text(turn: Turn, fresh: frozenset[str]) -> str:
    """What a request says, as the model would read it: its instructions, and the items of these ids."""
    said = words(item for item in turn.items if item.id in fresh)
    return "\n\n".join(text for text in (turn.instructions, said) if text)


def words(items: Iterable[Item]) -> str:
    """What these items say."""
    return "\n\n".join(text for item in items if (text := spoken(item)))


def _text(delta: Delta) -> str:
    match delta:
        case Thought(is_private=True):  # nobody is shown it
            return ""
        case Text(text=text) | Refused(text=text) | Thought(text=text) | Summary(text=text):
            return text
        case Call(arguments=text) | Wrote(arguments=text):
            return text
        case _:
            return ""


def _blocking(said: ContentFilter) -> list[str]:
    return [name for name, result in said.content_filter_results.items() if result.filtered]
