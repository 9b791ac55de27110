"""The only words between the server and a model: one call to it, complete and independent of any dialect."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from antiphon.core.deltas import KeepsakeForm
from antiphon.protocol.content import InputPart
from antiphon.protocol.items import Item
from antiphon.protocol.request import CacheRequest, CacheRetention, ServiceTier
from antiphon.protocol.settings import Reasoning, TextConfig
from antiphon.protocol.tool_settings import CustomGrammar
from antiphon.protocol.tools import Tool

Output = str | list[InputPart]
"""What a model reads of a hosted call: text, or parts of which some may be images."""


class Function(Struct, frozen=True):
    """What a model may call, whoever runs it.

    ``parameters`` is a JSON Schema as JSON text (``{"type": "object", "properties": {}}`` where the request gave none).
    ``tool`` is the tool of the client's that the function stands for, where that is none of the type ``function``: an
    upstream may know it natively. ``grammar`` is what the text in its one argument ``input`` must fit.
    """

    name: str
    parameters: Raw
    description: str | None = None
    strict: bool = False
    tool: Tool | None = None
    grammar: CustomGrammar | None = None


class Choice(Struct, frozen=True):
    """Whether the model may call, must call, and which functions it may choose from.

    ``names`` are the only functions that it may call; None stands for all that the turn declares. A demand for one
    named function is ``Choice("required", [name])``.
    """

    mode: Literal["none", "auto", "required"] = "auto"
    names: list[str] | None = None


class Thinking(Struct, frozen=True):
    """What a model thought, as only the server knows it: for the model that thought it, and nobody else.

    ``text`` is the thought itself, as far as the upstream told it; ``token`` is what the upstream wants back with it,
    in the ``form`` that `antiphon.core.deltas.Keepsake` names. ``model`` is the deployment that thought it.
    """

    text: str = ""
    form: KeepsakeForm | None = None
    token: str = ""
    model: str = ""


class Hints(Struct, frozen=True):
    """What a request says to the upstream beside the conversation; a backend passes on what its upstream knows."""

    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] = {}
    tier: ServiceTier | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: CacheRetention | None = None
    prompt_cache_options: CacheRequest | None = None


class Turn(Struct, frozen=True):
    """One call to a model.

    ``model`` is the name that the caller used, for upstreams that serve several. ``items`` is the transcript, oldest
    first, with every reference resolved and every call paired with its output. ``outputs`` maps the id of a hosted call
    to what the model reads as its result. A sampling setting is None where the request did not name it, and the
    upstream's own default holds. ``handed_over`` are tools that the upstream shall run itself, secrets included; only a
    backend whose upstream speaks the Responses API is given any. ``thoughts`` has what was thought in the reasoning
    items among ``items``, by their ids: only what this model may see again.
    """

    items: list[Item]
    model: str | None = None
    instructions: str | None = None
    outputs: dict[str, Output] = {}
    functions: list[Function] = []
    choice: Choice = Choice()
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_logprobs: int | None = None
    logprobs: bool = False
    max_output_tokens: int | None = None
    hints: Hints = Hints()
    thoughts: dict[str, Thinking] = {}
    handed_over: list[Tool] = []
