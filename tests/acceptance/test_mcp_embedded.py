"""The model in the box calls a real tool of a real MCP server, where it is made to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI

from antiphon.backends.llama.catalog import CATALOG, SMALL
from antiphon.backends.llama.fetching import fetch
from tests.command import serving
from tests.mcp_servers import library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.mcp_servers import Watched

pytestmark = [pytest.mark.model, pytest.mark.slow]

CONFIG = f"""
[outbound]
allow_private = ["127.0.0.1"]

[[deployments]]
name = "*"
backend = "llama"
model = "{SMALL}"
context = 8192
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    """A client of a server with the smallest embedded model."""
    fetch(CATALOG[SMALL])
    folder: Path = tmp_path_factory.mktemp("embedded")
    config = folder / "antiphon.toml"
    config.write_text(CONFIG, encoding="utf-8")
    with serving(config, folder) as url, OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def shelf() -> Iterator[Watched]:
    """A real MCP server."""
    with library() as watched:
        yield watched


def test_a_demanded_tool_is_called_with_arguments_that_fit_it(client: OpenAI, shelf: Watched) -> None:
    """The grammar lets the model write nothing else; the server was really asked, and its answer is there."""
    response = client.responses.create(
        model="any",
        input="How much are two and three?",
        tools=[{"type": "mcp", "server_label": "library", "server_url": shelf.url, "require_approval": "never"}],
        tool_choice={"type": "mcp", "server_label": "library", "name": "add"},
        max_tool_calls=1,
        temperature=0,
        max_output_tokens=200,
    )
    (call,) = [item for item in response.output if item.type == "mcp_call"]
    arguments = json.loads(call.arguments)
    assert {"a", "b"} == set(arguments)
    assert ("add", arguments) in shelf.calls
    assert (None, str(arguments["a"] + arguments["b"])) == (call.error, call.output)
    assert "mcp_list_tools" == response.output[0].type


def test_a_demanded_server_is_asked_for_an_approval(client: OpenAI, shelf: Watched) -> None:
    """Any of its tools may be chosen; none is called before a person agrees."""
    calls = len(shelf.calls)
    response = client.responses.create(
        model="any",
        input="Which books about rivers are there?",
        tools=[
            {
                "type": "mcp",
                "server_label": "library",
                "server_url": shelf.url,
                "allowed_tools": ["search", "add"],
            }
        ],
        tool_choice={"type": "mcp", "server_label": "library"},
        temperature=0,
        max_output_tokens=200,
    )
    request = response.output[-1]
    assert request.type == "mcp_approval_request"
    assert request.name in {"search", "add"}
    assert calls == len(shelf.calls)
