"""The client's tools that the upstream knows by their own types: how they are declared, demanded and remembered. Pure.

To this server each is a function with a name of its own in the turn; an upstream knows but one shell, one patcher and
one computer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from antiphon.backends.responses import shapes
from antiphon.backends.upstream.retelling import short_id
from antiphon.core.naming import function_name
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    LocalShellCall,
    LocalShellCallOutput,
    ShellCall,
    ShellCallOutput,
)
from antiphon.protocol.computer import ComputerCall, ComputerCallOutput
from antiphon.protocol.items import CustomToolCall, CustomToolCallOutput, FunctionCallOutput
from antiphon.protocol.tool_settings import ShellLocal
from antiphon.protocol.tools import (
    ApplyPatchTool,
    ComputerTool,
    ComputerUsePreviewTool,
    CustomTool,
    LocalShellTool,
    ShellTool,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from antiphon.backends.responses.config import NativeTool
    from antiphon.core.turn import Function, Turn
    from antiphon.protocol.items import Item
    from antiphon.protocol.tools import Tool

ID_LIMIT = 64
"""The longest ``call_id`` that the API takes."""

Called = CustomToolCall | ShellCall | LocalShellCall | ApplyPatchCall | ComputerCall
Answer = (
    CustomToolCallOutput
    | FunctionCallOutput
    | ShellCallOutput
    | LocalShellCallOutput
    | ApplyPatchCallOutput
    | ComputerCallOutput
)

CALL_TYPES: dict[str, tuple[NativeTool, ...]] = {
    "shell_call": ("shell",),
    "local_shell_call": ("local_shell",),
    "apply_patch_call": ("apply_patch",),
    "computer_call": ("computer_use_preview", "computer"),
}
"""The items of the tools that have no name on the wire; of two that a turn has, the last is meant."""

ANSWERS: dict[type[Called], tuple[type[Answer], ...]] = {
    CustomToolCall: (CustomToolCallOutput, FunctionCallOutput),
    ShellCall: (ShellCallOutput,),
    LocalShellCall: (LocalShellCallOutput,),
    ApplyPatchCall: (ApplyPatchCallOutput,),
    ComputerCall: (ComputerCallOutput,),
}
"""What can answer a call that is told as what it is."""


class Natives:
    """The functions of a turn that are told as what they are. ``names`` has those of the tools without a name."""

    def __init__(self, turn: Turn, kinds: Collection[NativeTool]) -> None:
        self._kinds = kinds
        self._functions: dict[str, NativeTool] = {
            function.name: kind
            for function in turn.functions
            if (kind := _kind(function.tool)) is not None and kind in kinds
        }
        self.names: dict[NativeTool, str] = {
            kind: name for name, kind in reversed(self._functions.items()) if kind != "custom"
        }
        self._calls = {call.call_id: type(call) for item in turn.items if (call := self._call(item)) is not None}
        misfits = {item.call_id for item in turn.items if isinstance(item, Answer) and not self._answers(item)}
        self._calls = {call_id: kind for call_id, kind in self._calls.items() if call_id not in misfits}

    def declare(self, *kinds: NativeTool) -> bool:
        """Whether a tool of one of these types is among them."""
        return any(kind in kinds for kind in self._functions.values())

    def declared(self, function: Function) -> shapes.Bare | None:
        """The tool that a function stands for, None where it is told as a function."""
        kind = self._functions.get(function.name)
        if kind is None:
            return None
        match function.tool:
            case CustomTool():
                return _custom(function)
            case ShellTool(environment=ShellLocal() as environment):
                return {"type": kind, "environment": shapes.without_nulls(msgspec.to_builtins(environment))}
            case ComputerUsePreviewTool() as tool:
                return shapes.without_nulls(msgspec.to_builtins(tool))
            case _:
                return {"type": kind}

    def choice(self, name: str) -> shapes.Bare:
        """A function, or the tool that it stands for, among those that may be called."""
        kind = self._functions.get(name, "function")
        return {"type": kind, "name": name} if kind in {"function", "custom"} else {"type": kind}

    def told(self, item: Item) -> shapes.Bare | None:
        """A call of such a tool or what came of it, None for any other item.

        A call and its output must fit each other: where the output cannot be told as that of such a tool, neither is.
        """
        call = self._call(item)
        if call is not None:
            return _told_call(call) if self._calls.get(call.call_id) is type(call) else None
        return _told_answer(item) if isinstance(item, Answer) and self._answers(item) else None

    def _call(self, item: Item) -> Called | None:
        """A call that is told as what it is."""
        match item:
            case CustomToolCall() if "custom" in self._kinds:
                return item
            case ShellCall() if "shell" in self._kinds:
                return item
            case LocalShellCall() if "local_shell" in self._kinds:
                return item
            case ApplyPatchCall() if "apply_patch" in self._kinds:
                return item
            case ComputerCall(actions=list()) if "computer" in self._kinds:
                return item
            case ComputerCall(action=action) if action is not UNSET and "computer_use_preview" in self._kinds:
                return item
            case _:
                return None

    def _answers(self, output: Answer) -> bool:
        kind = self._calls.get(output.call_id) if isinstance(output.call_id, str) else None
        return kind is not None and isinstance(output, ANSWERS[kind])


def _told_call(call: Called) -> shapes.Bare:
    match call:
        case CustomToolCall(name=name, namespace=namespace):
            whole = name if namespace is UNSET else function_name(namespace, name)
            return {"type": "custom_tool_call", "call_id": _call_id(call), "name": whole, "input": call.input}
        case LocalShellCall() | ComputerCall():
            return {**_bare(call), "id": call.id}  # the reference asks for it
        case ShellCall() | ApplyPatchCall():
            return _bare(call)


def _told_answer(output: Answer) -> shapes.Bare:
    match output:
        case CustomToolCallOutput() | FunctionCallOutput():
            said = msgspec.to_builtins(output.output)
            return {"type": "custom_tool_call_output", "call_id": _call_id(output), "output": said}
        case LocalShellCallOutput():
            return {**_bare(output), "id": output.id}
        case ComputerCallOutput(status="failed"):
            return {**_bare(output), "status": "incomplete"}  # an input knows no other word for it
        case ShellCallOutput() | ApplyPatchCallOutput() | ComputerCallOutput():
            return _bare(output)


def _kind(tool: Tool | None) -> NativeTool | None:
    match tool:
        case CustomTool():
            return "custom"
        case ShellTool():
            return "shell"
        case LocalShellTool():
            return "local_shell"
        case ApplyPatchTool():
            return "apply_patch"
        case ComputerTool():
            return "computer"
        case ComputerUsePreviewTool():
            return "computer_use_preview"
        case _:
            return None


def _custom(function: Function) -> shapes.Bare:
    tool: shapes.Bare = {"type": "custom", "name": function.name}
    if function.description is not None:
        tool["description"] = function.description
    if function.grammar is not None:
        tool["format"] = msgspec.to_builtins(function.grammar)
    return tool


def _bare(item: Called | Answer) -> shapes.Bare:
    """An item without the id that the upstream does not know, and without its nulls."""
    keys: shapes.Bare = msgspec.to_builtins(item)
    return shapes.without_nulls({**keys, "id": None, "caller": None, "call_id": _call_id(item)})


def _call_id(item: Called | Answer) -> str:
    return short_id(item.call_id, ID_LIMIT) if isinstance(item.call_id, str) else item.id
