"""Listing and calling the tools of real servers, over each transport, and what may go wrong on the way."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from antiphon.core.calls import OpenCall
from antiphon.core.mcp_calls import McpKind
from antiphon.core.place import Place
from antiphon.outbound import Config as OutboundConfig
from antiphon.outbound import Outbound, line
from antiphon.protocol.calls import (
    McpCall,
    McpHttpError,
    McpProtocolError,
    McpToolExecutionError,
    McpToolListing,
)
from antiphon.protocol.content import InputImage
from antiphon.protocol.tools import McpTool
from antiphon.tools import Unlisted
from antiphon.tools.mcp import Config, Servers
from antiphon.tools.mcp.calling import SECONDS_BETWEEN_REPORTS
from tests.patient import HANG_SECONDS
from tests.tools.mcp.serving import Era, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.calls import Phase
    from antiphon.core.exchanges import Exchange
    from antiphon.tools import Answer
    from antiphon.tools.mcp import Server

pytestmark = [pytest.mark.anyio, pytest.mark.whole]

ERAS: list[tuple[Era, bool]] = [
    ("newest", False),
    ("newest", True),
    ("handshake", False),
    ("handshake", True),
    ("sse", False),
]
every_era = pytest.mark.parametrize(("era", "json"), ERAS)
# A server of the newest protocol that answers in JSON does not look whether anyone still waits.
every_era_that_hears = pytest.mark.parametrize(("era", "json"), [era for era in ERAS if era != ("newest", True)])
JSON = {"Content-Type": "application/json"}


class Kept:
    """An audit in memory."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.outcomes: dict[int, str] = {}

    async def begin(self, exchange: Exchange) -> int:
        """Keep a beginning."""
        self.exchanges.append(exchange)
        return len(self.exchanges)

    async def end(self, number: int, outcome: str) -> None:
        """Keep an end."""
        self.outcomes[number] = outcome


class Part:
    """The part under test, with what a test looks at."""

    def __init__(self, servers: Servers, audit: Kept) -> None:
        self.servers = servers
        self.audit = audit
        self.phases: list[Phase] = []

    def server(
        self, url: str, *, tenant: str = "team", authorization: str = "topsecret", sees_images: bool = False
    ) -> Server:
        """A server as a request names it."""
        tool = McpTool(
            server_label="label", server_url=url, authorization=authorization, headers={"X-Key": "pass word"}
        )
        return self.servers.server(tool, url=url, tenant=tenant, response="resp_1", sees_images=sees_images)

    async def impatient(self, url: str) -> Server:
        """A server to which there is a connection already, and whose calls may be silent for two seconds only."""
        await self.server(url).list()
        self.servers.config = msgspec.structs.replace(self.servers.config, call_seconds=2)
        return self.server(url)

    async def call(self, server: Server, name: str, arguments: str = "{}") -> Answer:
        """Call a tool."""
        tool = server.tool(McpToolListing(name=name, input_schema={}), "mcpr_1")
        return await tool.call(asked(name, arguments), self.report)

    async def report(self, phase: Phase) -> None:
        """Take a phase."""
        self.phases.append(phase)


def asked(name: str, arguments: str) -> OpenCall:
    """A call that a model has written."""
    call = OpenCall(McpKind("label", name), Place("mcp_1", 0, lambda: 0), key="k", name=name, call_id="call_1")
    call.recall(arguments)
    return call


@asynccontextmanager
async def part(**settings: Any) -> AsyncGenerator[Part, None]:  # whatever `Config` takes
    """The part, running."""
    audit = Kept()
    async with aclosing(Outbound(OutboundConfig(allow_private=["127.0.0.1"]))) as outbound:
        servers = Servers(Config(**settings), outbound, audit=audit)
        with anyio.fail_after(HANG_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(servers.run)
                yield Part(servers, audit)
                group.cancel_scope.cancel()


def item(answer: Answer) -> McpCall:
    """What the client sees."""
    assert isinstance(answer.item, McpCall)
    return answer.item


@pytest.fixture
def drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly a server ends an answer whose event was read, its connection is kept."""
    monkeypatch.setattr(line, "DRAINING_SECONDS", HANG_SECONDS)


@every_era
@pytest.mark.usefixtures("drained")
async def test_tools_are_listed_and_called(era: Era, json: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Over both transports, by both protocols, with answers as JSON and as events."""
    with serving(era, json=json) as running:
        async with part() as under:
            server = under.server(running.url)
            listings = {listing.name: listing for listing in await server.list()}
            assert {"add", "fail", "picture", "long", "wait", "steps"} == set(listings)
            assert ("Add two numbers.", {"read_only": True}) == (
                listings["add"].description,
                listings["add"].annotations,
            )
            assert {"a", "b"} == set(listings["add"].input_schema["properties"])
            assert {"read_only": False, "idempotent": True} == listings["picture"].annotations
            expected = McpCall(
                id="mcp_1",
                status="completed",
                approval_request_id="mcpr_1",
                arguments='{"a":1,"b":2}',
                name="add",
                output="3",
                server_label="label",
            )
            for _ in range(3):
                answer = await under.call(server, "add", '{"a":1,"b":2}')
                assert (expected, "3") == (answer.item, answer.output)
            assert ["response.mcp_call.completed"] * 3 == under.phases
            assert ["add"] * 3 == [exchange.tool for exchange in under.audit.exchanges[1:]]
            assert ["completed"] * 4 == list(under.audit.outcomes.values())
        for request in running.seen.requests:
            assert "Bearer topsecret" == request["headers"]["authorization"]
            assert "pass word" == request["headers"]["x-key"]
        assert len(set(running.seen.connections)) <= 2
        assert 1 == running.seen.times("server/discover")


async def test_a_model_that_sees_gets_a_picture_that_a_tool_made() -> None:
    """The client gets words for it."""
    with serving() as running:
        async with part() as under:
            answer = await under.call(under.server(running.url, sees_images=True), "picture")
            assert "[image: image/png, 24 bytes]" == item(answer).output
            assert isinstance(answer.output, list)
            assert isinstance(answer.output[0], InputImage)


@pytest.mark.usefixtures("drained")
async def test_two_owners_never_share_a_connection() -> None:
    """Nor do two callers of one tenant with different credentials; the same ones do."""
    with serving() as running:
        async with part() as under:
            owners = [("a", "one"), ("b", "one"), ("a", "other"), ("a", "one")]
            for tenant, authorization in owners:
                await under.server(running.url, tenant=tenant, authorization=authorization).list()
            assert 3 == running.seen.times("server/discover")
            assert 3 == len(set(running.seen.connections))


async def test_the_connection_that_was_not_used_for_longest_makes_room() -> None:
    """Only so many are kept."""
    with serving() as running:
        async with part(connections=2) as under:
            for tenant in ("a", "b", "a", "c", "a", "b"):
                await under.server(running.url, tenant=tenant).list()
            assert 4 == running.seen.times("server/discover")


async def test_a_connection_for_which_there_is_no_room_is_for_one_use() -> None:
    """The one that is kept is in use."""
    with serving() as running:
        async with part(connections=1) as under, anyio.create_task_group() as group:
            group.start_soon(under.call, under.server(running.url, tenant="a"), "wait")
            assert await anyio.to_thread.run_sync(running.seen.begun.wait, HANG_SECONDS)
            for _ in range(2):
                await under.server(running.url, tenant="b").list()
            assert 3 == running.seen.times("server/discover")
            group.cancel_scope.cancel()


async def test_a_connection_that_nobody_uses_is_closed() -> None:
    """By the handshake, the server is told: its session ends."""
    with serving("handshake") as running:
        async with part(idle_seconds=1) as under:
            await under.server(running.url).list()
            assert await anyio.to_thread.run_sync(running.seen.left.wait, HANG_SECONDS)
            await under.server(running.url).list()
            assert 2 == running.seen.times("initialize")


@every_era_that_hears
async def test_a_silent_call_ends_and_the_server_is_told(era: Era, json: bool) -> None:  # noqa: FBT001 - a parameter
    """After the permitted silence."""
    with serving(era, json=json) as running:
        async with part() as under:
            answer = await under.call(await under.impatient(running.url), "wait")
            error = McpHttpError(code=408, message="The MCP server did not answer in time.")
            assert ("failed", error, None) == (item(answer).status, item(answer).error, item(answer).output)
            assert "response.mcp_call.failed" == under.phases[-1]
            assert await anyio.to_thread.run_sync(running.seen.cancelled.wait, HANG_SECONDS)
            assert ["completed", "http_error 408"] == list(under.audit.outcomes.values())


async def test_progress_begins_the_permitted_silence_anew() -> None:
    """And is told to the client once a second at most."""
    with serving() as running:
        async with part() as under:
            server = await under.impatient(running.url)
            began = anyio.current_time()
            answer = await under.call(server, "steps", '{"count":12,"seconds":0.2}')
            assert "done" == item(answer).output
            most = 1 + (anyio.current_time() - began) / SECONDS_BETWEEN_REPORTS
            assert 1 <= under.phases.count("response.mcp_call.in_progress") <= most


async def test_progress_does_not_go_on_for_ever() -> None:
    """There is a longest time."""
    with serving() as running:
        async with part(call_seconds=1, longest_call_seconds=2) as under:
            answer = await under.call(under.server(running.url), "steps", '{"count":100,"seconds":0.2}')
            assert 408 == getattr(item(answer).error, "code", None)


@every_era_that_hears
async def test_a_cancelled_call_is_cancelled_at_the_server(era: Era, json: bool) -> None:  # noqa: FBT001 - a parameter
    """As its protocol has it; and the audit says so."""
    with serving(era, json=json) as running:
        async with part() as under:
            async with anyio.create_task_group() as group:
                group.start_soon(under.call, under.server(running.url), "wait")
                assert await anyio.to_thread.run_sync(running.seen.begun.wait, HANG_SECONDS)
                group.cancel_scope.cancel()
            assert await anyio.to_thread.run_sync(running.seen.cancelled.wait, HANG_SECONDS)
            assert {1: "cancelled"} == under.audit.outcomes


async def test_a_tool_that_fails_tells_why_without_secrets() -> None:
    """Its content is in the error, and the model reads it."""
    with serving() as running:
        async with part() as under:
            answer = await under.call(under.server(running.url), "fail", '{"reason":"bad topsecret"}')
            error = item(answer).error
            assert isinstance(error, McpToolExecutionError)
            assert "topsecret" not in repr(answer).replace(item(answer).arguments, "")
            assert "bad <redacted>" in error.content[0]["text"]
            assert "bad <redacted>" in str(answer.output)
            assert {1: "mcp_tool_execution_error"} == under.audit.outcomes


@pytest.mark.parametrize("arguments", ["", "[]", "3", '{"a":', "[" * 9999])
async def test_arguments_that_are_no_object_are_not_sent(arguments: str) -> None:
    """The model is told."""
    async with part() as under:
        answer = await under.call(under.server("http://127.0.0.1:1/mcp"), "add", arguments)
        assert McpProtocolError(code=-32602, message="The arguments are not a JSON object.") == item(answer).error
        assert [] == under.audit.exchanges


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_a_status_is_told_as_it_is(status: int) -> None:
    """For a call and for a listing, without what the server said."""
    with serving() as running:
        async with part() as under:
            server = under.server(running.url)
            await server.list()
            running.seen.instead = {
                method: [(status, {}, b"topsecret echoed")] * 3 for method in ("tools/call", "tools/list")
            }
            answer = await under.call(server, "add", '{"a":1,"b":2}')
            message = f"The MCP server answered with status {status}."
            assert McpHttpError(code=status, message=message) == item(answer).error
            with pytest.raises(Unlisted, match=message) as unlisted:
                await server.list()
            assert (status, False) == (unlisted.value.status, unlisted.value.is_refused)


async def test_a_server_that_lets_nobody_in_is_told_as_it_is() -> None:
    """From the first request on."""
    refusal = (401, {"WWW-Authenticate": "Bearer", **JSON}, b'{"error":"invalid_token"}')
    with serving() as running:
        running.seen.instead = {"server/discover": [refusal], "initialize": [refusal]}
        async with part() as under:
            with pytest.raises(Unlisted) as unlisted:
                await under.server(running.url).list()
            assert 401 == unlisted.value.status


@pytest.mark.parametrize(
    ("instead", "code"),
    [
        ((200, {"Content-Type": "text/html"}, b"<html>"), 424),
        ((200, JSON, b"{}"), 424),
        ((200, JSON, b'{"jsonrpc":"2.0","id":"ID","result":{"content":3}}'), 424),
        ((200, JSON, b'{"jsonrpc":"2.0","id":"other","result":{"content":[]}}'), 424),
        ((202, {}, b""), 424),
        ((200, {"Content-Type": "text/event-stream"}, b"data: {}"), 424),
        ((200, {"Content-Type": "text/event-stream"}, b": nothing\n\n"), 424),
        ((200, {"Content-Encoding": "gzip", **JSON}, b"x"), 424),
        ((307, {"Location": "http://evil.example/mcp"}, b""), 424),
    ],
)
async def test_an_answer_that_is_none_is_an_error(instead: tuple[int, dict[str, str], bytes], code: int) -> None:
    """Another type, no message, no result, cut off, compressed, or on another server."""
    with serving() as running:
        async with part() as under:
            server = under.server(running.url)
            await server.list()
            running.seen.instead = {"tools/call": [instead]}
            error = item(await under.call(server, "add", '{"a":1,"b":2}')).error
            assert code == getattr(error, "code", error)
            assert "3" == (await under.call(server, "add", '{"a":1,"b":2}')).output
            assert 2 == running.seen.times("tools/call")


async def test_a_refusal_in_the_protocol_keeps_its_code_and_message() -> None:
    """Short, on one line, and without secrets."""
    message = "no such\n tool topsecret" + "x" * 2000
    with serving() as running:
        async with part() as under:
            server = under.server(running.url)
            await server.list()
            body = msgspec.json.encode({"jsonrpc": "2.0", "id": 3, "error": {"code": -32001, "message": message}})
            running.seen.instead = {"tools/call": [(400, JSON, body)]}
            error = item(await under.call(server, "add", '{"a":1,"b":2}')).error
            assert isinstance(error, McpProtocolError)
            assert (-32001, 1000) == (error.code, len(error.message))
            assert error.message.startswith("no such  tool <redacted>x")


@every_era
async def test_an_answer_over_the_limit_is_an_error(era: Era, json: bool) -> None:  # noqa: FBT001 - a parameter
    """It is not read to its end, and the next call does as before."""
    with serving(era, json=json) as running:
        async with part(max_result_mib=1) as under:
            server = under.server(running.url)
            error = item(await under.call(server, "long", '{"length":1500000}')).error
            assert isinstance(error, McpHttpError)
            assert 424 == error.code
            assert "3" == (await under.call(server, "add", '{"a":1,"b":2}')).output


async def test_a_refused_address_is_told() -> None:
    """Nothing is dialled, for a listing and for a call."""
    async with part() as under:
        server = under.server("http://127.0.0.2:9/mcp")
        with pytest.raises(Unlisted) as unlisted:
            await server.list()
        assert (424, True) == (unlisted.value.status, unlisted.value.is_refused)
        error = item(await under.call(server, "add")).error
        assert isinstance(error, McpHttpError)
        assert "does not reach" in error.message


async def test_a_server_that_is_not_there_is_told() -> None:
    """It cannot be reached."""
    async with part() as under:
        with pytest.raises(Unlisted, match="cannot be reached") as unlisted:
            await under.server("http://127.0.0.1:1/mcp").list()
        assert (424, False) == (unlisted.value.status, unlisted.value.is_refused)


@pytest.mark.parametrize(
    "instead", [(404, {}, b""), (400, JSON, b'{"error":{"code":-32000,"message":"No valid session"}}')]
)
async def test_a_lost_session_is_opened_anew_and_the_call_made_once(instead: tuple[int, dict[str, str], bytes]) -> None:
    """The server has refused it, so it was not made."""
    with serving("handshake") as running:
        async with part() as under:
            server = under.server(running.url)
            await server.list()
            running.seen.instead = {"tools/call": [instead]}
            assert "3" == (await under.call(server, "add", '{"a":1,"b":2}')).output
            assert (2, 2) == (running.seen.times("initialize"), running.seen.times("tools/call"))
            assert 2 == len(under.audit.outcomes)


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ([("a", 3), ("b", 3)], "more than 5 tools"),
        ([("a", 1), ("b", 1), ("a", 1)], "does not end"),
    ],
)
async def test_a_list_that_goes_on_and_on_is_an_error(pages: list[tuple[str, int]], message: str) -> None:
    """Too many tools, or the same cursor twice."""
    with serving("handshake", json=True) as running:
        running.seen.instead = {
            "tools/list": [
                page([{"name": f"t{n}", "inputSchema": {"type": "object"}} for n in range(count)], cursor)
                for cursor, count in pages
            ]
        }
        async with part(max_tools=5) as under:
            with pytest.raises(Unlisted, match=message):
                await under.server(running.url).list()


async def test_tools_that_are_none_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The others remain, from all pages."""
    schema = {"type": "object", "properties": {"x": {"type": "string"}}, "x-own": [1]}
    entries: list[dict[str, Any]] = [  # as a server may send them
        {"name": "good", "inputSchema": schema, "annotations": {"readOnlyHint": True}},
        {"name": "bad", "inputSchema": "string"},
        {"name": "", "inputSchema": {"type": "object"}},
        {"name": "n" * 129, "inputSchema": {"type": "object"}},
        {"inputSchema": {"type": "object"}},
    ]
    with serving("handshake", json=True) as running:
        running.seen.instead = {"tools/list": [page(entries, "more"), page(entries[:1], None)]}
        async with part() as under:
            listings = await under.server(running.url).list()
            assert ["good", "good"] == [listing.name for listing in listings]
            assert (schema, {"read_only": True}) == (listings[0].input_schema, listings[0].annotations)
    assert 2 == sum(getattr(record, "action", "") == "mcp_tools_left_out" for record in caplog.records)


def page(tools: list[dict[str, Any]], cursor: str | None) -> tuple[int, dict[str, str], bytes]:  # as sent
    """A page of a list of tools."""
    result = {"tools": tools, "nextCursor": cursor} if cursor else {"tools": tools}
    return 200, JSON, msgspec.json.encode({"jsonrpc": "2.0", "id": "ID", "result": result})


async def test_nothing_of_servers_and_callers_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not even by the SDK, at its most talkative."""
    caplog.set_level(logging.DEBUG)
    with serving("handshake") as running:
        async with part() as under:
            await under.call(under.server(running.url), "fail", '{"reason":"private"}')
    for record in caplog.records:
        if record.name.startswith(("mcp", "client", "httpx2", "antiphon")):
            assert not {"topsecret", "private", "word"} & set(record.getMessage().split())


def test_which_calls_may_be_repeated_and_what_is_said_of_lost_ones() -> None:
    """Those that only read, and those that do the same twice; the outcome of the others is unknown."""
    outbound = Outbound(OutboundConfig())
    server = Part(Servers(Config(), outbound, audit=None), Kept()).server("http://127.0.0.1/mcp")
    hints: list[Any] = [msgspec.UNSET, {}, {"read_only": False}, {"read_only": True}, {"idempotent": True}]  # any hints
    tools = [server.tool(McpToolListing(name="t", input_schema={}, annotations=hint)) for hint in hints]
    assert [False, False, False, True, True] == [tool.repeats(asked("t", "{}")) for tool in tools]
    lost = tools[0].lost(asked("t", "{}"))
    error = item(lost).error
    assert isinstance(error, McpProtocolError)
    assert (-32000, True) == (error.code, error.message.startswith("The outcome of this call is unknown: "))
    assert "Decide whether" in str(lost.output)


def test_a_start_does_not_pay_for_the_sdk() -> None:
    """Configuration and construction import neither it nor an HTTP client."""
    costly = "{'mcp', 'pydantic', 'httpx2', 'aiohttp'}"
    code = f"import sys; import antiphon.tools.mcp; sys.exit(bool({costly} & set(sys.modules)))"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, timeout=HANG_SECONDS).returncode
