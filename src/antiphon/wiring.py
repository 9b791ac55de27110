"""The composition root: which backends and databases there are, and how the parts of a server are joined.

A plug-in is a line in a table, imported when it is used; a stranger's comes in by the entry-point group of the same
name (``antiphon.backends``, ``antiphon.databases``). A backend's module holds the class and, beside it, its ``Config``.
"""

from __future__ import annotations

import importlib
import logging
import time
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal  # a class that a table names has a type when it is imported

import anyio
from msgspec import Struct

from antiphon.backends.chat_completions import ChatCompletions
from antiphon.backends.chat_completions import Config as ChatConfig
from antiphon.backends.llama import Llama
from antiphon.config import MIB, Config, ConfigError, converted, default_store_url, without_effect
from antiphon.http.app import App, routes
from antiphon.http.auth import Auth
from antiphon.http.models import Models
from antiphon.http.openapi import document
from antiphon.http.responses import Responses
from antiphon.lifecycle import EVERY_MODEL, Deployment, Lifecycle, Policy
from antiphon.outbound import Outbound
from antiphon.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from antiphon.backends import Backend
    from antiphon.protocol.parts import Json
    from antiphon.store import Database

log = logging.getLogger(__name__)

BACKENDS = {
    "chat_completions": "antiphon.backends.chat_completions:ChatCompletions",
    "llama": "antiphon.backends.llama:Llama",
    "scripted": "antiphon.backends.scripted:Scripted",
}
DATABASES = {
    "sqlite": "antiphon.store.sqlite:connect",
}
SWEEP_SECONDS = 3600


class Head(Struct, frozen=True):
    """What every deployment has, whatever its backend; the backend reads the rest, and ``model`` as well."""

    name: str
    backend: str
    model: str | None = None
    fetch_images: bool | None = None
    show_reasoning: Literal["summary", "text"] = "summary"


HEAD_KEYS = frozenset(Head.__struct_fields__) - {"model"}


async def serve(config: Config, run: Callable[[App], Awaitable[None]]) -> None:
    """Join the parts, run the server with them, and take them apart. Raises `ConfigError` and `StoreError`."""
    for section in without_effect(config):
        log.warning(
            "a section has no effect in this version", extra={"action": "section_without_effect", "section": section}
        )
    deployments = {deployment.name: deployment for deployment in read_deployments(config)}
    outbound = Outbound(config.outbound)
    store = Store(await open_database(config.store.url or default_store_url()))
    try:
        app = _app(config, store=store, deployments=deployments, outbound=outbound)
        async with anyio.create_task_group() as group:
            group.start_soon(_sweep, store)
            await run(app)
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            for deployment in deployments.values():
                await deployment.backend.aclose()
            await outbound.aclose()
            await store.aclose()


def read_deployments(config: Config) -> list[Deployment]:
    """The deployments of a configuration; without any, the embedded model answers every name."""
    if not config.deployments:
        return [_embedded(config)]
    return [_deployment(raw, index) for index, raw in enumerate(config.deployments)]


async def open_database(url: str) -> Database:
    """The database that a URL names."""
    scheme = url.partition("://")[0]
    connect = _load("antiphon.databases", DATABASES, scheme)
    database: Database = await connect(url)
    return database


def backends() -> list[str]:
    """The names of all backends, strangers' included."""
    return _names("antiphon.backends", BACKENDS)


def _app(config: Config, *, store: Store, deployments: dict[str, Deployment], outbound: Outbound) -> App:
    policy = Policy(
        strict_params=config.server.strict_params,
        retention_days=config.store.retention_days,
        default_deployment=config.server.default_deployment,
    )
    lifecycle = Lifecycle(store=store, deployments=deployments, outbound=outbound, policy=policy, now=_now)
    responses = Responses(
        lifecycle, store, body_limit=config.server.max_body_mib * MIB, done_marker=config.server.done_marker
    )
    answers = routes(responses, Models(deployments, since=_now()))
    return App(answers, Auth(config.auth, host=config.server.host), document)


def _embedded(config: Config) -> Deployment:
    llama = Llama(config.embedded, connect_llama)
    return _deployed(Head(name=EVERY_MODEL, backend="llama", model=llama.model), llama)


def _deployment(raw: dict[str, Json], index: int) -> Deployment:
    place = f"[[deployments]] {raw.get('name', index)}"
    head = converted(raw, Head, place=place)
    class_ = _load("antiphon.backends", BACKENDS, head.backend)
    settings = {key: value for key, value in raw.items() if key not in HEAD_KEYS}
    config_type = importlib.import_module(class_.__module__).Config
    config = converted(settings, config_type, place=place)
    try:
        backend = class_(config, connect_llama) if head.backend == "llama" else class_(config)
    except ValueError as error:  # a URL, a header or a script that cannot be used
        raise ConfigError(f"In {place}: {error}") from error
    return _deployed(head, backend)


def _deployed(head: Head, backend: Backend) -> Deployment:
    return Deployment(
        name=head.name,
        backend=backend,
        model=head.model,
        # The embedded engine would fetch a URL by itself, past the rules for what a caller may reach.
        fetch_images=head.backend == "llama" if head.fetch_images is None else head.fetch_images,
        raw_thoughts=head.show_reasoning == "text",
    )


def connect_llama(base_url: str, key: str) -> Backend:
    """The dialect that the embedded engine speaks."""
    # llama.cpp takes the name of a demanded function for "auto": that function alone, and "required", is what it obeys.
    return ChatCompletions(
        ChatConfig(base_url=base_url, api_key=key, max_tokens_field="max_tokens", named_tool_choice=False)
    )


def _load(group: str, table: dict[str, str], name: str) -> Any:  # the table says what it is
    """What a table or an entry point names. Raises `ConfigError` naming what there is."""
    if name in table:
        module, _, attribute = table[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    for point in entry_points(group=group, name=name):
        return point.load()
    known = ", ".join(_names(group, table))
    raise ConfigError(f"There is no {group.partition('.')[2].removesuffix('s')} called {name!r}; there are: {known}.")


def _names(group: str, table: dict[str, str]) -> list[str]:
    """What a table names, and what strangers add to it."""
    return sorted({*table, *(point.name for point in entry_points(group=group))})


async def _sweep(store: Store) -> None:
    """Forget what is older than the retention time, once an hour."""
    while True:
        try:
            swept = await store.sweep(_now())
            if swept:
                log.info("responses expired", extra={"action": "responses_expired", "count": swept})
        except Exception:
            log.exception("sweep failed", extra={"action": "sweep_failed"})
        await anyio.sleep(SWEEP_SECONDS)


def _now() -> int:
    return int(time.time())
