"""The task of a run: what is shown of thoughts, what goes out sealed, and who keeps calls to their grammars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # JSON

import pytest

from antiphon.core.turn import Hints, Thinking
from antiphon.core.writing import Shown
from antiphon.engine.fitting import Fitting
from antiphon.engine.truncating import Truncating
from antiphon.lifecycle import Asker, Deployment
from antiphon.lifecycle.equipping import every_turn, seals
from antiphon.lifecycle.lifecycle import Lifecycle
from antiphon.protocol.errors import ApiError
from antiphon.protocol.reading import read_request
from tests.lifecycle.stories import Scribe
from tests.working import CALLER, Process

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.engine.task import Task
    from antiphon.lifecycle import Prepared
    from antiphon.protocol.request import CreateResponse
    from antiphon.store import Database

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {}}
F: dict[str, Any] = {"type": "function", "name": "f", "parameters": SCHEMA}
LATE: dict[str, Any] = {**F, "name": "late", "defer_loading": True}
GRAMMAR = {"type": "grammar", "syntax": "regex", "definition": "a+"}
NOTE: dict[str, Any] = {"type": "custom", "name": "note", "format": GRAMMAR}
SEARCH = {"type": "tool_search"}


@pytest.fixture
async def process(database: Database) -> AsyncGenerator[Process]:
    """A process with a model."""
    made = Process(database, Scribe({"steps": [{"text": "So."}]}))
    yield made
    await made.grammars.aclose()


def request(**body: Any) -> CreateResponse:  # JSON
    """A request."""
    return read_request(json.dumps({"model": "m", "input": "Hi.", **body}).encode()).request


async def prepared(process: Process, **body: Any) -> Prepared:  # JSON
    """A request that is ready to run."""
    whole = {"model": "m", "input": "Hi.", **body}
    return await process.preparing.prepare(read_request(json.dumps(whole).encode()), Asker(CALLER))


async def task(process: Process, **body: Any) -> Task:  # JSON
    """The task of a request."""
    return (await prepared(process, **body)).task


@pytest.mark.parametrize(
    ("reasoning", "shown"),
    [
        (None, Shown()),
        ({"effort": "low"}, Shown()),
        ({"summary": "concise"}, Shown(summary="concise")),
        ({"generate_summary": "detailed"}, Shown(summary="detailed")),
        ({"generate_summary": "detailed", "summary": "auto"}, Shown(summary="auto")),
    ],
)
async def test_a_summary_is_shown_where_it_was_asked_for(process: Process, reasoning: object, shown: Shown) -> None:
    """In its style, by either name."""
    made = await task(process, **({} if reasoning is None else {"reasoning": reasoning}))
    assert (shown, "m") == (made.shown, made.thinker)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, False),
        ({"store": True}, False),
        ({"store": False}, True),
        ({"include": ["reasoning.encrypted_content"]}, True),
    ],
)
async def test_thoughts_go_out_sealed_where_they_were_asked_for_or_are_not_kept(
    process: Process, body: dict[str, Any], *, expected: bool
) -> None:
    """A sealed one is opened by the next request of the same tenant."""
    assert expected == seals(request(**body))
    seal = (await task(process, **body)).seal
    assert expected == (seal is not None)
    if seal is not None:
        thinking = Thinking(text="Hm.", form="signature", token="s", model="m")
        item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal(thinking)}
        more = await task(process, input=[item, {"role": "assistant", "content": "So."}])
        assert {"rs_1": thinking} == more.turn.thoughts


@pytest.mark.parametrize(
    ("context", "recalls", "expected"),
    [
        (None, False, False),
        (None, True, True),
        ("auto", True, True),
        ("all_turns", False, True),
        ("current_turn", True, False),
    ],
)
def test_a_request_says_of_which_turns_thoughts_are_seen_and_else_the_deployment(
    context: str | None, *, recalls: bool, expected: bool
) -> None:
    """By the setting ``reasoning.context``."""
    asked = request(**({} if context is None else {"reasoning": {"context": context}}))
    deployment = Deployment("m", Scribe(), recalls_thoughts=recalls)
    assert expected == every_turn(asked, deployment)


@pytest.mark.parametrize(
    ("tools", "fits"),
    [
        ([F], False),
        ([NOTE], True),
        ([LATE, SEARCH], True),
        ([{"type": "namespace", "name": "n", "description": "", "tools": [NOTE]}], True),
        ([{**NOTE, "defer_loading": True}, SEARCH], True),
    ],
    ids=["none", "grammar", "search", "member", "deferred"],
)
async def test_calls_are_held_to_grammars_where_there_are_any(
    process: Process, tools: list[Any], *, fits: bool
) -> None:
    """Or where a search may find one."""
    assert fits == isinstance((await task(process, tools=tools)).backend, Fitting)
    assert isinstance((await task(process, tools=tools, truncation="auto")).backend, Truncating)


async def test_a_grammar_that_is_none_is_refused_wherever_it_stands(process: Process) -> None:
    """The parameter says where."""
    bad = {**NOTE, "format": {**GRAMMAR, "definition": "("}}
    space = {"type": "namespace", "name": "n", "description": "", "tools": [F, bad]}
    brought = {"type": "additional_tools", "role": "developer", "tools": [bad]}
    for body, place in (
        ({"tools": [F, bad]}, "tools[1]"),
        ({"tools": [space]}, "tools[0].tools[1]"),
        ({"input": [{"role": "user", "content": "Hi."}, brought]}, "input[1].tools[0]"),
    ):
        with pytest.raises(ApiError) as caught:
            await task(process, **body)
        assert f"{place}.format.definition" == caught.value.param


async def test_hints_go_to_the_backend(process: Process) -> None:
    """As they were sent."""
    sent = {
        "user": "u",
        "safety_identifier": "s",
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
    }
    assert Hints(**sent) == (await task(process, **sent)).turn.hints  # type: ignore[arg-type]  # as they are written
    assert Hints() == (await task(process)).turn.hints


async def test_a_choice_may_name_what_the_conversation_brought(process: Process) -> None:
    """By an item of it, or by a search; what nobody brought is refused, and so is what is chosen without a history."""
    lifecycle = Lifecycle(process.preparing, process.store, process.shelves.keeping, process.book)

    async def emit(_events: object) -> None:
        """Nobody listens."""

    brought = {"type": "additional_tools", "role": "developer", "tools": [F, NOTE]}
    first = await lifecycle.perform(await prepared(process, input=[brought, {"role": "user", "content": "Hi."}]), emit)
    choice = {"type": "function", "name": "f"}
    made = await task(process, previous_response_id=first.id, tool_choice=choice)
    assert (["f"], ["f", "note"]) == (made.turn.choice.names, [each.name for each in made.turn.functions])
    assert frozenset({"f"}) == made.allowed
    for body in ({"tool_choice": choice}, {"previous_response_id": first.id, "tool_choice": {**choice, "name": "g"}}):
        with pytest.raises(ApiError) as caught:
            await task(process, **body)
        assert "tool_choice" == caught.value.param


async def test_a_request_to_prepare_asks_nobody_where_a_connection_remembers(process: Process) -> None:
    """Over plain HTTP the parameter has no effect, and that is said."""
    body = json.dumps({"model": "m", "input": "Hi.", "generate": False}).encode()
    remembering = await process.preparing.prepare(read_request(body), Asker(CALLER, memory={}))
    assert ("prepare", []) == (remembering.task.purpose, remembering.ignored)
    plain = await process.preparing.prepare(read_request(body), Asker(CALLER))
    assert ("answer", ["generate"]) == (plain.task.purpose, plain.ignored)


async def test_a_trigger_asks_for_a_summary_and_no_answer(process: Process) -> None:
    """Where it stands last."""
    trigger = {"type": "compaction_trigger"}
    user = {"role": "user", "content": "Hi."}
    made = await task(process, input=[user, trigger])
    assert ("compact", True) == (made.purpose, made.compact is not None)
    assert ("answer", None) == ((await task(process)).purpose, (await task(process)).compact)


async def test_tools_that_stay_hidden_are_looked_for_by_a_tool_of_the_servers(process: Process) -> None:
    """It is offered with its paths, and the run may be equipped anew."""
    made = await task(process, tools=[F, LATE, SEARCH])
    assert ["f", "tool_search"] == [each.name for each in made.turn.functions]
    assert ["tool_search"] == list(made.tools)
    assert made.opening is not None
    assert None is (await task(process, tools=[F])).opening
