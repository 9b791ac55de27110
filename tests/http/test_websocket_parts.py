"""Tests of the parts of a WebSocket by themselves: the way out, what is remembered, and what a response waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any  # ASGI messages are open

import msgspec
import pytest
from msgspec import Raw

from antiphon.http.apart import THREADED
from antiphon.http.auth import LOCAL
from antiphon.http.lanes import worded
from antiphon.http.memory import ENDED, ITEM_BYTES, Memory, Room, measured
from antiphon.http.outlet import Outlet
from antiphon.http.sockets import Handshake
from antiphon.http.steering import Run, Steering, required
from antiphon.http.websocket import Connection, Terms
from antiphon.lifecycle import History
from antiphon.lifecycle.lifecycle import Lifecycle
from antiphon.protocol.calls import (
    ApplyPatchCall,
    CreateFile,
    ExecAction,
    LocalShellCall,
    McpApprovalRequest,
    ShellAction,
    ShellCall,
    ToolSearchCall,
)
from antiphon.protocol.content import InputText
from antiphon.protocol.frames import SteerFrame
from antiphon.protocol.items import CustomToolCall, FunctionCall, Message, OutputItem
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.response import Response
from antiphon.store import StoreUnavailable
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Message as Frame

pytestmark = pytest.mark.anyio

LEAVING = "websocket.disconnect"
UNREADABLE = '{"type":"response.create","input":3}'


class Clogged:
    """The short way to a client that reads what it has after so many times of patience, or never."""

    def __init__(self, *, reads_after: int | None) -> None:
        self.stopping = asyncio.Event()
        self.sent: list[bytes] = []
        self.is_aborted = False
        self._left = reads_after

    def admit(self, limit: int) -> None:
        """Whatever comes."""

    def push(self, texts: Sequence[bytes], *, lingers: bool = False) -> bool:
        """Send, once it reads."""
        if self._left == 0:
            self.sent += texts
        return self._left == 0

    async def drained(self, seconds: float) -> bool:
        """Wait a moment."""
        await asyncio.sleep(0)
        if self._left:
            self._left -= 1
        return self._left is not None

    def abort(self) -> None:
        """Close."""
        self.is_aborted = True


async def test_what_cannot_be_sent_yet_waits() -> None:
    """However often the room that there was is taken by another lane."""
    line, stalled = Clogged(reads_after=3), asyncio.Event()
    await Outlet(nobody, line, patience=1, stalled=stalled.set).write([b"a", b"b"])
    assert ([b"a", b"b"], False, False) == (line.sent, line.is_aborted, stalled.is_set())


async def test_a_client_that_reads_nothing_is_given_up() -> None:
    """Its connection is closed, and what was to be sent is dropped."""
    line, stalled = Clogged(reads_after=None), asyncio.Event()
    await Outlet(nobody, line, patience=1, stalled=stalled.set).write([b"a"])
    assert ([], True, True) == (line.sent, line.is_aborted, stalled.is_set())


async def test_a_server_that_does_not_send_is_given_up_as_well() -> None:
    """Without a short way it is ASGI's ``send`` that waits, or raises."""

    async def forever(_message: Any) -> None:
        await asyncio.Event().wait()

    async def lost(_message: Any) -> None:
        await asyncio.sleep(0)
        raise OSError

    for send in (forever, lost):
        stalled = asyncio.Event()
        await Outlet(send, None, patience=0.01, stalled=stalled.set).write([b"a"])
        assert stalled.is_set()


async def nobody(_message: Any) -> None:
    """Nobody is sent anything by the long way."""
    raise AssertionError


def said(id: str, text: str = "x") -> Message:
    """A message of a user's."""
    return Message(id=id, role="user", content=[InputText(text=text)])


def test_the_newest_response_of_a_lane_takes_the_place_of_the_one_before() -> None:
    """And those of other lanes stay."""
    room = Room(10_000)
    memory = Memory(room, 0)
    memory.keep("a", "1", History([said("m1")]), parent=None, added=100)
    memory.keep("b", "2", History([said("m2")]), parent=None, added=100)
    memory.keep("a", "3", History([said("m1"), said("m3")]), parent="1", added=100)
    assert ["2", "3"] == sorted(memory.known)
    assert ("3", "2", None) == (memory.last("a"), memory.last("b"), memory.last(None))
    assert 300 + 3 * ITEM_BYTES == room.taken


def test_the_histories_used_longest_ago_make_room() -> None:
    """Whoever's they are; one that is longer than the whole room is not remembered itself."""
    room = Room(4000)
    mine, yours = Memory(room, 0), Memory(room, 0)
    mine.keep("a", "1", History([said("m1")]), parent=None, added=1000)
    yours.keep("a", "2", History([said("m2")]), parent=None, added=1000)
    mine.use("1")
    mine.use("unknown")
    mine.keep("b", "3", History([said("m3")]), parent=None, added=1000)
    assert (["1", "3"], []) == (sorted(mine.known), list(yours.known))
    yours.keep("a", "4", History([said("m4")]), parent=None, added=4000)
    assert ([], [], 0) == (list(mine.known), list(yours.known), room.taken)


def test_a_chain_is_measured_by_what_it_adds() -> None:
    """A history that goes on is as long as the one before and what is new in it, until it is measured."""
    room = Room(10_000)
    memory = Memory(room, 0)
    memory.keep("a", "1", History([said("m1")]), parent=None, added=400)
    memory.keep("b", "2", History([said("m1"), said("m2")]), parent="1", added=300)
    assert (400 + ITEM_BYTES) + (700 + 2 * ITEM_BYTES) == room.taken
    memory.weigh("2", 5000)
    memory.weigh("unknown", 5000)
    assert (400 + ITEM_BYTES) + (5000 + 2 * ITEM_BYTES) == room.taken
    outputs: dict[str, Any] = {"m1": "x" * 400}
    assert measured(History([said("m1")])) + 402 == measured(History([said("m1")], outputs))


def test_what_waits_takes_room_from_histories_and_no_more_than_there_is() -> None:
    """Of one connection no more than its share, of all no more than the room; who leaves gives everything back."""
    room = Room(4000)
    mine, yours = Memory(room, 3000), Memory(room, 3000)
    mine.keep("a", "1", History([said("m1")]), parent=None, added=1000)
    assert (True, True, False) == (mine.hold(1500), yours.hold(1500), mine.hold(2000))
    assert ([], False) == (list(mine.known), yours.hold(1400))
    yours.let_go(500)
    assert yours.hold(1400)
    mine.keep("a", "2", History([]), parent=None, added=10)
    mine.leave()
    assert (2400, []) == (room.taken, list(mine.known))


async def test_a_long_steer_that_comes_too_late_goes_back() -> None:
    """It is read in a thread, and meanwhile its response may have ended."""
    memory = Memory(Room(0), 0)
    steering = Steering(memory)
    run = Run("resp_1", None, CreateResponse(model="m", input=[]))
    steering.begin(run)
    frame = SteerFrame(previous_response_id="resp_1", input=Raw(b'"%b"' % (b"x" * (THREADED + 1))))
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(steering.take(frame))
        await asyncio.sleep(0)
        steering.end(run)
    told = msgspec.json.decode(msgspec.json.encode(taking.result()))
    assert ("response.steer.failed", "response_already_completed") == (told["type"], told["error"]["code"])


def test_only_the_last_ids_of_ended_responses_are_known() -> None:
    """There may be any number of them in an hour."""
    memory = Memory(Room(0), 0)
    for number in range(ENDED + 1):
        memory.end(str(number))
    assert (False, True, True) == tuple(memory.has_ended(str(number)) for number in (0, 1, ENDED))


def test_what_a_response_waits_for_is_named_call_by_call() -> None:
    """What was cut short waits for nothing."""
    action = ShellAction(commands=["ls"])
    items: list[OutputItem] = [
        FunctionCall(id="1", call_id="c1", name="look", arguments="{}"),
        FunctionCall(id="2", call_id="c2", name="look", arguments="{", status="incomplete"),
        CustomToolCall(id="3", call_id="c3", name="sed", input="s/a/b/"),
        ShellCall(id="4", call_id="c4", action=action),
        ApplyPatchCall(id="5", call_id="c5", operation=CreateFile(path="a", diff="+")),
        LocalShellCall(id="6", call_id="c6", action=ExecAction(command=["ls"], env={})),
        ToolSearchCall(id="7", call_id="c7", execution="client", arguments={}),
        ToolSearchCall(id="8", call_id="c8", execution="server", arguments={}),
        McpApprovalRequest(id="9", server_label="s", name="n", arguments="{}"),
        said("10"),
    ]
    response = Response(id="r", created_at=0, model="m", output=items, status="completed")
    assert [
        ("function_call_output", "c1"),
        ("custom_tool_call_output", "c3"),
        ("shell_call_output", "c4"),
        ("apply_patch_call_output", "c5"),
        ("local_shell_call_output", "c6"),
        ("tool_search_output", "c7"),
        ("mcp_approval_response", "9"),
    ] == [(stub.type, stub.call_id or stub.approval_request_id) for stub in required(response)]


def test_whatever_fails_is_told_in_words_that_hold_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    """And is in the log."""
    errors = [worded(StoreUnavailable("disk")), worded(KeyError("secret"))]
    assert [(503, "server_error"), (500, "server_error")] == [(error.status, error.code) for error in errors]
    assert not any(word in error.message for error in errors for word in ("disk", "secret"))
    assert ["store_unavailable", "request_failed"] == [vars(record)["action"] for record in caplog.records]


def test_a_refused_handshake_is_json() -> None:
    """Whatever the parser has to say about it: its first line is told."""
    response = Handshake().reject(426, "Not so.\n\nNever.\n")
    assert b'"message":"Not so."' in response.body
    assert str(len(response.body)) == response.headers["content-length"]
    assert Raw(response.body)


class Answering:
    """The short way to a client that says more as soon as it has heard the first answer."""

    def __init__(self, said: asyncio.Queue[Frame]) -> None:
        self.stopping = asyncio.Event()
        self.sent: list[bytes] = []
        self._said = said

    def admit(self, limit: int) -> None:
        """Whatever comes."""

    def push(self, texts: Sequence[bytes], *, lingers: bool = False) -> bool:
        """Hear, and go on; after the second answer leave."""
        self.sent += texts
        more = {"type": "websocket.receive", "text": UNREADABLE} if len(self.sent) == 1 else {"type": LEAVING}
        self._said.put_nowait(more)
        return True

    async def drained(self, seconds: float) -> bool:
        """Never needed."""
        raise AssertionError

    def abort(self) -> None:
        """Close."""


async def test_a_create_that_comes_as_the_lane_falls_idle_is_answered() -> None:
    """Between the end of the last create and whatever is done after it nothing can come."""
    said: asyncio.Queue[Frame] = asyncio.Queue()
    line = Answering(said)
    terms = Terms(message_bytes=1000)
    connection = Connection(
        Lifecycle.__new__(Lifecycle), LOCAL, nobody, line=line, terms=terms, memory=Memory(Room(1000), 1000)
    )
    said.put_nowait({"type": "websocket.receive", "text": UNREADABLE})
    async with asyncio.timeout(HANG_SECONDS):
        await connection.live(said.get)
    assert 2 == len(line.sent)
