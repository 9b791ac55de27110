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

from antiphon.core.arguments import MOST_ARGUMENTS, Arguments
from antiphon.core.deltas import Call, Finish
from antiphon.core.turn import Choice
from antiphon.core.usage import total
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
        held = _Held(bound)
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

    async def _passed(self, delta: Delta, held: _Held) -> list[Delta]:
        """What goes on at once: a delta of another sort, and before it the calls that are whole."""
        match delta:
            case Finish():
                held.finish = delta
                return []
            case Call() if held.takes(delta):
                return []
            case _:
                return [*(draft.call() for draft in await self._settled(held.whole(), held)), delta]

    async def _settled(self, drafts: list[_Draft], held: _Held) -> list[_Draft]:
        """The calls that fit; the model will be asked again for the others."""
        fitting: list[_Draft] = []
        for draft in drafts:
            if await self._is_met(draft):
                fitting.append(draft)
            else:
                held.drop(draft)
        return fitting

    async def _is_met(self, draft: _Draft) -> bool:
        grammar = draft.function.grammar
        if grammar is None or draft.is_cut:
            return True
        text = draft.text()
        return text is not None and await self._fits(grammar, text)

    async def _again(self, turn: Turn, misfit: _Draft, held: _Held) -> AsyncGenerator[list[Delta], None]:
        """The second answer, under keys of its own. Whether it fits is told to the operator alone."""
        log.info("a call does not fit its grammar", extra={"action": "grammar_asked_again"})
        second = _Held({misfit.function.name: misfit.function})
        said = self._backend.stream(_told(turn, misfit))
        try:
            async for deltas in said:
                passed = _passed_again(deltas, misfit.key, second)
                if passed:
                    yield passed
        finally:
            await said.aclose()
        held.finish = _both(held.finish, second.finish)
        drafts = second.rest()
        if not drafts or not all([await self._is_met(draft) for draft in drafts]):
            log.warning("a call does not fit its grammar, twice", extra={"action": "grammar_not_met"})


class _Draft:
    """A call of a function with a grammar, as far as it is written."""

    def __init__(self, key: str, function: Function) -> None:
        self.key = key
        self.function = function
        self.is_out = False
        self.is_dropped = False
        self._arguments = Arguments(most=MOST_ARGUMENTS + 1)  # whoever hears it is to know that there was more

    @property
    def is_cut(self) -> bool:
        """Whether it is longer than any call may be: it is passed on, and is never completed."""
        return self._arguments.is_cut

    @property
    def arguments(self) -> str:
        return self._arguments.text

    def write(self, arguments: str) -> None:
        self._arguments.write(arguments)

    def call(self) -> Call:
        """All of it, as one delta."""
        return Call(self.key, self.function.name, self.arguments)

    def is_whole(self) -> bool:
        """Whether nothing can follow."""
        return self._arguments.is_whole()

    def text(self) -> str | None:
        """What is held against the grammar; None where the arguments are not what they should be."""
        try:
            return msgspec.json.decode(self.arguments, type=_Input).input
        except (msgspec.DecodeError, RecursionError):  # the second for brackets without end
            return None


class _Held:
    """The calls of one answer that are held back, and what else is known of it only at its end."""

    def __init__(self, bound: Mapping[str, Function]) -> None:
        self._bound = bound
        self._drafts: dict[str, _Draft] = {}
        self._open: list[_Draft] = []
        self.misfits: list[_Draft] = []
        self.finish: Finish | None = None

    def takes(self, call: Call) -> bool:
        """Keep a fragment of a call; False for one that goes on as it comes."""
        draft = self._drafts.get(call.key)
        if draft is None:
            function = self._bound.get(call.name)
            if function is None:
                return False
            draft = self._drafts[call.key] = _Draft(call.key, function)
            self._open.append(draft)
        if not draft.is_out:
            draft.write(call.arguments)
        return draft.is_dropped or not draft.is_out

    def whole(self) -> list[_Draft]:
        """The calls that are whole, once."""
        return self._let_go(lambda draft: draft.is_whole())

    def rest(self) -> list[_Draft]:
        """All that are left."""
        return self._let_go(lambda _: True)

    def drop(self, draft: _Draft) -> None:
        """A call that does not fit is not passed on, nor is anything that follows of it."""
        draft.is_dropped = True
        self.misfits.append(draft)

    def _let_go(self, is_ready: Callable[[_Draft], bool]) -> list[_Draft]:
        ready: list[_Draft] = []
        still_open: list[_Draft] = []
        for draft in self._open:
            draft.is_out = is_ready(draft)
            (ready if draft.is_out else still_open).append(draft)
        self._open = still_open
        return ready


def _passed_again(deltas: list[Delta], key: str, second: _Held) -> list[Delta]:
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


def _both(first: Finish | None, second: Finish | None) -> Finish | None:
    """The end of both answers together; None where one of them was cut off."""
    if first is None or second is None:
        return None
    return Finish(second.reason, total(first.usage, second.usage))


def _told(turn: Turn, misfit: _Draft) -> Turn:
    """The turn again, with what was wrong, and the demand for that call."""
    return replace(
        turn,
        items=[*turn.items, *_exchange(misfit)],
        choice=Choice("required", [misfit.function.name]),
        parallel_tool_calls=False,
    )


def _exchange(misfit: _Draft) -> list[Item]:
    """The call that does not fit, and what a model reads as its result."""
    call_id = f"call_misfit_{misfit.key}"[:64]
    name, output = misfit.function.name, _words(misfit.function.grammar)
    match misfit.function.tool:
        case CustomTool(name=own) if own == name:
            text = misfit.text()
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
