"""A backend that sees to it that calls fit the grammars of their functions, whatever the upstream can be held to.

A call of a function with a grammar is held back while it is written. One that fits goes on as it is. For one that does
not, the model is asked once more, and its second answer goes on, whatever it is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.deltas import Call, Finish
from antiphon.core.turn import Choice
from antiphon.engine.held import Draft, Held, both
from antiphon.protocol.items import CustomToolCall, CustomToolCallOutput, FunctionCall, FunctionCallOutput
from antiphon.protocol.tools import CustomTool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from antiphon.backends import Backend
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Function, Turn
    from antiphon.protocol.items import Item
    from antiphon.protocol.tool_settings import CustomGrammar

    Fits = Callable[[CustomGrammar, str], Awaitable[bool]]

log = logging.getLogger(__name__)

LONGEST_SHOWN = 20_000
"""Characters of a definition that a model is shown with what it did wrong."""


class _Input(Struct, frozen=True):
    input: str


class Fitting:
    """Another backend, whose calls are held against the grammars of their functions by ``fits``."""

    def __init__(self, backend: Backend, fits: Fits) -> None:
        self._backend = backend
        self._fits = fits

    def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """What the other backend says; where no function has a grammar, its very own stream."""
        bound = {function.name: function for function in turn.functions if function.grammar is not None}
        return self._fitted(turn, bound) if bound else self._backend.stream(turn)

    async def aclose(self) -> None:
        """Close the other backend."""
        await self._backend.aclose()

    async def _fitted(self, turn: Turn, bound: Mapping[str, Function]) -> AsyncGenerator[list[Delta], None]:
        held = Held(bound)
        said = self._backend.stream(turn)
        try:
            async for deltas in said:
                passed = [one for delta in deltas for one in await self._passed(delta, held)]
                if passed:
                    yield passed
        finally:
            await said.aclose()
        rest = held.rest()
        if held.finish is not None and held.finish.reason == "stop":
            rest = await self._settled(rest, held)
        if rest:  # what fits, or was cut short with the answer
            yield [draft.call() for draft in rest]
        for misfit in held.misfits:
            again = self._again(turn, misfit, held)
            try:
                async for deltas in again:
                    yield deltas
            finally:
                await again.aclose()
        if held.finish is not None:
            yield [held.finish]

    async def _passed(self, delta: Delta, held: Held) -> list[Delta]:
        """What goes on at once: a delta of another sort, and before it the calls that are whole."""
        match delta:
            case Finish():
                held.finish = delta
                return []
            case Call() if held.takes(delta):
                return []
            case _:
                return [*(draft.call() for draft in await self._settled(held.whole(), held)), delta]

    async def _settled(self, drafts: list[Draft], held: Held) -> list[Draft]:
        """The calls that fit; the model will be asked again for the others."""
        fitting: list[Draft] = []
        for draft in drafts:
            if await self._is_met(draft):
                fitting.append(draft)
            else:
                held.drop(draft)
        return fitting

    async def _is_met(self, draft: Draft) -> bool:
        grammar = draft.function.grammar
        if grammar is None or draft.is_cut:
            return True
        text = _text(draft)
        return text is not None and await self._fits(grammar, text)

    async def _again(self, turn: Turn, misfit: Draft, held: Held) -> AsyncGenerator[list[Delta], None]:
        """The second answer, under keys of its own. Whether it fits is told to the operator alone."""
        log.info("a call does not fit its grammar", extra={"action": "grammar_asked_again"})
        second = Held({misfit.function.name: misfit.function})
        said = self._backend.stream(_told(turn, misfit))
        try:
            async for deltas in said:
                passed = _passed_again(deltas, misfit.key, second)
                if passed:
                    yield passed
        finally:
            await said.aclose()
        held.finish = both(held.finish, second.finish)
        drafts = second.rest()
        if not drafts or not all([await self._is_met(draft) for draft in drafts]):
            log.warning("a call does not fit its grammar, twice", extra={"action": "grammar_not_met"})


def _text(draft: Draft) -> str | None:
    """What is held against the grammar; None where the arguments are not what they should be."""
    try:
        return msgspec.json.decode(draft.arguments, type=_Input).input
    except (msgspec.DecodeError, RecursionError):  # the second for brackets without end
        return None


def _passed_again(deltas: list[Delta], key: str, second: Held) -> list[Delta]:
    """The deltas of a second answer but for its end; its calls have keys that the first has none of."""
    passed: list[Delta] = []
    for delta in deltas:
        match delta:
            case Finish():
                second.finish = delta
            case Call():
                second.takes(delta)
                passed.append(replace(delta, key=f"{key}/{delta.key}"))
            case _:
                passed.append(delta)
    return passed


def _told(turn: Turn, misfit: Draft) -> Turn:
    """The turn again, with what was wrong, and the demand for that call."""
    return replace(
        turn,
        items=[*turn.items, *_exchange(misfit)],
        choice=Choice("required", [misfit.function.name]),
        parallel_tool_calls=False,
    )


def _exchange(misfit: Draft) -> list[Item]:
    """The call that does not fit, and what a model reads as its result."""
    call_id = f"call_misfit_{misfit.key}"[:64]
    name, output = misfit.function.name, _words(misfit.function.grammar)
    match misfit.function.tool:
        case CustomTool(name=own) if own == name:
            text = _text(misfit)
            written = misfit.arguments if text is None else text
            return [
                CustomToolCall(call_id=call_id, name=name, input=written),
                CustomToolCallOutput(call_id=call_id, output=output),
            ]
        case _:
            return [
                FunctionCall(call_id=call_id, name=name, arguments=misfit.arguments),
                FunctionCallOutput(call_id=call_id, output=output),
            ]


def _words(grammar: CustomGrammar | None) -> str:
    shown = "" if grammar is None else f" ({grammar.syntax}):\n{grammar.definition[:LONGEST_SHOWN]}"
    return (
        "Nothing was run: the input does not fit the grammar of this tool. "
        f"Call it again with an input that is what the grammar allows, and nothing else.{shown}"
    )
