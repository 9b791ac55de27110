"""The MCP servers that requests name, and the connections to them that one process keeps."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.to_thread import run_sync
from msgspec.structs import replace

from antiphon.core.exchanges import Exchange
from antiphon.core.servers import is_allowed
from antiphon.protocol.calls import McpHttpError, McpProtocolError
from antiphon.tools import Unlisted
from antiphon.tools.mcp.calling import RemoteTool
from antiphon.tools.mcp.faults import (
    CONNECTION_LOST,
    CUT_OFF,
    NO_ANSWER,
    TIMED_OUT,
    Failing,
    Fault,
    http_error,
    outcome,
)
from antiphon.tools.mcp.headers import checked_headers, secrets_in
from antiphon.tools.mcp.listing import MOST_PAGES, Room, unusable
from antiphon.tools.mcp.pool import Key, Pool, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import TaskGroup

    from antiphon.outbound import Outbound
    from antiphon.protocol.calls import McpToolListing
    from antiphon.protocol.tools import McpTool
    from antiphon.tools import Audit, Tool
    from antiphon.tools.mcp.calling import Arguments, Progress
    from antiphon.tools.mcp.config import Config
    from antiphon.tools.mcp.connection import Connection

    Listings = list[McpToolListing]  # inside of `Server`, `list` is a method

log = logging.getLogger(__name__)

LONGEST_NAME = 128
AUDIT_SECONDS = 5.0

_T = TypeVar("_T")


class Servers:
    """Speaks to MCP servers. One a process; connections live while `run` does."""

    def __init__(self, config: Config, outbound: Outbound, *, audit: Audit | None) -> None:
        self.config = config
        self.audit = audit
        self._outbound = outbound
        self._pool = Pool(config.connections)
        self._has_sdk = False
        self._group: TaskGroup | None = None
        self._runs = anyio.Event()

    async def run(self) -> None:
        """Be there for connections until cancelled; then close them all."""
        async with anyio.create_task_group() as group:
            self._group = group
            self._runs.set()
            try:
                await anyio.sleep_forever()
            finally:
                self._group, self._runs = None, anyio.Event()

    def server(self, tool: McpTool, *, url: str, tenant: str, response: str, sees_images: bool) -> Server:
        """The server of a tool that a request of ``tenant`` names. Nothing is sent yet.

        Raises `ValueError` for headers that cannot be sent: see `checked_headers`.
        """
        blank = Exchange(tenant=tenant, response=response, server_label=tool.server_label, server_url=url)
        return Server(self, blank, tool, sees_images=sees_images)

    @asynccontextmanager
    async def connection(self, key: Key, headers: dict[str, str]) -> AsyncGenerator[Connection, None]:
        """A connection of the key, which may not be open yet."""
        if not self._has_sdk:
            # The SDK takes a second and tens of MB: the first connection pays for it, in a thread, and no start does.
            await run_sync(import_module, "antiphon.tools.mcp.connection")
            self._has_sdk = True
        from antiphon.tools.mcp.connection import Connection  # noqa: PLC0415 - the thread has imported it

        await self._runs.wait()

        def start() -> Connection:
            connection = Connection(key.url, headers, self._outbound, self.config)
            self._start(key, connection)
            return connection

        async with self._pool.lease(key, start) as connection:
            yield connection

    def _start(self, key: Key, connection: Connection) -> None:
        if self._group is None:
            raise Fault(CONNECTION_LOST)
        self._group.start_soon(self._live, key, connection)

    async def _live(self, key: Key, connection: Connection) -> None:
        try:
            await connection.live()
        except Exception as error:  # noqa: BLE001 - it must not end the other connections, and this process with them
            # What it says may hold what a server said: its kind has to do.
            log.error("connection failed", extra={"action": "mcp_connection_failed", "kind": type(error).__name__})  # noqa: TRY400 - see above
        finally:
            self._pool.forget(key, connection)


class Note:
    """How an exchange ended, as far as it is known."""

    def __init__(self) -> None:
        self.outcome = "failed"


class Server:
    """A server, as one response speaks to it."""

    def __init__(self, servers: Servers, blank: Exchange, named: McpTool, *, sees_images: bool) -> None:
        headers = checked_headers(named)
        self.label = blank.server_label
        self.url = blank.server_url
        self.config = servers.config
        self.sees_images = sees_images
        self.secrets = secrets_in(headers.values())
        self._servers = servers
        self._blank = blank
        self._named_by = named
        self._headers = headers
        self._key = key_of(blank.tenant, blank.server_url, headers)

    async def list(self) -> Listings:
        """The tools of the server that can be used and that the request allows. Raises `Unlisted`."""
        async with self.audited(self._blank) as note:
            try:
                listings = await self._listed()
            except Fault as fault:
                note.outcome = outcome(fault.failing.error)
                raise _unlisted(fault.failing) from fault
            note.outcome = outcome(None)
        return [listing for listing in listings if is_allowed(self._named_by, listing)]

    def tool(self, listing: McpToolListing, approval_request_id: str | None = None) -> Tool:
        """One of its tools, ready to be called."""
        return RemoteTool(self, listing, approval_request_id)

    async def call(self, name: str, arguments: Arguments, progress: Progress) -> Arguments:
        """The result of a tool as the server sent it. Raises `Fault`."""

        async def made(connection: Connection) -> Arguments:
            try:
                return await connection.call(name, arguments, progress.beat)
            except anyio.get_cancelled_exc_class():
                if progress.is_late:
                    connection.doubt()
                raise

        try:
            return await self._once(made)
        except Fault as fault:
            if not fault.failing.is_worth_another:
                raise
        return await self._once(made)

    def exchange(self, *, tool: str, arguments: str, approval_request_id: str | None) -> Exchange:
        """What an audit tells of a call."""
        return replace(self._blank, tool=tool, arguments=arguments, approval_request_id=approval_request_id)

    @asynccontextmanager
    async def audited(self, exchange: Exchange) -> AsyncGenerator[Note, None]:
        """Keep that an exchange begins, before anything of it is sent; and how it ended, even if it was cancelled.

        Raises where the beginning cannot be kept. An end that cannot be is logged: what was exchanged, was.
        """
        note = Note()
        audit = self._servers.audit
        number = await audit.begin(exchange) if audit is not None else 0
        try:
            yield note
        except anyio.get_cancelled_exc_class():
            note.outcome = "cancelled"
            raise
        finally:
            if audit is not None:
                await _end(audit, number, note.outcome)

    async def _listed(self) -> Listings:
        with anyio.move_on_after(self.config.list_seconds):
            try:
                return await self._once(self._pages)
            except Fault as fault:
                # A listing changes nothing: it is made again even if it may have been made.
                if not (fault.failing.is_worth_another or fault.failing in {CUT_OFF, CONNECTION_LOST}):
                    raise
            return await self._once(self._pages)
        raise Fault(Failing(error=http_error(TIMED_OUT, "The MCP server did not list its tools in time.")))

    async def _pages(self, connection: Connection) -> Listings:
        found: Listings = []
        room = Room(self.config)
        cursors: set[str] = set()
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page, cursor = await connection.list_page(cursor, room)
            found += page
            if not cursor:
                return self._named(found)
            if cursor in cursors:
                raise unusable("The MCP server's list of tools does not end.")
            cursors.add(cursor)
        raise unusable(f"The MCP server's list of tools has more than {MOST_PAGES} pages.")

    def _named(self, found: Listings) -> Listings:
        named = [listing for listing in found if 0 < len(listing.name) <= LONGEST_NAME]
        if len(named) < len(found):
            log.warning("tools left out", extra={"action": "mcp_tools_left_out", "count": len(found) - len(named)})
        return named

    async def _once(self, use: Callable[[Connection], Awaitable[_T]]) -> _T:
        async with self._servers.connection(self._key, self._headers) as connection:
            return await use(connection)


async def _end(audit: Audit, number: int, outcome: str) -> None:
    kind = "TimeoutError"
    with anyio.move_on_after(AUDIT_SECONDS, shield=True):
        try:
            await audit.end(number, outcome)
        except Exception as error:  # noqa: BLE001 - whatever a database does; the exchange was made
            kind = type(error).__name__
        else:
            return
    log.error("end of an exchange not kept", extra={"action": "mcp_audit_not_ended", "number": number, "kind": kind})


def _unlisted(failing: Failing) -> Unlisted:
    match failing.error:
        case McpHttpError(code=code, message=message):
            status = NO_ANSWER if code == TIMED_OUT else code
            return Unlisted(message, status=status, is_refused=failing.is_refused)
        case McpProtocolError(code=code):
            return Unlisted(f"The MCP server refused to list its tools (error {code}).")
