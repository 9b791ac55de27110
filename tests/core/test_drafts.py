"""Items of a client's calls as far as they are told, and which items are a client's."""

from __future__ import annotations

from itertools import count

import pytest
from msgspec.structs import replace

from antiphon.core.calls import OpenCall
from antiphon.core.drafts import ClientItem, Told, draft_of, is_clients
from antiphon.core.place import Place
from antiphon.core.replay import replayed
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ContainerReference,
    CreateFile,
    DeleteFile,
    ExecAction,
    LocalEnvironment,
    LocalShellCall,
    ShellAction,
    ShellCall,
    ToolSearchCall,
    WebSearchCall,
)
from antiphon.protocol.computer import ComputerCall, Wait
from antiphon.protocol.events import CommandAdded, CommandDelta, ItemAdded, ItemDelta, ItemPhase, Snapshot
from antiphon.protocol.items import CustomToolCall, FunctionCall, OutputItem
from antiphon.protocol.response import Response
from tests.core.stage import DONE, NOW, names

IN_A_CONTAINER = ContainerReference(container_id="cntr_1")
BLANKS: list[ClientItem] = [
    CustomToolCall(id="x", status="in_progress", call_id="c", name="n", input=""),
    ShellCall(id="x", status="in_progress", call_id="c", action=ShellAction(commands=[])),
    ApplyPatchCall(id="x", status="in_progress", call_id="c", operation=CreateFile(path="a", diff="")),
    ApplyPatchCall(id="x", status="in_progress", call_id="c", operation=DeleteFile(path="a")),
    LocalShellCall(id="x", status="in_progress", call_id="c", action=ExecAction(command=[])),
    ToolSearchCall(id="x", status="in_progress", call_id="c", execution="client", arguments={}),
    ComputerCall(id="x", status="in_progress", call_id="c", action=Wait()),
    ComputerCall(id="x", status="in_progress", call_id="c", actions=[Wait()]),
]


@pytest.mark.parametrize("blank", BLANKS)
def test_what_tells_nothing_of_an_item_is_passed_over(blank: ClientItem) -> None:
    """Progress, and pieces of something that was never begun."""
    draft = draft_of(blank, Place("x", 0, count().__next__))
    draft.hear(ItemPhase(type="response.mcp_call.in_progress", item_id="x", output_index=0, sequence_number=0))
    draft.hear(CommandDelta(delta="a", command_index=0, output_index=0, sequence_number=0))
    assert blank == draft.item("in_progress")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        *((blank, True) for blank in BLANKS),
        (ShellCall(call_id="c", action=ShellAction(commands=[]), environment=LocalEnvironment()), True),
        (ShellCall(call_id="c", action=ShellAction(commands=[]), environment=IN_A_CONTAINER), False),
        (ToolSearchCall(arguments={}), False),
        (FunctionCall(call_id="c", name="f", arguments=""), False),
        (WebSearchCall(), False),
    ],
)
def test_an_item_is_the_clients_by_its_type_and_by_where_it_is_run(item: OutputItem, *, expected: bool) -> None:
    """A container and a search of its own are the server's; a function is neither."""
    assert expected is is_clients(item)


def test_a_call_that_only_a_log_knows_is_written_by_nobody() -> None:
    """It was told; what comes is its end."""
    call = OpenCall(
        Told(draft_of(BLANKS[0], Place("x", 0, count().__next__))),
        Place("x", 0, count().__next__),
        key="k",
        name="",
        call_id="c",
    )
    assert [] == call.kind.began(call)
    assert [] == call.write("a")
    assert ["custom_tool_call_input.done"] == names(call.close("incomplete"))
    assert CustomToolCall(id="x", status="incomplete", call_id="c", name="n", input="") == call.kind.item(call)


def test_a_shell_of_the_servers_is_shown_by_its_answer_alone() -> None:
    """What its commands told is not written again when nobody can answer it any more."""
    opening = Response(id="resp_0", created_at=NOW, model="m", status="in_progress")
    item = ShellCall(
        id="sh_0", status="in_progress", call_id="c", action=ShellAction(commands=[]), environment=IN_A_CONTAINER
    )
    machine = replayed(
        [
            Snapshot(type="response.created", response=opening, sequence_number=0),
            ItemAdded(item=item, output_index=0, sequence_number=1),
            CommandAdded(command="", command_index=0, output_index=0, sequence_number=2),
            CommandDelta(delta="ls", command_index=0, output_index=0, sequence_number=3),
        ],
        new_id=str,
    )
    assert [DONE] == names(machine.resume())
    assert [replace(item, status="incomplete")] == machine.finished


def test_a_delta_of_a_file_that_is_removed_says_nothing() -> None:
    """It has no diff."""
    draft = draft_of(BLANKS[3], Place("x", 0, count().__next__))
    draft.hear(
        ItemDelta(
            type="response.apply_patch_call_operation_diff.delta",
            delta="a",
            item_id="x",
            output_index=0,
            sequence_number=0,
        )
    )
    assert BLANKS[3] == draft.item("in_progress")
    assert [] == draft.close()
