"""Loads of MCP calls: responses whose model asks for tools of a server in another process, and what came to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from benchmarks.contenders import Contender, reaching_tools, tool_server
from benchmarks.driver import CONNECT_SECONDS, BrokenAnswerError, Caller, Dialect
from benchmarks.tool_server import ARGUMENTS, TOOL, Counts
from benchmarks.upstream import Calls

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from benchmarks.stage import Running, Stage
    from benchmarks.upstream import Upstream
    from tests.tools.mcp.serving import Era

LABEL = "bench"
COUNTS = b"GET /counts HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
NO_OBJECT = "[]"
"""Arguments with which a call fails before anything is sent."""

Kind = Literal["made", "unsent", "client's"]
ENDS = {
    "made": b'response.mcp_call.completed"',
    "unsent": b'response.mcp_call.failed"',
    "client's": b'response.function_call_arguments.done"',
}
"""The event that tells how a call of each kind ended."""


class McpTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """An MCP server, as a request names it. ``headers`` keep its connection apart from those with others."""

    server_label: str = LABEL
    server_url: str
    require_approval: str = "never"
    headers: dict[str, str]


class FunctionTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A function of the client's."""

    name: str
    parameters: dict[str, str]
    strict: bool = False


class Body(Struct, frozen=True, kw_only=True):
    """A request that offers tools."""

    model: str = "bench"
    input: str
    tools: list[McpTool | FunctionTool]
    stream: bool = True
    previous_response_id: str | UnsetType = UNSET


class Load(Struct, frozen=True, kw_only=True):
    """What is asked for: responses, so many at a time, whose model asks for so many rounds of so many calls abreast."""

    responses: int
    concurrency: int
    rounds: int
    abreast: int = 1
    kind: Kind = "made"
    seconds: float = 60.0

    @property
    def calls(self) -> Calls:
        """What the upstream asks for in each response."""
        name = TOOL if self.kind == "client's" else f"{LABEL}__{TOOL}"
        arguments = NO_OBJECT if self.kind == "unsent" else ARGUMENTS
        return Calls(rounds=self.rounds, abreast=self.abreast, name=name, arguments=arguments)


class Tools:
    """Antiphon and one MCP server beside it. Only the CPU of the one is counted, and what comes to the other."""

    def __init__(self, upstream: Upstream, running: Running, server: Running) -> None:
        self._upstream = upstream
        self._server_port = server.port
        self._running = running
        self._callers = {
            kind: Caller(upstream, port=running.port, dialect=Dialect(b"/v1/responses", end, b'response.completed"'))
            for kind, end in ENDS.items()
        }

    def cpu_seconds(self) -> float:
        """Give the CPU time that Antiphon's process tree has used."""
        return self._running.server.cpu_seconds()

    def named(self, key: str = "") -> McpTool:
        """Give the server as a request names it; requests share a connection where ``key`` is the same."""
        return McpTool(server_url=f"http://127.0.0.1:{self._server_port}/mcp", headers={"x-key": key})

    async def counts(self) -> Counts:
        """Ask the MCP server what came to it so far."""
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server_port)
            writer.write(COUNTS)
            told = await reader.read()
            writer.close()
        return msgspec.json.decode(told.partition(b"\r\n\r\n")[2], type=Counts)

    async def play(self, load: Load, *, key: str = "") -> float:
        """Put a load on Antiphon and give the CPU seconds that it took.

        Raises:
            BrokenAnswerError: where a call did not end as its kind does, or the load has not ended in time.
        """
        before = self.cpu_seconds()
        turns = iter(range(load.responses))
        try:
            async with asyncio.timeout(load.seconds), asyncio.TaskGroup() as group:
                for _ in range(load.concurrency):
                    group.create_task(self._ask_in_turn(load, turns, key))
        except TimeoutError as error:
            raise BrokenAnswerError(f"{load.responses} responses with calls took {load.seconds} s") from error
        except ExceptionGroup as group:
            raise BrokenAnswerError(str(group.exceptions[0])) from group
        self._upstream.forget()
        return self.cpu_seconds() - before

    async def _ask_in_turn(self, load: Load, turns: Iterator[int], key: str) -> None:
        tool = FunctionTool(name=TOOL, parameters={"type": "object"}) if load.kind == "client's" else self.named(key)
        for _ in turns:
            speech = self._upstream.call(load.calls)
            body = msgspec.json.encode(Body(input=speech.prompt, tools=[tool]))
            heard = await self._callers[load.kind].ask(speech, body, stream=True)
            if heard.tokens != load.rounds * load.abreast:
                raise BrokenAnswerError(f"{heard.tokens} calls ended of {load.rounds * load.abreast}")

    async def ask(self, body: Body, calls: Calls) -> bytes:
        """Ask for one response without a stream and give its body; the input of ``body`` is what the upstream needs."""
        speech = self._upstream.call(calls)
        asked = msgspec.json.encode(msgspec.structs.replace(body, input=speech.prompt))
        heard = await self._callers["made"].ask(speech, asked, stream=False)
        self._upstream.forget()
        return heard.body

    def close(self) -> None:
        """Close the connections of the clients."""
        for caller in self._callers.values():
            caller.close()


@asynccontextmanager
async def beside_tools(stage: Stage, *, era: Era = "newest") -> AsyncGenerator[Tools]:
    """Run a new Antiphon beside an MCP server, and stop both at the end."""
    server = Contender("tools", partial(tool_server, era=era))
    async with stage.play(server) as beside, stage.play(Contender("antiphon", reaching_tools)) as running:
        tools = Tools(stage.upstream, running, beside)
        try:
            yield tools
        finally:
            tools.close()
