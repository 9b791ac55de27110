"""A process: the parts of a server or of a worker joined, run side by side, and taken apart."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.config import MIB, Config, ConfigError
from antiphon.http import streaming
from antiphon.http.app import App, Drain, routes
from antiphon.http.auth import Auth
from antiphon.http.auth.stored import StoredKeys
from antiphon.http.health import Health
from antiphon.http.models import Models
from antiphon.http.openapi import document
from antiphon.http.responses import Responses
from antiphon.http.tokens import Tokens
from antiphon.http.watching import Watching
from antiphon.http.websocket import Terms as SocketTerms
from antiphon.http.websocket import WebSockets
from antiphon.lifecycle import Policy
from antiphon.lifecycle.approving import Approving
from antiphon.lifecycle.background import Background
from antiphon.lifecycle.remotes import Remotes
from antiphon.outbound import Outbound
from antiphon.sealing import Seal
from antiphon.store import sqlite_files
from antiphon.store.approvals import Approvals
from antiphon.store.audit import AuditLog
from antiphon.store.hub import Hub
from antiphon.store.jobs import Jobs
from antiphon.store.keys import Keys
from antiphon.store.waker import Waker
from antiphon.telemetry.trail import follow
from antiphon.wiring import open_database, read_deployments, read_routers, tool_servers
from antiphon.wiring.making import Making
from antiphon.wiring.showing import Showing
from antiphon.wiring.telling import Telemetry
from antiphon.worker import Terms, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from antiphon.lifecycle import Deployment
    from antiphon.lifecycle.preparing import Preparing
    from antiphon.store import Database

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
SWEEP_SECONDS = 3600
SWEEPING_SECONDS = 600
"""How long a sweep may take before another process may begin one."""


async def serve(config: Config, run: Callable[[App], Awaitable[None]], *, works: bool = True) -> None:
    """Join the parts, run the server with them, and take them apart.

    Without ``works`` background jobs are left to other processes. Raises `ConfigError` and `StoreError`.
    """
    async with _joined(config) as parts, asyncio.TaskGroup() as group:
        others = [*parts.start(group), group.create_task(parts.auth.run())]
        working = group.create_task(parts.worker.run()) if works else None
        await run(parts.app(config))
        parts.stop()
        if working is not None:
            await working
        for other in others:
            other.cancel()


async def work(config: Config, ready: Callable[[], None]) -> None:
    """Perform background jobs until SIGINT or SIGTERM comes; ``ready`` is called once they are claimed.

    Raises `ConfigError` and `StoreError`.
    """
    async with _joined(config) as parts, asyncio.TaskGroup() as group:
        others = parts.start(group)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, parts.stop)
        loop.add_signal_handler(signal.SIGINT, parts.interrupt)
        ready()
        _warn(config)
        _warn_of_figures(config)
        await parts.worker.run()
        for other in others:
            other.cancel()


class Parts:
    """What a process is made of."""

    def __init__(
        self,
        config: Config,
        database: Database,
        *,
        seal: Seal,
        deployments: dict[str, Deployment],
        outbound: Outbound,
        telemetry: Telemetry,
    ) -> None:
        self._boot = secrets.token_hex(8)
        self._deployments = deployments
        self._event_age = config.background.event_ttl_seconds * 1000
        self._audit_age = config.store.retention_days * DAY_MS
        self.auth = Auth(config.auth, host=config.server.host, stored=StoredKeys(Keys(database)))
        self.jobs = Jobs(database)
        self.telemetry = telemetry
        self.health = Health(self.jobs, self._boot)
        self.approvals = Approvals(database)
        self.audit = AuditLog(database, _now_ms)
        self._waker = Waker(database, self._boot)
        self._hub = Hub(self.jobs, self._waker, is_shared=database.is_shared)
        self._tool_servers = tool_servers(config, outbound, self.audit if config.mcp.audit else None)
        self.showing = Showing(config, database, deployments=deployments, outbound=outbound, now=_now)
        policy = _policy(config)
        self.making = Making(config, database, showing=self.showing, seal=seal, policy=policy, now=_now)
        self.store = self.making.store
        remotes = Remotes(self._tool_servers, Approving(seal, self.approvals, now=_now), config.mcp.connectors)
        preparing = self.making.preparing(deployments, remotes)
        self._lifecycle = self.making.lifecycle(preparing)
        self._background = self._queue(preparing)
        self.worker = Worker(
            self._background,
            self.jobs,
            self._waker,
            boot=self._boot,
            terms=_terms(config),
            told=self._hub.committed,
        )

    def _queue(self, preparing: Preparing) -> Background:
        """What runs responses in the background."""
        return Background(
            preparing,
            self.store,
            self.jobs,
            keeping=self.making.keeping,
            waker=self._waker,
            told=self._hub.committed,
            limiting=self.making.limiting,
        )

    def app(self, config: Config) -> App:
        """The application that answers requests."""
        limit = config.server.max_body_mib * MIB
        responses = Responses(
            self._lifecycle,
            self._background,
            store=self.store,
            hub=self._hub,
            body_limit=limit,
            terms=_streams(config),
        )
        answers = routes(
            responses,
            Models(self._deployments, since=_now(), routers=read_routers(config)),
            Tokens(self._lifecycle, self.making.compacting, self.showing.shelf, body_limit=limit),
            self.making.routes(limit),
            *self.showing.routes(),
        )
        sockets = WebSockets(self._lifecycle, self.auth, _sockets(config), region=config.server.region)
        started = partial(_warn, config)
        return App(
            answers,
            self.auth,
            document,
            health=self.health,
            sockets=sockets,
            started=started,
            stop=self.stop,
            hurry=self.worker.hurry,
            region=config.server.region,
            probes=self.telemetry.probes(self.health, self.jobs, is_apart=False),
            watching=Watching(self.telemetry.root),
            drain=Drain(config.server.drain_seconds, config.server.notice_seconds),
        )

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Begin what goes on beside requests and jobs."""
        return [
            group.create_task(work)
            for work in (
                self._waker.run(),
                self._hub.run(),
                self._tool_servers.run(),
                self.making.conversing.run(),
                self.making.book.run(),
                self.making.limiting.run(),
                self.telemetry.listen(self.health, self.jobs),
                self._sweep(),
            )
        ]

    def stop(self) -> None:
        """Claim no job, and let the readers of logs go: they read on elsewhere."""
        self.health.close()
        self.worker.stop()
        self._hub.stop()

    def interrupt(self) -> None:
        """Stop; at once, where that was asked for before."""
        if self.health.is_closing:
            self.worker.hurry()
        self.stop()

    async def _sweep(self) -> None:
        """Forget what is older than the retention time, once an hour, one process at a time."""
        while True:
            try:
                if await self.jobs.take_chore("sweep", self._boot, period=SWEEPING_SECONDS * 1000):
                    await self._forget()
                    await self.jobs.leave_chore("sweep", self._boot)
            except Exception:
                log.exception("sweep failed", extra={"action": "sweep_failed"})
            await asyncio.sleep(SWEEP_SECONDS)

    async def _forget(self) -> None:
        exchanges = await self.audit.sweep(_now_ms() - self._audit_age)
        if exchanges:
            log.info("audit expired", extra={"action": "audit_expired", "count": exchanges})
        await self.approvals.sweep(_now())
        await self.making.limiting.forget()
        logs = await self.jobs.sweep(age=self._event_age)
        responses = await self.store.sweep(_now())
        await self.showing.sweep()
        if logs or responses:
            log.info("responses expired", extra={"action": "responses_expired", "count": responses, "logs": logs})


@asynccontextmanager
async def _joined(config: Config) -> AsyncGenerator[Parts]:
    async with AsyncExitStack() as opened:
        telemetry = Telemetry(config)
        opened.push_async_callback(telemetry.aclose)
        follow(telemetry.root)
        database = telemetry.timed(await open_database(config.store))
        opened.push_async_callback(database.aclose)
        outbound = Outbound(config.outbound)
        opened.push_async_callback(outbound.aclose)
        deployments = {deployment.name: deployment for deployment in read_deployments(config)}
        for deployment in deployments.values():
            opened.push_async_callback(deployment.backend.aclose)
        jobs = Jobs(database)
        if not database.is_shared:  # nobody else can hold it: whoever worked here is gone
            await jobs.retire_all()
        seal = Seal(await _secrets(config, jobs))
        parts = Parts(config, database, seal=seal, deployments=deployments, outbound=outbound, telemetry=telemetry)
        opened.push_async_callback(parts.showing.aclose)
        opened.push_async_callback(parts.making.aclose)
        yield parts


async def _secrets(config: Config, jobs: Jobs) -> list[str]:
    """The configured secrets; without any, one that was made once: beside a database file, or else in the database."""
    if config.encryption.keys:
        return config.encryption.keys
    if config.store.is_lone_file and (path := sqlite_files.path(config.store.place)) != sqlite_files.MEMORY:
        return [await asyncio.to_thread(_kept_beside, Path(f"{path}.key"))]
    return [await jobs.sealing_key("default", otherwise=_secret())]


def _kept_beside(file: Path) -> str:
    """The key of a file, which is made whole or not at all: an empty key would open to anybody."""
    try:
        if not file.exists():
            fresh = file.with_name(f"{file.name}.{_secret()[:8]}")
            fresh.touch(mode=0o600)
            fresh.write_text(_secret(), encoding="utf-8")
            fresh.rename(file)
        secret = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"The key file {file} cannot be used: {error.strerror}.") from error
    if not secret:
        raise ConfigError(f"The key file {file} is empty. Remove it, and a new key is made.")
    return secret


def _streams(config: Config) -> streaming.Terms:
    server = config.server
    heartbeat = streaming.Heartbeat(server.heartbeat_seconds, server.heartbeat_event_seconds)
    return streaming.Terms(heartbeat, streaming.DONE if server.done_marker else b"")


def _sockets(config: Config) -> SocketTerms:
    terms = config.websocket
    return SocketTerms(
        message_bytes=config.server.max_body_mib * MIB,
        life_seconds=terms.life_minutes * 60,
        patience_seconds=terms.patience_seconds,
        in_flight=terms.in_flight,
        memory_bytes=terms.memory_mib * MIB,
        heartbeat_seconds=config.server.heartbeat_event_seconds,
    )


def _policy(config: Config) -> Policy:
    return Policy(
        strict_params=config.server.strict_params,
        retention_days=config.store.retention_days,
        default_deployment=config.server.default_deployment,
        max_tool_calls=config.server.max_tool_calls,
        routers=read_routers(config),
    )


def _terms(config: Config) -> Terms:
    terms = config.background
    return Terms(runs=terms.workers, lease=terms.lease_seconds, attempts=terms.max_attempts, drain=terms.drain_seconds)


def _warn(config: Config) -> None:
    """Say what an operator should know of a configuration that works."""
    if not config.store.is_lone_file and config.store.blobs is None:
        log.warning(
            "files and pictures lie on this machine alone: name a place that all nodes share in [store] blobs",
            extra={"action": "blobs_not_shared"},
        )
    if not config.encryption.keys and not config.store.is_lone_file:
        log.warning(
            "secrets of queued runs are sealed with a key that lies in the database: name one in [encryption] keys",
            extra={"action": "key_in_database"},
        )


def _warn_of_figures(config: Config) -> None:
    """A worker answers nobody but at the port of the figures."""
    if config.metrics.enabled and config.metrics.port is None:
        log.warning(
            "a worker gives its figures at a port of their own alone: name one in [metrics] port",
            extra={"action": "figures_not_given"},
        )


def _secret() -> str:
    return secrets.token_urlsafe(32)


def _now() -> int:
    return int(time.time())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
