"""MCP servers are used as the API's documentation shows it, with curl and with its client; and the examples are run.

The documentation's server is the library here, so the model asks for its tool ``search``. Two of its samples are
mended: those with headers lack a comma and a brace there. As they stand they send ``$YOUR_API_KEY`` for a key.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from mcp import Client
from mcp.types import TextContent
from openai import AzureOpenAI, BadRequestError

from tests import command
from tests.command import ROOT, run_python
from tests.mcp_servers import guarded, library
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.mcp_servers import Watched

    Json = dict[str, Any]
    Ask = Callable[[str, Json], Json]

pytestmark = [pytest.mark.slow, pytest.mark.clients]
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

EXAMPLES = ROOT / "examples" / "mcp"
KEY = "$YOUR_API_KEY"
REPO = "What is this repo in 100 words?"
TRANSPORTS = "What transport protocols are supported in the 2025-03-26 version of the MCP spec?"
SCRIPT = """
[outbound]
allow_private = ["127.0.0.1"]

[[deployments]]
name = "*"
backend = "scripted"

[[deployments.replies]]
when = "this repo"
after_output = false
steps = [{ call = { name = "github__search", arguments = { query = "repositories" } } }]

[[deployments.replies]]
when = "transport protocols"
after_output = false
steps = [{ call = { name = "github__search", arguments = { query = "transports" } } }]

[[deployments.replies]]
when = "two books about"
after_output = true
steps = [{ text = "Two books tell of it." }]

[[deployments.replies]]
when = "denied"
after_output = true
steps = [{ text = "I was not allowed to look." }]
"""
STARTED = re.compile(r"running on (http://\S+)")


def with_curl(url: str, body: Json) -> Json:
    """Ask as the samples for curl do."""
    ran = subprocess.run(
        [
            "curl",
            f"{url}/openai/v1/responses?api-version=preview",
            "-H",
            "Content-Type: application/json",
            "-H",
            "Authorization: Bearer any",
            "-d",
            json.dumps(body),
        ],
        capture_output=True,
        check=True,
        timeout=HANG_SECONDS,
    )
    answer: Json = json.loads(ran.stdout)
    return answer


def with_python(url: str, body: Json) -> Json:
    """Ask as the samples in Python do."""
    client = AzureOpenAI(
        base_url=f"{url}/openai/v1/",
        azure_ad_token_provider=lambda: "any",
        api_version="preview",
        max_retries=0,
    )
    with client:
        answer: Json = client.responses.create(**body).to_dict(mode="json")
    return answer


BOTH = pytest.mark.parametrize(
    ("ask", "said"),
    [pytest.param(with_curl, REPO, marks=needs_curl, id="curl"), pytest.param(with_python, TRANSPORTS, id="python")],
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose model uses the tools of ``github``."""
    folder = tmp_path_factory.mktemp("mcp")
    config = folder / "antiphon.toml"
    config.write_text(SCRIPT)
    with command.serving(config, folder) as served:
        yield served


@pytest.fixture
def books() -> Iterator[Watched]:
    """The MCP server of the samples."""
    with library() as server:
        yield server


def github(server: Watched, **settings: Any) -> list[Json]:
    """The tools of a sample."""
    return [{"type": "mcp", "server_label": "github", "server_url": server.url, **settings}]


def kinds(response: Json) -> list[str]:
    """The kinds of items that a response has."""
    assert ("completed", None) == (response["status"], response["error"])
    return [item["type"] for item in response["output"]]


def text(response: Json) -> str:
    """What the model says at the end."""
    match response["output"][-1]:
        case {"type": "message", "content": [{"type": "output_text", "text": str(said)}]}:
            return said
        case other:
            pytest.fail(f"no text: {other}")


def requested(url: str, ask: Ask, said: str, tools: list[Json]) -> tuple[Json, Json]:
    """Ask what needs an approval; gives the response and the request for it."""
    response = ask(url, {"model": "gpt-4.1", "tools": tools, "input": said})
    assert ["mcp_list_tools", "mcp_approval_request"] == kinds(response)
    return response, response["output"][-1]


def answered(request: Json, *, approve: bool) -> Json:
    """The answer to a request for an approval."""
    return {"type": "mcp_approval_response", "approve": approve, "approval_request_id": request["id"]}


@BOTH
def test_the_plain_sample(url: str, books: Watched, ask: Ask, said: str) -> None:
    """The tools are listed, the model calls one, and answers with what it read."""
    tools = github(books, require_approval="never")
    response = ask(url, {"model": "gpt-4.1", "tools": tools, "input": said})
    assert ["mcp_list_tools", "mcp_call", "message"] == kinds(response)
    listed, call, _ = response["output"]
    assert "github" == listed["server_label"]
    assert {"add", "search", "delete_book"} < {tool["name"] for tool in listed["tools"]}
    (tool, arguments), *others = books.calls
    assert ("search", []) == (tool, others)
    assert ("search", "github", arguments) == (call["name"], call["server_label"], json.loads(call["arguments"]))
    assert f"In the library: two books about {arguments['query']}." == call["output"]
    assert (None, None) == (call.get("error"), call.get("approval_request_id"))
    assert "Two books tell of it." == text(response)


@BOTH
def test_the_sample_of_an_approval(url: str, books: Watched, ask: Ask, said: str) -> None:
    """Without a word on approvals nothing is called before it is approved; then it is, and only once."""
    response, request = requested(url, ask, said, github(books))
    assert re.fullmatch(r"mcpr_\w+", request["id"])
    assert ("search", "github") == (request["name"], request["server_label"])
    assert [] == books.calls
    second = ask(
        url,
        {
            "model": "gpt-4.1",
            "tools": github(books, require_approval="never"),
            "previous_response_id": response["id"],
            "input": [answered(request, approve=True)],
        },
    )
    assert ["mcp_call", "message"] == kinds(second)
    call = second["output"][0]
    assert [("search", json.loads(request["arguments"]))] == books.calls
    assert (request["id"], request["arguments"]) == (call["approval_request_id"], call["arguments"])
    assert "Two books tell of it." == text(second)
    assert 1 == books.lists, "the list of the first response was not used again"


@BOTH
def test_what_is_denied_is_not_called(url: str, books: Watched, ask: Ask, said: str) -> None:
    """The model is told, and answers without it."""
    tools = github(books)
    response, request = requested(url, ask, said, tools)
    denial = [answered(request, approve=False)]
    body = {"model": "gpt-4.1", "tools": tools, "previous_response_id": response["id"], "input": denial}
    second = ask(url, body)
    assert (["message"], []) == (kinds(second), books.calls)
    assert "I was not allowed to look." == text(second)


@BOTH
def test_an_approval_is_given_with_the_whole_history(url: str, books: Watched, ask: Ask, said: str) -> None:
    """Who keeps the history sends it, and names no response."""
    tools = github(books)
    response, request = requested(url, ask, said, tools)
    history = [{"role": "user", "content": said}, *response["output"], answered(request, approve=True)]
    second = ask(url, {"model": "gpt-4.1", "tools": tools, "input": history})
    assert ["mcp_call", "message"] == kinds(second)
    assert [("search", json.loads(request["arguments"]))] == books.calls


@BOTH
def test_the_sample_of_headers(url: str, ask: Ask, said: str) -> None:
    """They are sent with every request to the server, and told to nobody."""
    with guarded(KEY) as server:
        tools = github(server, headers={"Authorization": f"Bearer {KEY}"})
        response, request = requested(url, ask, said, tools)
        second = ask(
            url,
            {
                "model": "gpt-4.1",
                "tools": tools,
                "previous_response_id": response["id"],
                "input": [answered(request, approve=True)],
            },
        )
        assert "Two books tell of it." == text(second)
        assert (0, 1) == (server.refused, len(server.calls))
        assert {f"Bearer {KEY}"} == {headers["authorization"] for headers in server.headers}
    assert KEY not in json.dumps([response, second])


@needs_curl
def test_a_server_that_wants_a_key_is_not_used_without(url: str) -> None:
    """The caller is told whose tools could not be listed."""
    with guarded(KEY) as server:
        refused = with_curl(url, {"model": "gpt-4.1", "tools": github(server), "input": REPO})["error"]
        assert ([], True) == (server.calls, server.refused > 0)
    assert ("external_connector_error", "http_error", "tools") == (refused["type"], refused["code"], refused["param"])
    assert "Error retrieving tool list from MCP server: 'github'" in refused["message"]


def test_an_approval_of_nothing_is_refused(url: str, books: Watched) -> None:
    """An approval answers a request that was made."""
    approval = answered({"id": "mcpr_" + 48 * "0"}, approve=True)
    with pytest.raises(BadRequestError) as refused:
        with_python(url, {"model": "gpt-4.1", "tools": github(books), "input": [approval]})
    assert "input" == refused.value.param
    assert [] == books.calls


@contextmanager
def notebook(*arguments: str) -> Iterator[str]:
    """Run the MCP server of the examples; gives its URL."""
    server = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "server.py"), "--port", "0", *arguments], stderr=subprocess.PIPE, text=True
    )
    found: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_find_address, args=(server, found))
    reader.start()
    try:
        address = found.get(timeout=HANG_SECONDS)
        assert address, "the notebook did not start"
        yield f"{address}/mcp"
    finally:
        server.terminate()
        server.wait(HANG_SECONDS)
        reader.join(HANG_SECONDS)
        if server.stderr:
            server.stderr.close()


def _find_address(server: subprocess.Popen[str], found: queue.SimpleQueue[str]) -> None:
    """Read all that a server writes, and tell the address that is in it."""
    for line in server.stderr or ():
        if address := STARTED.search(line):
            found.put(address[1])
    found.put("")


def titles(mcp_url: str) -> list[str]:
    """The notes that are in a notebook."""

    async def ask() -> list[str]:
        async with Client(mcp_url) as client:
            match (await client.call_tool("titles")).content:
                case [TextContent(text=said)]:
                    return said.splitlines()
                case other:
                    pytest.fail(f"no text: {other}")

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the configuration that stands beside the examples."""
    with command.serving(EXAMPLES / "agent.toml", tmp_path_factory.mktemp("agent")) as served:
        yield served


def run_shell(mode: str, url: str, folder: Path) -> str:
    """Run the example for curl, and give what the model says at the end."""
    ran = subprocess.run(
        ["sh", str(EXAMPLES / "curl.sh"), mode],
        cwd=folder,
        env={**os.environ, "ANTIPHON_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return text(json.loads(ran.stdout))


WIND = "The wind turns at noon: be back before the tide."
BREAD = "Bread rests for a day, and needs no kneading then."
NOTED, NOTHING = "I noted when the library closes.", "I noted nothing."


def test_every_example_is_run() -> None:
    """A new example cannot be forgotten here."""
    programs = {"server.py", "plain.py", "approval.py", "headers.py", "curl.sh"}
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"}} == programs


@pytest.mark.parametrize(
    ("name", "said", "token"), [("plain.py", WIND, []), ("headers.py", BREAD, ["--token", "sesame"])]
)
def test_an_example_prints_what_was_said(
    name: str, said: str, token: list[str], agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model read a note, and with a key that of a locked notebook."""
    with notebook(*token) as mcp_url:
        monkeypatch.setenv("MCP_URL", mcp_url)
        monkeypatch.setenv("MCP_TOKEN", "sesame")
        assert f"{said}\n" == run_python(str(EXAMPLES / name), url=agent, folder=tmp_path)


@pytest.mark.parametrize(("words", "said", "added"), [([], NOTED, ["Library"]), (["deny"], NOTHING, [])])
def test_the_example_of_an_approval(
    words: list[str], said: str, added: list[str], agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows what is to be written; what is approved is written, and nothing else."""
    with notebook() as mcp_url:
        monkeypatch.setenv("MCP_URL", mcp_url)
        request, answer = run_python(str(EXAMPLES / "approval.py"), *words, url=agent, folder=tmp_path).splitlines()
        assert ["Sailing", "Bread", *added] == titles(mcp_url)
    label, name, arguments = request.split(" ", 2)
    assert ("notebook:", "write", said) == (label, name, answer)
    assert {"title": "Library", "text": "Closes at six."} == json.loads(arguments)


@needs_curl
def test_the_example_for_curl(agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its four ways do what the programs do."""
    monkeypatch.setenv("MCP_TOKEN", "sesame")
    with notebook() as mcp_url:
        monkeypatch.setenv("MCP_URL", mcp_url)
        assert WIND == run_shell("plain", agent, tmp_path)
        assert NOTHING == run_shell("deny", agent, tmp_path)
        assert "Library" not in titles(mcp_url)
        assert NOTED == run_shell("approve", agent, tmp_path)
        assert "Library" in titles(mcp_url)
    with notebook("--token", "sesame") as mcp_url:
        monkeypatch.setenv("MCP_URL", mcp_url)
        assert BREAD == run_shell("headers", agent, tmp_path)
