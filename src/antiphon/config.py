"""The configuration: one TOML file, read once. Any string may be ``env:NAME`` or ``file:PATH``.

A key that is not known is an error that names the nearest known one, because a setting that is silently ignored is
worse than a server that does not start.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct, inspect
from platformdirs import user_data_path

from antiphon import documents, outbound
from antiphon.backends.llama import Config as Embedded
from antiphon.http.auth import Config as Auth
from antiphon.lifecycle import filtering, guarding, limiting, prompts
from antiphon.lifecycle.pricing import Price
from antiphon.protocol.parts import Json
from antiphon.store import StoreUrlError, sqlite_files
from antiphon.telemetry import settings
from antiphon.tools.mcp.config import Config as Mcp

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
MIB = 1_048_576
Positive = Annotated[int, Meta(ge=1)]

T = TypeVar("T", bound=Struct)


class ConfigError(Exception):
    """The configuration cannot be used; the message says what to mend."""


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """``[server]``: where it listens, and what it insists on."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    strict_params: bool = False
    done_marker: bool = False
    default_deployment: str | None = None
    region: Annotated[str, Meta(pattern=r"^[!-~]([ -~]{0,62}[!-~])?$")] | None = None
    max_body_mib: Annotated[int, Meta(ge=1, le=1024)] = 80
    max_tool_calls: Positive = 256
    max_concurrent: Positive = 10_000
    heartbeat_seconds: Annotated[float, Meta(ge=0)] = 15.0
    heartbeat_event_seconds: Annotated[float, Meta(ge=0)] = 60.0
    drain_seconds: Annotated[float, Meta(ge=0)] = 10.0
    notice_seconds: Annotated[float, Meta(ge=0)] = 0.0


class WebSocket(Struct, frozen=True, forbid_unknown_fields=True):
    """``[websocket]``: how long a connection lives, and how much goes on in it."""

    life_minutes: Annotated[float, Meta(gt=0)] = 60.0
    patience_seconds: Annotated[float, Meta(gt=0)] = 60.0
    in_flight: Positive = 16
    memory_mib: Positive = 256


class Storage(Struct, frozen=True, forbid_unknown_fields=True):
    """``[store]``: where responses are kept and for how long. No URL: under the platform's user data folder."""

    url: str | None = None
    waker: Literal["listen", "poll"] = "listen"
    blobs: str | None = None
    retention_days: Positive = 30

    @property
    def place(self) -> str:
        """The URL of the database."""
        return self.url or default_store_url()

    @property
    def blob_place(self) -> str:
        """The URL of the blobs: beside a database file, or else in the user's data folder. Raises `StoreUrlError`."""
        if self.blobs is not None:
            return self.blobs
        if not self.is_lone_file:
            return (user_data_path("antiphon") / "blobs").as_uri()
        path = sqlite_files.path(self.place)
        if path == sqlite_files.MEMORY:
            return "memory:"
        file = Path(path)
        if not file.name:
            raise StoreUrlError(f"{self.place!r} names no file.")
        return file.parent.resolve().joinpath(file.name).with_suffix(".blobs").as_uri()

    @property
    def is_lone_file(self) -> bool:
        """Whether one process alone can open it."""
        return self.place.startswith("sqlite:")


class Encryption(Struct, frozen=True, forbid_unknown_fields=True):
    """``[encryption]``: the first key encrypts, all decrypt."""

    keys: list[Annotated[str, Meta(min_length=1)]] = []


class Background(Struct, frozen=True, forbid_unknown_fields=True):
    """``[background]``: how many runs a process works on, and when another takes them over."""

    workers: Positive = 16
    lease_seconds: Positive = 20
    max_attempts: Positive = 3
    drain_seconds: Annotated[int, Meta(ge=0)] = 10
    event_ttl_seconds: Positive = 86_400


class FileTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """``[files]``: how large a file may be, sent at once or in parts."""

    max_file_mib: Annotated[int, Meta(ge=1)] = 512
    max_upload_mib: Annotated[int, Meta(ge=1)] = 8192


class Vision(Struct, frozen=True, forbid_unknown_fields=True):
    """``[vision]``: who tells a model without eyes what pictures show; a deployment, or ``local``."""

    describe_with: str | None = None


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Deployments are converted by the backend that each of them names."""

    server: Server = Server()
    store: Storage = Storage()
    auth: Auth | None = None
    encryption: Encryption = Encryption()
    outbound: outbound.Config = outbound.Config()
    background: Background = Background()
    mcp: Mcp = Mcp()
    files: FileTerms = FileTerms()
    documents: documents.Config = documents.Config()
    vision: Vision = Vision()
    computer: guarding.Config = guarding.Config()
    content_filter: filtering.Config | None = None
    websocket: WebSocket = WebSocket()
    prompts: prompts.Config = prompts.Config()
    embedded: Embedded = Embedded()
    prices: list[Price] = []
    logs: settings.Logs = settings.Logs()
    metrics: settings.Metrics = settings.Metrics()
    tracing: settings.Tracing = settings.Tracing()
    limits: list[limiting.Rule] = []
    deployments: list[dict[str, Any]] = []  # each backend has keys of its own
    image_deployments: list[dict[str, Any]] = []  # likewise


def read_config(path: Path | None) -> Config:
    """Read a file, or take the defaults. Raises `ConfigError`."""
    if path is None:
        return Config()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    config = converted(_resolved(raw, ""), Config, place="the configuration")
    _check(config)
    return config


def converted(raw: Json, type_: type[T], *, place: str) -> T:
    """A table as a struct. Raises `ConfigError` naming the key, and the known key that is nearest to an unknown one."""
    try:
        return msgspec.convert(raw, type_)
    except msgspec.ValidationError as error:
        raise ConfigError(f"In {place}: {_explained(str(error), type_)}") from error


def default_store_url() -> str:
    """The database in the user's data folder."""
    return f"sqlite:///{user_data_path('antiphon') / 'antiphon.db'}"


def shown_store_url(config: Config) -> str:
    """The database as it may be shown: without what opens it."""
    return _shown(config.store.place)


def shown_blobs_url(config: Config) -> str:
    """The place of the blobs as it may be shown: without what opens it."""
    return _shown(config.store.blob_place)


def _shown(url: str) -> str:
    return re.sub(r"://[^/@]*@", "://", url).partition("?")[0]


def refuse_lone_file(config: Config) -> None:
    """Servers and workers of their own need a database that several processes can open. Raises `ConfigError`."""
    if config.store.is_lone_file:
        raise ConfigError(
            "SQLite serves one process, and `antiphon serve` performs background runs itself. For workers of their own "
            'give [store] a url such as "postgresql://user@host/antiphon".'
        )


def is_loopback(host: str) -> bool:
    """Whether a server on this host can be reached from this machine alone."""
    return host in LOOPBACK or host.startswith("127.")


def refuse_open_server(config: Config) -> None:
    """A server that others can reach needs keys. Raises `ConfigError`."""
    if config.auth is None and not is_loopback(config.server.host):
        raise ConfigError(
            f"{config.server.host} can be reached from other machines, and there are no keys. Give the server an "
            '[auth] section, such as keys = [{ key = "env:MY_KEY", tenant = "me" }], or let it listen on 127.0.0.1.'
        )


def _check(config: Config) -> None:
    _check_metrics(config.metrics)
    names = [deployment.get("name") for deployment in config.deployments]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Two deployments are named {name!r}.")
    priced = [price.deployment for price in config.prices]
    for name in priced:
        if priced.count(name) > 1:
            raise ConfigError(f"Two of [[prices]] are for the deployment {name!r}.")
    if fault := limiting.fault(config.limits, names):
        raise ConfigError(f"In [[limits]]: {fault}")


def _check_metrics(metrics: settings.Metrics) -> None:
    if not metrics.enabled or metrics.key is not None:
        return
    if metrics.port is None:
        raise ConfigError(
            "[metrics] would be open to every caller. Give it a key of its own, such as "
            'key = "env:METRICS_KEY", or a port of its own, such as port = 9464, which only this machine reaches.'
        )
    if not is_loopback(metrics.host):
        raise ConfigError(
            f"[metrics] on {metrics.host} can be reached from other machines. Give it a key, such as "
            'key = "env:METRICS_KEY", or leave its host out.'
        )


def _resolved(value: Json, place: str) -> Json:
    """The same with ``env:`` and ``file:`` strings replaced by what they point to."""
    match value:
        case dict():
            return {key: _resolved(each, f"{place}.{key}".lstrip(".")) for key, each in value.items()}
        case list():
            return [_resolved(each, f"{place}[{index}]") for index, each in enumerate(value)]
        case str() if value.startswith("env:"):
            return _from_environment(value.removeprefix("env:"), place)
        case str() if value.startswith("file:") and not value.startswith("file://"):
            return _from_file(Path(value.removeprefix("file:")), place)
        case _:
            return value


def _from_environment(name: str, place: str) -> str:
    if name not in os.environ:
        raise ConfigError(f"{place} is env:{name}, and there is no such environment variable.")
    return os.environ[name]


def _from_file(path: Path, place: str) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{place} is file:{path}, which cannot be read: {error.strerror}.") from error


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_WRONG = re.compile(r"(?P<what>.*?) - at `\$\.?(?P<path>[^`]*)`")


def _explained(message: str, type_: type[Struct]) -> str:
    if match := _UNKNOWN.match(message):
        key, path = match["key"], match["path"] or ""
        near = difflib.get_close_matches(key, _known_keys(type_, path), n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        return f"unknown key '{f'{path}.{key}'.lstrip('.')}'.{hint}"
    if match := _WRONG.match(message):
        return f"'{match['path']}': {match['what']}."
    return f"{message}."


def _known_keys(type_: type[Struct], path: str) -> list[str]:
    """The keys of the struct at a path such as ``auth.keys[0]``."""
    node = _structs(inspect.type_info(type_))
    for name in re.findall(r"[A-Za-z_]\w*", path):
        node = [
            found for struct in node for field in struct.fields if field.name == name for found in _structs(field.type)
        ]
    return [field.encode_name for struct in node for field in struct.fields]


def _structs(node: inspect.Type) -> list[inspect.StructType]:
    """The structs that may stand where this type stands."""
    match node:
        case inspect.StructType():
            return [node]
        case inspect.ListType(item_type=item):
            return _structs(item)
        case inspect.UnionType(types=types):
            return [found for each in types for found in _structs(each)]
        case _:
            return []
