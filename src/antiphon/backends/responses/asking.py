"""Turns a turn into the body of a request to the Responses API. Pure; only what the turn names is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from antiphon.backends.responses import shapes
from antiphon.backends.responses.telling import servers, tell

if TYPE_CHECKING:
    from antiphon.backends.responses.config import Config
    from antiphon.core.turn import Function, Turn

T = TypeVar("T")
LOGPROBS = "message.output_text.logprobs"


def to_wire(turn: Turn, config: Config) -> bytes:
    """Write the request for a turn as JSON.

    Raises `UpstreamError` (``invalid_request``) for a file or image that is still a mere reference.
    """
    shows_logprobs = turn.logprobs or bool(turn.top_logprobs)
    tools = _tools(turn)
    request = shapes.Request(
        model=_given(config.model or turn.model),
        instructions=turn.instructions or UNSET,
        input=tell(turn),
        tools=tools or UNSET,
        tool_choice=_choice(turn) if tools else UNSET,
        parallel_tool_calls=_given(turn.parallel_tool_calls) if tools else UNSET,
        text=_text(turn),
        reasoning=(_bare(turn.reasoning) or UNSET) if turn.reasoning else UNSET,
        include=[LOGPROBS] if shows_logprobs else UNSET,
        top_logprobs=turn.top_logprobs or UNSET,
        temperature=_given(turn.temperature),
        top_p=_given(turn.top_p),
        presence_penalty=_given(turn.presence_penalty),
        frequency_penalty=_given(turn.frequency_penalty),
        max_output_tokens=_given(turn.max_output_tokens),
        user=_given(turn.user),
    )
    return msgspec.json.encode(request)


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _bare(struct: Struct) -> shapes.Bare:
    """A struct of the API's without the nulls right in it; a schema inside keeps its own."""
    keys: shapes.Bare = msgspec.to_builtins(struct)
    return {key: value for key, value in keys.items() if value is not None}


def _tools(turn: Turn) -> list[shapes.Function | shapes.Bare]:
    return [*map(_function, turn.functions), *map(_bare, turn.handed_over)]


def _function(function: Function) -> shapes.Function:
    return shapes.Function(
        name=function.name,
        parameters=function.parameters,
        strict=function.strict,
        description=_given(function.description),
    )


def _choice(turn: Turn) -> shapes.ToolChoice | UnsetType:
    mode, names = turn.choice.mode, turn.choice.names
    if names is None or mode == "none":
        return UNSET if mode == "auto" else mode
    if mode == "required" and len(names) == 1:
        return shapes.Named(names[0])
    # A choice of a handed-over server's tools names no function of the turn.
    if not names and turn.handed_over:
        return shapes.Allowed(mode, [shapes.Server(tool.server_label) for tool in servers(turn)])
    return shapes.Allowed(mode, [shapes.Named(name) for name in names]) if names else "none"


def _text(turn: Turn) -> shapes.Text | UnsetType:
    if turn.text is None:
        return UNSET
    form = turn.text.format
    text = shapes.Text(UNSET if form is None else _bare(form), _given(turn.text.verbosity))
    return UNSET if text == shapes.Text() else text
