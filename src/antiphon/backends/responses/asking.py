"""Turns a turn into the body of a request to the Responses API. Pure; only what the turn names is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from antiphon.backends.responses import shapes
from antiphon.backends.responses.natives import Natives
from antiphon.backends.responses.telling import servers, tell
from antiphon.backends.upstream.faults import rejects_field
from antiphon.backends.upstream.hints import cache_wish, passed, without_refused

if TYPE_CHECKING:
    from antiphon.backends.responses.config import Config
    from antiphon.core.turn import Function, Turn

T = TypeVar("T")
LOGPROBS = "message.output_text.logprobs"
SEALED = "reasoning.encrypted_content"
SEALED_WORDS = ("include", SEALED, "Encrypted content")
"""What an upstream calls the wish for encrypted reasoning where it refuses it."""

LOCAL_SHELL: shapes.Bare = {"type": "local_shell"}


def to_wire(turn: Turn, config: Config) -> bytes:
    """Write the request for a turn as JSON.

    Raises `UpstreamError` (``invalid_request``) for a file or image that is still a mere reference.
    """
    natives = Natives(turn, config.native_tools)
    hints = passed(turn.hints, config.hints)
    tools = _tools(turn, natives)
    request = shapes.Request(
        truncation="auto" if natives.declare("computer_use_preview") else UNSET,  # its model answers to nothing else
        model=_given(config.model or turn.model),
        instructions=turn.instructions or UNSET,
        input=tell(turn, config, natives),
        tools=tools or UNSET,
        tool_choice=_choice(turn, natives) if tools else UNSET,
        parallel_tool_calls=_given(turn.parallel_tool_calls) if tools else UNSET,
        text=_text(turn),
        reasoning=_reasoning(turn) or UNSET,
        include=_include(turn, config, natives) or UNSET,
        top_logprobs=turn.top_logprobs or UNSET,
        temperature=_given(turn.temperature),
        top_p=_given(turn.top_p),
        presence_penalty=_given(turn.presence_penalty),
        frequency_penalty=_given(turn.frequency_penalty),
        max_output_tokens=_given(turn.max_output_tokens),
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
    """Write what the tokens of a turn's prompt are counted of, as JSON. Raises `UpstreamError` as `to_wire` does."""
    natives = Natives(turn, config.native_tools)
    tools = _tools(turn, natives)
    prompt = shapes.Prompt(
        model=_given(config.model or turn.model),
        instructions=turn.instructions or UNSET,
        input=tell(turn, config, natives),
        tools=tools or UNSET,
        tool_choice=_choice(turn, natives) if tools else UNSET,
        parallel_tool_calls=_given(turn.parallel_tool_calls) if tools else UNSET,
        text=_text(turn),
        reasoning=_reasoning(turn) or UNSET,
    )
    return msgspec.json.encode(prompt)


def mended(turn: Turn, config: Config, body: bytes) -> Config | None:
    """The settings with which a turn is asked again after an error answer; None where nothing would be otherwise.

    A hint is left out if the upstream does not know it, and encrypted reasoning if its model has none.
    """
    if SEALED in _include(turn, config, Natives(turn, config.native_tools)) and any(
        rejects_field(body, words) for words in SEALED_WORDS
    ):
        return replace(config, encrypted_reasoning=False)
    wish = without_refused(turn.hints, config.hints, body)
    return None if wish is None else replace(config, hints=wish)


def _include(turn: Turn, config: Config, natives: Natives) -> list[str]:
    """What is asked for beside the answer. A model that does not reason may refuse to be asked for its thoughts.

    One that knows a computer reasons before each call, whether or not the request speaks of it.
    """
    shows_logprobs = turn.logprobs or bool(turn.top_logprobs)
    is_thoughtful = bool(_reasoning(turn) or turn.thoughts) or natives.declare("computer", "computer_use_preview")
    reasons = config.encrypted_reasoning and is_thoughtful
    return [*([LOGPROBS] if shows_logprobs else []), *([SEALED] if reasons else [])]


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _bare(struct: Struct) -> shapes.Bare:
    """A struct of the API's without the nulls right in it; a schema inside keeps its own."""
    keys: shapes.Bare = msgspec.to_builtins(struct)
    return shapes.without_nulls(keys)


def _reasoning(turn: Turn) -> shapes.Bare:
    return {} if turn.reasoning is None else _bare(turn.reasoning)


def _tools(turn: Turn, natives: Natives) -> list[shapes.Function | shapes.Bare]:
    own = [natives.declared(function) or _function(function) for function in turn.functions]
    return [*own, *map(_bare, turn.handed_over)]


def _function(function: Function) -> shapes.Function:
    return shapes.Function(
        name=function.name,
        parameters=function.parameters,
        strict=function.strict,
        description=_given(function.description),
    )


def _choice(turn: Turn, natives: Natives) -> shapes.ToolChoice | UnsetType:
    mode, names = turn.choice.mode, turn.choice.names
    if names is None or mode == "none":
        return UNSET if mode == "auto" else mode
    # A choice of a handed-over server's tools names no function of the turn.
    if not names and turn.handed_over:
        return shapes.Allowed(mode, [shapes.Server(tool.server_label) for tool in servers(turn)])
    tools = [natives.choice(name) for name in names]
    match tools:
        case []:
            return "none"
        case [tool] if mode == "required" and tool != LOCAL_SHELL:  # which the API cannot demand in this way
            return tool
        case _:
            return shapes.Allowed(mode, tools)


def _text(turn: Turn) -> shapes.Text | UnsetType:
    if turn.text is None:
        return UNSET
    form = turn.text.format
    text = shapes.Text(UNSET if form is None else _bare(form), _given(turn.text.verbosity))
    return UNSET if text == shapes.Text() else text
