"""Turns a turn into the body of a request to the Messages API. Pure; only what the turn names is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from antiphon.backends.anthropic import shapes
from antiphon.backends.anthropic.caching import Caching, Prompt, caching, marked
from antiphon.backends.anthropic.messages import Told, demanding, tell
from antiphon.backends.anthropic.schemas import fitted
from antiphon.backends.anthropic.thinking import Mind, mind
from antiphon.backends.anthropic.tooling import Tools, offer
from antiphon.backends.anthropic.traits import Traits, assumed
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, FormatText

if TYPE_CHECKING:
    from antiphon.backends.anthropic.config import Config
    from antiphon.core.turn import Turn
    from antiphon.protocol.request import ServiceTier

T = TypeVar("T")

HOTTEST = 1.0
"""The highest temperature that the API takes."""

COUNTED = frozenset({"model", "system", "messages", "tools", "tool_choice", "thinking", "output_config"})
"""What counts of a request when its length is asked for."""

JSON = "Answer with one JSON object and nothing else: no word and no code fence around it."


def to_wire(turn: Turn, config: Config, traits: Traits | None = None) -> bytes:
    """Write the request for a turn as JSON; ``traits`` is what is known of the model.

    Raises `UpstreamError` (``invalid_request``) for a part that the API does not take.
    """
    return msgspec.json.encode(_request(turn, config, traits or assumed(config)))


def to_count(turn: Turn, config: Config, traits: Traits | None = None) -> bytes:
    """Write the question how long a turn is, as JSON. Raises as `to_wire` does."""
    keys = msgspec.json.decode(to_wire(turn, config, traits), type=dict[str, Raw])
    return msgspec.json.encode({key: value for key, value in keys.items() if key in COUNTED})


def _request(turn: Turn, config: Config, traits: Traits) -> shapes.Request:
    limit = turn.max_output_tokens or config.max_tokens
    plan = caching(turn, config)
    told = tell(turn, remembers=traits.remembers, mark=plan.mark)
    tools = offer(turn, told.messages, traits)
    thinks = mind(turn, traits, limit=limit, forced=tools.forced, messages=told.messages)
    if traits.remembers and not thinks.remembers:
        told = tell(turn, remembers=False, mark=plan.mark)
    prompt = _prompt(turn, traits, told, tools, plan)
    temperature = _given(turn.temperature if thinks.samples else None)
    return shapes.Request(
        model=_given(config.model or turn.model),
        max_tokens=limit,
        system=prompt.system or UNSET,
        messages=prompt.messages,
        tools=prompt.tools or UNSET,
        tool_choice=tools.choice,
        thinking=thinks.thinking,
        output_config=_output_config(turn, traits, thinks),
        temperature=temperature if temperature is UNSET else min(temperature, HOTTEST),
        # newer models take one of the two
        top_p=_given(turn.top_p if thinks.samples and temperature is UNSET else None),
        metadata=_metadata(turn),
        service_tier=_tier(turn.hints.tier),
    )


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _prompt(turn: Turn, traits: Traits, told: Told, tools: Tools, plan: Caching) -> Prompt:
    form = _form_in_words(turn, traits)
    system = told.system if form is None else [*told.system, shapes.Text(form)]
    prompt = marked(Prompt(tools.tools, system, told.messages), plan)
    if tools.demand is None:
        return prompt
    # behind the marks: the next turn does not find it there
    return Prompt(prompt.tools, prompt.system, demanding(prompt.messages, tools.demand))


def _form_in_words(turn: Turn, traits: Traits) -> str | None:
    """The demand for a form that has no place in the request."""
    match turn.text.format if turn.text else None:
        case FormatJsonObject():
            return JSON
        case FormatJsonSchema(schema_=schema) if not traits.configures:
            return f"{JSON} It must fit this JSON Schema:\n{msgspec.json.encode(schema).decode()}"
        case FormatJsonSchema() | FormatText() | None:
            return None


def _output_config(turn: Turn, traits: Traits, thinks: Mind) -> shapes.OutputConfig | UnsetType:
    if not traits.configures:
        return UNSET
    form = turn.text.format if turn.text else None
    schema = shapes.JsonSchema(fitted(form.schema_)) if isinstance(form, FormatJsonSchema) else UNSET
    wanted = shapes.OutputConfig(thinks.effort, schema)
    return UNSET if wanted == shapes.OutputConfig() else wanted


def _metadata(turn: Turn) -> shapes.Metadata | UnsetType:
    user = turn.hints.safety_identifier or turn.hints.user
    return shapes.Metadata(user) if user else UNSET


def _tier(tier: ServiceTier | None) -> Literal["auto", "standard_only"] | UnsetType:
    match tier:
        case "auto" | "priority":
            return "auto"
        case "default":
            return "standard_only"
        case _:
            return UNSET
