"""A live connection to an MCP server, with the SDK; imported with the first one, for the second that the SDK costs.

A session of the SDK is entered and left in one task: `Connection.live` is it. Whoever uses it does so from tasks of
their own, at the same time.
"""

from __future__ import annotations

import logging
import math
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import mcp_types
from mcp import ClientSession, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import methods
from mcp_types.version import LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS
from msgspec import UNSET
from pydantic import TypeAdapter, ValidationError

from antiphon.outbound import OutboundError
from antiphon.protocol.calls import McpProtocolError, McpToolListing
from antiphon.tools.mcp.dispatcher import Dispatcher, OnProgress
from antiphon.tools.mcp.faults import (
    ASKS_BACK,
    CONNECTION_LOST,
    CUT_OFF,
    NOT_MCP,
    TIMED_OUT,
    Facts,
    Failing,
    Fault,
    current_facts,
    http_error,
    status_error,
)
from antiphon.tools.mcp.listing import LONGEST_DESCRIPTION, MOST_PAGES, Room
from antiphon.tools.mcp.results import shortened
from antiphon.tools.mcp.wire import Wire, failing_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    import httpx2
    from mcp.client._transport import TransportStreams

    from antiphon.outbound import Outbound
    from antiphon.outbound.line import Line
    from antiphon.tools.mcp.config import Config

    Raw = dict[str, Any]  # a result of the protocol, as it was sent

CLOSING_SECONDS = 5.0
FAREWELL_SECONDS = 0.2
"""So long a connection outlives its last call that timed out, for the server to be told."""
SLICE = 20
"""So many tools are looked at before others have their turn."""

_OLDER = frozenset({400, 404, 405})  # spec: MCP 2025-06-18, transports, backwards compatibility
_WITHOUT_DETAILS = frozenset({401, 403})
_FIRST_REDIRECT = 300
_RAW: TypeAdapter[Any] = TypeAdapter(dict[str, Any])  # a result stays as it was sent
_SDK_ERRORS = (MCPError, ValidationError, RuntimeError, anyio.ClosedResourceError, anyio.BrokenResourceError)

# The SDK logs URLs, messages and what it could not read of them. None of this may stand in a log.
for name in ("mcp", "client", "httpx2", "httpcore2"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)

log = logging.getLogger(__name__)

_OURSELVES = mcp_types.Implementation(name="antiphon", version=version("antiphon"))
_T = TypeVar("_T")


class Connection:
    """A connection with the headers of one owner. ``users`` is who uses it now; it ends when nobody did for a while."""

    def __init__(self, url: str, headers: dict[str, str], outbound: Outbound, config: Config) -> None:
        self.url = url
        self.users = 0
        self._headers = headers
        self._outbound = outbound
        self._config = config
        self._facts = Facts()
        self._opened = anyio.Event()
        self._ended = anyio.Event()
        self._is_broken = False
        self._is_doubtful = False
        self._failing: Failing | None = None
        self._session: ClientSession | None = None
        self._used_at = 0.0
        self._scope = anyio.CancelScope()

    @property
    def is_alive(self) -> bool:
        """Whether it may be used: it opens, or is open."""
        return not (self._is_broken or self._ended.is_set())

    def close(self) -> None:
        """End it, soon."""
        self._ended.set()

    def doubt(self) -> None:
        """Let nobody use it any more but those who do."""
        self._is_broken = self._is_doubtful = True

    def release(self) -> None:
        """One user less."""
        self.users -= 1
        self._used_at = anyio.current_time()

    async def live(self) -> None:
        """Open, be there until nobody uses it any more, and close. Never raises for what a server does."""
        current_facts.set(self._facts)
        try:
            line = await self._outbound.line(self.url)
        except OutboundError as error:
            self._end(failing_of(error))
            return
        self._scope.deadline = anyio.current_time() + self._config.list_seconds
        try:
            with self._scope:
                self._end(await self._live_over(line))
        finally:
            self._end(Failing(error=http_error(TIMED_OUT, "The MCP server did not answer in time.")))
            with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                await line.aclose()

    async def opened(self) -> ClientSession:
        """Wait until it is open. Raises `Fault` if it cannot be opened."""
        await self._opened.wait()
        if self._session is None:
            raise Fault(self._failing or CONNECTION_LOST)
        return self._session

    async def list_page(self, cursor: str | None, room: Room) -> tuple[list[McpToolListing], str | None]:
        """A page of tools, for which there has to be room, and the cursor of the next one. Raises `Fault`."""
        session = await self.opened()
        page = await self._exchange(lambda: _page(session, cursor, room), room)
        return [_listing(tool) for tool in page.tools], page.next_cursor

    async def call(self, name: str, arguments: Raw, beat: Callable[[], None]) -> Raw:
        """The result of a tool, as it was sent. ``beat`` is called at each notification. Raises `Fault`."""
        session = await self.opened()
        request = mcp_types.CallToolRequest(params=mcp_types.CallToolRequestParams(name=name, arguments=arguments))
        room = Room(self._config)
        raw = await self._exchange(lambda: _called(session, request, OnProgress(beat), room), room)
        if raw.get("resultType") == "input_required":
            raise Fault(ASKS_BACK)
        return raw

    async def _live_over(self, line: Line) -> Failing:
        wire = self._wire(line, is_older=False)
        failing = await self._live_in(_streams(self.url, wire, self._limit), wire)
        if self._facts.status not in _OLDER or self._facts.told_error or self._session is not None:
            return failing
        self._facts = Facts()
        current_facts.set(self._facts)
        wire = self._wire(line, is_older=True)
        return await self._live_in(sse_client(self.url, httpx_client_factory=_Clients(wire)), wire)

    def _wire(self, line: Line, *, is_older: bool) -> Wire:
        return Wire(line, self._headers, limit=self._limit, is_older=is_older, stuck=self.doubt)

    @property
    def _limit(self) -> int:
        return self._config.max_result_mib << 20

    async def _live_in(self, opening: AbstractAsyncContextManager[TransportStreams], wire: Wire) -> Failing:
        failing: Failing | None = None
        try:
            async with opening as streams:
                dispatcher = Dispatcher(streams, ended=self._lost, answered=wire.answered)
                async with ClientSession(dispatcher=dispatcher, client_info=_OURSELVES) as session:
                    failing = await self._greet(session, is_older=wire.is_older)
                    await self._serve(session, failing)
        except Exception as error:  # noqa: BLE001 - the SDK's tasks raise whatever happens to them, in groups
            log.debug("connection broken", extra={"action": "mcp_connection_broken", "kind": type(error).__name__})
            failing = failing or self._explained(error, self._facts)
        return failing or CONNECTION_LOST

    async def _greet(self, session: ClientSession, *, is_older: bool) -> Failing | None:
        """Agree on a version: the newest, if the server knows it; else by the handshake that came before."""
        if not is_older:
            try:
                await session.discover()
            except _SDK_ERRORS:
                failing = self._facts.failing
            else:
                return None
            if failing is not None and failing.is_unsent:
                return failing
            self._facts = Facts()
            current_facts.set(self._facts)
        with anyio.CancelScope() as scope:
            self._facts.scope = scope
            try:
                await session.initialize()
            except _SDK_ERRORS as error:
                return self._explained(error, self._facts)
            finally:
                self._facts.scope = None
        return self._facts.failing if scope.cancelled_caught else None

    async def _serve(self, session: ClientSession, failing: Failing | None) -> None:
        if failing is not None:
            return
        self._session = session
        self._used_at = anyio.current_time()
        self._scope.deadline = math.inf
        self._opened.set()
        while not self._ended.is_set() and (left := self._idle_left()) > 0:
            with anyio.move_on_after(left):
                await self._ended.wait()
        self._ended.set()
        self._scope.deadline = anyio.current_time() + CLOSING_SECONDS
        if self._is_doubtful:
            await anyio.sleep(FAREWELL_SECONDS)

    def _lost(self) -> None:
        if self._session is not None:
            self._ended.set()

    def _idle_left(self) -> float:
        if self.users:
            return self._config.idle_seconds
        return self._used_at + self._config.idle_seconds - anyio.current_time()

    def _end(self, failing: Failing) -> None:
        self._failing = self._failing or failing
        self._ended.set()
        self._opened.set()

    async def _exchange(self, send: Callable[[], Awaitable[_T]], room: Room) -> _T:
        """Send a request and wait for its answer. What the wire sees of it goes to the facts of this one alone."""
        scope = anyio.CancelScope()
        facts = Facts(scope, room)
        with scope:
            token = current_facts.set(facts)
            try:
                return await send()
            except _SDK_ERRORS as error:
                raise self._failed(self._explained(error, facts)) from error
            finally:
                current_facts.reset(token)
        raise self._failed(facts.failing or CONNECTION_LOST)

    def _failed(self, failing: Failing) -> Fault:
        self._is_broken = self._is_broken or failing.is_broken
        return Fault(failing)

    def _explained(self, error: Exception, facts: Facts) -> Failing:
        """What an error of the SDK's means, with what the wire has seen."""
        if facts.failing is not None:
            return facts.failing
        if facts.is_session_lost:
            return Failing(error=status_error(facts.status or 0), is_unsent=True, is_broken=True)
        if not facts.is_sent:
            return Failing(error=CONNECTION_LOST.error, is_unsent=True, is_broken=True)
        status = facts.status or 0
        if status >= _FIRST_REDIRECT and (not facts.told_error or status in _WITHOUT_DETAILS):
            return Failing(error=status_error(status))
        if facts.is_cut:
            return CUT_OFF
        return self._told(error, status)

    def _told(self, error: Exception, status: int) -> Failing:
        match error:
            case MCPError() if self._ended.is_set():
                return CONNECTION_LOST
            case MCPError() if status == 202 or error.code == mcp_types.PARSE_ERROR:  # noqa: PLR2004 - a status
                return NOT_MCP  # the SDK says what it could not read, in pieces that nothing of can be hidden
            case MCPError():
                return Failing(error=McpProtocolError(code=error.code, message=error.message))
            case ValidationError():
                return NOT_MCP
            case _:
                return CONNECTION_LOST


class _Clients:
    """Gives the older transport the wire, whatever else it would have."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __call__(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        """The wire."""
        return self._wire


@asynccontextmanager
async def _streams(url: str, wire: Wire, limit: int) -> AsyncGenerator[TransportStreams, None]:
    """The streams of the newer transport."""
    async with (
        wire,
        streamable_http_client(url, http_client=wire, max_sse_event_size=limit) as streams,
    ):
        yield streams


async def _called(session: ClientSession, request: mcp_types.CallToolRequest, progress: OnProgress, room: Room) -> Raw:
    """Call a tool; where the server misses headers that only its list of tools tells, list and call once more.

    A result is taken as it was sent: the SDK would throw all of it away for one part that it does not know.
    """
    try:
        raw: Raw = await session.send_request(request, _RAW, progress_callback=progress)
    except ValidationError:
        sent = current_facts.get().result
        if sent is None or not isinstance(sent.get("content"), list):
            raise
        return sent
    except MCPError as error:
        if error.code != mcp_types.HEADER_MISMATCH or session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise
        await _relist(session, request.params.name, room)
        raw = await session.send_request(request, _RAW, progress_callback=progress)
    return raw


async def _relist(session: ClientSession, name: str, room: Room) -> None:
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await _page(session, cursor, room)
        cursor = page.next_cursor
        if cursor is None or any(tool.name == name for tool in page.tools):
            return


async def _page(session: ClientSession, cursor: str | None, room: Room) -> mcp_types.ListToolsResult:
    """A page of tools. Where the SDK refuses it whole, those that make it none are left out."""
    params = mcp_types.PaginatedRequestParams(cursor=cursor) if cursor else None
    try:
        return await session.list_tools(params=params)
    except ValidationError:
        room.instead = await _without_misfits(room.raw, session.protocol_version or LATEST_HANDSHAKE_VERSION)
        if room.instead is None:
            raise
    return await session.list_tools(params=params)


def _listing(tool: mcp_types.Tool) -> McpToolListing:
    hints = tool.annotations or mcp_types.ToolAnnotations()
    annotations = {"read_only": hints.read_only_hint is True}
    return McpToolListing(
        name=tool.name,
        input_schema=tool.input_schema,
        description=shortened(tool.description, LONGEST_DESCRIPTION) if tool.description else UNSET,
        annotations={**annotations, "idempotent": True} if hints.idempotent_hint is True else annotations,
    )


async def _without_misfits(raw: Raw, version: str) -> Raw | None:
    """A list of tools without those that make it none; nothing where the rest of it is none."""
    if not (isinstance(raw.get("tools"), list) and _fits({**raw, "tools": []}, version)):
        return None
    tools: list[object] = raw["tools"]
    fitting: list[object] = []
    for start in range(0, len(tools), SLICE):
        fitting += [tool for tool in tools[start : start + SLICE] if _fits({**raw, "tools": [tool]}, version)]
        await anyio.lowlevel.checkpoint()
    log.warning("tools left out", extra={"action": "mcp_tools_left_out", "count": len(tools) - len(fitting)})
    return {**raw, "tools": fitting}


def _fits(raw: Raw, version: str) -> bool:
    try:
        methods.validate_server_result("tools/list", version, raw)
    except ValidationError:
        return False
    return True
