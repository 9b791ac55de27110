"""Promise 7: secrets are not kept. They are looked for in every file, every line of the log, and every answer."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests.acceptance.operating import configured, operating
from tests.acceptance.upstreams import HEAD, LAST, WHOLE, asked, chunked, saying, sse, upstream
from tests.conducting import conducting
from tests.mcp_servers import library
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any  # JSON

    from tests.acceptance.operating import Operated
    from tests.backends.upstream.raw_server import Peer

pytestmark = pytest.mark.slow

CALLER_KEY = "caller-k3y-71"
FOREIGN_KEY = "a-wrong-and-long-k3y-72"
UPSTREAM_KEY = "upstream-k3y-73"
GATEWAY_KEY = "gateway-k3y-74"
BASIC_KEY = "basic-k3y-75"
OPERATORS = (UPSTREAM_KEY, GATEWAY_KEY, BASIC_KEY)
CONFIG = f"""
outbound = {{ allow_private = ["127.0.0.1"] }}
mcp = {{ audit = true }}
auth = {{ keys = [{{ key = "{CALLER_KEY}", tenant = "a" }}] }}
[[deployments]]
name = "*"
backend = "chat_completions"
base_url = "http://user:{BASIC_KEY}@127.0.0.1:PORT/v1"
api_key = "{UPSTREAM_KEY}"
headers = {{ x-gateway = "{GATEWAY_KEY}" }}
"""


class Places:
    """Places of a request where secrets stand, a secret for each. ``url`` is an MCP server's."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.secrets: list[str] = []

    def tools(self, where: str) -> list[dict[str, Any]]:
        """Every tool that takes a secret."""
        policy = {
            "type": "allowlist",
            "allowed_domains": ["a.example"],
            "domain_secrets": [{"domain": "a.example", "name": "KEY", "value": self(f"{where}-domain")}],
        }
        server = {"type": "mcp", "server_url": self.url}
        headers = {"Authorization": f"Bearer {self(f'{where}-header')}", "X-Key": self(f"{where}-other")}
        return [
            {**server, "server_label": "one", "headers": headers},
            {**server, "server_label": "two", "authorization": self(f"{where}-authorization")},
            {"type": "code_interpreter", "container": {"type": "auto", "network_policy": policy}},
            {"type": "shell", "environment": {"type": "container_auto", "network_policy": policy}},
        ]

    def beside(self, where: str) -> dict[str, Any]:
        """The same under keys that an item does not have."""
        return {
            "authorization": self(f"{where}-authorization"),
            "headers": {"Authorization": self(f"{where}-header")},
            "tools": self.tools(f"{where}-tools"),
        }

    def __call__(self, where: str) -> str:
        """A secret for this place."""
        self.secrets.append(f"s3cret-{where}")
        return self.secrets[-1]


def whole(places: Places, stream: str) -> dict[str, Any]:
    """A request with secrets in all places."""
    hidden = places.beside(f"{stream}-extra")
    found = places.beside(f"{stream}-found")
    joined = places.beside(f"{stream}-joined")
    return {
        "input": [
            {"role": "user", "content": "hi", **hidden},
            {"type": "additional_tools", "role": "developer", **joined},
            {"type": "tool_search_call", "call_id": "c", "arguments": {}, "execution": "client"},
            {"type": "tool_search_output", "call_id": "c", "execution": "client", **found},
            {"type": "mcp_list_tools", "server_label": "one", **places.beside(f"{stream}-listed"), "tools": []},
        ],
        "tools": places.tools(f"{stream}-request"),
        "authorization": places(f"{stream}-unknown"),
        "headers": {"Authorization": places(f"{stream}-unknown-header")},
        "stream": stream == "stream",
    }


def refused(places: Places) -> Iterator[dict[str, Any]]:
    """Requests that are wrong beside their secrets, or in them."""
    for index, tool in enumerate(places.tools("refused")):
        yield {"input": "hi", "tools": [tool, {"type": "function"}]}
        yield {"input": "hi", "tools": [{**tool, "server_label": "", "container": 1, "environment": 1}]}
        yield {"input": [{"type": "additional_tools", "tools": [tool, {"type": "nothing"}]}], "metadata": {"n": index}}
    server = {"type": "mcp", "server_label": "one", "server_url": places.url}
    yield {"input": "hi", "tools": [{**server, "headers": {"Authorization": [places("wrong-header")]}}]}
    yield {"input": "hi", "tools": [{**server, "headers": places("wrong-headers")}]}
    yield {"input": "hi", "tools": [{**server, "headers": [places("wrong-list")]}]}
    yield {"input": "hi", "tools": [{**server, "authorization": [places("wrong-authorization")]}]}
    yield {"input": "hi", "tools": [{**server, "authorization": {places("wrong-key"): 1}}]}


def telling(request: bytes) -> bytes:
    """What an upstream says that tells all it was told: by its model's name, in one place or another."""
    keys = f"upstream {UPSTREAM_KEY} gateway {GATEWAY_KEY} basic {BASIC_KEY}"
    complaint = {"message": f"Sorry, {keys}", "type": f"of {keys}", "code": keys, "param": keys}
    error = sse({"error": complaint})
    match asked(request)["model"].split("-"):
        case ["status", status]:
            body = json.dumps({"error": complaint}).encode()
            return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nx-key: {keys}\r\n\r\n".encode() + body
        case ["event"]:
            return b"".join((HEAD, chunked(error), LAST))
        case ["late"]:
            return b"".join((HEAD, chunked(saying("Hel")), chunked(error), LAST))
        case ["head"]:
            return f"HTTP/1.1 200 OK\r\n{keys}\r\n\r\n".encode()
        case ["garbage"]:
            return b"".join((HEAD, chunked(f"{keys}\n\n".encode()), LAST))
        case ["chunk"]:
            return b"".join((HEAD, chunked(sse({"choices": keys})), LAST))
        case _:
            return WHOLE


async def gossip(peer: Peer) -> None:
    """An upstream that repeats what it was told in confidence."""
    while True:
        await peer.send(telling(await peer.request()))


TELLING = ["status-400", "status-401", "status-404", "status-422", "status-429", "status-500", "status-503"]
TELLING += ["event", "late", "head", "garbage", "chunk"]


class Answers:
    """All that a server says, its headers included."""

    def __init__(self, server: Operated) -> None:
        self.said: list[str] = []
        self._client = httpx.Client(
            base_url=f"{server.address}/v1", headers={"api-key": CALLER_KEY}, timeout=HANG_SECONDS
        )

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:  # JSON
        """Ask, and keep what was said."""
        answer = self._client.request(method, path, json=body, headers=headers)
        self.said.append(f"{answer.headers}\n{answer.text}")
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def look_back(ask: Answers, id: str) -> None:
    """Every way of reading what was kept."""
    assert 200 == ask("GET", f"/responses/{id}").status_code
    items = ask("GET", f"/responses/{id}/input_items?order=asc&limit=100").json()["data"]
    assert 5 == len(items)
    assert ["one", "two"] == [tool["server_label"] for tool in items[1]["tools"][:2]]
    chained = ask("POST", "/responses", {"model": "m", "input": "and?", "previous_response_id": id})
    assert 200 == chained.status_code
    ask("GET", f"/responses/{chained.json()['id']}/input_items")
    again = [{"id": items[1]["id"]}, {"role": "user", "content": "and?"}]
    assert 200 == ask("POST", "/responses", {"model": "m", "input": again}).status_code


def test_no_secret_is_kept_or_repeated(tmp_path: Path) -> None:
    """Secrets of tools, wherever they stand, and keys of callers and operators are in no file, no log, no answer."""
    with (
        library() as shelf,
        upstream(gossip) as model,
        operating(configured(tmp_path, CONFIG.replace("PORT", str(model.port)))) as server,
    ):
        places = Places(shelf.url)
        ask = Answers(server)
        for stream in ("stream", "body"):
            answer = ask("POST", "/responses", {"model": "m", **whole(places, stream)})
            assert 200 == answer.status_code, answer.text
            text = answer.text.rpartition("data: ")[2]
            response = json.loads(text)
            look_back(ask, response["response"]["id"] if stream == "stream" else response["id"])
        for body in refused(places):
            assert 400 == ask("POST", "/responses", {"model": "m", **body}).status_code, body
        for name in TELLING:
            for watched in (False, True):
                ask("POST", "/responses", {"model": name, "input": "hi", "stream": watched})
        assert 401 == ask("POST", "/responses", {"model": "m"}, **{"api-key": FOREIGN_KEY}).status_code
        assert 404 == ask("GET", "/nothing").status_code
        ask.close()
        files = kept(tmp_path)
        assert 0 == server.stop()
        files += kept(tmp_path)
        everything = b"\n".join((*files, server.written, *(said.encode() for said in ask.said)))
    assert b"<redacted>" in everything
    secrets = [*places.secrets, CALLER_KEY, FOREIGN_KEY, *OPERATORS]
    found = [secret for secret in secrets if secret.encode() in everything]
    assert not found, "\n".join(found)
    assert len(secrets) == len(set(secrets)) > 60
    sent = {headers.get("authorization") for headers in shelf.headers}
    assert {f"Bearer s3cret-{stream}-request-authorization" for stream in ("stream", "body")} <= sent


def test_a_waiting_run_keeps_its_secrets_sealed_and_an_ended_one_keeps_none(tmp_path: Path) -> None:
    """While it runs, after a crash, and after its end: no secret of a background request can be read anywhere."""
    settings = CONFIG.partition("[[deployments]]")[0] + "background = { workers = 1 }\n"
    with conducting() as models, library() as shelf:
        places = Places(shelf.url)
        config = configured(tmp_path, f'{settings}\n[[deployments]]\nname = "*"\nbackend = "chat_completions"\n')
        config.write_text(config.read_text() + f'base_url = "{models.url}"\n')
        with operating(config) as server:
            ids = [asked_in_the_background(server, name, places) for name in ("one", "two")]
            models["one"].wait()
            assert_hidden(tmp_path, server, places)
            server.kill()
            assert_hidden(tmp_path, server, places)
        with operating(config) as server:
            models["one"].wait()
            models["one"].stop()
            models["two"].wait()
            assert_hidden(tmp_path, server, places)
            said = told_of(server, ids)
            assert 0 == server.stop()
        assert_hidden(tmp_path, server, places)
    with closing(sqlite3.connect(tmp_path / "antiphon.db")) as database:
        assert [(None,), (None,)] == database.execute("SELECT sealed FROM jobs").fetchall()
    assert "<redacted>" in said
    assert [] == [secret for secret in places.secrets if secret in said]


def asked_in_the_background(server: Operated, name: str, places: Places) -> str:
    """Ask with secrets in all places, and give the id of the response."""
    ask = Answers(server)
    answer = ask("POST", "/responses", {"model": name, **whole(places, "body"), "background": True})
    ask.close()
    assert 200 == answer.status_code, answer.text
    assert [] == [secret for secret in places.secrets if secret in answer.text]
    id: str = answer.json()["id"]
    return id


def told_of(server: Operated, ids: list[str]) -> str:
    """Cancel responses, where they have not ended, and give all that can be read of them."""
    ask = Answers(server)
    for id in ids:
        assert 200 == ask("POST", f"/responses/{id}/cancel").status_code
        for path in ("", "?stream=true", "/input_items"):
            assert 200 == ask("GET", f"/responses/{id}{path}").status_code
    ask.close()
    return "".join(ask.said)


def assert_hidden(folder: Path, server: Operated, places: Places) -> None:
    """See that no file and no line of the log holds a secret."""
    everything = b"\n".join((*kept(folder), server.written))
    found = [secret for secret in [*places.secrets, CALLER_KEY] if secret.encode() in everything]
    assert not found, "\n".join(found)


def kept(folder: Path) -> list[bytes]:
    """Every file of the server's: the database, its log of changes, and whatever else there is."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != "antiphon.toml"]
    assert {"antiphon.db"} <= {file.name for file in files}
    return [file.read_bytes() for file in files]
