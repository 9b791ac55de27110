"""What a turn becomes before the embedded model is asked. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.llama.errors import UnfitSchemaError
from antiphon.backends.llama.forced import force
from antiphon.backends.llama.keywords import Budget, Schema
from antiphon.backends.llama.schemas import alone, fit
from antiphon.backends.upstream.narrowing import narrowed
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.settings import FormatJsonSchema, FormatText, TextConfig

_ANYTHING: Final = msgspec.Raw(b'{"type":"object","properties":{},"additionalProperties":true}')


class Question(Struct, frozen=True):
    """The turn that llama.cpp is given, and whether its text is a call in disguise (`forced`)."""

    turn: Turn
    forced: bool


def asked(turn: Turn) -> Question:
    """Return what to ask for a turn: only the functions that may be called, and calls that must be made forced.

    The grammar of a custom tool becomes a pattern, where one can say it: llama.cpp holds arguments to their schema.

    A function with a JSON Schema that llama.cpp would not survive takes any object instead: it may be of somebody
    else's server. Raises `UpstreamError` (``invalid_request``) where it is strict, and for such a schema of the text.
    """
    choice = turn.choice
    names = choice.names
    functions = (
        [] if choice.mode == "none" else [each for each in turn.functions if names is None or each.name in names]
    )
    if not functions:
        return Question(_formed(replace(turn, functions=[], choice=Choice("none"))), forced=False)
    fitted, budget = list[_Fitted](), Budget()
    for index, function in enumerate(functions):
        fitted.append(_fitted(function, f"f{index}", budget))
    form = turn.text.format if turn.text else None
    if choice.mode == "required" or not isinstance(form, FormatText | None):
        return Question(_forced(replace(turn, functions=[each.told for each in fitted])), forced=True)
    parallel = turn.parallel_tool_calls is not False  # llama.cpp's own default is one call
    functions = [each.given for each in fitted]
    return Question(
        replace(turn, functions=functions, choice=Choice("auto"), parallel_tool_calls=parallel), forced=False
    )


class _Fitted(Struct, frozen=True):
    """A function as llama.cpp is given it, and as the model is told of it where llama.cpp is given none."""

    given: Function
    told: Function


def _forced(turn: Turn) -> Turn:
    try:
        return force(turn)
    except UnfitSchemaError as error:
        raise _refused(error, "text.format.schema") from error


def _formed(turn: Turn) -> Turn:
    """Make the schema of the text fit for the grammar, and show it to the model: llama.cpp does not."""
    match turn.text:
        case TextConfig(format=FormatJsonSchema() as form) as text:
            try:
                followed = alone(form.schema_)
            except UnfitSchemaError as error:
                raise _refused(error, "text.format.schema") from error
            schema = msgspec.json.encode(form.schema_).decode()
            wish = f"Reply with JSON that fits this JSON Schema:\n{schema}"
            return replace(
                turn,
                instructions=f"{turn.instructions}\n\n{wish}" if turn.instructions else wish,
                text=replace(text, format=replace(form, schema_=followed)),
            )
        case _:
            return turn


def _fitted(function: Function, prefix: str, budget: Budget) -> _Fitted:
    """``prefix`` keeps the definitions of functions apart: llama.cpp has one room for those of all.

    A pattern is for the grammar alone: the model would make nothing of it.
    """
    try:
        fitted = fit(_decoded(narrowed(function)), prefix, budget)
    except UnfitSchemaError as error:
        if function.strict:
            raise _refused(error, "tools") from error
        anything = replace(function, parameters=_ANYTHING)
        return _Fitted(anything, anything)
    whole: Schema = {**fitted.form, "$defs": fitted.definitions} if fitted.definitions else fitted.form
    return _Fitted(replace(function, parameters=msgspec.Raw(msgspec.json.encode(whole))), function)


def _decoded(function: Function) -> Schema:
    try:
        return msgspec.json.decode(function.parameters, type=dict[str, Any])  # a schema may hold any JSON
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnfitSchemaError("The parameters of a function are no JSON Schema.") from error


def _refused(error: UnfitSchemaError, param: str) -> UpstreamError:
    return UpstreamError("invalid_request", str(error), param=param)
