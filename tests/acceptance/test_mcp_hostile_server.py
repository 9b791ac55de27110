"""What MCP servers do to whoever uses them, in lists: every way of misbehaving, hostile results, hostile tools.

A response ends soon, in each form of asking; a call that fails is told to the client and to the model, which goes on;
no other place is reached, no secret is told, kept or logged, and memory stays bounded.
"""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any  # JSON

import pytest

from tests.acceptance.operating import configured, operating
from tests.conformance.streams import create, events, post
from tests.http.following import created, ended
from tests.mcp_servers import HOW, library, misbehaving
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx2 as httpx

    from tests.acceptance.operating import Operated
    from tests.mcp_servers import Rogue
    from tests.mcp_servers.rogue import Stage

    Json = dict[str, Any]
    Answered = tuple[httpx.Response, list[Json], Json]
    Met = tuple[Answered, Rogue]

pytestmark = pytest.mark.slow

SECRET = "s3cret-of-a-caller"
SOON_SECONDS = HANG_SECONDS / 2
"""What a busy machine may need beyond the limits of four seconds below; whatever has no limit takes minutes."""

MIB = 1 << 20
CONFIG = """
mcp = { call_seconds = 4, list_seconds = 4, max_result_mib = 16, idle_seconds = 1 }
outbound = { allow_private = ["127.0.0.1"] }

[[deployments]]
name = "*"
backend = "scripted"
replies = [
    { when = "^search", after_output = false, steps = [
        { call = { name = "bad__search", arguments = { query = "whales" } } },
    ] },
    { when = "^both", after_output = false, steps = [
        { call = { name = "one__search", arguments = { query = "whales" } } },
        { call = { name = "two__search", arguments = { query = "whales" } } },
    ] },
]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server's state."""
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def running(place: Path) -> Iterator[Operated]:
    """The server."""
    with operating(configured(place, CONFIG)) as server:
        with library() as books:  # the first use of all pays for the client
            tools = [tool(books.url)]
            created(server.address, "m", tools=tools)
            while post(server.address, input="hello", tools=tools).status_code != 200:
                pass
        yield server


@pytest.fixture
def server(running: Operated, place: Path) -> Iterator[Operated]:
    """The same: after each test it answers a plain request, and has neither kept nor logged a secret."""
    yield running
    assert "completed" == create(running.address, input="hello")["status"]
    assert SECRET.encode() not in running.written + kept(place)
    assert [] == running.log("run_failed")


def kept(place: Path) -> bytes:
    """All bytes of the database."""
    return b"".join(file.read_bytes() for file in place.iterdir() if ".db" in file.name)


def tool(url: str, label: str = "bad", **settings: Any) -> Json:
    """The tools of an MCP server, with a secret."""
    headers = {"Authorization": f"Bearer {SECRET}"}
    server = {"type": "mcp", "server_label": label, "server_url": url, "headers": headers}
    return {**server, "require_approval": "never", **settings}


def asked(url: str, *tools: Json, **body: Any) -> Answered:
    """The same request in three forms at once: the answer, the events of the stream, the response of the background.

    Each has a connection of its own to the MCP server. None of it holds a secret, and none takes long.
    """
    began = time.monotonic()
    forms = [{**body, "tools": [_marked(tool, form) for tool in tools]} for form in "123"]
    with ThreadPoolExecutor(3) as threads:
        plain = threads.submit(post, url, **forms[0])
        stream = threads.submit(post, url, stream=True, **forms[1])
        background = threads.submit(lambda: ended(url, created(url, "m", **forms[2])["id"]))
    answers = plain.result(), events(stream.result().content), background.result()
    assert time.monotonic() - began < SOON_SECONDS
    assert SECRET not in answers[0].text + json.dumps(answers[1:])
    return answers


def _marked(tool: Json, form: str) -> Json:
    return {**tool, "headers": {**tool["headers"], "X-Form": form}}


WAITING: list[tuple[str, Stage]] = [
    *((how, at) for how in ("hangs", "drips", "endless_stream") for at in ("list", "call")),
    *((how, "initialize") for how in ("hangs", "calls_back")),
    ("endless_pages", "list"),
]
"""Where one waits until a limit."""


@pytest.fixture(scope="module")
def met(running: Operated) -> Iterator[Callable[[str, Stage], Met]]:
    """What comes of a meeting; all that end by a limit begin at once, as waiting takes its time."""
    with ThreadPoolExecutor(len(WAITING)) as threads:
        begun = {case: threads.submit(meet, running.address, *case) for case in WAITING}
        yield lambda how, at: begun[how, at].result() if (how, at) in begun else meet(running.address, how, at)


def meet(url: str, how: str, at: Stage) -> Met:
    """Ask for what a server misbehaves at, in all forms: what was answered, and the server."""
    with misbehaving(how, at) as bad:
        answers = asked(url, tool(bad.url), input="search")
        assert [] == bad.strays
    return answers, bad


STATUSES = {"401": 401, "403": 403, "404": 404, "500": 500}
LISTED = {("bad_schema", "list"), ("odd_schema", "list"), ("loses_session", "initialize"), ("loses_session", "list")}
"""What is so bad that it is no fault: the tools that can be used are."""


@pytest.mark.parametrize(
    ("how", "at"),
    [
        *((how, "initialize") for how in HOW if how not in {"drips", "endless_stream"}),  # as slow as at the list
        *((how, "list") for how in HOW),
    ],
)
@pytest.mark.usefixtures("server")
def test_a_server_that_cannot_list_its_tools_ends_the_request(
    met: Callable[[str, Stage], Met], how: str, at: Stage
) -> None:
    """A 424 with the server's status; a list with an error, then a failed response, in a stream and in the background.

    The model is not asked, and nothing is called.
    """
    (plain, stream, background), bad = met(how, at)
    if (how, at) in LISTED:
        assert ("completed", "completed") == (plain.json()["status"], background["status"])
        return
    status = HTTPStatus(STATUSES.get(how, 424))
    said = f"Error retrieving tool list from MCP server: 'bad'. Http status code: {status.value} ({status.phrase})"
    error = {"message": said, "type": "external_connector_error", "param": "tools", "code": "http_error"}
    assert (424, {"error": error}) == (plain.status_code, plain.json())
    assert (
        "created in_progress output_item.added mcp_list_tools.in_progress mcp_list_tools.failed output_item.done failed"
        == (" ".join(event["type"].removeprefix("response.") for event in stream))
    )
    for response in (stream[-1]["response"], background):
        (item,) = response["output"]
        assert ("mcp_list_tools", [], said) == (item["type"], item["tools"], item["error"])
        assert ("failed", "server_error", said) == (
            response["status"],
            response["error"]["code"],
            response["error"]["message"],
        )
    assert [] == bad.calls


ENDS: dict[str, tuple[str, int] | None] = {
    **{how: ("http_error", status) for how, status in STATUSES.items()},
    **dict.fromkeys(("hangs", "drips", "endless_stream"), ("http_error", 408)),
    **dict.fromkeys(("html", "huge", "bad_json", "bad_jsonrpc", "wrong_id", "closes"), ("http_error", 424)),
    **dict.fromkeys(("redirects_away", "redirects_private"), ("http_error", 424)),
    **dict.fromkeys(("many_tools", "endless_pages", "bad_schema", "odd_schema"), ("http_error", 424)),
    "echoes_secret": ("mcp_protocol_error", -32000),
    "unknown_content": None,
    "calls_back": None,
    "loses_session": None,
}
"""How a call ends at which a server misbehaves: the type and the code of its error, if it has one."""


def test_every_way_of_misbehaving_has_its_end() -> None:
    """A new one cannot be forgotten here."""
    assert HOW.keys() == ENDS.keys()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.usefixtures("server")
def test_a_call_that_fails_is_told_and_the_model_goes_on(met: Callable[[str, Stage], Met], how: str) -> None:
    """The item says why, the model reads it, and the response completes."""
    (plain, stream, background), _ = met(how, "call")
    last = "completed" if ENDS[how] is None else "failed"
    assert 1 == sum(event["type"] == f"response.mcp_call.{last}" for event in stream)
    for response in (plain.json(), stream[-1]["response"], background):
        listed, call, message = response["output"]
        assert ("completed", "message", ["search"]) == (
            response["status"],
            message["type"],
            [tool["name"] for tool in listed["tools"]],
        )
        told = call["error"] and (call["error"]["type"], call["error"]["code"])
        assert (last, ENDS[how]) == (call["status"], told)
        said = call["output"] if ENDS[how] is None else call["error"]["message"]
        assert said in message["content"][0]["text"]


def test_memory_stays_bounded_whatever_a_server_sends(server: Operated) -> None:
    """Of 50 MB no more is held than the limit of an answer, again and again."""
    with library() as books:
        asked(server.address, tool(books.url), input="hello")
    with misbehaving("huge", "call") as bad:
        asked(server.address, tool(bad.url), input="search")
    before = memory(server.pid, "VmRSS")
    for at in ("list", "call"):
        with misbehaving("huge", at) as bad:
            asked(server.address, tool(bad.url), input="search")
    assert memory(server.pid, "VmRSS") - before < 32 * MIB
    assert memory(server.pid, "VmHWM") - before < 3 * 50 * MIB


def memory(pid: int, name: str) -> int:
    """The resident memory of a process in bytes: now (VmRSS) or at its height (VmHWM)."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) << 10
