"""What holds for a request in the end: its own settings and tools, and those that items of its conversation bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from antiphon.core.client_tools import key
from antiphon.protocol.calls import ToolSearchOutput
from antiphon.protocol.items import AdditionalTools, ConfigurationUpdate, Item
from antiphon.protocol.settings import Reasoning, TextConfig
from antiphon.protocol.tools import McpTool, NamespaceTool, Tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.protocol.request import CreateResponse

T = TypeVar("T", Reasoning, TextConfig)


def settled(request: CreateResponse, history: Sequence[Item]) -> CreateResponse:
    """The request with what its conversation brings.

    Tools that items add come after its own; of two with one name the first counts. An update in the input counts more
    than the request's parameters, one in the history less.
    """
    before, now = _Updates(history), _Updates(request.input)
    reasoning = _over(before.reasoning, request.reasoning)
    text = _over(before.text, request.text)
    return replace(
        request,
        reasoning=_over(reasoning, now.reasoning),
        text=_over(text, now.text),
        tools=_unique([*request.tools, *_added(request.input), *_added(history)]),
    )


def loaded(items: Sequence[Item]) -> list[Tool]:
    """The tools that searches found, in this conversation."""
    return [tool for item in items if isinstance(item, ToolSearchOutput) for tool in item.tools]


class _Updates:
    """What the updates among items come to: of each setting the last one."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.reasoning: Reasoning | None = None
        self.text: TextConfig | None = None
        for item in items:
            if isinstance(item, ConfigurationUpdate):
                self.reasoning = _over(self.reasoning, None if item.reasoning is UNSET else item.reasoning)
                self.text = _over(self.text, None if item.text is UNSET else item.text)


def _over(under: T | None, over: T | None) -> T | None:
    """One setting over the other: what it does not say stays as it is."""
    if under is None or over is None:
        return over or under
    said = {name: getattr(over, name) for name in over.__struct_fields__}  # a struct's own fields, by their names
    return replace(under, **{name: value for name, value in said.items() if value is not None and value is not UNSET})


def _added(items: Sequence[Item]) -> list[Tool]:
    return [tool for item in items if isinstance(item, AdditionalTools) for tool in item.tools]


def _unique(tools: list[Tool]) -> list[Tool]:
    """Each tool once; of a namespace that stands there in parts, all that is in them."""
    found: dict[object, Tool] = {}
    for tool in tools:
        name = _key(tool)
        match found.setdefault(name, tool), tool:
            case NamespaceTool() as first, NamespaceTool() as again if first is not again:
                found[name] = _joined(first, again)
            case _:
                pass
    return list(found.values())


def _key(tool: Tool) -> object:
    match tool:
        case McpTool(server_label=name) | NamespaceTool(name=name):
            return (tool.type, name)
        case _:
            return key(tool)


def _joined(first: NamespaceTool, again: NamespaceTool) -> NamespaceTool:
    known = {key(member) for member in first.tools}
    return replace(first, tools=[*first.tools, *(member for member in again.tools if key(member) not in known)])
