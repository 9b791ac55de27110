"""The only words between the server and a model: one call to it, complete and independent of any dialect."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from antiphon.protocol.content import InputPart
from antiphon.protocol.items import Item
from antiphon.protocol.settings import Reasoning, TextConfig
from antiphon.protocol.tools import Tool

Output = str | list[InputPart]
"""What a model reads of a hosted call: text, or parts of which some may be images."""


class Function(Struct, frozen=True):
    """What a model may call, whoever runs it.

    ``parameters`` is a JSON Schema as JSON text (``{"type": "object", "properties": {}}`` where the request gave none).
    """

    name: str
    parameters: Raw
    description: str | None = None
    strict: bool = False


class Choice(Struct, frozen=True):
    """Whether the model may call, must call, and which functions it may choose from.

    ``names`` are the only functions that it may call; None stands for all that the turn declares. A demand for one
    named function is ``Choice("required", [name])``.
    """

    mode: Literal["none", "auto", "required"] = "auto"
    names: list[str] | None = None


class Turn(Struct, frozen=True):
    """One call to a model.

    ``model`` is the name that the caller used, for upstreams that serve several. ``items`` is the transcript, oldest
    first, with every reference resolved and every call paired with its output. ``outputs`` maps the id of a hosted call
    to what the model reads as its result. A sampling setting is None where the request did not name it, and the
    upstream's own default holds. ``handed_over`` are tools that the upstream shall run itself, secrets included; only a
    backend whose upstream speaks the Responses API is given any.
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
    user: str | None = None
    handed_over: list[Tool] = []
