"""The command ``antiphon``: serve, check a configuration, read audit and usage, and look after the embedded models."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import uvloop
from cyclopts import App, Parameter
from cyclopts.validators import Number
from msgspec.structs import replace

from antiphon.backends.llama import catalog
from antiphon.backends.llama.errors import ModelError
from antiphon.backends.llama.fetching import choose
from antiphon.backends.llama.fetching import fetch as fetch_model
from antiphon.backends.llama.progress import bar
from antiphon.config import (
    ConfigError,
    read_config,
    refuse_lone_file,
    refuse_open_server,
    shown_store_url,
)
from antiphon.http import server
from antiphon.store import StoreError
from antiphon.telemetry.logs import log_to_stderr
from antiphon.wiring import checking, migrate
from antiphon.wiring import keys as kept_keys
from antiphon.wiring.auditing import UnknownTime, Wanted, milliseconds, show
from antiphon.wiring.running import serve, work
from antiphon.wiring.usage import By, first_day, next_day
from antiphon.wiring.usage import Wanted as WantedUsage
from antiphon.wiring.usage import show as show_usage

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine

    from antiphon.http.app import App as HttpApp

app = App(
    name="antiphon",
    help="A self-hosted server for the OpenAI and Azure OpenAI Responses API, over any model.",
    version=version("antiphon"),
    version_flags=["--version"],
    help_epilogue="Start with `antiphon models fetch`, then `antiphon serve`, then point an OpenAI client at "
    "http://127.0.0.1:8080/v1 with any key.",
)
models = App(name="models", help="List, fetch, verify and remove the embedded models.")
app.command(models)
keys = App(name="keys", help="Make, list and revoke the keys that callers send; also while servers run.")
app.command(keys)

LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"], Parameter(help="What is logged; the configuration's, or info.")
]
ConfigFile = Annotated[Path | None, Parameter(name="--config", help="The configuration, a TOML file.")]
Limit = Annotated[int, Parameter(help="How many are shown at most.", validator=Number(gte=1))]


@app.command(name="serve")
def serve_command(
    *,
    config: ConfigFile = None,
    host: Annotated[str | None, Parameter(help="The address to listen on; the configuration's, or 127.0.0.1.")] = None,
    port: Annotated[int | None, Parameter(help="The port; the configuration's, or 8080. 0 takes a free one.")] = None,
    worker: Annotated[bool, Parameter(help="Whether background runs are performed here too.")] = True,
    log_level: LogLevel | None = None,
) -> None:
    """Run the server.

    Without a configuration it listens on http://127.0.0.1:8080, takes any key, and every model name is answered by the
    embedded model. With --no-worker background runs are left to `antiphon worker`, which needs PostgreSQL.
    """
    settings = read_config(config)
    listening = replace(
        settings.server,
        host=settings.server.host if host is None else host,
        port=settings.server.port if port is None else port,
    )
    settings = replace(settings, server=listening)
    refuse_open_server(settings)
    if not worker:
        refuse_lone_file(settings)
    log_to_stderr(log_level or settings.logs.level)
    with server.bind(listening.host, listening.port) as listener:
        uvloop.run(serve(settings, partial(_listen, listener), works=worker))


async def _listen(listener: socket.socket, http: HttpApp) -> None:
    def ready() -> None:
        address = server.url(listener)
        print(f"Antiphon answers at {address}/v1 (Azure clients: {address}/openai/v1).", file=sys.stderr, flush=True)

    await server.listen(http, listener, ready=ready)


@app.command(name="worker")
def worker_command(*, config: ConfigFile = None, log_level: LogLevel | None = None) -> None:
    """Run a worker alone: it performs background runs for servers that share its PostgreSQL."""
    settings = read_config(config)
    refuse_lone_file(settings)
    log_to_stderr(log_level or settings.logs.level)
    uvloop.run(work(settings, lambda: _say(f"Antiphon works on background runs of {shown_store_url(settings)}.")))


@app.command(name="migrate")
def migrate_command(
    *,
    config: ConfigFile = None,
    post: Annotated[bool, Parameter(help="Also the steps that no older version can live with.", negative="")] = False,
) -> None:
    """Bring the database to this version's schema. It is safe while an older version serves, but for --post."""
    settings = read_config(config)
    steps = uvloop.run(migrate(settings.store, post=post))
    print("\n".join(steps) if steps else "The database is up to date.")


@app.command
def check(
    *,
    config: ConfigFile = None,
    offline: Annotated[bool, Parameter(help="Only read the configuration: ask no other server.", negative="")] = False,
) -> None:
    """Say what is wrong with a configuration, and how to mend it.

    Each deployment is asked for a few tokens, the store is opened, and a probe is written among the blobs, unless
    --offline is given. The command fails where anything is wrong.
    """
    settings = read_config(config)
    log_to_stderr("error")  # what is wrong is said in the findings
    if not uvloop.run(checking.check(settings, is_offline=offline, out=sys.stdout, err=sys.stderr)):
        sys.exit(1)


@app.command
def audit(  # noqa: PLR0913 - each is an option of the command
    *,
    config: ConfigFile = None,
    tenant: Annotated[str | None, Parameter(help="Of this tenant alone.")] = None,
    response: Annotated[str | None, Parameter(help="For the response of this id alone.")] = None,
    since: Annotated[str | None, Parameter(help="From then on: a date or time, UTC, or a span like 24h or 7d.")] = None,
    until: Annotated[str | None, Parameter(help="Before then, likewise.")] = None,
    json: Annotated[bool, Parameter(help="One JSON object a line, with all of the arguments.", negative="")] = False,
    limit: Limit = 1000,
) -> None:
    """Show what was shared with MCP servers: when, for whom, with which server, and how it ended; the oldest first.

    It may be read while a server runs.
    """
    settings = read_config(config)
    now = datetime.now(UTC)
    wanted = Wanted(
        limit=limit,
        tenant=tenant,
        response=response,
        since=None if since is None else milliseconds(since, now),
        until=None if until is None else milliseconds(until, now),
    )
    _read(show(settings.store, wanted, as_json=json, out=sys.stdout))


@app.command
def usage(  # noqa: PLR0913 - each is an option of the command
    *,
    config: ConfigFile = None,
    since: Annotated[str, Parameter(help="From that day on: a date, UTC, or a span like 7d.")] = "30d",
    until: Annotated[str | None, Parameter(help="Before that day, likewise.")] = None,
    tenant: Annotated[str | None, Parameter(help="Of this tenant alone.")] = None,
    deployment: Annotated[str | None, Parameter(help="Of this deployment alone.")] = None,
    by: Annotated[
        tuple[By, ...], Parameter(help="What a line is of; may be given more than once.", negative="")
    ] = WantedUsage().by,
    csv: Annotated[bool, Parameter(help="As CSV, for a spreadsheet.", negative="")] = False,
) -> None:
    """Show what tenants used of deployments, by the day (UTC), and what it costs.

    What was estimated, as an upstream did not count it, is told apart. It may be read while a server runs.
    """
    settings = read_config(config)
    now = datetime.now(UTC)
    wanted = WantedUsage(
        by=by,
        tenant=tenant,
        deployment=deployment,
        since=first_day(milliseconds(since, now)),
        until=WantedUsage().until if until is None else next_day(milliseconds(until, now)),
    )
    _read(show_usage(settings.store, settings.prices, wanted, as_csv=csv, out=sys.stdout))


def _read(showing: Coroutine[None, None, str]) -> None:
    """Show something on standard output, and say what else there is to know."""
    try:
        note = uvloop.run(showing)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, and what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if note:
        _say(note)


@keys.command(name="create")
def create_key(
    *,
    config: ConfigFile = None,
    tenant: Annotated[str, Parameter(help="Whose responses, files and conversations it opens.")],
    name: Annotated[str, Parameter(help="What it is for, to be seen in the list.")] = "",
    expires: Annotated[str | None, Parameter(help="After which span it opens nothing more, such as 90d.")] = None,
) -> None:
    """Make a key, and print it: this once, as only its digest is kept."""
    key, note = uvloop.run(kept_keys.create(read_config(config), tenant=tenant, name=name, expires=expires))
    print(key)
    _say(note)


@keys.command(name="list")
def list_keys(
    *,
    config: ConfigFile = None,
    tenant: Annotated[str | None, Parameter(help="Of this tenant alone.")] = None,
    json: Annotated[bool, Parameter(help="One JSON object a line.", negative="")] = False,
) -> None:
    """List all keys that were made: of each the beginning, whose it is, and whether it opens."""
    if note := uvloop.run(kept_keys.show(read_config(config), tenant=tenant, is_json=json, out=sys.stdout)):
        _say(note)


@keys.command(name="revoke")
def revoke_key(
    id: Annotated[str, Parameter(help="The id of a key, as the list shows it.")], *, config: ConfigFile = None
) -> None:
    """Let a key open nothing any more, on every server within seconds."""
    _say(uvloop.run(kept_keys.revoke(read_config(config), id)))


@models.command(name="list")
def list_models() -> None:
    """List the models that can be fetched without an account, and whether they are here."""
    for entry in catalog.entries(catalog.default_folder()):
        where = str(entry.path) if entry.present else "not fetched"
        print(f"{entry.model.name:22} {entry.model.size >> 20:5} MiB  {entry.model.licence:11} {where}")


@models.command
def fetch(name: Annotated[str | None, Parameter(help="A name of the list; by default the large one.")] = None) -> None:
    """Fetch a model once, checked against the hash that its maker publishes.

    Without a name: the large one, or where that cannot be had, the small one.
    """
    folder = catalog.default_folder()
    with ExitStack() as bars:
        if name is None:
            model = choose(
                catalog.DEFAULT, folder, say=_say, watch=lambda wanted: bars.enter_context(bar(wanted.title))
            )
        else:
            model = catalog.find(name)
            fetch_model(model, folder, watch=bars.enter_context(bar(model.title)))
    _say(f"{model.name} is in {folder}.")


@models.command
def verify(name: str = catalog.DEFAULT) -> None:
    """Compare a model's file with the hash that its maker publishes."""
    path = catalog.verify(catalog.find(name), catalog.default_folder())
    print(f"{path} is what {name} should be.")


@models.command
def remove(name: str) -> None:
    """Delete a model's file."""
    removed = catalog.remove(catalog.find(name), catalog.default_folder())
    print(f"{name} was removed." if removed else f"{name} was not here.")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command; what a person can mend is said in one line."""
    try:
        app()
    except (ConfigError, StoreError, UnknownTime, kept_keys.KeyFault, server.CannotListen, ModelError) as error:
        print(f"antiphon: {error}", file=sys.stderr)
        sys.exit(1)
