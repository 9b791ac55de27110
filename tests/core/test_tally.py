"""Tallies: what a response took, as its upstream counted it; what nobody counted is estimated, and told apart."""

from __future__ import annotations

from itertools import count

from msgspec.structs import replace

from antiphon.core.deltas import Finish, Text
from antiphon.core.log import Pack, entries
from antiphon.core.machine import Machine
from antiphon.core.replay import replayed
from antiphon.core.tally import DAY_SECONDS, MOST, Ending, Tally, Unreported, counted, tally
from antiphon.protocol.calls import ImageGenerationCall, McpCall
from antiphon.protocol.response import (
    ImageToolUsage,
    InputTokens,
    OutputTokens,
    Response,
    ResponseError,
    ToolUsage,
    Usage,
)
from tests.core.stage import COST, NOW, opened

TODAY = NOW // DAY_SECONDS
FAULT = ResponseError(code="server_error", message="It broke.")


def took(machine: Machine) -> Tally:
    """What the machine's response took."""
    return tally(Ending(machine.response, unreported=machine.unreported), now=NOW)


def test_what_an_upstream_counted_is_taken_as_it_is() -> None:
    """Nothing is estimated then."""
    machine = opened()
    machine.feed([Text("Hello there."), Finish("stop", COST)])
    machine.complete(NOW)
    told = Tally(TODAY, "completed", 1, input_tokens=10, cached_tokens=4, output_tokens=5, reasoning_tokens=2)
    assert told == took(machine)


def test_what_cannot_be_is_not_believed() -> None:
    """An upstream may say anything: less than nothing is nothing, and there is a most that a number may be."""
    wild = Usage(
        input_tokens=10**30,
        input_tokens_details=InputTokens(cached_tokens=-4),
        output_tokens=-5,
        output_tokens_details=OutputTokens(reasoning_tokens=10**19),
        total_tokens=0,
    )
    told = Tally(TODAY, "completed", input_tokens=MOST, reasoning_tokens=MOST)
    assert told == counted(wild, day=TODAY, outcome="completed")


def test_what_no_upstream_counted_is_estimated() -> None:
    """What was said, here; and what was asked, once it is known how long that was."""
    machine = opened()
    machine.feed([Text("one two three four " * 20), Finish("max_output_tokens")])
    machine.complete(NOW)
    told = took(machine)
    assert ("incomplete", 0, 0, 1) == (told.outcome, told.input_tokens, told.output_tokens, told.unread)
    assert 40 < told.estimated_output < 120
    assert (0, 1000) == (told.estimated_input, told.reading(1000).estimated_input)
    assert 0 == told.reading(1000).unread


def test_a_turn_that_was_broken_off_is_estimated_and_those_before_it_are_not() -> None:
    """Whether the run was cancelled or failed; what the model read of its own words counts as input."""
    for outcome in ("cancelled", "failed"):
        machine = opened()
        machine.feed([Text("word " * 50), Finish("stop", COST)])
        machine.next_turn()
        machine.feed([Text("more " * 50)])
        machine.cancel() if outcome == "cancelled" else machine.fail(FAULT)
        told = took(machine)
        assert (outcome, 10, 5) == (told.outcome, told.input_tokens, told.output_tokens)
        assert [Unreported(1, 2)] == machine.unreported
        assert 40 < told.estimated_output < 90
        assert 40 < told.estimated_input < 90


def test_a_run_that_ends_between_turns_took_what_was_counted() -> None:
    """No turn was broken off."""
    machine = opened()
    machine.feed([Text("Hello."), Finish("stop", COST)])
    machine.cancel()
    assert ([], 0) == (machine.unreported, took(machine).unread)


def test_a_log_tells_which_turns_nobody_counted() -> None:
    """Whoever takes a run over counts a broken turn, and the turn that stands for it, each once."""
    numbers = count()
    machine = Machine(
        Response(id="resp_0", created_at=NOW, model="m", status="queued"),
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
    )
    pack = Pack(0)
    pack.add(machine.queue())
    pack.add(machine.resume())
    machine.next_turn()
    pack.add(machine.feed([Text("half a sente")]))
    chunk = pack.take()
    assert chunk is not None
    heir = replayed(entries(chunk.text, 0), new_id=lambda prefix: f"{prefix}_{next(numbers)}")
    more = Pack(chunk.last + 1)
    more.add(heir.resume())
    heir.next_turn()
    more.add(heir.feed([Text("A whole sentence."), Finish()]))
    for note in heir.take_notes():
        more.note(note)
    rest = more.take()
    assert rest is not None
    assert [Unreported(0, 1), Unreported(1, 2)] == heir.unreported
    third = replayed([*entries(chunk.text, 0), *entries(rest.text, rest.first)], new_id=str)
    assert heir.unreported == third.unreported


def test_pictures_are_counted_and_their_tokens() -> None:
    """Those that were drawn; a drawing that failed is none."""
    drawn = ImageGenerationCall(id="ig_1", status="completed", result="aGk=")
    failed = ImageGenerationCall(id="ig_2", status="failed")
    response = Response(
        id="resp_0",
        created_at=NOW,
        model="m",
        status="completed",
        output=[drawn, failed],
        tool_usage=ToolUsage(image_gen=ImageToolUsage(total_tokens=77)),
    )
    assert Tally(TODAY, "completed", pictures=1, picture_tokens=77) == tally(Ending(response), now=NOW)


def test_nobody_was_asked_for_calls_that_a_person_approved() -> None:
    """They are a turn without a model."""
    call = McpCall(id="mcp_1", server_label="shop", name="buy", arguments="{}", approval_request_id="mcpr_1")
    response = Response(id="resp_0", created_at=NOW, model="m", status="completed", output=[call])
    assert Tally(TODAY, "completed") == tally(Ending(response, unreported=[Unreported(0, 1)]), now=NOW)
    own = replace(response, output=[replace(call, approval_request_id=None)])
    assert 1 == tally(Ending(own, unreported=[Unreported(0, 1)]), now=NOW).unread


def test_an_upstream_that_said_nothing_is_a_request_all_the_same() -> None:
    """Of which nothing is known."""
    assert Tally(1, "aside") == counted(None, day=1, outcome="aside")
    assert Tally(1, "aside", 0, 10, 4, 5, 2) == counted(COST, day=1, outcome="aside", requests=0)
