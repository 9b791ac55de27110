"""Calls that must be made: the functions become branches of one JSON Schema, the JSON that comes back becomes a call.

llama.cpp's own ``required`` only forbids other words once the model has begun to call, and small models never begin. A
grammar leaves them no way out. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends.llama.schemas import placed
from antiphon.backends.upstream.narrowing import narrowed
from antiphon.core.deltas import Call, Text
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, TextConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from antiphon.backends.llama.keywords import Schema
    from antiphon.core.deltas import Delta

ANSWER: Final = "answer"
_CALL: Final = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)')
_ANSWER: Final = re.compile(r'\s*\{\s*"answer"\s*:\s*(?=\S)')


class _Listed(Struct, frozen=True, omit_defaults=True):
    """A function as the model reads of it."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"")


def force(turn: Turn) -> Turn:
    """Return a turn without functions whose text is one call of one of them, for `ForcedCall` to read.

    Where the turn leaves the choice but asks for JSON (which a model cannot give and call beside), the text is either a
    call or the answer.
    """
    wanted = None if turn.choice.mode == "required" else _wanted(turn)
    form = FormatJsonSchema(name="call", schema_=_branches(turn.functions, wanted), strict=True)
    return replace(
        turn,
        instructions=_instructions(turn, wanted),
        functions=[],
        choice=Choice("none"),
        text=TextConfig(format=form),
    )


class ForcedCall:
    """Reads the JSON of a forced call as it comes, cut anywhere, and says it as deltas of a call (or of an answer)."""

    def __init__(self) -> None:
        self._head = ""
        self._value: _Value | None = None
        self._is_call = True

    @property
    def begun(self) -> bool:
        """Whether a call or an answer has begun."""
        return self._value is not None

    def feed(self, text: str) -> list[Delta]:
        """Take the next piece of text."""
        if self._value is not None:
            return self._rest(text)
        self._head += text
        if (match := _CALL.match(self._head)) is not None:
            self._value = _Value()
            start: list[Delta] = [Call("0", msgspec.json.decode(match[1], type=str))]
            return start + self._rest(self._head[match.end() :])
        if (match := _ANSWER.match(self._head)) is not None:
            self._value, self._is_call = _Value(), False
            return self._rest(self._head[match.end() :])
        return []

    def _rest(self, text: str) -> list[Delta]:
        if self._value is None or not (piece := "".join(self._value.feed(text))):
            return []
        return [Call("0", arguments=piece)] if self._is_call else [Text(piece)]


class _Value:
    """Copies one JSON value out of a text that goes on behind it, without the white space between its tokens."""

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._over = False

    def feed(self, text: str) -> Iterator[str]:
        """Yield the characters that belong to the value."""
        for character in text:
            if self._over:
                return
            if self._quoted:
                self._inside_string(character)
            elif character.isspace() or self._outside_string(character):
                continue
            yield character

    def _inside_string(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif character == "\\":
            self._escaped = True
        elif character == '"':
            self._quoted = False
            self._over = self._depth == 0

    def _outside_string(self, character: str) -> bool:
        """Take a character of the structure; True where it stands behind the value."""
        if self._depth == 0 and character in ",}]":
            self._over = True
            return True
        self._quoted = character == '"'
        self._depth += (character in "{[") - (character in "}]")
        self._over = self._depth == 0 and character in "}]"
        return False


def _wanted(turn: Turn) -> Schema | None:
    match turn.text.format if turn.text else None:
        case FormatJsonSchema(schema_=schema):
            return schema
        case FormatJsonObject():
            return {"type": "object"}
        case _:
            return None


def _branches(functions: list[Function], wanted: Schema | None) -> Schema:
    narrow = map(narrowed, functions)  # a pattern is for the grammar alone, and not for the model to read
    parameters: list[Schema] = [{"type": "object", **msgspec.json.decode(each.parameters)} for each in narrow]
    references, definitions = placed(parameters if wanted is None else [*parameters, wanted])
    calls: list[Schema] = [
        _object({"name": {"const": function.name}, "arguments": reference})
        for function, reference in zip(functions, references, strict=False)
    ]
    answers = [_object({ANSWER: reference}) for reference in references[len(functions) :]]
    return {"anyOf": [*calls, *answers], "$defs": definitions}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _instructions(turn: Turn, wanted: Schema | None) -> str:
    listed = "\n".join(
        msgspec.json.encode(_Listed(function.name, function.description, function.parameters)).decode()
        for function in turn.functions
    )
    parts = [
        turn.instructions or "You are a helpful assistant.",
        f"# Functions\n\nYou may call these functions to help the user:\n{listed}",
        'To call a function, reply with a JSON object: {"name": <function-name>, "arguments": <args-json-object>}',
    ]
    if wanted is not None:
        schema = msgspec.json.encode(wanted).decode()
        parts.append(
            'If no function is needed, or its result is there already, reply with {"answer": <answer>}, where the '
            f"answer fits this JSON Schema:\n{schema}"
        )
    return "\n\n".join(parts)
