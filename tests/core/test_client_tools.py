"""A client's tools as functions of a model: names of their own, schemas that hold, and calls shown as what they are."""

from __future__ import annotations

from typing import Any  # JSON Schema is open

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.calls import FUNCTION
from antiphon.core.client_calls import (
    ApplyPatchKind,
    ClientSearchKind,
    ComputerKind,
    CustomKind,
    LocalShellKind,
    Named,
    ShellKind,
)
from antiphon.core.client_tools import (
    ClientTool,
    client_tools,
    free_name,
    function_of,
    is_run_by_client,
    kind_of,
    kinds_of,
)
from antiphon.core.naming import LONGEST
from antiphon.protocol.tool_settings import CustomGrammar, ShellContainer, ShellLocal
from antiphon.protocol.tools import (
    ApplyPatchTool,
    ComputerTool,
    ComputerUsePreviewTool,
    CustomTool,
    FunctionTool,
    LocalShellTool,
    NamespaceTool,
    ShellTool,
    Tool,
    ToolSearchTool,
    WebSearchTool,
)

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
F = FunctionTool(name="f", parameters=SCHEMA, strict=False)
LARK = CustomGrammar(syntax="lark", definition='start: "a"')
PREVIEW = ComputerUsePreviewTool(display_width=1024, display_height=768, environment="browser")
NAMES = st.sampled_from([
    "computer",
    "a",
    "b",
    "a__b",
    "b__a",
    "shell",
    "apply_patch",
    "a_2",
    "shell_2",
    "tool_search",
    "c" * 60,
])
FUNCTIONS = st.builds(FunctionTool, name=NAMES) | st.builds(CustomTool, name=NAMES)
TOOLS: st.SearchStrategy[Any] = (  # any tool
    FUNCTIONS
    | st.builds(NamespaceTool, name=NAMES, description=st.just("n"), tools=st.lists(FUNCTIONS, min_size=1, max_size=3))
    | st.sampled_from([
        ShellTool(),
        LocalShellTool(),
        ApplyPatchTool(),
        ToolSearchTool(execution="client"),
        ToolSearchTool(),
        ComputerTool(),
        PREVIEW,
    ])
    | st.just(WebSearchTool())
)


@given(st.lists(TOOLS, max_size=8))
def test_every_tool_has_a_name_of_its_own(tools: list[Tool]) -> None:
    """Whatever their mixture; each is found once, and what stands twice is one."""
    found = client_tools(tools)
    assert len({client.name for client in found}) == len(found)
    assert len({client.key for client in found}) == len(found)
    assert all(len(client.name) <= LONGEST for client in found)
    single = {
        (
            member.type,
            tool.name if isinstance(tool, NamespaceTool) else "",
            getattr(member, "name", ""),
        )  # if it has one
        for tool in tools
        if is_run_by_client(tool)
        for member in (tool.tools if isinstance(tool, NamespaceTool) else [tool])
    }
    assert single == {client.key for client in found}


@given(st.lists(TOOLS, max_size=8))
def test_what_has_a_name_of_its_own_keeps_it(tools: list[Tool]) -> None:
    """The first function of a name is called by it, whatever namespaces say."""
    found = {client.key: client.name for client in client_tools(tools)}
    first: dict[str, str] = {}
    for tool in tools:
        if isinstance(tool, FunctionTool | CustomTool):
            first.setdefault(tool.name, tool.type)
    kept = [name for name, kind in first.items() if found[kind, "", name] == name]
    taken = [name for name in first if name not in kept]
    assert all(any(name in other for other in found.values() if other != name) for name in taken)
    if len({tool.type for tool in tools}) == 1:
        assert [] == taken


@given(st.lists(TOOLS, max_size=8))
def test_every_function_has_a_schema_that_holds(tools: list[Tool]) -> None:
    """An object, whose required members it describes; what is ours takes nothing else."""
    for client in client_tools(tools):
        function = function_of(client)
        schema = msgspec.json.decode(function.parameters)
        assert client.name == function.name
        assert "object" == schema["type"]
        assert set(schema.get("required", [])) <= set(schema["properties"])
        if isinstance(client.tool, FunctionTool):
            assert function.tool is None
        else:
            assert client.tool == function.tool
            assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("tool", "name", "members", "required"),
    [
        (CustomTool(name="note"), "note", {"input"}, ["input"]),
        (ShellTool(), "shell", {"commands"}, ["commands"]),
        (LocalShellTool(), "local_shell", {"command", "working_directory", "timeout_ms"}, ["command"]),
        (ApplyPatchTool(), "apply_patch", {"type", "path", "diff"}, ["type", "path"]),
        (ToolSearchTool(execution="client"), "tool_search", {"query"}, ["query"]),
        (ComputerTool(), "computer", {"actions"}, ["actions"]),
        (PREVIEW, "computer", {"actions"}, ["actions"]),
    ],
)
def test_each_type_has_the_arguments_of_its_item(tool: Tool, name: str, members: set[str], required: list[str]) -> None:
    """And says what it does."""
    (client,) = client_tools([tool])
    function = function_of(client)
    schema = msgspec.json.decode(function.parameters)
    assert (name, required) == (function.name, schema["required"])
    assert members <= set(schema["properties"])
    assert isinstance(tool, CustomTool) or function.description


def test_a_clients_search_has_its_own_words_and_parameters() -> None:
    """As its client sent them."""
    (client,) = client_tools([ToolSearchTool(execution="client", description="Finds.", parameters=SCHEMA)])
    function = function_of(client)
    assert ("Finds.", SCHEMA) == (function.description, msgspec.json.decode(function.parameters))


def test_a_grammar_goes_with_its_tool_and_is_told_in_words() -> None:
    """A model that nothing holds to it is told at least."""
    (client,) = client_tools([CustomTool(name="note", description="Notes.", format=LARK)])
    function = function_of(client)
    assert LARK == function.grammar
    assert 'Notes.\n\nThe input must match this Lark grammar:\nstart: "a"' == function.description
    (plain,) = client_tools([CustomTool(name="note", format=CustomGrammar(syntax="regex", definition="a+"))])
    assert "The input must match this regular expression:\na+" == function_of(plain).description
    (free,) = client_tools([CustomTool(name="note")])
    assert (None, None) == (function_of(free).grammar, function_of(free).description)


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (F, type(FUNCTION)),
        (CustomTool(name="note"), CustomKind),
        (ShellTool(), ShellKind),
        (LocalShellTool(), LocalShellKind),
        (ApplyPatchTool(), ApplyPatchKind),
        (ToolSearchTool(execution="client"), ClientSearchKind),
        (ComputerTool(), ComputerKind),
        (PREVIEW, ComputerKind),
    ],
)
def test_a_call_is_shown_as_what_its_tool_is(tool: Tool, expected: type) -> None:
    """A plain function needs no word."""
    clients = client_tools([tool])
    assert expected is type(kind_of(clients[0]))
    assert ([] if tool is F else [clients[0].name]) == list(kinds_of(clients))


def test_members_of_a_namespace_are_called_by_both_names() -> None:
    """And shown by their own with that of the namespace; one whose name is taken goes by another."""
    space = NamespaceTool(name="crm", description="", tools=[F, CustomTool(name="note")])
    taken = FunctionTool(name="crm__f")
    assert ["crm__f", "crm__note"] == [client.name for client in client_tools([space])]
    own, member, note = client_tools([space, taken])
    assert ("crm__f", None) == (own.name, own.namespace)
    assert ("crm", "crm") == (member.namespace, note.namespace)
    assert member.name not in {"crm__f", "crm__note"}
    kinds = kinds_of([own, member, note])
    assert [Named, CustomKind] == [type(kind) for kind in kinds.values()]


def test_a_deferred_function_is_its_own_namespace_once_it_is_loaded() -> None:
    """As recorded; a custom tool is not."""
    clients = client_tools([FunctionTool(name="f", defer_loading=True), CustomTool(name="c", defer_loading=True)])
    assert [True, True] == [client.is_deferred for client in clients]
    assert [Named, CustomKind] == [type(kind) for kind in kinds_of(clients).values()]


def test_what_a_server_runs_is_none_of_the_clients() -> None:
    """A shell in a container, and a search that the server answers."""
    container = msgspec.convert({"type": "container_auto"}, ShellContainer)
    tools: list[Tool] = [ShellTool(environment=container), ToolSearchTool(), WebSearchTool()]
    assert [False] * 3 == [is_run_by_client(tool) for tool in tools]
    assert [] == client_tools(tools)
    assert is_run_by_client(ShellTool(environment=msgspec.convert({"type": "local"}, ShellLocal)))


def test_a_name_that_is_taken_has_a_number() -> None:
    """The smallest that is free."""
    assert ["a", "a_2", "a_3"] == [free_name("a", taken) for taken in (set[str](), {"a"}, {"a", "a_2"})]
    assert "b" * (LONGEST - 2) + "_2" == free_name("b" * LONGEST, {"b" * LONGEST})


def test_of_two_that_are_the_same_the_first_counts() -> None:
    """With all that it says."""
    other = FunctionTool(name="f", description="again")
    assert [ClientTool("f", F)] == client_tools([F, other])
