"""What comes before the model is asked: lists of tools, answers of a person, and the calls that were approved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # a script is open

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.core.notes import CallStarted, TurnEnded
from antiphon.core.sse import name
from antiphon.core.turn import Choice
from antiphon.engine import run
from antiphon.engine.reins import Reins
from antiphon.engine.task import Equipment
from antiphon.protocol.calls import McpApprovalRequest, McpCall, McpListTools
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message
from antiphon.protocol.refusals import approval_spent
from antiphon.tools import Unlisted
from tests.opening import LATER, LOOK, Approvals, Library, opened
from tests.patient import HANG_SECONDS
from tests.playing import NOW, Run
from tests.test_engine_resuming import Succession, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.engine.task import Task
    from antiphon.protocol.response import Response

pytestmark = pytest.mark.anyio

CALL = {"steps": [{"call": {"name": LATER, "arguments": {"q": 1}}}], "outputs": 0}
DONE = {"steps": [{"text": "Done."}], "outputs": 1}
HELLO = {"steps": [{"text": "Hello there."}]}
LISTED = ["output_item.added", "mcp_list_tools.in_progress", "mcp_list_tools.completed", "output_item.done"]
CALLED = [
    "output_item.added",
    "mcp_call.in_progress",
    "mcp_call_arguments.delta",
    "mcp_call_arguments.done",
    "mcp_call.completed",
    "output_item.done",
]


def beginning(library: Library, *replies: dict[str, Any], **settings: Any) -> Run:  # as `opened` takes them
    """A run that begins with a library."""
    started = Run(*replies)
    started.task = opened(started.task, library, **settings)
    return started


async def watched(started: Run) -> Response:
    """Run it with somebody who watches."""
    numbers = iter(range(1000))
    return await run(
        started.task,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        now=lambda: NOW + 1,
        emit=started.emit,
        keep=started.keep,
        reins=Reins(),
    )


def short(started: Run) -> list[str]:
    """The names of what was emitted."""
    return [name.removeprefix("response.") for name in started.names]


async def test_tools_are_listed_before_the_model_is_asked() -> None:
    """The model is given them, and what it calls is called; the order is the recorded one."""
    library = Library()
    started = beginning(library, CALL, DONE)
    response = await started.perform()
    assert ["mcp_list_tools", "mcp_call", "message"] == [item.__struct_config__.tag for item in response.output]
    assert [[LATER], [LATER]] == [[each.name for each in turn.functions] for turn in started.model.turns]
    assert ["created", "in_progress", *LISTED, *CALLED] == short(started)[: 2 + len(LISTED) + len(CALLED)]
    assert (1, ['{"q":1}']) == (library.lists, library.called)
    assert {response.output[1].id: "Found."} == started.outputs


async def test_whoever_watches_sees_the_list_while_it_is_made() -> None:
    """Before the server has answered."""
    slow = anyio.Event()
    started = beginning(Library(slow=slow), HELLO)
    async with anyio.create_task_group() as group:
        group.start_soon(watched, started)
        with anyio.fail_after(HANG_SECONDS):
            while len(started.names) < 4:
                await anyio.lowlevel.checkpoint()
        assert ["created", "in_progress", *LISTED[:2]] == short(started)
        assert [] == started.model.turns
        slow.set()
    assert ["response.completed"] == started.terminal


@pytest.mark.parametrize("fault", [Unlisted("no", status=401), Unlisted("no", is_refused=True)])
async def test_a_server_that_lists_nothing_is_an_error_where_nobody_watches(fault: Unlisted) -> None:
    """A plain one, and nothing was emitted or kept."""
    started = beginning(Library(fault=fault), HELLO)
    with pytest.raises(ApiError) as caught:
        await started.perform()
    assert (400 if fault.is_refused else 424) == caught.value.status
    assert ([], [], []) == (started.names, started.kept, started.model.turns)


async def test_a_server_that_lists_nothing_fails_a_response_that_is_watched() -> None:
    """The list says why, and so does the response; the model is not asked."""
    started = beginning(Library(fault=Unlisted("no", status=500)), HELLO)
    response = await watched(started)
    item, error = response.output[0], response.error
    message = "Error retrieving tool list from MCP server: 'library'. Http status code: 500 (Internal Server Error)"
    assert isinstance(item, McpListTools)
    assert (message, []) == (item.error, item.tools)
    assert error is not None
    assert ("failed", "server_error", message) == (response.status, error.code, error.message)
    failed = [*LISTED[:2], "mcp_list_tools.failed", "output_item.done", "failed"]
    assert ["created", "in_progress", *failed] == short(started)
    assert started.is_kept_first
    assert [] == started.model.turns


async def test_approved_calls_are_made_before_the_model_is_asked() -> None:
    """Side by side, with the arguments that were approved; the model reads what came of them."""
    library, approvals = Library(), Approvals()
    done = {"steps": [{"text": "Done."}], "outputs": 2}
    started = beginning(library, done, approvals=approvals, granted=['{"a":1}', "not json"], lists=False)
    response = await started.perform()
    calls = [item for item in response.output if isinstance(item, McpCall)]
    assert [("mcpr_10", '{"a":1}'), ("mcpr_11", "not json")] == [
        (item.approval_request_id, item.arguments) for item in calls
    ]
    assert sorted(['{"a":1}', "not json"]) == sorted(library.called)
    assert (1, 1) == (approvals.spent, len(started.model.turns))
    assert [item.id for item in calls] == [item.id for item in started.model.turns[0].items[-2:]]


async def test_approvals_that_were_used_before_stop_everything() -> None:
    """Nothing is called and nobody hears of a response."""
    library = Library()
    started = beginning(library, HELLO, approvals=Approvals(approval_spent("mcpr_1")), granted=["{}"])
    with pytest.raises(ApiError) as caught:
        await started.perform()
    assert 400 == caught.value.status
    assert ([], [], []) == (library.called, started.names, started.kept)


async def test_approvals_that_were_used_meanwhile_fail_a_response_that_is_watched() -> None:
    """It was told of a list already."""
    started = beginning(Library(), HELLO, approvals=Approvals(approval_spent("mcpr_1")), granted=["{}"])
    response = await watched(started)
    assert response.error is not None
    assert ("failed", "invalid_prompt") == (response.status, response.error.code)


async def test_a_call_that_was_made_is_kept_though_the_model_cannot_be_asked() -> None:
    """Whoever approved it cannot approve it again: so this is no plain error any more."""
    failing = {"steps": [{"fail": {"fault": "rate_limit_exceeded"}}]}
    started = beginning(Library(), failing, granted=["{}"], lists=False)
    response = await started.perform()
    assert "failed" == response.status
    assert ["mcp_call"] == [item.__struct_config__.tag for item in response.output]
    assert started.kept == [response]


async def test_a_call_that_needs_an_approval_ends_the_response() -> None:
    """The request is told whole, and nothing is called."""
    library = Library()
    started = beginning(library, CALL, asks=True)
    response = await started.perform()
    request = response.output[-1]
    assert isinstance(request, McpApprovalRequest)
    assert ("completed", '{"q":1}', []) == (response.status, request.arguments, library.called)
    assert ["output_item.added", "output_item.done", "completed"] == short(started)[-3:]


async def test_no_more_calls_are_made_than_the_limit() -> None:
    """The model is not offered the tools any more, and has to answer."""
    library = Library()
    endless = {"steps": [{"call": {"name": LATER, "arguments": {}}}]}
    started = beginning(library, {"steps": [{"text": "Enough."}], "outputs": 2}, endless)
    started.task = replace(started.task, most_calls=2)
    response = await started.perform()
    assert ("completed", 2) == (response.status, len(library.called))
    assert [[LATER], [LATER], []] == [[each.name for each in turn.functions] for turn in started.model.turns]
    assert "none" == started.model.turns[-1].choice.mode


async def test_a_call_beyond_the_limit_is_not_said() -> None:
    """Not even within one turn."""
    library = Library()
    both = {"steps": [{"call": {"name": LATER, "arguments": {}}}] * 3}
    started = beginning(library, {"steps": [{"text": "Enough."}], "outputs": 1}, both)
    started.task = replace(started.task, most_calls=1)
    response = await started.perform()
    assert 1 == len(library.called)
    assert ["mcp_list_tools", "mcp_call", "message"] == [item.__struct_config__.tag for item in response.output]


class Openings(Succession):
    """Processes that make one response, which begins with a list and with approved calls."""

    def __init__(self, *replies: dict[str, Any], granted: list[str]) -> None:
        self.library, self.approvals = Library(), Approvals()
        self._granted = granted
        super().__init__(*replies)

    def _task(self) -> Task:
        return opened(super()._task(), self.library, approvals=self.approvals, granted=self._granted)


@given(lives=st.lists(st.integers(0, 9), max_size=6), grants=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
async def test_wherever_processes_die_nothing_is_done_twice(lives: list[int], grants: int) -> None:
    """Each call is made once, or its outcome is unknown; one list is told; the response comes to its end."""
    granted = [json.dumps({"n": number}) for number in range(grants)]
    call = {"steps": [{"call": {"name": LATER, "arguments": {"q": 1}}}], "outputs": grants}
    done = {"steps": [{"text": "Done."}], "outputs": grants + 1}
    succession = Openings(call, done, granted=granted)
    response: Response | None = None
    for life in lives:
        response = response or await succession.go_on(lives=life)
    response = check(succession, response or await succession.go_on())
    assert "completed" == response.status
    lists = [item for item in response.output if isinstance(item, McpListTools)]
    assert [[LOOK]] == [item.tools for item in lists]
    assert all(1 == succession.library.called.count(arguments) for arguments in {*succession.library.called})
    made = [item for item in response.output if isinstance(item, McpCall)]
    calls = [item for item in made if item.status != "incomplete"]  # of turns that were broken off
    unknown = [item for item in calls if item.status == "failed"]
    assert len(calls) == grants + 1
    assert len(succession.library.called) >= len(calls) - len(unknown)
    assert len(succession.noted(CallStarted)) == len({note.id for note in succession.noted(CallStarted)})  # type: ignore[union-attr]  # of one kind
    assert isinstance(response.output[-1], Message)
    assert succession.noted(TurnEnded)


async def test_a_model_cannot_name_a_call_that_was_approved() -> None:
    """The id of a request is no function: said by a model, it is not said."""
    library = Library()
    forged = {"steps": [{"call": {"name": "mcpr_10", "arguments": {"to": "attacker"}}}], "outputs": 1}
    started = beginning(library, forged, granted=['{"to":"friend"}'], lists=False)
    response = await started.perform()
    assert ['{"to":"friend"}'] == library.called
    assert ["mcp_call", "message"] == [item.__struct_config__.tag for item in response.output]


async def test_a_denial_is_used_up_when_something_comes_of_it() -> None:
    """Whoever is told that the model is busy sends it again."""
    approvals = Approvals()
    busy = beginning(Library(), {"steps": [{"fail": {"fault": "rate_limit_exceeded"}}]}, approvals=approvals)
    with pytest.raises(UpstreamError):
        await busy.perform()
    assert 0 == approvals.spent
    await beginning(Library(), HELLO, approvals=approvals).perform()
    assert 1 == approvals.spent


async def test_a_list_that_failed_for_one_process_fails_for_the_next() -> None:
    """Without its tools the model would answer another question."""
    succession = Openings(HELLO, granted=[])
    succession.library = Library(fault=Unlisted("no", status=500))
    await succession.go_on()
    succession.emissions = succession.emissions[:4]  # it died between the end of the list and that of the response
    succession.log = [entry for emission in succession.emissions for entry in emission]
    assert "response.mcp_list_tools.failed" in [name(entry) for entry in succession.events]
    response = check(succession, await succession.go_on())
    assert response.error is not None
    assert ("failed", "server_error") == (response.status, response.error.code)
    assert [] == [turn for model in succession.models for turn in model.turns]


async def test_a_demand_that_a_list_does_not_meet_is_told_by_a_successor_too() -> None:
    """As it would have been without the interruption."""

    def refuse(made: Sequence[McpListTools]) -> Equipment:
        if made:
            raise approval_spent("mcpr_1")
        return Equipment([], Choice(), None)

    class Demanding(Openings):
        def _task(self) -> Task:
            task = super()._task()
            assert task.opening is not None
            return replace(task, opening=replace(task.opening, equip=refuse))

    succession = Demanding(HELLO, granted=[])
    while await succession.go_on(lives=3) is None:
        pass
    response = check(succession, succession.kept[-1])
    assert response.error is not None
    assert "invalid_prompt" == response.error.code
