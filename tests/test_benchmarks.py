"""The benchmarks' own parts: the floor tells what the upstream says, and the driver hears all of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import anyio
import msgspec
import pytest
from msgspec import Struct

from antiphon.protocol.response import Response
from benchmarks import background, limits
from benchmarks.background import APPENDED, FLUSH, Size, between_flushes, flushed, played, together
from benchmarks.contenders import ROOT
from benchmarks.driver import CHAT, BrokenAnswerError, Caller, Heard, Load
from benchmarks.ensemble import alone
from benchmarks.floor import Floor
from benchmarks.mcp import TURNS, chained, costs, made_call
from benchmarks.measures import MEASURES
from benchmarks.reading import Read, Streams, Token, lateness, read_streams
from benchmarks.replays import replayed
from benchmarks.stage import raised
from benchmarks.table import GOALS, rows
from benchmarks.telling import ChatUsage, Request, Telling
from benchmarks.tool_calls import Load as CallLoad
from benchmarks.tool_calls import beside_tools
from benchmarks.upstream import EVERYTHING, Upstream
from tests.patient import HANG_SECONDS

BACKGROUND_ENVELOPE = 9
"""The events of a text answer in the background that are no deltas."""

GOES_ON = """
from benchmarks.processes import own_seconds
print(all(own_seconds() < (sum(range(1000)), own_seconds())[1] for _ in range(1000)))
"""
"""Whether a clock goes on during a little work."""
UNDER_A_LIMIT = 'ulimit -S -t 600; "$@"; exit $?'
"""Runs a command in a process whose time is limited from its first moment."""

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Told(Struct, frozen=True):
    """The part of any event that is looked at here."""

    type: str
    sequence_number: int
    delta: str = ""
    obfuscation: str = ""
    response: dict[str, msgspec.Raw] = {}


def port_of(server: asyncio.Server) -> int:
    """Give the port that a server listens on."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def answers(load: Load, *, through_the_floor: bool) -> list[Heard]:
    """Put a load on a floor of its own, or on the upstream itself, and give the answers."""
    upstream = Upstream()
    above = await upstream.listen()
    with anyio.fail_after(HANG_SECONDS):
        async with asyncio.TaskGroup() as group:
            floor = Floor(port_of(above), group)
            below = await floor.listen(0)
            asked = Caller(upstream, port=port_of(below))
            direct = Caller(upstream, port=port_of(above), dialect=CHAT)
            heard = await (asked if through_the_floor else direct).run(load)
    for connected in (asked, direct, floor, upstream, below, above):
        connected.close()
    return heard


@pytest.mark.parametrize("stride", [1, 4, EVERYTHING])
async def test_every_token_comes_through_the_floor_however_many_are_said_at_a_time(stride: int) -> None:
    """In lockstep, in bursts and all at once, each stream carries the tokens that were asked of the upstream."""
    heard = await answers(Load(requests=6, concurrency=3, tokens=9, stride=stride), through_the_floor=True)
    assert [9] * 6 == [one.tokens for one in heard]


async def test_the_driver_hears_the_upstream_without_a_server_between() -> None:
    """The number that the added time is measured against comes from the same upstream and the same client."""
    [heard] = await answers(Load(requests=1, concurrency=1, tokens=5), through_the_floor=False)
    assert heard.tokens == 5
    assert heard.first > 0


async def test_the_floor_gives_a_body_that_nobody_watched() -> None:
    """A request without a stream gets the finished response, with the whole text."""
    load = Load(requests=1, concurrency=1, tokens=3, stride=EVERYTHING, stream=False)
    [heard] = await answers(load, through_the_floor=True)
    response = msgspec.json.decode(heard.body)
    assert response["status"] == "completed"
    assert response["output"][0]["content"][0]["text"] == " tok000 tok001 tok002"


def told() -> list[Told]:
    """Give the events of a response of two deltas, as the floor writes them."""
    telling = Telling(Request("bench", "Hello"))
    before = telling.start() + telling.feed(["Hel", "lo"])
    after, _ = telling.complete(ChatUsage(1, 2, 3))
    frames = (before + after).split(b"\n\n")[:-1]
    return [msgspec.json.decode(frame.partition(b"\ndata: ")[2], type=Told) for frame in frames]


def test_the_floor_writes_every_event_type_of_a_text_stream() -> None:
    """The floor does the whole work: nine event types, numbered without gaps, deltas padded to sixteen characters."""
    events = told()
    assert list(range(10)) == [event.sequence_number for event in events]
    assert 9 == len({event.type for event in events})
    assert [16, 16] == [len(event.delta + event.obfuscation) for event in events if event.delta]


def test_the_floor_writes_whole_snapshots() -> None:
    """The floor sends every key that Antiphon always sends, three times in a stream."""
    always = {field.name for field in msgspec.structs.fields(Response) if field.default is not msgspec.UNSET}
    snapshots = [set(event.response) for event in told() if event.response]
    assert [always] * 3 == snapshots


TINY = Size(streams=4, tokens=24, jobs=4, places=2, pairs=1)


async def test_background_streams_are_whole_on_one_server() -> None:
    """Every event of every stream comes, numbered without a gap, and each figure is there for both kinds of run."""
    async with raised() as stage, alone(stage, runs=TINY.streams) as ensemble:
        spent = await ensemble.play(Streams(streams=4, tokens=24, background=True))
        taken = await played(ensemble, TINY, rounds=1)
    assert [24 + BACKGROUND_ENVELOPE] * 4 == [read.events for read in spent.reads]
    assert {"foreground", "background"} == set(taken["cpu"])
    assert {"cpu", "late", "jobs", "rate", "first"} == set(taken)


async def test_two_statements_write_a_flush_of_workers_beside_servers() -> None:
    """The runs of two workers are read whole from two other servers, and a flush takes two statements, however many."""
    async with raised() as stage:
        taken = await together(stage, TINY, rounds=1)
    assert [2] == taken["log"]["writes a flush"]
    assert taken["log"]["events a part"] >= [1]
    assert {"background servers", "background workers", "background postgres"} < set(taken["cpu"])


async def test_the_replay_of_a_log_gives_every_event() -> None:
    """A log in parts is read to its end from the store and over HTTP; what is missing would be raised."""
    async with raised() as stage:
        samples = await replayed(stage, 1, deltas=50)
    assert ["store to bytes", "over HTTP"] == list(samples)
    assert all(rate > 0 for [rate] in samples.values())


async def test_a_gap_in_a_stream_breaks_the_benchmark() -> None:
    """A reader that misses an event says which."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        frames = b'data: {"sequence_number":0}\n\ndata: {"sequence_number":2}\n\n'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(frames), frames))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        with pytest.raises(BrokenAnswerError, match="event 2 followed event 0"):
            await read_streams(Upstream(), [port_of(server)], Streams(streams=1, tokens=1))


def test_tokens_are_judged_late_only_while_all_streams_speak() -> None:
    """What a stream said before the last one began, or after the first one ended, is left out."""
    early = Read(0, 3, [Token(0, 9_000), Token(10_000, 12_000), Token(20_000, 24_000)])
    late = Read(0, 3, [Token(8_000, 10_000), Token(20_000, 21_000), Token(30_000, 99_000)])
    assert [1.0, 2.0, 4.0] == lateness([early, late])


def test_statements_are_counted_by_what_they_are_for() -> None:
    """Statements that were run before are left out, also those of a run's ends, and what is unknown is a write."""
    before = {"UPDATE jobs SET parts = 1": 5, "BEGIN": 2}
    after = {"UPDATE jobs SET parts = 1": 7, "INSERT INTO events": 2, "BEGIN": 4, "SELECT pg_notify": 1}
    after |= {"UPDATE jobs SET state = $1": 1, "UPDATE responses\nSET status = $1": 1, "INSERT INTO jobs (response)": 1}
    after |= {"INSERT INTO events (response) VALUES ($1)": 3}
    counted = flushed(before, after)
    assert [2] == counted["writes a flush"]
    assert [1] == counted["transactions a flush"]
    assert [0.5] == counted["words a flush"]
    assert [3] == counted["turns of runs a flush"]


async def test_a_count_that_never_falls_between_two_flushes_breaks_the_benchmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flush that was counted by half would be told as another number of statements."""
    halves = {f"{FLUSH} = parts + $1": 3, f"{APPENDED} $1": 2}
    monkeypatch.setattr(background, "LOOKING_SECONDS", 0.05)
    with pytest.raises(BrokenAnswerError, match="no count fell between two flushes"):
        await between_flushes(lambda: halves)


async def test_the_mcp_server_hears_every_call_and_one_list_of_a_chain() -> None:
    """A chain asks for its tools once, over one connection, and makes a call in each turn."""
    async with raised() as stage, beside_tools(stage) as tools:
        clock = await chained(tools, "one")
        counts = await tools.counts()
    assert TURNS + 1 == len(clock)
    assert (1, 1, TURNS) == (counts.connections, counts.lists, counts.calls)


async def test_calls_abreast_are_all_made_and_those_without_an_object_are_not() -> None:
    """What is subtracted costs the server of the tools nothing; a load that is not answered whole would be raised."""
    async with raised() as stage, beside_tools(stage) as tools:
        await tools.play(CallLoad(responses=2, concurrency=2, rounds=2, kind="unsent"))
        await tools.play(CallLoad(responses=1, concurrency=1, rounds=1, kind="client's"))
        assert 0 == (await tools.counts()).calls
        await tools.play(CallLoad(responses=4, concurrency=4, rounds=2, abreast=3))
        assert 24 == (await tools.counts()).calls


async def test_calls_are_measured_by_both_handshakes() -> None:
    """Each row that a goal names is there."""
    async with raised() as stage, beside_tools(stage) as newest, beside_tools(stage, era="handshake") as older:
        taken = await costs(newest, older)
    assert {goal.of for goal in GOALS if goal.measure == "mcp-call"} < set(taken)


def test_a_response_without_a_call_that_was_made_breaks_the_benchmark() -> None:
    """A chain is measured only where each turn has made its call."""
    made = (
        b'{"id":"resp_1","output":[{"type":"mcp_call","status":"completed"},{"type":"message","status":"completed"}]}'
    )
    assert "resp_1" == made_call(made)
    for broken in (made.replace(b"completed", b"failed", 1), b'{"id":"resp_1","output":[]}', b"{}"):
        with pytest.raises(BrokenAnswerError):
            made_call(broken)


def test_the_clock_of_a_process_goes_on_under_a_limit_of_its_time() -> None:
    """Its own clock stands still between two ticks of the kernel there, which made some work cost nothing."""
    said = subprocess.run(
        ["sh", "-c", UNDER_A_LIMIT, "sh", sys.executable, "-c", GOES_ON],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "True\n" == said.stdout


async def test_what_admission_costs_is_told_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row has a number for each round, those of the trips to the database too."""
    monkeypatch.setattr(limits, "ADMITTED", 20)
    [measure] = [each for each in MEASURES if each.name == "admission"]
    samples = await limits.admission(None, 2)
    assert {2} == {len(numbers) for numbers in samples.values()}
    assert 1 + len(samples) == len([*rows(measure, samples)])
