"""Tools that are not shown to a model before it has looked for them, and the function with which it looks.

A namespace, a function and the tools of an MCP server are looked for by a path: the name of the namespace, that of the
function, the label of the server; ``namespace.name`` is one function of a namespace (recorded: ``arguments.paths``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from antiphon.core.calls import OpenCall, Quiet
from antiphon.core.echo import echoed
from antiphon.core.turn import Function
from antiphon.protocol.calls import ToolSearchCall
from antiphon.protocol.tools import CustomTool, FunctionTool, McpTool, NamespaceTool, Tool, ToolSearchTool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from antiphon.protocol.items import OutputItem

_LOOKS = "Loads tools that are not loaded yet, so that they can be called. These can be loaded, by their paths:"
_DESCRIBED = 120
"""Characters of a description that are shown before a tool is loaded."""


class Deferred(Struct, frozen=True):
    """A tool that can be loaded, or several at once."""

    path: str
    description: str
    tool: Tool


class Searching(Quiet):
    """A search for tools that the server answers. Nothing of it is told before its end, as recorded."""

    prefix = "tsc"
    hosted = True

    def item(self, call: OpenCall) -> OutputItem:
        """A search for nothing yet."""
        return ToolSearchCall(
            id=call.id,
            arguments={},
            call_id=None,
            execution="server",
            status="incomplete" if call.status == "incomplete" else "in_progress",
        )


def deferred(tools: Iterable[Tool]) -> list[Deferred]:
    """What can be loaded of these tools, in their order; of one path the first."""
    found: dict[str, Deferred] = {}
    for tool in tools:
        for each in _of(tool):
            found.setdefault(each.path, each)
    return list(found.values())


def not_loaded(offered: Sequence[Deferred], loaded: Sequence[Tool]) -> list[Deferred]:
    """What is left of that once these tools were loaded."""
    names = {name for tool in loaded for name in _names(tool)}
    return [each for each in offered if not _names(each.tool) <= names]


def search_function(name: str, settings: ToolSearchTool, offered: Sequence[Deferred]) -> Function:
    """The function with which a model looks for tools."""
    lines = [f"- {each.path}: {each.description}" if each.description else f"- {each.path}" for each in offered]
    paths = {"type": "array", "items": {"type": "string", "enum": [each.path for each in offered]}, "minItems": 1}
    schema = {"type": "object", "properties": {"paths": paths}, "required": ["paths"], "additionalProperties": False}
    return Function(
        name=name,
        parameters=Raw(msgspec.json.encode(schema)),
        description="\n".join([settings.description or _LOOKS, *lines]),
        tool=settings,
    )


def _of(tool: Tool) -> list[Deferred]:
    match tool:
        case FunctionTool() | CustomTool() if tool.defer_loading:
            return [Deferred(tool.name, _short(tool.description), echoed(tool))]
        case NamespaceTool():
            return _of_namespace(tool)
        case McpTool() if tool.defer_loading:
            return [Deferred(tool.server_label, _short(tool.server_description), echoed(tool))]
        case _:
            return []


def _names(tool: Tool) -> set[tuple[str, str]]:
    """The single tools that one stands for, each with its namespace."""
    match tool:
        case NamespaceTool(name=name, tools=members):
            return {(name, member.name) for member in members}
        case FunctionTool(name=name) | CustomTool(name=name):
            return {("", name)}
        case McpTool(server_label=label):
            return {(tool.type, label)}
        case _:
            return set()


def _of_namespace(namespace: NamespaceTool) -> list[Deferred]:
    """The namespace as far as it is deferred, and each such member of it."""
    members = [member for member in namespace.tools if member.defer_loading]
    if not members:
        return []
    alone = [
        Deferred(f"{namespace.name}.{member.name}", _short(member.description), _holding(namespace, [member]))
        for member in members
    ]
    return [Deferred(namespace.name, _short(namespace.description), _holding(namespace, members)), *alone]


def _holding(namespace: NamespaceTool, members: list[FunctionTool | CustomTool]) -> Tool:
    return echoed(replace(namespace, tools=members))


def _short(description: object) -> str:
    if description is None or description is UNSET:
        return ""
    line = " ".join(str(description).split())
    return line if len(line) <= _DESCRIBED else line[: _DESCRIBED - 1] + "…"
