"""The page of clients says what the clients can do: all of them are run, and every snippet is a whole program."""

from __future__ import annotations

import ast
import tomllib
from typing import TYPE_CHECKING

import pytest

from scripts.clients import CLIENTS, FEATURES, PAGE, Cell, Client, Row
from scripts.clients.page import page
from scripts.clients.snippets import block
from tests.clients.model import deltas
from tests.clients.running import Broken, run, run_all
from tests.clients.serving import Places

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any  # chat completions are told as plain JSON here

SNIPPETS = [(client.program, name) for client in CLIENTS for name in client.snippets]


@pytest.mark.slow
@pytest.mark.clients
def test_the_page_of_clients_says_what_their_runs_gave(tmp_path: Path) -> None:
    """Every program runs; `python -m tests.clients` and `python -m scripts.clients` write a page that is stale anew."""
    assert PAGE.read_text(encoding="utf-8") == page(run_all(tmp_path))


def told(**cells: Cell) -> dict[str, Row]:
    """Results in which everything works, but for what is said."""
    works = {feature.id: Cell(ok=True) for feature in FEATURES}
    return {client.id: Row(version="1.2.3", features={**works, **cells}) for client in CLIENTS}


def test_a_cell_is_what_the_run_gave() -> None:
    """Yes, yes with a condition, no with its reason, and a dash with what the client lacks."""
    written = page(
        told(
            mcp=Cell(ok=True, note="Never asks."),
            draw=Cell(ok=False, note="Error: `nothing` came"),
            cancel=Cell(ok=None, note="It has no such call."),
        )
    )
    for row in ("| Text | yes | yes |", "| MCP with approval | yes\\* |", "| Images out | no |", "| Cancel | - |"):
        assert row in written
    for note in (
        "MCP with approval (yes\\*): Never asks.",
        "Images out (no): `Error: nothing came`",
        "has no such call.",
    ):
        assert written.count(note) == len(CLIENTS)


def test_a_link_of_the_table_leads_to_the_section_of_its_client() -> None:
    """A heading's anchor has no dots, brackets or capitals."""
    written = page(told())
    assert "[AzureOpenAI (Python)](#azureopenai-python-123)" in written
    assert "## AzureOpenAI (Python) 1.2.3\n" in written


@pytest.mark.parametrize(("program", "name"), SNIPPETS)
def test_a_snippet_is_a_whole_program(program: str, name: str) -> None:
    """It is cut out of the program that ran, and names the server and a key instead of what the tests set."""
    language, _, code = block(program, name).removeprefix("```").removesuffix("```\n").partition("\n")
    assert "http://127.0.0.1:8080" in code
    assert not any(mark in code for mark in ("URL}", "KEY,", "KEY)", "noqa", "# shown", "// shown", "snippet"))
    match language:
        case "python":
            bound = {
                alias.name
                for node in ast.walk(ast.parse(code))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
            }
            assert bound
        case "toml":
            assert "responses" == tomllib.loads(code)["model_providers"]["antiphon"]["wire_api"]
        case _:
            assert code.startswith("import ")


def test_a_program_that_does_not_tell_of_every_feature_is_refused() -> None:
    """Here it cannot even start."""
    with pytest.raises(Broken, match=r"No module named tests\.clients\.programs\.nothing"):
        run(Client("nothing", "Nothing", "nothing.py"), Places(url="", mcp_url=""))


def test_a_client_that_is_not_installed_is_named() -> None:
    """And so is the remedy."""
    with pytest.raises(Broken, match=r"nowhere is not installed\. `make clients` does it\."):
        run(Client("nothing", "Nothing", "ai_sdk.mjs", "nowhere"), Places(url="", mcp_url=""))


def said(*messages: Any, **request: Any) -> list[Any]:
    """What the model says to messages, each a role and a text, or a whole message."""
    spoken = [
        message if isinstance(message, dict) else dict(zip(("role", "content"), message, strict=True))
        for message in messages
    ]
    return list(deltas({"messages": spoken, **request}))


def test_the_model_does_what_it_is_told() -> None:
    """It thinks, speaks in pieces, echoes what is no script, and calls what it is offered, and nothing else."""
    assert [{"reasoning_content": "Hm."}, {"content": "one"}, {"content": " two"}] == said((
        "user",
        "think Hm.\nsay one two",
    ))
    assert ["You", " said:", " hello"] == [delta["content"] for delta in said(("user", "hello"))]
    tools = [{"type": "function", "function": {"name": "add"}}]
    [call] = said(("user", 'call add {"a":1}'), tools=tools)
    assert {"name": "add", "arguments": '{"a":1}'} == call["tool_calls"][0]["function"]
    assert [{"content": "There is no sub, only add."}] == said(("user", "call sub"), tools=tools)


def test_the_model_goes_on_once_its_calls_are_answered_and_tells_what_it_was_shown() -> None:
    """What stands after ``then`` is for its next turn."""
    spoken = said(
        ("user", "say one"),
        ("assistant", "one"),
        ("user", "call add\nthen\nsay {users}/{answers}/{outputs}/{thoughts}/{format}"),
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [{"id": "call_0"}]},
        ("tool", "3"),
    )
    assert "say one/one + /3/Hm./text" == "".join(delta["content"] for delta in spoken)
    assert "found b" == said(("user", "a b\nfind b"))[0]["content"]
    assert "no c" == said(("user", "a b\nfind c"))[0]["content"]
