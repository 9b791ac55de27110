"""What a turn becomes before the embedded model is asked. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.llama.forced import force
from antiphon.backends.llama.schemas import UnfitSchemaError, alone, fit
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.settings import FormatJsonSchema, FormatText, TextConfig


class Question(Struct, frozen=True):
    """The turn that llama.cpp is given, and whether its text is a call in disguise (`forced`)."""

    turn: Turn
    forced: bool


def asked(turn: Turn) -> Question:
    """Return what to ask for a turn: only the functions that may be called, and calls that must be made forced.

    Raises `UpstreamError` (``invalid_request``) for a JSON Schema that llama.cpp would not survive.
    """
    choice = turn.choice
    names = choice.names
    functions = (
        [] if choice.mode == "none" else [each for each in turn.functions if names is None or each.name in names]
    )
    try:
        return _question(replace(turn, functions=functions))
    except UnfitSchemaError as error:
        param = "tools" if functions else "text.format.schema"
        raise UpstreamError("invalid_request", str(error), param=param) from error


def _question(turn: Turn) -> Question:
    if not turn.functions:
        return Question(_formed(replace(turn, choice=Choice("none"))), forced=False)
    form = turn.text.format if turn.text else None
    if turn.choice.mode == "required" or not isinstance(form, FormatText | None):
        return Question(force(turn), forced=True)
    fitted = [_fitted(function) for function in turn.functions]
    parallel = turn.parallel_tool_calls is not False  # llama.cpp's own default is one call
    turn = replace(turn, functions=fitted, choice=Choice("auto"), parallel_tool_calls=parallel)
    return Question(turn, forced=False)


def _formed(turn: Turn) -> Turn:
    """Make the schema of the text fit for the grammar, and show it to the model: llama.cpp does not."""
    match turn.text:
        case TextConfig(format=FormatJsonSchema() as form) as text:
            schema = msgspec.json.encode(form.schema_).decode()
            wish = f"Reply with JSON that fits this JSON Schema:\n{schema}"
            return replace(
                turn,
                instructions=f"{turn.instructions}\n\n{wish}" if turn.instructions else wish,
                text=replace(text, format=replace(form, schema_=alone(form.schema_))),
            )
        case _:
            return turn


def _fitted(function: Function) -> Function:
    parameters = fit(msgspec.json.decode(function.parameters))
    return replace(function, parameters=msgspec.Raw(msgspec.json.encode(parameters)))
