"""The MCP servers of the tests are what they say: the official SDK's own client uses them."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any  # arguments of tools

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, EmbeddedResource, ImageContent, ResourceLink, TextContent

from tests.mcp_servers import HOW, PNG, archive, guarded, legacy, library, misbehaving
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mcp_servers import Watched

pytestmark = [pytest.mark.anyio, pytest.mark.whole]

NEW, OLD = "auto", "legacy"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.fixture
def shelves() -> Iterator[Watched]:
    """A library of its own."""
    with library() as server:
        yield server


def text(result: CallToolResult) -> str:
    """The text of a result that is nothing else."""
    match result.content:
        case [TextContent(text=said)]:
            return said
        case other:
            pytest.fail(f"no text: {other}")


@pytest.mark.parametrize("mode", [NEW, OLD])
async def test_a_library_lists_its_tools_and_is_used(shelves: Watched, mode: Any) -> None:
    """Clients of both protocols see the same tools, and all that they ask is noted."""
    async with Client(shelves.url, mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "3" == text(await client.call_tool("add", {"a": 1, "b": 2}))
        assert "In the library: two books about whales." == text(await client.call_tool("search", {"query": "whales"}))
    assert {"add", "search", "delete_book", "renew", "slow", "picture", "many_kinds", "breaks", "no_arguments"} < set(
        tools
    )
    assert [("add", {"a": 1, "b": 2}), ("search", {"query": "whales"})] == shelves.calls
    assert (1, 0) == (shelves.lists, shelves.refused)
    assert 0 < shelves.connections <= len(shelves.headers)
    assert ("initialize" in shelves.methods) is (mode == OLD)
    assert tools["catalogue"].input_schema["$defs"]
    assert not shelves.cancelled.is_set()


async def test_tools_say_what_they_may_change(shelves: Watched) -> None:
    """A search only reads, a renewal may be repeated, and of the rest nothing is said."""
    async with Client(shelves.url) as client:
        hints = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    assert hints["search"]
    assert hints["search"].read_only_hint
    assert hints["renew"]
    assert hints["renew"].idempotent_hint
    assert hints["delete_book"] is None


async def test_results_are_of_every_kind(shelves: Watched) -> None:
    """Pictures, resources, structures, and the failure of a tool."""
    async with Client(shelves.url) as client:
        picture = (await client.call_tool("picture")).content
        kinds = await client.call_tool("many_kinds")
        failed = await client.call_tool("breaks")
        shelf = {"name": "A", "books": [{"title": "Walden"}], "beside": {"name": "B", "books": []}}
        assert "2 books on A." == text(
            await client.call_tool("catalogue", {"shelf": shelf, "also": [{"title": "Emma"}]})
        )
        assert "list" == text(await client.call_tool("unions", {"value": [{"title": "Emma"}]}))
        assert "Nothing was needed." == text(await client.call_tool("no_arguments"))
    assert [ImageContent(data=b64encode(PNG).decode(), mime_type="image/png")] == picture
    assert [TextContent, ImageContent, ResourceLink, EmbeddedResource] == [type(part) for part in kinds.content]
    assert {"title": "Moby-Dick", "pages": 635} == kinds.structured_content
    assert (True, True) == (failed.is_error, "The shelf fell over." in text(failed))


@pytest.mark.parametrize(("mode", "how"), [(NEW, "closed"), (OLD, "told")])
async def test_a_slow_tool_is_noticed_when_it_is_given_up(shelves: Watched, mode: Any, how: str) -> None:
    """New clients close the connection, older ones send word; in both cases the tool stops."""
    begun: list[float] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        begun.append(progress)
        scope.cancel()

    with anyio.fail_after(HANG_SECONDS):
        async with Client(shelves.url, mode=mode) as client:
            with anyio.CancelScope() as scope:
                await client.call_tool("slow", {"seconds": 60}, progress_callback=told)
            await anyio.to_thread.run_sync(shelves.wait_for_cancellation)
    assert begun
    assert {how, "stopped"} >= set(shelves.cancellations) != set()


async def test_two_servers_have_a_tool_of_the_same_name(shelves: Watched) -> None:
    """Each answers for itself."""
    with archive() as server:
        async with Client(server.url) as there, Client(shelves.url) as here:
            assert text(await here.call_tool("search", {"query": "ink"})) != (
                text(await there.call_tool("search", {"query": "ink"}))
            )
        assert server.calls == shelves.calls == [("search", {"query": "ink"})]


async def test_an_older_server_has_the_older_transport_alone() -> None:
    """It is used with a stream of events, and a POST to its URL is refused."""
    with legacy() as server:
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as raw:
            assert 405 == (await raw.post(server.url, json={})).status_code
        async with Client(sse_client(server.url), mode=OLD) as client:
            assert "3" == text(await client.call_tool("add", {"a": 1, "b": 2}))
        assert [("add", {"a": 1, "b": 2})] == server.calls


async def test_a_guarded_server_wants_its_token_every_time() -> None:
    """Without the token nothing is said; with it all is as in the library."""
    with guarded("sesame") as server:
        async with httpx2.AsyncClient(headers={"Authorization": "Bearer open"}, timeout=HANG_SECONDS) as raw:
            assert 401 == (await raw.post(server.url, json=LIST)).status_code
        assert server.refused == len(server.headers) > 0
        async with (
            httpx2.AsyncClient(headers={"Authorization": "Bearer sesame"}, timeout=HANG_SECONDS) as http,
            Client(streamable_http_client(server.url, http_client=http)) as client,
        ):
            assert "3" == text(await client.call_tool("add", {"a": 1, "b": 2}))
        assert "Bearer sesame" == server.headers[-1]["authorization"]


@pytest.mark.parametrize(
    "how", [how for how, (stage, _) in HOW.items() if stage != "initialize" and how != "bad_schema"]
)
async def test_a_misbehaving_server_is_good_until_it_misbehaves(how: str) -> None:
    """It greets its clients, and what is not bad about it works."""
    with misbehaving(how) as server:
        async with Client(server.url, read_timeout_seconds=HANG_SECONDS) as client:
            if HOW[how][0] == "call":
                assert ["search"] == [tool.name for tool in (await client.list_tools()).tools]
            else:
                assert "Found." == text(await client.call_tool("search", {"query": "x"}))


async def test_bad_schemas_stand_beside_a_good_one() -> None:
    """What no client of the SDK's would read is sent all the same."""
    with misbehaving("bad_schema") as server:
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as raw:
            tools = (await raw.post(server.url, json=LIST)).json()["result"]["tools"]
    assert ["object", {"type": 5}, [{"type": "object"}]] == [tool["inputSchema"] for tool in tools[:-1]]
    assert "search" == tools[-1]["name"]


async def lose_session(url: str) -> None:
    """Open a session, and call a tool once too often."""
    async with Client(url, mode=OLD) as client:
        await client.list_tools()
        assert "Found." == text(await client.call_tool("search", {"query": "x"}))
        with pytest.raises(MCPError, match="Session terminated"):
            await client.call_tool("search", {"query": "x"})


async def test_a_session_is_lost_after_a_call() -> None:
    """What comes to it afterwards is not found, and a new one is good for one call again."""
    with misbehaving("loses_session") as server:
        await lose_session(server.url)
        await lose_session(server.url)


async def test_a_client_is_called_back() -> None:
    """It is asked for three things during a call, and its answers are noted."""
    with misbehaving("calls_back") as server:
        async with Client(server.url, mode=OLD) as client:
            assert "I was answered 3 times." == text(await client.call_tool("search", {"query": "x"}))
        assert 3 == len(server.answers)


@pytest.mark.parametrize("how", ["hangs", "drips", "endless_stream", "huge"])
async def test_who_gives_up_on_a_bad_server_is_noticed(how: str) -> None:
    """The server sees that its connection was closed before it had done."""
    call = {**LIST, "method": "tools/call", "params": {"name": "search"}}
    with misbehaving(how) as server:
        async with httpx2.AsyncClient(timeout=None) as raw, anyio.create_task_group() as group:
            group.start_soon(lambda: raw.post(server.url, json=call))
            await anyio.to_thread.run_sync(server.wait_for_call)
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(server.wait_for_cancellation)
    assert ["closed"] == server.cancellations


@pytest.mark.parametrize(("how", "place"), [("redirects_away", "elsewhere"), ("redirects_private", "private")])
async def test_who_follows_a_bad_server_is_noticed(how: str, place: str) -> None:
    """Where it sends its clients somebody counts."""
    with misbehaving(how) as server:
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as raw:
            answer = await raw.post(server.url, json=LIST | {"method": "initialize"})
            assert (307, getattr(server, place)) == (answer.status_code, answer.headers["location"])
            assert [] == server.strays
            await raw.post(answer.headers["location"], json=LIST)
        assert ["/mcp"] == server.strays
