"""Runs the features of Codex CLI: an agent with tools that change files, in a home and a repository of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from base64 import b64decode
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.clients.programs.telling import ANSWER, KEY, PNG, SECONDS, URL, plain, same, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.programs.telling import Json

PLACE = Path(__file__).parent.parent.parent.parent / "build" / "clients" / "node" / "node_modules" / "@openai" / "codex"
NODE = Path(sys.executable).with_name("node")
LONGEST = 3 * SECONDS

CONFIG = f"""\
# The snippet codex begins.
model = "my-coder"
model_provider = "antiphon"

[model_providers.antiphon]
name = "Antiphon"
base_url = "{URL}/v1"
wire_api = "responses"
env_key = "ANTIPHON_KEY"

[analytics]
enabled = false               # from here on: it asks nobody but your server

[otel]
metrics_exporter = "none"

[features]
plugins = false
apps = false
# The snippet ends.

[model_providers.azure]
name = "Antiphon by the paths of Azure"
base_url = "{URL}/openai"
wire_api = "responses"
query_params = {{ api-version = "2025-04-01-preview" }}
env_http_headers = {{ api-key = "ANTIPHON_KEY" }}

[model_providers.socket]
name = "Antiphon by WebSocket"
base_url = "{URL}/v1"
wire_api = "responses"
env_key = "ANTIPHON_KEY"
supports_websockets = true

[model_providers.stranger]
name = "Antiphon with a wrong key"
base_url = "{URL}/v1"
wire_api = "responses"
env_key = "WRONG_KEY"
request_max_retries = 0
stream_max_retries = 0
"""

PATCHES = "gpt-5.5"
"""A model that Codex lets change files with its tool ``apply_patch``."""

SCRIPTS = "gpt-6-sol"
"""A model that Codex lets write programs that call its tools."""

PATCH = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-The colour is blue.\n+The colour is green.\n*** End Patch\n"


@contextmanager
def elsewhere() -> Iterator[str]:
    """A proxy for all that is not on this machine; fails where it is asked for anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.setblocking(False)
        with suppress(BlockingIOError), listener.accept()[0] as caller:
            caller.settimeout(SECONDS)
            raise AssertionError(f"asked for others: {caller.recv(100)!r}")


class Workplace:
    """A home with Codex's settings, and a repository with one file."""

    def __init__(self, place: Path) -> None:
        self.home, self.repository = place / "home", place / "repository"
        (self.home / ".codex").mkdir(parents=True)
        (self.home / ".codex" / "config.toml").write_text(CONFIG)
        self.repository.mkdir()
        self.notes = self.repository / "notes.txt"
        self.notes.write_text("The colour is blue.\n")
        subprocess.run(["git", "init", "--quiet"], cwd=self.repository, check=True, timeout=SECONDS)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``codex exec``: its status, what it answered, and what it told beside."""
        command = [str(NODE), str(PLACE / "bin" / "codex.js"), "exec", "--dangerously-bypass-approvals-and-sandbox"]
        with elsewhere() as proxy:
            keys = {"ANTIPHON_KEY": KEY, "WRONG_KEY": "wrong"}
            others = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": "127.0.0.1"}
            ran = subprocess.run(
                [*command, *arguments],
                cwd=self.repository,
                env={"PATH": os.environ["PATH"], "HOME": str(self.home), **keys, **others},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=LONGEST,
            )
        return ran.returncode, ran.stdout.strip(), ran.stderr

    def ask(self, *arguments: str) -> str:
        """What Codex answers, where it ends well."""
        status, answer, told = self.run(*arguments)
        if status:
            raise AssertionError(f"status {status}: {plain(told[-300:])}")
        return answer

    def events(self, *arguments: str) -> list[Json]:
        """What Codex tells as JSON."""
        return [json.loads(line) for line in self.ask("--json", *arguments).splitlines()]


def work() -> Workplace:
    """A fresh place for one run."""
    folder = PLACES / str(len(list(PLACES.iterdir())))
    return Workplace(folder)


def text() -> None:
    """A question and its answer."""
    print(work().ask("Name one river in France."))  # noqa: T201 - what it prints is compared


def stream() -> None:
    """Codex always streams; what it used is in the last event."""
    last = work().events("say one two three")[-1]
    same(["turn.completed", 4], [last["type"], last["usage"]["output_tokens"]])


def by_hand() -> None:
    """A session is taken up again: all that was said is sent once more."""
    here = work()
    here.ask("say one")
    answer = here.ask("resume", "--last", "say {users} / {answers}")
    same(True, answer.endswith("say one / one"))


def encrypted() -> None:
    """A thought goes back sealed, with the call that it led to, and nothing is stored."""
    answer = work().ask('think Two and two.\ncall exec_command {"cmd":"true"}\nthen\nsay {thoughts}')
    same("Two and two.", answer)


def summary() -> None:
    """A thought is shown."""
    items = [event["item"] for event in work().events("think Two and two.\nsay Four.") if "item" in event]
    same(["Two and two."], [item["text"] for item in items if item["type"] == "reasoning"])


def function() -> None:
    """A command that Codex runs."""
    answer = work().ask('call exec_command {"cmd":"cat notes.txt"}\nthen\nsay {outputs}')
    same("The colour is blue.", answer.splitlines()[-1])


def structured() -> None:
    """An answer in the form of a schema."""
    here = work()
    properties = {"name": {"type": "string"}, "age": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": ["name", "age"], "additionalProperties": False}
    (here.repository / "person.json").write_text(json.dumps(schema))
    same({"name": "json_schema"}, json.loads(here.ask("--output-schema", "person.json", 'say {"name":"{format}"}')))


def image_in() -> None:
    """A picture beside the question."""
    here = work()
    (here.repository / "dot.png").write_bytes(b64decode(PNG))
    same("1 picture", here.ask("say {pictures} picture", "--image", "dot.png"))


def custom() -> None:
    """A patch, as the free text of a tool with a grammar, that Codex carries out."""
    here = work()
    script = f"call apply_patch {json.dumps({'input': PATCH})}\nthen\nsay Patched."
    same("Patched.", here.ask("--model", PATCHES, script))
    same("The colour is green.\n", here.notes.read_text())


def namespaces() -> None:
    """A program in a tool of a namespace, which reads a file."""
    program = 'const read = await tools.exec_command({ cmd: "cat notes.txt" }); text(read.output);'
    script = f"call functions__exec {json.dumps({'input': program})}\nthen\nsay {{outputs}}"
    same(True, "The colour is blue." in work().ask("--model", SCRIPTS, script))


def patch_and_shell() -> None:
    """A whole task: read a file, change it, look at it, answer; and then the session goes on."""
    here = work()
    turns = [
        'call exec_command {"cmd":"cat notes.txt"}',
        f"call apply_patch {json.dumps({'input': PATCH})}",
        'call exec_command {"cmd":"cat notes.txt"}',
        "say It is green now.",
    ]
    same("It is green now.", here.ask("--model", PATCHES, "\nthen\n".join(turns)))
    same("The colour is green.\n", here.notes.read_text())
    answer = here.ask("resume", "--last", "--model", PATCHES, "say {outputs}")
    same([True, True], ["The colour is blue." in answer, "The colour is green." in answer])


def compact() -> str:
    """A session that has grown too long goes on from a summary, which Codex asks the model for."""
    here = work()
    limit = ["--config", "model_auto_compact_token_limit=12"]
    here.ask(*limit, "say one")
    same(True, "summary" in here.ask("resume", "--last", *limit, "say {users}"))
    return "Codex asks the model for the summary, and not the server."


def websocket() -> None:
    """A task of two turns over a WebSocket."""
    script = 'call exec_command {"cmd":"cat notes.txt"}\nthen\nsay {outputs}'
    status, answer, told = work().run("--config", 'model_provider="socket"', script)
    same([0, True, False], [status, "The colour is blue." in answer, "Falling back" in told])


def errors() -> None:
    """A wrong key ends the run, and Codex says why."""
    status, _, told = work().run("--config", 'model_provider="stranger"', "say one")
    same([1, True], [status, "401" in told])


def azure() -> None:
    """Azure's dated path, with the key in Azure's header."""
    same(ANSWER, work().ask("--config", 'model_provider="azure"', "Name one river in France."))


RUNS = [
    *(text, stream, by_hand, encrypted, summary, function, structured, image_in, custom, namespaces),
    *(patch_and_shell, compact, websocket, errors, azure),
]
STATELESS = "Codex sends the whole history each time, with store: false."
ABSENT = {
    "chain": STATELESS,
    "reference": STATELESS,
    "file_in": "Codex reads files with its tools.",
    "mcp": "Codex speaks to MCP servers itself.",
    "background": STATELESS,
    "conversation": STATELESS,
    "draw": "Codex asks for pictures only where it is logged in to OpenAI.",
    "kept": STATELESS,
    "cancel": STATELESS,
    "count": "Codex reads the usage of the last response.",
}

if __name__ == "__main__":
    with TemporaryDirectory(prefix="codex-") as folder:
        PLACES = Path(folder)
        tell(json.loads((PLACE / "package.json").read_text())["version"], RUNS, ABSENT)
