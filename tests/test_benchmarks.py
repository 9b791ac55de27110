"""The benchmarks' own parts: the floor tells what the upstream says, and the driver hears all of it."""

from __future__ import annotations

import asyncio

import anyio
import msgspec
import pytest
from msgspec import Struct

from antiphon.protocol.response import Response
from benchmarks.driver import CHAT, Caller, Heard, Load
from benchmarks.floor import Floor
from benchmarks.telling import ChatUsage, Request, Telling
from benchmarks.upstream import EVERYTHING, Upstream

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
    with anyio.fail_after(10):
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
