"""The benchmark of computer use: its steps are steps, its pictures differ, and what goes wrong is told."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from antiphon.documents.pictures import picture
from benchmarks import computer, screens
from benchmarks.computer import ADDED, ALL, NOISY, PAGE, PLAIN, RECENT, TEXT, Chain
from benchmarks.driver import BrokenAnswerError
from benchmarks.pictures import data_url
from benchmarks.stage import raised
from benchmarks.table import GOALS

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EDGE = screens.as_png(Image.new("RGB", (12, 500), "white"))
"""The first click, at 11, hits it, and the second one does not."""


def rows_of_goals(measure: str) -> set[str]:
    """The rows of a measure to which a goal holds."""
    goals = [goal for goal in GOALS if goal.measure == measure]
    return {row for goal in goals for row in (goal.of, goal.over) if row}


async def test_a_step_is_measured_with_a_screenshot_and_without() -> None:
    """No child is asked, and each goal has its row."""
    async with raised() as stage:
        samples = await computer.steps_taken(stage, computer.WARM + 2, rounds=1)
    assert rows_of_goals("computer") < set(samples)
    assert all(samples[name] > samples[TEXT] for name in (PAGE, NOISY))
    assert samples[ADDED] == pytest.approx([samples[PAGE][0] - samples[TEXT][0]])


async def test_a_long_run_is_looked_at_on_its_way() -> None:
    """With all screenshots and with the newest three, by what a step costs and by what is held."""
    async with raised() as stage:
        taken = await computer.runs(stage, 10, (5, 10), rounds=1)
    rows = {f"{name}, {mark}" for name in computer.MODELS.values() for mark in (5, 10)}
    assert {"cpu": rows, "memory": rows} == {measure: set(samples) for measure, samples in taken.items()}
    assert all(figure > 0 for samples in taken.values() for [figure] in samples.values())


def test_the_rows_that_goals_name_are_those_of_a_long_run() -> None:
    """Its first mark and its last, in both ways."""
    marks = (computer.MARKS[0], computer.MARKS[-1])
    assert {f"{name}, {mark}" for name in computer.MODELS.values() for mark in marks} == rows_of_goals(
        "computer-memory"
    )


@pytest.mark.parametrize("model", [PLAIN, ALL, RECENT])
async def test_a_run_goes_on_for_as_long_as_it_is_measured(model: str) -> None:
    """Every step ends with a call, and no two are the same: else the model would be told to do something else."""
    shown = "It was pressed." if model == PLAIN else computer.Screenshot(data_url("image/png", tall()))
    async with raised() as stage, stage.play(computer.driving()) as running:
        chain = Chain(stage, running, model)
        await chain.begin()
        for _ in range(computer.STEPS):
            await chain.step(shown)


async def test_a_step_that_the_model_does_not_take_breaks_the_benchmark() -> None:
    """A response without the call is no step, whatever it cost."""
    shown = computer.Screenshot(data_url("image/png", EDGE))
    async with raised() as stage, stage.play(computer.driving()) as running:
        chain = Chain(stage, running, ALL)
        await chain.begin()
        await chain.step(shown)
        with pytest.raises(BrokenAnswerError, match="no computer_call came"):
            await chain.step(shown)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"id":"resp_1","output":[]}'])
def test_only_an_answer_with_a_call_counts(body: bytes) -> None:
    """What is no response is none, and one without an output has no call."""
    with pytest.raises(BrokenAnswerError):
        computer.called(body, "computer_call")


async def test_a_run_that_has_not_begun_has_no_step() -> None:
    """There is no call that could be answered."""
    async with raised() as stage, stage.play(computer.driving()) as running:
        with pytest.raises(BrokenAnswerError, match="not begun"):
            await Chain(stage, running, PLAIN).step("It was pressed.")


@pytest.mark.parametrize(("name", "least", "most"), [("page", 100_000, 300_000), ("noisy", 1_000_000, 3_000_000)])
def test_a_screenshot_is_of_its_size_and_is_handed_on_as_it_is(name: str, least: int, most: int) -> None:
    """1280 by 800 pixels, as many kilobytes as its name says, and another file each time."""
    png: bytes = getattr(screens, name)()
    first, second = screens.another(png, 1), screens.another(png, 2)
    assert least < len(png) < most
    assert first != second
    assert (screens.WIDTH, screens.HEIGHT) == Image.open(BytesIO(first)).size
    assert [first, second] == [picture(each, side=2_048).content for each in (first, second)]
    assert Image.open(BytesIO(png)).tobytes() == Image.open(BytesIO(second)).tobytes()


def tall() -> bytes:
    """A screen that all clicks hit."""
    return screens.as_png(Image.new("RGB", (100, 500), "white"))
