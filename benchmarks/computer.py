"""Computer use: what a step costs beyond the model and the browser, and whether a long run grows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from benchmarks import screens
from benchmarks.background import Together
from benchmarks.contenders import Contender
from benchmarks.driver import BrokenAnswerError
from benchmarks.files import MB, Watched, lowered
from benchmarks.pictures import ANSWER_SECONDS, data_url, scripted
from benchmarks.upstream import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.background import Taken
    from benchmarks.contenders import Place
    from benchmarks.processes import Command
    from benchmarks.samples import Samples
    from benchmarks.stage import Running, Stage

STEPS = 50
MARKS = (5, 25, STEPS)
"""Steps at which a long run is looked at: what a step costs is taken over the `WINDOW` that ends there."""
WINDOW = 5
SHORT = 12
"""Steps of the short runs. The first are not counted: there is no such chain behind them yet."""
WARM = 4
TEXT = "text in its place"
PAGE = "page"
NOISY = "noisy page"
ADDED = "a page adds"
PLAIN, ALL, RECENT = "plain", "all", "recent"
MODELS = {ALL: "all screenshots", RECENT: "the newest three"}
WORDS = "The button was pressed, and the page shows what is in the cart now. " * 3
LOOK = '{ type = "screenshot" }'
CLICK = '{{ type = "click", button = "left", x = {x}, y = 400 }}'


class Tool(Struct, frozen=True):
    """A tool of a request: the computer, or a function."""

    type: str
    name: str | UnsetType = UNSET
    parameters: dict[str, object] | UnsetType = UNSET


class Screenshot(Struct, frozen=True):
    """What a computer shows."""

    image_url: str
    type: str = "computer_screenshot"


class Output(Struct, frozen=True):
    """What came of a call."""

    type: str
    call_id: str
    output: Screenshot | str


class Body(Struct, frozen=True):
    """A request: the user's words, or the output of a call."""

    model: str
    tools: list[Tool]
    input: str | list[Output]
    previous_response_id: str | UnsetType = UNSET


class Called(Struct, frozen=True):
    """An item of an answer, as far as it is looked at here."""

    type: str
    call_id: str = ""


class Answer(Struct, frozen=True):
    """The part of a response that the next step needs."""

    id: str
    output: list[Called]


def script() -> str:
    """Three models: each calls what it is offered, again and again, never twice in the same way."""
    return "".join(
        f'[[deployments]]\nname = "{name}"\nbackend = "scripted"\n{more}'
        + "".join(f"[[deployments.replies]]\noutputs = {step}\n{_steps(name, step)}" for step in range(STEPS + 1))
        for name, more in {PLAIN: "", ALL: "", RECENT: "screenshots = 3\n"}.items()
    )


def _steps(name: str, step: int) -> str:
    click = CLICK.format(x=10 + step) if step else LOOK
    if name == PLAIN:
        return f'steps = [{{ call = {{ name = "press", arguments = {click} }} }}]\n'
    return f'steps = [{{ call = {{ name = "computer", arguments = {{ actions = [{click}] }} }} }}]\n'


class Chain:
    """A run of one model: each step sends what the last call came to, with ``previous_response_id``."""

    def __init__(self, stage: Stage, running: Running, model: str) -> None:
        self._stage = stage
        self._running = running
        self._model = model
        self._last: Answer | None = None
        schema: dict[str, object] = {"type": "object", "properties": {}}
        self._tool = Tool("function", "press", schema) if model == PLAIN else Tool("computer")

    async def begin(self) -> None:
        """Ask for the first step."""
        self._last = await self._asked(Body(self._model, [self._tool], "Buy a lamp."))

    async def step(self, shown: Screenshot | str) -> None:
        """Send what came of the last call. Raises `BrokenAnswerError` where no other call follows."""
        last = self._last
        if last is None:
            raise BrokenAnswerError("a run that has not begun")
        kind = "function_call_output" if isinstance(shown, str) else "computer_call_output"
        output = Output(kind, last.output[-1].call_id, shown)
        self._last = await self._asked(Body(self._model, [self._tool], [output], last.id))

    async def _asked(self, body: Body) -> Answer:
        speech = self._stage.upstream.prepare(tokens=1, stride=EVERYTHING)
        async with asyncio.timeout(ANSWER_SECONDS):
            heard = await self._running.caller.ask(speech, msgspec.json.encode(body), stream=False)
        self._stage.upstream.forget()
        return called(heard.body, "function_call" if self._model == PLAIN else "computer_call")


def called(body: bytes, type: str) -> Answer:
    """Read an answer. Raises `BrokenAnswerError` for one that does not end with such a call."""
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except msgspec.MsgspecError as error:
        raise BrokenAnswerError(f"no response: {body[:200]!r}") from error
    if not answer.output or answer.output[-1].type != type:
        raise BrokenAnswerError(f"no {type} came: {body[:400]!r}")
    return answer


def shown(png: bytes) -> Callable[[int], Screenshot]:
    """What shows the same picture in another file each time, as pages that change a little do."""
    return lambda number: Screenshot(data_url("image/png", screens.another(png, number)))


def driving() -> Contender:
    """Antiphon with the three models."""

    def command(place: Place) -> Command:
        return scripted(place, script())

    return Contender("antiphon", command)


async def computer_step(stage: Stage, rounds: int) -> Samples:
    """Measure the CPU of a step, in milliseconds, with a screenshot and with a text in its place, on one server."""
    return await steps_taken(stage, SHORT, rounds=max(2, rounds // 2))


async def steps_taken(stage: Stage, steps: int, *, rounds: int) -> Samples:
    """Take the samples of so many rounds, each of a chain of so many steps for every row."""
    kinds: dict[str, tuple[str, Callable[[int], Screenshot | str]]] = {
        TEXT: (PLAIN, lambda number: f"{number}. {WORDS}"),
        PAGE: (RECENT, shown(await asyncio.to_thread(screens.page))),
        NOISY: (RECENT, shown(await asyncio.to_thread(screens.noisy))),
    }
    samples: Samples = {}
    async with stage.play(driving()) as running:
        for turn in range(-1, rounds):
            spent: dict[str, float] = {}
            for name, (model, look) in kinds.items():
                spent[name] = await run_spent(stage, running, model, [look(turn * steps + n) for n in range(steps)])
            spent[ADDED] = spent[PAGE] - spent[TEXT]
            for name, figure in spent.items() if turn >= 0 else ():
                samples.setdefault(name, []).append(figure)
    return samples


async def run_spent(
    stage: Stage, running: Running, model: str, outputs: list[Screenshot] | list[str] | list[Screenshot | str]
) -> float:
    """Make a run, and give the milliseconds of CPU of a step."""
    chain = Chain(stage, running, model)
    await chain.begin()
    for output in outputs[:WARM]:
        await chain.step(output)
    watched = Watched(running.server)
    for output in outputs[WARM:]:
        await chain.step(output)
    return 1e3 * sum(watched.cpu_seconds()) / max(1, len(outputs) - WARM)


async def long_runs(stage: Stage, rounds: int) -> Taken:
    """Make runs of 50 steps, with all screenshots shown and with the newest three, on new servers."""
    return await runs(stage, STEPS, MARKS, rounds=max(1, rounds // 3))


async def runs(stage: Stage, steps: int, marks: tuple[int, ...], *, rounds: int) -> Taken:
    """Take the samples of so many rounds: milliseconds of CPU of a step, and megabytes that are held behind it."""
    taken: Taken = {"cpu": {}, "memory": {}}
    look = shown(await asyncio.to_thread(screens.page))
    for _ in range(rounds):
        for model in MODELS:
            async with stage.play(driving()) as running:
                await run_spent(stage, running, model, [look(steps + n) for n in range(WARM)])
                await one_run(stage, running, taken, model=model, pictures=[look(n) for n in range(steps)], marks=marks)
    return taken


async def one_run(
    stage: Stage, running: Running, taken: Taken, *, model: str, pictures: list[Screenshot], marks: tuple[int, ...]
) -> None:
    """Make one run, and note what it costs and holds at each mark."""
    chain = Chain(stage, running, model)
    await chain.begin()
    watched = Watched(running.server)
    for number, picture in enumerate(pictures, 1):
        if number + WINDOW - 1 in marks:
            watched.anew()
        await chain.step(picture)
        if number in marks:
            row = f"{MODELS[model]}, {number}"
            taken["cpu"].setdefault(row, []).append(1e3 * sum(watched.cpu_seconds()) / WINDOW)
            taken["memory"].setdefault(row, []).append(held(running) / MB)


def held(running: Running) -> float:
    """The bytes that a server and its children hold now."""
    return float(sum(lowered(pid) for pid in running.server.tree()))


LONG_RUNS = Together(long_runs)
