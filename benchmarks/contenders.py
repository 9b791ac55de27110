"""Who is measured, and how each of them is started: the floor, Antiphon, and the peers that are installed.

Peers live in folders of their own under ``build/peers`` and are left out where they are not there.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from benchmarks.processes import Command

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "build" / "peers"
LITELLM = PEERS / "litellm" / "bin" / "litellm"
ANTIPHON = Path(sys.executable).parent / "antiphon"
CONFIGURATION = "antiphon.toml"
RESPONSES_JS = PEERS / "responses.js" / "dist" / "server.js"


class Place(Struct, frozen=True):
    """Where a contender is to run: an empty folder, its port, the port of the upstream, and the key of its caller."""

    folder: Path
    port: int
    upstream: int
    key: str


class Contender(Struct, frozen=True):
    """A server under measurement. ``share`` is how much of a load it is given: the slow ones get less of it.

    A peer may be absent, and then ``absent`` says why; the floor and Antiphon may not.
    """

    name: str
    command: Callable[[Place], Command]
    share: float = 1.0
    peer: bool = False
    absent: str = ""


def antiphon(place: Place) -> Command:
    """Antiphon as an operator starts it: SQLite on disk, default logging, one deployment."""
    return serving(place, store=in_a_file(place))


def reaching_tools(place: Place) -> Command:
    """Antiphon as an operator starts it who has MCP servers on the loopback."""
    command = antiphon(place)
    with (place.folder / CONFIGURATION).open("a") as config:
        config.write('[outbound]\nallow_private = ["127.0.0.1"]\n')
    return command


def tool_server(place: Place, *, era: str) -> Command:
    """Start an MCP server of the official SDK."""
    arguments = [sys.executable, "-m", "benchmarks.tool_server", "--port", str(place.port), "--era", era]
    environment = {"PYTHONPATH": str(ROOT)}
    return Command(arguments=arguments, folder=place.folder, port=place.port, environment=environment)


def in_a_file(place: Place) -> str:
    """Give the URL of a SQLite database in the folder of a place."""
    return f"sqlite://{place.folder}/antiphon.db"


def serving(place: Place, *, store: str, runs: int = 16, works: bool = True) -> Command:
    """Start ``antiphon serve``, with places for so many background runs; without ``works`` it leaves them to others."""
    arguments = ["serve", "--config", str(configured(place, store=store, runs=runs)), "--port", str(place.port)]
    return Command(
        arguments=[str(ANTIPHON), *arguments, *([] if works else ["--no-worker"])], folder=place.folder, port=place.port
    )


def working(place: Place, *, store: str, runs: int) -> Command:
    """Start ``antiphon worker``, with places for so many background runs."""
    arguments = [str(ANTIPHON), "worker", "--config", str(configured(place, store=store, runs=runs))]
    return Command(arguments=arguments, folder=place.folder, port=place.port, says="Antiphon works")


def configured(place: Place, *, store: str, runs: int) -> Path:
    """Write a configuration and give its path."""
    config = place.folder / CONFIGURATION
    config.write_text(
        f'[server]\nhost = "127.0.0.1"\nport = {place.port}\n'
        f'[store]\nurl = "{store}"\nblobs = "file://{place.folder}/blobs"\n[background]\nworkers = {runs}\n'
        f'[[deployments]]\nname = "bench"\nbackend = "chat_completions"\nmodel = "bench"\n'
        f'base_url = "http://127.0.0.1:{place.upstream}/v1"\napi_key = "bench"\n'
    )
    return config


def floor(place: Place) -> Command:
    """Start the floor."""
    arguments = [sys.executable, "-m", "benchmarks.floor", "--port", str(place.port), "--upstream", str(place.upstream)]
    environment = {"PYTHONPATH": str(ROOT)}
    return Command(arguments=arguments, folder=place.folder, port=place.port, environment=environment)


def litellm(place: Place) -> Command:
    """LiteLLM's proxy with one worker, no database and no callbacks, which bridges Responses to chat completions."""
    config = place.folder / "litellm.json"
    upstream = {"model": "custom_openai/bench", "api_base": f"http://127.0.0.1:{place.upstream}/v1", "api_key": "bench"}
    config.write_text(json.dumps({"model_list": [{"model_name": "bench", "litellm_params": upstream}]}))
    return Command(
        arguments=[
            *(str(LITELLM), "--config", str(config), "--host", "127.0.0.1", "--port", str(place.port)),
            *("--num_workers", "1", "--telemetry", "False"),
        ],
        folder=place.folder,
        port=place.port,
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": place.key},
        health="/health/liveliness",
        seconds=120.0,
    )


def responses_js(place: Place) -> Command:
    """responses.js on Node, from the folder where it has been built, bound to the loopback."""
    script = f'import {{ createApp }} from "{RESPONSES_JS}"; createApp().listen({place.port}, "127.0.0.1");'
    return Command(
        arguments=[shutil.which("node") or "node", "--input-type=module", "--eval", script],
        folder=place.folder,
        port=place.port,
        environment={"OPENAI_BASE_URL": f"http://127.0.0.1:{place.upstream}/v1", "NODE_ENV": "production"},
    )


def unless(path: Path, why: str) -> str:
    """Give nothing where the path is there, else the reason why its contender is left out."""
    return "" if path.exists() else why


def contenders() -> list[Contender]:
    """Give all contenders, the absent ones with the reason."""
    return [
        Contender("floor", floor),
        Contender("antiphon", antiphon),
        Contender(
            "litellm", litellm, 1 / 16, peer=True, absent=unless(LITELLM, "not installed in build/peers/litellm")
        ),
        Contender(
            "responses.js",
            responses_js,
            1 / 4,
            peer=True,
            absent=unless(RESPONSES_JS, "not built in build/peers/responses.js"),
        ),
    ]
