"""The composition root: which backends and databases there are, and what a configuration makes of them.

A plug-in is a line in a table, imported when it is used; a stranger's comes in by the entry-point group of the same
name (``antiphon.backends``, ``antiphon.databases``). A backend's module holds the class and, beside it, its ``Config``.
"""

from __future__ import annotations

import importlib
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Any, Literal  # a class that a table names has a type when it is imported

from msgspec import Meta, Struct

from antiphon.backends.chat_completions import ChatCompletions
from antiphon.backends.chat_completions import Config as ChatConfig
from antiphon.backends.llama import Llama
from antiphon.config import Config, ConfigError, Storage, converted
from antiphon.core.screen import Coordinates
from antiphon.lifecycle import EVERY_MODEL, Deployment
from antiphon.lifecycle.describing import LOCAL, Describing
from antiphon.lifecycle.filtering import Filtering
from antiphon.lifecycle.judging import DeploymentJudge, EndpointJudge
from antiphon.lifecycle.routing import Rule, circle
from antiphon.protocol.picture_faults import LONGEST_SIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from antiphon.backends import Backend
    from antiphon.documents import Documents
    from antiphon.lifecycle.tallying import Book
    from antiphon.outbound import Outbound
    from antiphon.protocol.parts import Json
    from antiphon.store import Database
    from antiphon.tools import Audit, ToolServers
    from antiphon.tools.image_generation import Studio

BACKENDS = {
    "anthropic": "antiphon.backends.anthropic:Anthropic",
    "chat_completions": "antiphon.backends.chat_completions:ChatCompletions",
    "llama": "antiphon.backends.llama:Llama",
    "responses": "antiphon.backends.responses:Responses",
    "scripted": "antiphon.backends.scripted:Scripted",
}
DATABASES = {
    "postgres": "antiphon.store.postgres:connect",
    "postgresql": "antiphon.store.postgres:connect",
    "sqlite": "antiphon.store.sqlite:connect",
}


PROVIDERS = {"chat_completions": "openai", "responses": "openai"}
"""What OpenTelemetry calls whoever speaks the dialect of a backend, where that is not the backend's own name."""

TOOLS = {
    "image_generation": "antiphon.tools.image_generation:Studio",
    "mcp": "antiphon.tools.mcp.servers:Servers",
}


class Head(Struct, frozen=True):
    """What every deployment has, whatever its backend; the backend reads the rest, and what is in `SHARED` as well."""

    name: str
    backend: str
    model: str | None = None
    fetch_images: bool = True
    vision: bool | None = None
    image_side: Annotated[int, Meta(ge=64, le=LONGEST_SIDE)] = 2048
    read_files: bool = True
    pass_through: bool = False
    show_reasoning: Literal["summary", "text"] = "summary"
    reasoning_context: Literal["current_turn", "all_turns"] = "current_turn"
    context_window: Annotated[int, Meta(ge=256)] | None = None
    native_tools: list[str] = []
    screenshots: Annotated[int, Meta(ge=1)] | None = None
    coordinates: Coordinates = "pixels"


class Router(Struct, frozen=True, forbid_unknown_fields=True):
    """A deployment that is no model of its own: the first of its rules that fits a request says who answers it."""

    name: str
    backend: Literal["router"]
    rules: Annotated[list[Rule], Meta(min_length=1)]


ROUTER = "router"
SHARED = frozenset({"model", "native_tools"})
HEAD_KEYS = frozenset(Head.__struct_fields__) - SHARED


def read_deployments(config: Config) -> list[Deployment]:
    """The deployments of a configuration; without any, the embedded model answers every name."""
    if not config.deployments:
        return [_embedded(config)]
    return [read() for read in deployment_readers(config).values()]


def deployment_readers(config: Config) -> dict[str, Callable[[], Deployment]]:
    """What reads each of the deployments that are configured and are models, by name; it raises `ConfigError`."""
    is_told = config.vision.describe_with is not None
    return {
        str(raw.get("name", index)): partial(_deployment, raw, index, is_told=is_told)
        for index, raw in enumerate(config.deployments)
        if raw.get("backend") != ROUTER
    }


def read_routers(config: Config) -> dict[str, list[Rule]]:
    """The deployments that choose among others, by name. Raises `ConfigError` where one leads nowhere."""
    routers, faults = routers_and_faults(config)
    if faults:
        raise ConfigError(faults[0])
    return routers


def routers_and_faults(config: Config) -> tuple[dict[str, list[Rule]], list[str]]:
    """The deployments that choose among others, by name, and all that is wrong with them."""
    names = sorted(str(raw.get("name")) for raw in config.deployments)
    routers: dict[str, list[Rule]] = {}
    faults: list[str] = []
    for raw in config.deployments:
        if raw.get("backend") == ROUTER:
            try:
                routers[str(raw.get("name"))] = _router(raw).rules
            except ConfigError as error:
                faults.append(str(error))
    for name, rules in routers.items():
        for rule in rules:
            if rule.deployment not in names and EVERY_MODEL not in {*names} - routers.keys():
                said = f"A rule of [[deployments]] {name} names {rule.deployment!r}, and there is none."
                faults.append(f"{said} {_there_are(names)}")
    if way := circle(routers):
        faults.append(f"The rules of [[deployments]] lead in a circle: {' > '.join([*way, way[0]])}. Break it.")
    return routers, faults


def filtering(config: Config, deployments: Mapping[str, Deployment]) -> Filtering | None:
    """The part that judges what is asked and said; None where nothing is to be judged. Raises `ConfigError`."""
    terms = config.content_filter
    if terms is None:
        return None
    if terms.endpoint is not None:
        try:
            return Filtering(terms, EndpointJudge(terms.endpoint, key=terms.key, seconds=terms.timeout_seconds))
        except ValueError as error:
            raise ConfigError(f"In [content_filter] endpoint: {error}") from error
    judge = deployments.get(terms.deployment or "")
    if judge is None:
        said = f"[content_filter] deployment names {terms.deployment!r}, and no model is called so."
        raise ConfigError(f"{said} {_there_are(deployments)}")
    return Filtering(terms, DeploymentJudge(judge))


async def open_database(storage: Storage) -> Database:
    """The database that a configuration names."""
    database: Database = await _connect(storage)(storage.place, pooled=storage.waker == "poll")
    return database


async def migrate(storage: Storage, *, post: bool) -> list[str]:
    """Bring a database to this version's schema, and return the steps that were missing."""
    engine = importlib.import_module(_connect(storage).__module__)
    steps: list[str] = await engine.migrate(storage.place, post=post)
    return steps


def backends() -> list[str]:
    """The names of all backends, strangers' included."""
    return _names("antiphon.backends", BACKENDS)


def _embedded(config: Config) -> Deployment:
    llama = Llama(config.embedded, connect_llama)
    head = Head(name=EVERY_MODEL, backend="llama", model=llama.model, context_window=config.embedded.context)
    return _deployed(head, llama, is_told=config.vision.describe_with is not None)


def _router(raw: dict[str, Json]) -> Router:
    place = f"[[deployments]] {raw.get('name', ROUTER)}"
    router = converted(raw, Router, place=place)
    for index, rule in enumerate(router.rules[:-1]):
        if rule == Rule(rule.deployment):
            raise ConfigError(f"In {place}: rule {index + 1} fits every request, so no rule behind it is ever asked.")
    return router


def _deployment(raw: dict[str, Json], index: int, *, is_told: bool) -> Deployment:
    place = f"[[deployments]] {raw.get('name', index)}"
    head = converted(raw, Head, place=place)
    if head.pass_through and head.backend in BACKENDS and head.backend != "responses":
        raise ConfigError(f"In {place}: pass_through needs an upstream that speaks the Responses API itself.")
    class_ = _load("antiphon.backends", BACKENDS, head.backend)
    settings = {key: value for key, value in raw.items() if key not in HEAD_KEYS}
    config_type = importlib.import_module(class_.__module__).Config
    config = converted(settings, config_type, place=place)
    try:
        backend = class_(config, connect_llama) if head.backend == "llama" else class_(config)
    except ValueError as error:  # a URL, a header or a script that cannot be used
        raise ConfigError(f"In {place}: {error}") from error
    return _deployed(head, backend, is_told=is_told)


def _deployed(head: Head, backend: Backend, *, is_told: bool) -> Deployment:
    """``is_told``: a model without eyes is told what pictures show."""
    vision = _sees(backend) if head.vision is None else head.vision
    return Deployment(
        name=head.name,
        backend=backend,
        model=head.model,
        # The embedded engine would fetch a URL by itself, past the rules for what a caller may reach.
        fetch_images=head.fetch_images or head.backend == "llama",
        raw_thoughts=head.show_reasoning == "text",
        recalls_thoughts=head.reasoning_context == "all_turns",
        context_window=head.context_window,
        vision=vision,
        is_blind=not vision and not is_told,
        shows_pages=isinstance(backend, Llama) and backend.sees if head.vision is None else head.vision,
        image_side=head.image_side,
        read_files=head.read_files,
        pass_through=head.pass_through,
        provider=PROVIDERS.get(head.backend, head.backend),
        native_tools=frozenset(head.native_tools),
        screenshots=head.screenshots,
        coordinates=head.coordinates,
    )


def _sees(backend: Backend) -> bool:
    """Whether a model sees, where the configuration does not say: the embedded one does with a projector alone."""
    return backend.sees if isinstance(backend, Llama) else True


def tool_servers(config: Config, outbound: Outbound, audit: Audit | None) -> ToolServers:
    """The part that speaks to MCP servers."""
    servers: ToolServers = _load("antiphon.tools", TOOLS, "mcp")(config.mcp, outbound, audit=audit)
    return servers


def studio(config: Config, documents: Documents) -> Studio:
    """The part that draws. Raises `ConfigError`."""
    try:
        drawing: Studio = _load("antiphon.tools", TOOLS, "image_generation")(config.image_deployments, documents)
    except ValueError as error:
        raise ConfigError(f"In [[image_deployments]]: {error}") from error
    return drawing


def describing(
    config: Config, deployments: Mapping[str, Deployment], documents: Documents, book: Book | None = None
) -> Describing:
    """The part that tells what pictures show. Raises `ConfigError`."""
    name = config.vision.describe_with
    if name is None or name == LOCAL:
        return Describing(documents, is_local=name == LOCAL)
    return Describing(documents, _who_sees(name, deployments, "[vision] describe_with"), book=book)


def judge(config: Config, deployments: Mapping[str, Deployment]) -> Deployment | None:
    """The deployment that judges screenshots; None where nobody does. Raises `ConfigError`."""
    name = config.computer.judge
    return None if name is None else _who_sees(name, deployments, "[computer] judge")


def _who_sees(name: str, deployments: Mapping[str, Deployment], key: str) -> Deployment:
    if name not in deployments:
        raise ConfigError(f"{key} names the deployment {name!r}, and there is none. {_there_are(deployments)}")
    if not deployments[name].vision:
        raise ConfigError(f"{key} names {name!r}, whose model cannot see (vision = false).")
    return deployments[name]


def _there_are(names: Iterable[str]) -> str:
    return f"There are: {', '.join(names)}."


def connect_llama(base_url: str, key: str) -> Backend:
    """The dialect that the embedded engine speaks."""
    # llama.cpp takes the name of a demanded function for "auto": that function alone, and "required", is what it obeys.
    return ChatCompletions(
        ChatConfig(
            base_url=base_url,
            api_key=key,
            max_tokens_field="max_tokens",
            named_tool_choice=False,
            tokenizer="llama.cpp",
        )
    )


def _connect(storage: Storage) -> Any:  # the table says what it is
    return _load("antiphon.databases", DATABASES, storage.place.partition("://")[0])


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
