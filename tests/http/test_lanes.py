"""Tests of a lane by itself: what waited is asked for again before it is begun."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # the lifecycle that is not reached

import pytest

from antiphon.http.lanes import Create, Desk, Lane
from antiphon.http.memory import Memory, Room
from antiphon.http.outlet import Outlet
from antiphon.http.steering import Steering
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import revoked_key

if TYPE_CHECKING:
    from starlette.types import Message

pytestmark = pytest.mark.anyio

KEY = "ak-0123456789abcdef"


async def test_what_waited_is_not_begun_with_a_key_that_was_revoked_meanwhile() -> None:
    """It is refused in its turn, as what is asked for later is; its bytes are let go."""
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["text"])

    async def admit() -> None:
        raise revoked_key(KEY)

    room = Room(1000)
    memory = Memory(room, 1000)
    outlet = Outlet(send, None, patience=1.0, stalled=sent.clear)
    unreached: Any = None
    desk = Desk(unreached, Caller("a"), outlet, memory=memory, steering=Steering(memory))
    desk.admit = admit
    lane = Lane("lane", desk)
    for _ in range(2):
        body = json.dumps({"type": "response.create", "model": "m", "input": "hi"}).encode()
        assert memory.hold(len(body))
        lane.waiting.append(Create(body, len(body)))
    await lane.answer()
    await lane.answer()
    told = [json.loads(text) for text in sent]
    assert [("error", "invalid_api_key", "lane")] * 2 == [
        (frame["type"], frame["error"]["code"], frame["stream_id"]) for frame in told
    ]
    assert (0, 0) == (len(lane.waiting), room.taken)
