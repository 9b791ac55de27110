"""The tools that a client runs, of every type, as functions that any model can call, and how their calls are shown.

A model knows functions alone. A custom tool is one with the argument ``input``; shells, patches and a client's search
for tools have arguments like the fields of their items, and a computer those of `antiphon.core.computer_function`; the
members of a namespace have its name before their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Raw, Struct

from antiphon.core import computer_function
from antiphon.core.calls import FUNCTION, CallKind
from antiphon.core.client_calls import (
    ApplyPatchKind,
    ClientSearchKind,
    ComputerKind,
    CustomKind,
    LocalShellKind,
    Named,
    ShellKind,
)
from antiphon.core.echo import echoed_function
from antiphon.core.naming import LONGEST, digested_name, member_name
from antiphon.core.schemas import object_schema
from antiphon.core.turn import Function
from antiphon.protocol.tool_settings import CustomGrammar, ShellContainer, ShellContainerReference
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
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RunByClient: TypeAlias = (
    FunctionTool
    | CustomTool
    | ShellTool
    | LocalShellTool
    | ApplyPatchTool
    | ToolSearchTool
    | ComputerTool
    | ComputerUsePreviewTool
)
Key: TypeAlias = tuple[str, str, str]

_NO_PARAMETERS: dict[str, object] = {"type": "object", "properties": {}}
_TEXT = {"type": "string"}
_SHELL = "Runs commands in a shell on the user's machine and returns what they print."
_PATCH = """Creates, changes or deletes one file. 'type' is create_file, update_file or delete_file.
For create_file every line of 'diff' is a line of the new file with '+' before it.
For update_file 'diff' has one section for each place that changes: a line '@@', if it helps with the class or function
around it, then the lines before, the changed lines and the lines after. An unchanged line begins with a space, a
removed one with '-', an added one with '+'. Give three unchanged lines before and after, and no line numbers.
delete_file needs no 'diff'."""


class ClientTool(Struct, frozen=True):
    """A tool that the client runs: the name under which the model knows it, and its namespace if it is in one.

    ``is_deferred``: it is offered once a search has found it.
    """

    name: str
    tool: RunByClient
    namespace: str | None = None
    is_deferred: bool = False

    @property
    def key(self) -> Key:
        """What tells it from all others, in whatever list it stands."""
        return key(self.tool, self.namespace)


def key(tool: Tool, namespace: str | None = None) -> Key:
    """What tells a tool from all others: its type, its name if it has one, and its namespace."""
    return (tool.type, namespace or "", tool.name if isinstance(tool, FunctionTool | CustomTool) else "")


def client_tools(tools: Iterable[Tool]) -> list[ClientTool]:
    """The tools among these that a client runs, each under a name of its own; of two that are the same the first."""
    found: list[ClientTool] = []
    keys: set[Key] = set()
    own = [(tool, namespace) for tool, namespace in _one_by_one(tools) if namespace is None]
    members = [(tool, namespace) for tool, namespace in _one_by_one(tools) if namespace is not None]
    taken: set[str] = set()
    for tool, namespace in [*own, *members]:  # what has a name of its own keeps it
        if key(tool, namespace) in keys:
            continue
        keys.add(key(tool, namespace))
        name = _name(tool, namespace, taken)
        taken.add(name)
        found.append(ClientTool(name, tool, namespace, is_deferred=_is_deferred(tool)))
    return found


def is_run_by_client(tool: Tool) -> bool:
    """Whether a client runs a tool. A shell in a container of the server's is none."""
    match tool:
        case ShellTool(environment=ShellContainer() | ShellContainerReference()):
            return False
        case ToolSearchTool():
            return tool.execution == "client"
        case FunctionTool() | CustomTool() | ShellTool() | LocalShellTool() | ApplyPatchTool() | NamespaceTool():
            return True
        case ComputerTool() | ComputerUsePreviewTool():
            return True
        case _:
            return False


def function_of(client: ClientTool) -> Function:
    """The function that stands for a tool."""
    tool = client.tool
    match tool:
        case FunctionTool():
            return _function(tool, client.name)
        case CustomTool():
            return _custom(tool, client.name)
        case ShellTool():
            return _made(client, _SHELL, object_schema({"commands": {"type": "array", "items": _TEXT}}, "commands"))
        case LocalShellTool():
            properties: dict[str, object] = {
                "command": {"type": "array", "items": _TEXT, "description": "The program and its arguments."},
                "working_directory": _TEXT,
                "timeout_ms": {"type": "integer"},
            }
            return _made(
                client,
                "Runs a command on the user's machine and returns what it prints.",
                object_schema(properties, "command"),
            )
        case ApplyPatchTool():
            kinds = ["create_file", "update_file", "delete_file"]
            properties = {"type": {"type": "string", "enum": kinds}, "path": _TEXT, "diff": _TEXT}
            return _made(client, _PATCH, object_schema(properties, "type", "path"))
        case ComputerTool() | ComputerUsePreviewTool():
            return Function(
                name=client.name,
                parameters=computer_function.parameters(tool),
                description=computer_function.description(tool),
                tool=tool,
            )
        case search:
            return _made(
                client,
                search.description or "Looks for tools that are not loaded yet.",
                search.parameters or object_schema({"query": _TEXT}, "query"),
            )


def kind_of(client: ClientTool) -> CallKind:
    """How a call of a tool is shown."""
    tool, namespace = client.tool, client.namespace
    match tool:
        case FunctionTool(name=name):
            if client.is_deferred and namespace is None:  # what was loaded alone is its own namespace, as recorded
                return Named(name, name)
            return FUNCTION if namespace is None and name == client.name else Named(name, namespace)
        case CustomTool(name=name):
            return CustomKind(name, namespace)
        case ShellTool():
            return ShellKind()
        case LocalShellTool():
            return LocalShellKind()
        case ApplyPatchTool():
            return ApplyPatchKind()
        case ComputerTool() | ComputerUsePreviewTool():
            return ComputerKind(is_single=isinstance(tool, ComputerUsePreviewTool))
        case _:
            return ClientSearchKind()


def kinds_of(clients: Sequence[ClientTool]) -> dict[str, CallKind]:
    """How the calls of tools are shown, by the names that the model knows; plain functions need no word."""
    kinds = {client.name: kind_of(client) for client in clients}
    return {name: kind for name, kind in kinds.items() if kind is not FUNCTION}


def _one_by_one(tools: Iterable[Tool]) -> Iterable[tuple[RunByClient, str | None]]:
    for tool in tools:
        match tool:
            case NamespaceTool():
                yield from ((member, tool.name) for member in tool.tools)
            case FunctionTool() | CustomTool() | LocalShellTool() | ApplyPatchTool():
                yield tool, None
            case ComputerTool() | ComputerUsePreviewTool():
                yield tool, None
            case ShellTool() | ToolSearchTool() if is_run_by_client(tool):
                yield tool, None
            case _:
                pass


def _name(tool: RunByClient, namespace: str | None, taken: set[str]) -> str:
    match tool:
        case FunctionTool() | CustomTool():
            if namespace is None:
                return free_name(tool.name, taken)
            name = member_name(namespace, tool.name)
            return name if name not in taken else free_name(digested_name(namespace, tool.name), taken)
        case ComputerTool() | ComputerUsePreviewTool():
            return free_name(computer_function.NAME, taken)
        case _:
            return free_name(tool.type, taken)


def free_name(name: str, taken: set[str]) -> str:
    """The name, or where it is taken the name with a number, cut to what chat models take."""
    ends = (f"_{number}" for number in range(2, len(taken) + 3))
    others = (f"{name[: LONGEST - len(end)]}{end}" for end in ends)
    return next(each for each in (name, *others) if each not in taken)


def _is_deferred(tool: RunByClient) -> bool:
    return isinstance(tool, FunctionTool | CustomTool) and tool.defer_loading is True


def _function(tool: FunctionTool, name: str) -> Function:
    whole = echoed_function(tool)
    return Function(
        name=name,
        parameters=_raw(whole.parameters or _NO_PARAMETERS),
        description=whole.description,
        strict=whole.strict is True,
    )


def _custom(tool: CustomTool, name: str) -> Function:
    grammar = tool.format if isinstance(tool.format, CustomGrammar) else None
    description = tool.description if isinstance(tool.description, str) else ""
    if grammar is not None:
        kind = "Lark grammar" if grammar.syntax == "lark" else "regular expression"
        description = f"{description}\n\nThe input must match this {kind}:\n{grammar.definition}".lstrip()
    return Function(
        name=name,
        parameters=_raw(object_schema({"input": _TEXT}, "input")),
        description=description or None,
        tool=tool,
        grammar=grammar,
    )


def _made(client: ClientTool, description: str, parameters: dict[str, object]) -> Function:
    return Function(name=client.name, parameters=_raw(parameters), description=description, tool=client.tool)


def _raw(schema: dict[str, object]) -> Raw:
    return Raw(msgspec.json.encode(schema))
