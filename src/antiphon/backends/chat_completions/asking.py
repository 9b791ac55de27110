"""Turns a turn into the body of a chat completion request. Pure; only what the turn names is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from antiphon.backends.chat_completions import shapes
from antiphon.backends.chat_completions.messages import tell
from antiphon.backends.upstream.faults import rejects_field
from antiphon.backends.upstream.hints import cache_wish, passed, without_refused
from antiphon.backends.upstream.narrowing import narrowed
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, FormatText

if TYPE_CHECKING:
    from antiphon.backends.chat_completions.config import Config
    from antiphon.core.turn import Function, Turn

T = TypeVar("T")


def to_wire(turn: Turn, config: Config) -> bytes:
    """Write the request for a turn as JSON.

    Raises `UpstreamError` (``invalid_request``) for a file or image that is still a mere reference.
    """
    functions = _allowed(turn)
    limit = _given(turn.max_output_tokens)
    hints = passed(turn.hints, config.hints)
    effort = turn.reasoning.effort if turn.reasoning else None
    request = shapes.Request(
        model=_given(config.model or turn.model),
        messages=tell(turn, config),
        stream_options=shapes.StreamOptions() if config.stream_options else UNSET,
        tools=[_tool(function, config) for function in functions] or UNSET,
        tool_choice=_choice(turn, functions, named=config.named_tool_choice) if functions else UNSET,
        parallel_tool_calls=_given(turn.parallel_tool_calls) if functions else UNSET,
        response_format=_response_format(turn),
        temperature=_given(turn.temperature),
        top_p=_given(turn.top_p),
        presence_penalty=_given(turn.presence_penalty),
        frequency_penalty=_given(turn.frequency_penalty),
        max_completion_tokens=limit if config.max_tokens_field == "max_completion_tokens" else UNSET,
        max_tokens=limit if config.max_tokens_field == "max_tokens" else UNSET,
        logprobs=True if turn.logprobs or turn.top_logprobs else UNSET,
        top_logprobs=turn.top_logprobs or UNSET,
        reasoning_effort=_given(effort),
        verbosity=_given(turn.text.verbosity if turn.text else None),
        user=_given(hints.user),
        safety_identifier=_given(hints.safety_identifier),
        metadata=hints.metadata or UNSET,
        service_tier=_given(hints.tier),
        prompt_cache_key=_given(hints.prompt_cache_key),
        prompt_cache_retention=_given(hints.prompt_cache_retention),
        prompt_cache_options=cache_wish(hints.prompt_cache_options),
    )
    return msgspec.json.encode(request)


def to_count(turn: Turn, config: Config) -> bytes:
    """Write the prompt of a turn as JSON, for whoever counts its tokens. Raises `UpstreamError` as `to_wire` does."""
    prompt = shapes.Prompt(
        model=_given(config.model or turn.model),
        messages=tell(turn, config),
        tools=[_tool(function, config) for function in _allowed(turn)] or UNSET,
    )
    return msgspec.json.encode(prompt)


def mended(turn: Turn, config: Config, body: bytes) -> Config | None:
    """The settings with which a turn is asked again after an error answer; None where nothing would be otherwise.

    The limit of the answer goes by its other name, and a hint or the earlier thoughts are left out, if the upstream
    does not know them.
    """
    if turn.max_output_tokens is not None and rejects_field(body, config.max_tokens_field):
        is_new = config.max_tokens_field == "max_completion_tokens"
        return replace(config, max_tokens_field="max_tokens" if is_new else "max_completion_tokens")
    if turn.thoughts and config.send_reasoning and rejects_field(body, config.reasoning_field):
        return replace(config, send_reasoning=False)
    wish = without_refused(turn.hints, config.hints, body)
    return None if wish is None else replace(config, hints=wish)


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _allowed(turn: Turn) -> list[Function]:
    names = turn.choice.names
    return turn.functions if names is None else [function for function in turn.functions if function.name in names]


def _tool(function: Function, config: Config) -> shapes.Tool:
    function = narrowed(function) if config.grammars == "pattern" else function
    return shapes.Tool(
        shapes.Function(
            name=function.name,
            parameters=function.parameters,
            description=_given(function.description),
            strict=True if function.strict else UNSET,
        )
    )


def _choice(turn: Turn, functions: list[Function], *, named: bool) -> shapes.ToolChoice | UnsetType:
    choice = turn.choice
    if choice.mode == "required" and choice.names is not None and len(functions) == 1 and named:
        return shapes.NamedChoice(shapes.Name(functions[0].name))
    return UNSET if choice.mode == "auto" else choice.mode


def _response_format(turn: Turn) -> shapes.ResponseFormat | UnsetType:
    match turn.text.format if turn.text else None:
        case FormatJsonObject():
            return shapes.JsonObject()
        case FormatJsonSchema() as form:
            schema = shapes.Schema(
                name=form.name,
                schema_=form.schema_,
                description=_given(form.description),
                strict=_given(form.strict),
            )
            return shapes.JsonSchema(schema)
        case FormatText() | None:
            return UNSET
