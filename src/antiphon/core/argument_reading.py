"""What a model means with the arguments of a client's tool, read while they are written.

What a careless model writes is understood where it can mean one thing only; what cannot be understood is never told as
completed, so that no client runs what no model meant. A call that is cut short is told as far as its events told it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from antiphon.core.json_pieces import Began, Ended, Grew, JsonReader, Path, Piece, Whole
from antiphon.protocol.calls import ExecAction, LocalShellCall, ShellAction, ToolSearchCall
from antiphon.protocol.places import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from antiphon.core.calls import OpenCall
    from antiphon.core.drafts import CustomDraft, ShellDraft
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import OutputItem
    from antiphon.protocol.places import Object, Sent

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode
_decode_number = msgspec.json.Decoder(int | float).decode
_decode_texts = msgspec.json.Decoder(dict[str, str]).decode
_decode_json = msgspec.json.Decoder(dict[str, Any]).decode  # the shape is the client's own

T = TypeVar("T")

MOST_COMMANDS = 1024
"""How many commands one call of a shell may have."""
_SLICE = 2**16
"""How much of a fragment is read before it is known that nobody listens to the rest."""
_MOST = 2**53
"""The largest limit that every client can read as a number."""
_MOST_DEPTH = 100
"""Arguments that are an object of their own come back within an input, and no request is read that is much deeper."""


class CustomReading:
    """Free text: the member ``input``, or else whatever the model wrote in its place."""

    def __init__(self, call: OpenCall, draft: CustomDraft) -> None:
        self._call = call
        self._draft = draft
        self._reader = JsonReader()
        self._form: Literal["unknown", "object", "string", "text"] = "unknown"
        self._input: Literal["unseen", "open", "whole"] = "unseen"
        self._has_members = False
        self._is_understood = True

    def item(self) -> OutputItem:
        """The call with the text that was told."""
        return self._draft.item(self._call.status if self._is_understood else "incomplete")

    def wrote(self, arguments: str) -> list[StreamEvent]:
        """A delta for each piece of the text; text that is no JSON is told as it is."""
        if self._form == "unknown":
            self._form = _form(arguments)
            if self._form == "text":
                self._input = "open"
                return self._draft.write(self._call.arguments)
        if self._form == "text":
            return self._draft.write(arguments)
        return [event for piece in self._reader.feed(arguments) for event in self._hear(piece)]

    def wrote_all(self) -> list[StreamEvent]:
        """The text whole. Where there was no ``input``, what stood for it is told now."""
        if self._call.status == "incomplete":
            return self._draft.close()
        self._is_understood = self._is_all()
        meant = meant_text(self._call.arguments) if self._input == "unseen" else ""
        return [*self._draft.write(meant), *self._draft.close()]

    def _is_all(self) -> bool:
        """Whether this is all that the model meant: whole JSON, or what was never JSON but plain text."""
        if self._form in {"unknown", "text"} or self._reader.is_whole:
            return True
        if _parsed(_decode_object, self._call.arguments) is not None:  # too deep for the reader
            return True
        return self._reader.is_lost and not self._has_members

    def _hear(self, piece: Piece) -> list[StreamEvent]:
        self._has_members = self._has_members or bool(piece.path)
        match piece:
            case Began(path=("input",)) if self._input == "unseen":
                self._input = "open"
            case Grew(path=("input",), text=text) if self._input == "open":
                return self._draft.write(text)
            case Ended(path=("input",)):
                self._input = "whole"
            case _:
                pass
        return []


def _form(arguments: str) -> Literal["unknown", "object", "string", "text"]:
    """What arguments begin like: an object, a string alone, or plain text; white space alone does not say."""
    match arguments.lstrip()[:1]:
        case "":
            return "unknown"
        case "{":
            return "object"
        case '"':
            return "string"
        case _:
            return "text"


def meant_text(arguments: str) -> str:
    """The free text that a model meant with arguments: ``input``, the only string, or all of them."""
    members = _parsed(_decode_object, arguments)
    if members is None:
        text = _string(arguments)
        return arguments if text is None else text
    if "input" in members:
        text = _string(members["input"])
        return bytes(members["input"]).decode() if text is None else text
    strings = [text for text in map(_string, members.values()) if text is not None]
    if len(strings) == 1:
        return strings[0]
    return arguments if members else ""


class ShellReading:
    """Commands, at most `MOST_COMMANDS`, and what limits them."""

    def __init__(self, call: OpenCall, draft: ShellDraft) -> None:
        self._call = call
        self._draft = draft
        self._reader = JsonReader()
        self._limits: dict[str, int | None] = {}
        self._is_full = False
        self._is_understood = True

    def item(self) -> OutputItem:
        """The call with the commands that were told."""
        return self._draft.item(self._call.status if self._is_understood else "incomplete")

    def wrote(self, arguments: str) -> list[StreamEvent]:
        """A beginning, a delta for each piece and an end for each command."""
        events: list[StreamEvent] = []
        for start in range(0, len(arguments), _SLICE):
            pieces = [] if self._is_full else self._reader.feed(arguments[start : start + _SLICE])
            events += [event for piece in pieces for event in self._hear(piece)]
        return events

    def wrote_all(self) -> list[StreamEvent]:
        """The last command; an argument vector alone is one command."""
        if self._call.status == "incomplete":
            return self._draft.close()
        events: list[StreamEvent] = []
        if not self._draft.begun:
            for command in _vector(self._call.arguments):
                events += [*self._draft.begin(), *self._draft.write(command)]
        events += self._draft.close()
        self._is_understood = self._reader.is_whole and not self._is_full and self._draft.begun > 0
        timeout, length = self._limits.get("timeout_ms"), self._limits.get("max_output_length")
        self._draft.limit(ShellAction(commands=[], timeout_ms=timeout, max_output_length=length))
        return events

    def _hear(self, piece: Piece) -> list[StreamEvent]:
        match piece:
            case _ if self._is_full:
                pass
            case Began(path) if _is_command(path) and self._draft.begun == MOST_COMMANDS:
                self._is_full = True
            case Began(path) if _is_command(path):
                return self._draft.begin()
            case Grew(path, text) if _is_command(path):
                return self._draft.write(text)
            case Ended(path) if _is_command(path):
                return self._draft.end()
            case Whole(path=(str(name),), value=int(limit) | float(limit)) if type(limit) is not bool:
                self._limits[name] = int(limit) if 0 < limit <= _MOST else None
            case _:
                pass
        return []


def _is_command(path: Path) -> bool:
    """Whether a command of a shell stands there: in the array, or alone where a model wrote no array."""
    match path:
        case ("commands", int()) | ("commands" | "command" | "cmd",):
            return True
        case _:
            return False


def _vector(arguments: str) -> list[str]:
    """The argument vector that a model wrote instead of a list of commands, as one command, if it wrote one."""
    action = exec_action(arguments)
    return [] if action is None else [shlex.join(action.command)]


class LocalShellReading:
    """One command, read at the end."""

    def __init__(self, call: OpenCall) -> None:
        self._call = call
        self._action: ExecAction | None = None

    def item(self) -> OutputItem:
        """The call, blank until it is whole, and for ever where nobody can know what is to be run."""
        call, action = self._call, self._action
        status = "incomplete" if action is None and call.status == "completed" else call.status
        return LocalShellCall(id=call.id, call_id=call.call_id, status=status, action=action or ExecAction(command=[]))

    def wrote(self, arguments: str) -> list[StreamEvent]:
        """Nothing."""
        return []

    def wrote_all(self) -> list[StreamEvent]:
        """Nothing: the item tells all."""
        if self._call.status == "completed":
            self._action = exec_action(self._call.arguments)
        return []


def exec_action(arguments: str) -> ExecAction | None:
    """The command that a model means, under any of the names that models have for it; None where there is none.

    A command that is one string is for a shell.
    """
    members = _members(arguments)
    written = members.get("command") or members.get("cmd") or Raw()
    line = _string(written)
    command = _strings(written) if line is None else ["bash", "-lc", line]
    if not command or line == "":
        return None
    folder = members.get("working_directory") or members.get("workdir") or members.get("cwd") or Raw()
    return ExecAction(
        command=command,
        env=_texts(members.get("env") or Raw()),
        timeout_ms=_limit(members.get("timeout_ms") or Raw()),
        user=_string(members.get("user") or Raw()) or UNSET,
        working_directory=_string(folder) or UNSET,
    )


class SearchReading:
    """Arguments of the client's own shape, read at the end."""

    def __init__(self, call: OpenCall) -> None:
        self._call = call
        self._arguments: dict[str, Any] | None = None  # the shape is the client's own

    def item(self) -> OutputItem:
        """The call, with empty arguments until they are whole."""
        call, arguments = self._call, self._arguments
        status = "incomplete" if arguments is None and call.status == "completed" else call.status
        return ToolSearchCall(
            id=call.id, call_id=call.call_id, status=status, execution="client", arguments=arguments or {}
        )

    def wrote(self, arguments: str) -> list[StreamEvent]:
        """Nothing."""
        return []

    def wrote_all(self) -> list[StreamEvent]:
        """Nothing: the item tells all."""
        if self._call.status == "completed":
            arguments = _parsed(_decode_json, self._call.arguments)
            self._arguments = None if arguments is None or _is_deep(arguments) else arguments
        return []


def _is_deep(arguments: Object) -> bool:
    level: list[Sent] = [arguments]
    for _ in range(_MOST_DEPTH):
        level = [child for value in level for child in _children(value)]
    return bool(level)


def _children(value: Sent) -> Iterable[Sent]:
    if is_object(value):
        return value.values()
    return value if is_array(value) else ()


def _members(arguments: str) -> dict[str, Raw]:
    return _parsed(_decode_object, arguments) or {}


def _string(value: str | Raw | bytes) -> str | None:
    return _parsed(_decode_string, value)


def _strings(value: Raw) -> list[str] | None:
    return _parsed(_decode_strings, value)


def _texts(value: Raw) -> dict[str, str]:
    return _parsed(_decode_texts, value) or {}


def _limit(value: Raw) -> int | UnsetType:
    limit = _parsed(_decode_number, value)
    return int(limit) if limit is not None and 0 < limit <= _MOST else UNSET


def _parsed(decode: Callable[[str | Raw | bytes], T], value: str | Raw | bytes) -> T | None:
    """A value of a kind; None where what a model wrote is none."""
    try:
        return decode(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
