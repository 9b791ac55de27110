"""Hears calls of functions and of the client's other tools: all are calls of functions to this server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.backends.responses.moving import Moves
from antiphon.backends.responses.natives import CALL_TYPES
from antiphon.core.deltas import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.backends.responses.config import NativeTool
    from antiphon.backends.responses.events import ItemHead, Piece, Whole

NAMED = frozenset({"function_call", "custom_tool_call"})
"""The calls that name their function."""


class Writing(Protocol):
    """The arguments of a call, as the JSON text that a chat model would have written."""

    def feed(self, piece: Piece) -> str:
        """What a fragment adds."""
        ...

    def end(self, item: ItemHead) -> str:
        """What is missing still, now that the item is whole. An upstream that sent no fragments says all only here."""
        ...


class Arguments:
    """The arguments of a function are JSON already."""

    def __init__(self) -> None:
        self._written = False

    def feed(self, piece: Piece) -> str:
        """The fragment itself."""
        self._written = self._written or bool(piece.delta)
        return piece.delta

    def end(self, item: ItemHead) -> str:
        """All of them, or nothing."""
        return "" if self._written or not isinstance(item.arguments, str) else item.arguments


class Input:
    """The text of a custom tool becomes ``{"input": ...}``."""

    def __init__(self) -> None:
        self._written = False

    def feed(self, piece: Piece) -> str:
        """A fragment of the text."""
        return self._write(piece.delta)

    def end(self, item: ItemHead) -> str:
        """The end of the string, and of the object."""
        said = "" if self._written or not isinstance(item.input, str) else self._write(item.input)
        return said + ('"}' if self._written else '{"input":""}')

    def _write(self, text: str) -> str:
        if not text:
            return ""
        opening = "" if self._written else '{"input":"'
        self._written = True
        return opening + _escaped(text)


class Limits(Struct, frozen=True, omit_defaults=True):
    """What a shell is told beside its commands: milliseconds, and characters."""

    timeout_ms: int | None = None
    max_output_length: int | None = None


class Shell(Limits, frozen=True, omit_defaults=True):
    """The action of a shell call."""

    commands: list[str] = []


class Commands:
    """The commands of a shell become ``{"commands": [...], ...}``. Each has an index, and comes in fragments."""

    def __init__(self) -> None:
        self._index = -1

    def feed(self, piece: Piece) -> str:
        """A fragment of the command that is written, or of the next one."""
        index = max(piece.command_index or 0, self._index, 0)
        opening = self._opening(index)
        self._index = index
        return opening + _escaped(piece.delta)

    def end(self, item: ItemHead) -> str:
        """The commands that did not come in fragments, and the limits."""
        action = msgspec.json.decode(item.action, type=Shell)
        rest = ""
        for index, command in enumerate(action.commands):
            if index > self._index:
                rest += self._opening(index) + _escaped(command)
                self._index = index
        limits = msgspec.json.encode(Limits(action.timeout_ms, action.max_output_length)).decode()[1:]
        closing = '{"commands":[]' if self._index < 0 else '"]'
        return rest + closing + (limits if limits == "}" else f",{limits}")

    def _opening(self, index: int) -> str:
        if self._index < 0:
            return '{"commands":["' + '","' * index
        return '","' * (index - self._index)


class Operation(Struct, frozen=True, omit_defaults=True):
    """A change to a file; one that deletes it has no diff."""

    type: str = ""
    path: str = ""
    diff: str | None = None


class Patch:
    """A change to a file becomes ``{"type": ..., "path": ..., "diff": ...}``. Only its diff comes in fragments.

    They are told as they come where the item has said at its beginning which file is meant.
    """

    def __init__(self, item: ItemHead) -> None:
        self._begun = msgspec.json.decode(item.operation, type=Operation | None) or Operation()
        self._written = False

    def feed(self, piece: Piece) -> str:
        """A fragment of the diff, the type and the path before it."""
        if not piece.delta or not self._begun.path:
            return ""
        opening = ""
        if not self._written:
            opening = msgspec.json.encode(Operation(self._begun.type, self._begun.path, "")).decode()[:-2]
        self._written = True
        return opening + _escaped(piece.delta)

    def end(self, item: ItemHead) -> str:
        """The end of the diff, or all of it."""
        if self._written:
            return '"}'
        return msgspec.json.encode(msgspec.json.decode(item.operation, type=Operation)).decode()


class Exec(Struct, frozen=True, omit_defaults=True):
    """The action of the older shell."""

    command: list[str]
    env: dict[str, str] | None = None
    timeout_ms: int | None = None
    user: str | None = None
    working_directory: str | None = None


class Command:
    """The command of the older shell comes whole."""

    def feed(self, piece: Piece) -> str:
        """Nothing: there are no fragments."""
        del piece
        return ""

    def end(self, item: ItemHead) -> str:
        """All of it."""
        return msgspec.json.encode(msgspec.json.decode(item.action, type=Exec)).decode()


class Forming:
    """A call that is being heard."""

    def __init__(self, key: str, writing: Writing) -> None:
        self._key = key
        self._writing = writing
        self._ended = False

    def feed(self, piece: Piece) -> list[Call]:
        """Take a fragment."""
        return [] if self._ended else self._said(self._writing.feed(piece))

    def end(self, item: ItemHead) -> list[Call]:
        """All is written."""
        if self._ended:
            return []
        self._ended = True
        return self._said(self._writing.end(item))

    def _said(self, arguments: str) -> list[Call]:
        return [Call(self._key, arguments=arguments)] if arguments else []


class Calls:
    """The calls of one turn. An item's id tells them apart; where it changes on the way, its ``output_index`` does.

    ``names`` are the functions that stand for the tools which have no name on the wire; a call of another such tool is
    none of the turn's.
    """

    def __init__(self, names: Mapping[NativeTool, str]) -> None:
        self._names = {type: names[kind] for type, kinds in CALL_TYPES.items() for kind in kinds if kind in names}
        self._by_id: dict[str, Forming] = {}
        self._by_index: dict[int, Forming] = {}
        self._count = 0

    def knows(self, type: str) -> bool:
        """Whether an item of this type is a call of one of the turn's functions."""
        return type in NAMED or type in self._names

    def begin(self, item: ItemHead, index: int | None) -> list[Call]:
        """A call begins. Raises `UpstreamError` if it has no name."""
        name = self._names.get(item.type, item.name)
        if not name:
            raise UpstreamError("server_error", "The model called a function without naming it.")
        forming = Forming(str(self._count), _writing(item))
        if item.id:
            self._by_id[item.id] = forming
        if index is not None:
            self._by_index[index] = forming
        self._count += 1
        return [Call(str(self._count - 1), name)]

    def feed(self, piece: Piece) -> list[Call]:
        """Take a fragment; one that belongs to no call is skipped."""
        forming = self._find(piece.item_id, piece.output_index)
        return [] if forming is None else forming.feed(piece)

    def whole(self, whole: Whole) -> list[Call]:
        """What a call says was said whole."""
        forming = self._find(whole.item_id, whole.output_index)
        return [] if forming is None else forming.end(whole.as_item())

    def end(self, item: ItemHead, index: int | None) -> list[Call]:
        """A call is finished; one whose beginning was never told is told whole."""
        forming = self._find(item.id or "", index)
        begun = [] if forming is not None else self.begin(item, index)
        forming = forming or self._find(item.id or "", index)
        return begun + ([] if forming is None else forming.end(item))

    def _find(self, id: str, index: int | None) -> Forming | None:
        found = self._by_id.get(id)
        return found if found is not None or index is None else self._by_index.get(index)


def _writing(item: ItemHead) -> Writing:
    match item.type:
        case "custom_tool_call":
            return Input()
        case "shell_call":
            return Commands()
        case "apply_patch_call":
            return Patch(item)
        case "local_shell_call":
            return Command()
        case "computer_call":
            return Moves()
        case _:
            return Arguments()


def _escaped(text: str) -> str:
    """Text as it stands within a JSON string."""
    return msgspec.json.encode(text).decode()[1:-1]
