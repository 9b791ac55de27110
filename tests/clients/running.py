"""Runs all programs against one server, some at a time, and gives what each told."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from scripts.clients import CLIENTS, FEATURES, PROGRAMS, RESULTS, ROOT, Cell, Row
from tests.clients.serving import KEY, serving
from tests.patient import STORY_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.clients import Client, Results
    from tests.clients.serving import Places

AT_A_TIME = 3
"""Programs that run side by side: they wait for the server as much as they compute."""

ELSEWHERE = ("OPENAI_", "AZURE_", "LANGSMITH_", "LANGCHAIN_", "LITELLM_", "PYTHON", "COV")
"""Variables with such names might send a client elsewhere, or measure it."""


class Broken(Exception):
    """A program ended before it had told of every feature, or told of one twice; with what it said."""


class Line(Struct, frozen=True):
    """What a program prints for a feature; its first line is its client's version alone."""

    feature: str = ""
    version: str = ""
    ok: bool | None = None
    note: str = ""


def run_all(folder: Path) -> Results:
    """Run every program, with the server's state in ``folder``. Raises `Broken`."""
    with serving(folder) as places, ThreadPoolExecutor(AT_A_TIME) as pool:
        last_first = CLIENTS[::-1]  # the last ones take longest
        told = pool.map(lambda client: run(client, places), last_first)
        rows = {client.id: row for client, row in zip(last_first, told, strict=True)}
        return {client.id: rows[client.id] for client in CLIENTS}


def run(client: Client, places: Places) -> Row:
    """Run one program where its client is installed. Raises `Broken`."""
    command, said = _command(client)
    ran = subprocess.run(
        command,
        cwd=ROOT if client.program.endswith(".py") else _place(client),
        env=_environment(client, places),
        input=said,
        capture_output=True,
        check=False,
        timeout=STORY_SECONDS,
    )
    told = [msgspec.json.decode(line, type=Line) for line in ran.stdout.splitlines()]
    names = [line.feature for line in told[1:]]
    if ran.returncode or sorted(names) != sorted(feature.id for feature in FEATURES):
        raise Broken(f"{client.id} told of {names} and ended with {ran.returncode}: {ran.stderr.decode()}")
    return Row(version=told[0].version, features={line.feature: Cell(ok=line.ok, note=line.note) for line in told[1:]})


def _place(client: Client) -> Path:
    place = RESULTS.parent / client.place
    if not (place / ".done").exists():
        raise Broken(f"{place} is not installed. `make clients` does it.")
    return place


def _command(client: Client) -> tuple[list[str], bytes]:
    """What runs a program, and what it reads; one in Node is read, so that its imports are looked for at its place."""
    if client.program.endswith(".mjs"):
        source = b"".join((PROGRAMS / name).read_bytes() for name in ("telling.mjs", client.program))
        return [str(ROOT / ".venv" / "bin" / "node"), "--input-type=module"], source
    python = str(_place(client) / "bin" / "python") if client.place else sys.executable
    return [python, "-m", f"tests.clients.programs.{client.program.removesuffix('.py')}"], b""


def _environment(client: Client, places: Places) -> dict[str, str]:
    """What a program may know: the server, and nothing that sends it elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ELSEWHERE) and not name.lower().endswith("_proxy")
    }
    ours = {"ANTIPHON_URL": places.url, "ANTIPHON_MCP_URL": places.mcp_url, "ANTIPHON_KEY": KEY}
    quiet = {"ANTIPHON_CLIENT": client.variant, "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
    return {**kept, **ours, **quiet}
