"""A process that is killed while an MCP server works for it: what must not be done twice is not."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.to_thread import run_sync
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from openai import BadRequestError, OpenAI
from openai.types.responses.response_output_item import McpCall

from tests.acceptance.operating import configured, operating
from tests.mcp_servers.serving import serving
from tests.mcp_servers.watched import Watched
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai.types.responses import Response

pytestmark = pytest.mark.slow

CONFIG = """
[outbound]
allow_private = ["127.0.0.1"]
[mcp]
audit = true

[[deployments]]
name = "*"
backend = "scripted"

[[deployments.replies]]
when = "press"
after_output = false
steps = [{ call = { name = "panel__press", arguments = { button = "red" } } }]

[[deployments.replies]]
when = "watch"
after_output = false
steps = [{ call = { name = "panel__watch", arguments = { button = "red" } } }]
"""


class Panel:
    """A real MCP server with a button that takes its time: it is pressed at once, and answers when it is let."""

    def __init__(self) -> None:
        self.watched = Watched()
        self.pressed: list[str] = []
        self.busy = threading.Semaphore(0)
        self.let = threading.Event()
        self.server = MCPServer("panel")
        self.server.tool(structured_output=False)(self.press)
        self.server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)(self.watch)

    async def press(self, button: str) -> str:
        """Press a button; each press counts."""
        return await self._work(f"press {button}")

    async def watch(self, button: str) -> str:
        """Watch a button."""
        return await self._work(f"watch {button}")

    async def _work(self, what: str) -> str:
        self.pressed.append(what)
        self.busy.release()
        with anyio.move_on_after(HANG_SECONDS):
            await run_sync(self.let.wait, abandon_on_cancel=True)
        return "It clicked."


@contextmanager
def panel() -> Iterator[Panel]:
    """A panel that listens."""
    made = Panel()
    with serving(made.server.streamable_http_app(), made.watched, "/mcp"):
        try:
            yield made
        finally:
            made.let.set()


def tool(made: Panel, **more: object) -> dict[str, object]:
    """The panel as a request names it."""
    return {"type": "mcp", "server_label": "panel", "server_url": made.watched.url, "require_approval": "never", **more}


def client(address: str) -> OpenAI:
    """A client of a server."""
    return OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)


def ended(asked: OpenAI, id: str) -> Response:
    """A response once it has ended."""
    for event in asked.responses.retrieve(id, stream=True):
        if event.type in {"response.completed", "response.failed", "response.incomplete"}:
            return event.response
    return pytest.fail("the stream has no end")


def calls(response: Response) -> list[McpCall]:
    """The calls of a response."""
    return [item for item in response.output if isinstance(item, McpCall)]


def test_a_call_with_side_effects_is_not_made_again(tmp_path: Path) -> None:
    """Its outcome is unknown, which the model is told and decides; what the client sees says so."""
    config = configured(tmp_path, CONFIG)
    with panel() as made:
        with operating(config) as first, client(first.address) as asked:
            body = {"model": "m", "input": "press it", "background": True, "tools": [tool(made)]}
            id = asked.responses.create(**body).id  # type: ignore[call-overload]  # plain JSON
            assert made.busy.acquire(timeout=HANG_SECONDS)
            first.kill()
        with operating(config) as second, client(second.address) as asked:
            response = ended(asked, id)
    (call,) = calls(response)
    assert ["press red"] == made.pressed
    assert ("completed", "failed", None) == (response.status, call.status, call.output)
    assert "-32000" in str(call.error)
    assert "The outcome of this call is unknown" in str(call.error)
    assert "It may have taken effect." in response.output_text


def test_a_call_that_only_reads_is_made_again(tmp_path: Path) -> None:
    """As its server says of it."""
    config = configured(tmp_path, CONFIG)
    with panel() as made:
        with operating(config) as first, client(first.address) as asked:
            body = {"model": "m", "input": "watch it", "background": True, "tools": [tool(made)]}
            id = asked.responses.create(**body).id  # type: ignore[call-overload]  # plain JSON
            assert made.busy.acquire(timeout=HANG_SECONDS)
            first.kill()
        with operating(config) as second, client(second.address) as asked:
            assert made.busy.acquire(timeout=HANG_SECONDS)
            made.let.set()
            response = ended(asked, id)
    (call,) = calls(response)
    assert ["watch red"] * 2 == made.pressed
    assert ("completed", "It clicked.", None) == (call.status, call.output, call.error)


def test_an_approved_call_is_made_once_whatever_dies(tmp_path: Path) -> None:
    """The approval is used up with it: whoever sends it again is refused, before and after the crash."""
    config = configured(tmp_path, CONFIG)
    with panel() as made:
        with operating(config) as first, client(first.address) as asked:
            named = tool(made, require_approval="always")
            before = asked.responses.create(model="m", input="press it", tools=[named])  # type: ignore[list-item]  # plain JSON
            answer = {
                "model": "m",
                "previous_response_id": before.id,
                "tools": [named],
                "input": [
                    {"type": "mcp_approval_response", "approve": True, "approval_request_id": before.output[-1].id}
                ],
            }
            id = asked.responses.create(**answer, background=True).id  # type: ignore[call-overload]  # plain JSON
            assert made.busy.acquire(timeout=HANG_SECONDS)
            with pytest.raises(BadRequestError, match="answered before"):
                asked.responses.create(**answer)  # type: ignore[call-overload]  # plain JSON
            first.kill()
        with operating(config) as second, client(second.address) as asked:
            response = ended(asked, id)
            with pytest.raises(BadRequestError, match="answered before"):
                asked.responses.create(**answer)  # type: ignore[call-overload]  # plain JSON
    (call,) = calls(response)
    assert ["press red"] == made.pressed
    assert (before.output[-1].id, "failed") == (call.approval_request_id, call.status)
    assert "completed" == response.status


def test_a_cancelled_run_lets_the_server_go(tmp_path: Path) -> None:
    """The server hears of it, and the response keeps the call as far as it came."""
    with panel() as made, operating(configured(tmp_path, CONFIG)) as server, client(server.address) as asked:
        body = {"model": "m", "input": "press it", "background": True, "tools": [tool(made)]}
        id = asked.responses.create(**body).id  # type: ignore[call-overload]  # plain JSON
        assert made.busy.acquire(timeout=HANG_SECONDS)
        response = asked.responses.cancel(id)
        made.watched.wait_for_cancellation()
    (call,) = calls(response)
    assert ("cancelled", "incomplete") == (response.status, call.status)
