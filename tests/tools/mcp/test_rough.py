"""Servers that break the protocol, or strain it: what they do must not be done twice, nor harm who shares them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from antiphon.protocol.calls import McpHttpError, McpProtocolError
from antiphon.tools import Unlisted
from antiphon.tools.mcp import wire
from tests.patient import HANG_SECONDS
from tests.tools.mcp.rough import DONE, EVENTS, Message, Rough, RoughOlder, event, progress, reply, rough, tool
from tests.tools.mcp.test_servers import Kept, Part, item, part

if TYPE_CHECKING:
    from antiphon.core.calls import Phase
    from antiphon.tools.mcp import Server

pytestmark = [pytest.mark.anyio, pytest.mark.whole]


EMPTY = b'{"jsonrpc":"2.0","id":"ID","result":{"content":[]}}'


class Slow(Part):
    """The part, whose client is slow; ``telling`` is set when it is being told something."""

    def __init__(self, part: Part, telling: anyio.Event) -> None:
        super().__init__(part.servers, part.audit)
        self.told: list[Phase] = []
        self._telling = telling

    async def report(self, phase: Phase) -> None:
        """Take a phase."""
        await super().report(phase)
        self._telling.set()
        await anyio.sleep(0.5)  # it is slow: meanwhile the connection ends
        self.told.append(phase)


async def warm(under: Part, server: Rough) -> Server:
    """A server to which there is a connection already."""
    named = under.server(server.url)
    await named.list()
    return named


class Spoils(Rough):
    """Answers some calls with what cannot be read, while another is being made: it waits until it may end."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.spoilt = answer
        self.begun = anyio.Event()
        self.may_end = anyio.Event()

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        if message["params"]["name"] == "other":
            writer.write(self.spoilt.replace(b'"ID"', str(message["id"]).encode()))
            writer.close()
            return
        self.begun.set()
        await self.may_end.wait()
        await super().call(message, writer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 307 T\r\nlocation: http://[::1\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 307 T\r\nlocation: http://a:99999999/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: caf\xe9\r\n\r\n" + EMPTY,
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; x=\xe9\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_an_answer_that_cannot_be_read_harms_no_other_call(answer: bytes) -> None:
    """The other one is made once, over the connection that both share, and gets its result."""
    async with rough(Spoils(answer)) as server, part() as under:
        named = await warm(under, server)
        outputs: list[object] = []

        async def charge() -> None:
            outputs.append((await under.call(named, "charge")).output)

        async with anyio.create_task_group() as group:
            group.start_soon(charge)
            await server.begun.wait()
            assert 424 == getattr(item(await under.call(named, "other")).error, "code", None)
            server.may_end.set()
        assert (["done"], 1, 1) == (outputs, server.times("charge"), server.times("initialize"))


class Breaks(RoughOlder):
    """Ends the stream of answers while a call is made that it has not even acknowledged."""

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        assert self.stream is not None
        self.stream.close()
        await self.hang()


async def test_a_call_under_which_the_session_ends_is_not_made_again() -> None:
    """It may have taken effect."""
    async with rough(Breaks()) as server, part() as under:
        named = await warm(under, server)
        error = item(await under.call(named, "charge")).error
        assert McpHttpError(code=424, message="The connection to the MCP server was lost.") == error
        assert 1 == server.times("charge")


class Asks(Rough):
    """Asks the client very often, and does not take its answers."""

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        writer.write(EVENTS)
        for number in range(100):
            writer.write(event({"jsonrpc": "2.0", "id": number, "method": "ping"}) * 100)
            await writer.drain()
        writer.write(event(reply(message, DONE)))

    async def notified(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Take what has no answer."""
        if "method" not in message:
            await self.hang()
        await super().notified(message, writer)


async def test_a_server_that_asks_without_end_costs_no_memory() -> None:
    """Only a few of its requests are answered at a time."""
    async with rough(Asks()) as server, part() as under:
        named = await warm(under, server)
        before = len(asyncio.all_tasks())
        assert "done" == (await under.call(named, "t")).output
        assert len(asyncio.all_tasks()) - before < 20


class Talks(RoughOlder):
    """Sends events that answer nothing."""

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        assert self.stream is not None
        if message["params"]["name"] == "talk":
            for _ in range(30):
                self.stream.write(b": nothing\n\n" * 10_000)
                await self.stream.drain()
        self.tell(writer, reply(message, DONE))


async def test_a_stream_of_many_answers_has_a_limit_between_two() -> None:
    """It ends the connection, and the next call opens another."""
    async with rough(Talks()) as server, part(max_result_mib=1) as under:
        named = await warm(under, server)
        assert 424 == getattr(item(await under.call(named, "talk")).error, "code", None)
        assert "done" == (await under.call(named, "t")).output
        assert (1, 2) == (server.times("talk"), server.times("initialize"))


class Deaf(Rough):
    """Is slow, and never takes that a call is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = anyio.Event()
        self.told = anyio.Event()

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        if message["params"]["name"] == "slow":
            self.begun.set()
            await self.hang()
        await super().call(message, writer)

    async def notified(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Take what has no answer."""
        if message.get("method") == "notifications/cancelled":
            self.told.set()
            await self.hang()
        await super().notified(message, writer)


async def test_after_a_call_that_timed_out_nobody_new_uses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be of no use; but the server is still told that the call is cancelled."""
    monkeypatch.setattr("antiphon.tools.mcp.connection.FAREWELL_SECONDS", wire.NOTICE_SECONDS)
    async with rough(Deaf()) as server, part() as under:
        patient = await warm(under, server)
        assert 408 == getattr(item(await under.call(await under.impatient(server.url), "slow")).error, "code", None)
        assert "done" == (await under.call(patient, "t")).output
        await server.told.wait()
        assert 2 == server.times("initialize")


async def test_a_notification_that_is_not_taken_holds_up_the_connection_for_a_short_while() -> None:
    """Another cancellation does not wait for it at all, and later nobody uses the connection."""
    async with rough(Deaf()) as server, part() as under:
        named = await warm(under, server)
        began = 0.0
        for _ in range(2):
            async with anyio.create_task_group() as group:
                group.start_soon(under.call, named, "slow")
                await server.begun.wait()
                await anyio.wait_all_tasks_blocked()  # the second one waits until anything can be sent at all
                began = anyio.current_time()
                group.cancel_scope.cancel()
            assert anyio.current_time() - began < wire.NOTICE_SECONDS
        await server.told.wait()
        with anyio.fail_after(HANG_SECONDS):
            assert "done" == (await under.call(named, "t")).output
        assert "done" == (await under.call(named, "t")).output
        assert 2 == server.times("initialize")


class Lists(Rough):
    """Lists many tools, or long ones, over several pages."""

    def __init__(self, tools: list[Message], pages: int = 1) -> None:
        super().__init__()
        self.tools = tools
        self.pages = pages

    def page(self, message: Message) -> Message:
        """A page of the list of tools."""
        self.pages -= 1
        return {"tools": self.tools, "nextCursor": str(self.pages)} if self.pages else {"tools": self.tools}


async def test_a_listing_has_a_limit_over_all_its_pages() -> None:
    """Though each page has room."""
    async with rough(Lists([tool("t", description="x" * 400_000)], 3)) as server, part(max_result_mib=1) as under:
        with pytest.raises(Unlisted, match="longer than 1048576 bytes"):
            await under.server(server.url).list()


async def test_a_description_is_shortened() -> None:
    """Nobody reads more."""
    async with rough(Lists([tool("t", description="x" * 400_000)], 2)) as server, part(max_result_mib=1) as under:
        assert [10_000] * 2 == [len(str(listed.description)) for listed in await under.server(server.url).list()]


async def test_too_many_tools_are_counted_before_they_are_looked_at() -> None:
    """A list of so many takes long to look at, and others wait meanwhile."""
    async with rough(Lists([tool("t")] * 50_000 + [{"name": 5}])) as server, part() as under:
        with anyio.fail_after(HANG_SECONDS), pytest.raises(Unlisted, match="more than 1000 tools"):
            await under.server(server.url).list()


async def test_a_list_with_a_tool_that_is_none_is_asked_for_once() -> None:
    """And the others are there."""
    async with rough(Lists([tool(f"t{number}") for number in range(99)] + [{"name": 5}])) as server, part() as under:
        assert 99 == len(await under.server(server.url).list())
        assert 1 == server.times("tools/list")


class Forgetful(Kept):
    """An audit whose database is gone after the beginning."""

    async def end(self, number: int, outcome: str) -> None:
        """Keep nothing."""
        raise ConnectionError("gone")


async def test_a_result_outlives_an_audit_whose_end_cannot_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    """The call was made; the log says that its end is not kept."""
    async with rough(Rough()) as server, part() as under:
        under.servers.audit = Forgetful()
        assert "done" == (await under.call(under.server(server.url), "t")).output
    assert ["mcp_audit_not_ended"] == [record.__dict__["action"] for record in caplog.records]
    assert "gone" not in caplog.text


class Progresses(RoughOlder):
    """Tells of progress, and breaks the connection while that is being told."""

    def __init__(self) -> None:
        super().__init__()
        self.telling = anyio.Event()

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        assert self.stream is not None
        self.stream.write(event(progress(message)))
        await self.stream.drain()
        await self.telling.wait()
        self.stream.close()


async def test_what_a_slow_client_is_being_told_is_told_though_the_connection_ends() -> None:
    """It has a number already."""
    async with rough(Progresses()) as server, part() as running:
        under = Slow(running, server.telling)
        named = await warm(under, server)
        assert 424 == getattr(item(await under.call(named, "t")).error, "code", None)
        assert ["response.mcp_call.in_progress", "response.mcp_call.failed"] == under.phases == under.told


class Resumes(Rough):
    """Ends each stream of events at once, and says where to go on."""

    content: bytes = b"id: 7\nretry: 0\ndata: \n\n"

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        await self.read(writer)

    async def read(self, writer: asyncio.StreamWriter) -> None:
        """Answer a GET."""
        self.resumptions += 1
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: "
        writer.write(f"{head}{len(self.content)}\r\n\r\n".encode() + self.content)


async def test_the_rest_of_an_answer_is_asked_for_a_few_times_only() -> None:
    """A server that never sends it is left."""
    async with rough(Resumes()) as server, part() as under:
        named = await warm(under, server)
        assert 424 == getattr(item(await under.call(named, "t")).error, "code", None)
        assert 4 == server.resumptions


class Refuses(Rough):
    """Refuses calls with status 400 and a body, and has sessions."""

    def __init__(self, body: Message) -> None:
        super().__init__()
        self.body = body

    def tell(self, writer: asyncio.StreamWriter, message: Message, extra: str = "") -> None:
        """Answer with a message."""
        super().tell(writer, message, "mcp-session-id: one\r\n")

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        content = msgspec.json.encode({"jsonrpc": "2.0", "id": message["id"], **self.body})
        head = "HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: "
        writer.write(f"{head}{len(content)}\r\n\r\n".encode() + content)


@pytest.mark.parametrize(
    ("body", "times"),
    [
        ({"error": {"code": -32602, "message": "no such session type"}}, 1),
        ({"id": None, "error": {"code": -32602, "message": "no such session type"}}, 1),
        ({"error": {"code": -32000, "message": "the session of the user is over"}}, 1),
        ({"id": None, "error": {"code": -32000, "message": "Bad Request: No valid session ID"}}, 2),
        ({"id": None, "error": {"code": -32600, "message": "Bad Request: Missing session ID"}}, 2),
        ({"detail": "unknown session"}, 2),
    ],
)
async def test_only_a_session_that_is_gone_makes_a_call_again(body: Message, times: int) -> None:
    """An error of the call that speaks of sessions is one of the call, and is told to the model."""
    async with rough(Refuses(body)) as server, part() as under:
        named = await warm(under, server)
        answer = await under.call(named, "charge")
        assert times == server.times("charge")
        if times == 1:
            assert isinstance(item(answer).error, McpProtocolError)
            assert body["error"]["message"] in str(answer.output)


@pytest.mark.parametrize(("depth", "is_sent"), [(199, True), (200, False), (255, False), (900, False)])
async def test_arguments_that_are_nested_too_deep_are_not_sent(depth: int, is_sent: bool) -> None:  # noqa: FBT001 - a parameter
    """They would end the session of others."""
    async with rough(Rough()) as server, part() as under:
        named = await warm(under, server)
        answer = await under.call(named, "t", '{"a":' * depth + "{}" + "}" * depth)
        assert (is_sent, is_sent) == (answer.output == "done", server.times("t") == 1)
        assert "done" == (await under.call(named, "t")).output
        assert 1 == server.times("initialize")
