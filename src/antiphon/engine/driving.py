"""A backend that sees to it that what a model wants to do on a screen can be done there, and may be.

A call of the computer is held back while it is written. One that can be done goes on as `antiphon.core.actions` writes
it: in pixels of the client's display, and with the checks that stand before it. Of one that cannot be done the model
is told, and is asked again; the client never hears of it. One that repeats the same for ever is told of that, too.
After `TRIES` such calls the answer is over. It is over at once where another function was called beside: asked again
before it hears of that call, the model would make it a second time.

An upstream that knows the tool itself has checked its calls, and gets its own conversation as it is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.core import computer_function
from antiphon.core.action_reading import Undoable, read_actions
from antiphon.core.actions import Steps, only_look, steps_of, written
from antiphon.core.deltas import Call, Finish
from antiphon.core.screen import Screen, actions_of
from antiphon.core.usage import total
from antiphon.engine.held import Draft, Held
from antiphon.protocol.computer import Action, ComputerCall, SafetyCheck
from antiphon.protocol.items import FunctionCall, FunctionCallOutput

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from antiphon.backends import Backend
    from antiphon.core.concerns import Concern
    from antiphon.core.deltas import Delta
    from antiphon.core.offer import Computer
    from antiphon.core.turn import Turn
    from antiphon.protocol.items import Item
    from antiphon.protocol.response import Usage

    Concerns = Callable[[], Awaitable[list[Concern]]]

log = logging.getLogger(__name__)

TRIES = 4
"""How often the model is asked for one step."""

PATIENCE = 10
"""How many times as often the same may be done where the screen changes meanwhile, or where it is only looked at."""

LONGEST_SHOWN = 2_000
"""Characters of a call that a model is shown with what was wrong about it."""


class Repeats(Struct, frozen=True):
    """What was done last, how often in a row, and after how many of the last times the screen showed the same."""

    actions: list[Action] = []
    count: int = 0
    unchanged: int = 0


class Drive(Struct, frozen=True):
    """What is known of the screen before a step.

    ``past`` is what was done last, and ``most_repeats`` how often the same may be done while the screen stays as it is.
    ``is_native``: the upstream knows the tool itself.
    """

    screen: Screen = Screen()
    past: Repeats = Repeats()
    most_repeats: int = 5
    is_native: bool = False


class Driving:
    """Another backend, whose calls of a computer are checked. ``concerns`` asks what stands before a step."""

    def __init__(self, backend: Backend, computer: Computer, drive: Drive, concerns: Concerns) -> None:
        self._backend = backend
        self._computer = computer
        self.drive = drive
        self._concerns = concerns

    def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """What the other backend says; where the turn has no computer, its very own stream."""
        has_one = any(function.name == self._computer.name for function in turn.functions)
        return self._driven(turn) if has_one else self._backend.stream(turn)

    async def aclose(self) -> None:
        """Close the other backend."""
        await self._backend.aclose()

    async def _driven(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        asked = turn if self.drive.is_native else self._shown(turn)
        usage: Usage | None = None
        for number in range(1 if self.drive.is_native else TRIES):
            step = _Step(turn, self._computer.name, number=number)
            answer = self._answered(asked, step)
            try:
                async for deltas in answer:
                    yield deltas
            finally:
                await answer.aclose()
            if step.finish is None:
                return  # cut off, as whoever reads on will see
            usage = total(usage, step.finish.usage)
            if step.is_over:
                yield [replace(step.finish, usage=usage)]
                return
            asked = _told(asked, step)
        log.warning("computer not moved", extra={"action": "computer_not_moved"})
        yield [Finish("max_messages", usage)]

    async def _answered(self, turn: Turn, step: _Step) -> AsyncGenerator[list[Delta], None]:
        """One answer of the model's, but for its end."""
        said = self._backend.stream(turn)
        try:
            async for deltas in said:
                passed = [one for delta in deltas for one in await self._passed(delta, step)]
                if passed:
                    yield passed
        finally:
            await said.aclose()
        if step.finish is not None and step.finish.reason == "stop":
            calls = await self._settled(step, step.held.rest())
            if calls:
                yield calls

    def _shown(self, turn: Turn) -> Turn:
        """The turn in the model's own coordinates."""
        screen, computer = self.drive.screen, self._computer
        words = computer_function.description(computer.tool, screen)
        return replace(
            turn,
            items=[_in_picture(item, screen) for item in turn.items],
            functions=[
                replace(each, description=words) if each.name == computer.name else each for each in turn.functions
            ],
        )

    async def _passed(self, delta: Delta, step: _Step) -> list[Delta]:
        """What goes on at once: a delta of another sort, and before it the calls that are whole."""
        match delta:
            case Finish():
                step.finish = delta
                return []
            case Call() if step.held.takes(delta):
                return []
            case Call():
                before = await self._settled(step, step.held.whole())
                step.has_called_others = step.has_called_others or delta.name in step.others
                return [*before, replace(delta, key=step.prefix + delta.key)]
            case _:
                return [*await self._settled(step, step.held.whole()), delta]

    async def _settled(self, step: _Step, drafts: list[Draft]) -> list[Delta]:
        """The call that can be made. A step is one call: what it does not see yet a model can do in the next one."""
        calls: list[Delta] = []
        for draft in drafts:
            if step.has_called:
                log.info("a second step dropped", extra={"action": "computer_call_dropped"})
                step.held.drop(draft)
                continue
            try:
                steps = self._read(draft)
            except Undoable as error:
                step.held.drop(draft)
                step.wrong.append((draft, str(error)))
                continue
            step.has_called = True
            calls.append(Call(step.prefix + draft.key, self._computer.name, written(await self._checked(steps))))
        return calls

    def _read(self, draft: Draft) -> Steps:
        """What is to be done. Raises `Undoable`, and `UpstreamError` for what an upstream should have known better."""
        if draft.is_cut:
            raise Undoable("The call is too long.")
        if self.drive.is_native:
            steps = steps_of(draft.arguments)
            if steps is None:
                raise UpstreamError("server_error", "The model's server sent a call of the computer that is none.")
        else:
            most = computer_function.most_actions(self._computer.tool)
            steps = Steps(read_actions(draft.arguments, self.drive.screen, most=most))
        if self._is_stuck(steps.actions):
            raise Undoable(
                f"This was done {self.drive.past.count} times in a row, and it does not help. Do something else; if "
                "there is nothing else to be done, tell the user."
            )
        return steps

    def _is_stuck(self, actions: list[Action]) -> bool:
        past, most = self.drive.past, self.drive.most_repeats
        if actions != past.actions:
            return False
        return past.count >= PATIENCE * most or (past.unchanged >= most and not only_look(actions))

    async def _checked(self, steps: Steps) -> Steps:
        """With what a person has to be asked first."""
        if only_look(steps.actions):
            return steps
        own = [SafetyCheck(id="", code=each.code, message=each.message) for each in await self._concerns()]
        return replace(steps, pending_safety_checks=[*steps.pending_safety_checks, *own])


class _Step:
    """One answer of the model's, while it is heard. ``wrong`` are calls that cannot be made, and why.

    ``others`` are the functions that it may call beside the computer.
    """

    def __init__(self, turn: Turn, name: str, *, number: int) -> None:
        self.number = number
        self.prefix = f"{number}/" if number else ""  # the keys of calls are those of one answer
        self.held = Held({each.name: each for each in turn.functions if each.name == name})
        names = {each.name for each in turn.functions}
        self.others = (names if turn.choice.names is None else names.intersection(turn.choice.names)) - {name}
        self.wrong: list[tuple[Draft, str]] = []
        self.has_called = self.has_called_others = False
        self.finish: Finish | None = None

    @property
    def is_over(self) -> bool:
        """Whether the model need not be asked again."""
        return self.has_called or self.has_called_others or not self.wrong


def _in_picture(item: Item, screen: Screen) -> Item:
    match item:
        case ComputerCall() if item.action:
            return replace(item, action=screen.to_picture(item.action))
        case ComputerCall() if item.actions:
            return replace(item, actions=[screen.to_picture(action) for action in actions_of(item)])
        case _:
            return item


def _told(turn: Turn, step: _Step) -> Turn:
    """The turn again, with the calls that cannot be made, and why."""
    told: list[Item] = []
    for index, (draft, words) in enumerate(step.wrong):
        call_id = f"call_undone_{step.number}_{index}"
        told += [
            FunctionCall(call_id=call_id, name=draft.function.name, arguments=draft.arguments[:LONGEST_SHOWN]),
            FunctionCallOutput(call_id=call_id, output=f"Nothing was done. {words}"),
        ]
    return replace(turn, items=[*turn.items, *told])
