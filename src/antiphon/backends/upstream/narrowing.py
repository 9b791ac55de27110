"""Makes the grammar of a custom tool part of a function's schema, for upstreams that obey a schema and no grammar."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from antiphon.grammars import pattern_of

if TYPE_CHECKING:
    from antiphon.core.turn import Function
    from antiphon.protocol.tool_settings import CustomGrammar

KEPT = 64
"""How many patterns are remembered: the same tools come with every turn."""

ARGUMENT = "input"


def narrowed(function: Function) -> Function:
    """The function with its grammar as the ``pattern`` of its one argument, and strict, so that the pattern is obeyed.

    Where there is no grammar, or none that a pattern can say, the function stays as it is.
    """
    pattern = None if function.grammar is None else _pattern(function.grammar)
    if pattern is None:
        return function
    schema: dict[str, Any] = msgspec.json.decode(function.parameters)  # a schema is open
    properties: dict[str, Any] = schema.get("properties", {})  # as above
    argument = {"type": "string", **properties.get(ARGUMENT, {}), "pattern": pattern}
    narrow = {**schema, "properties": {**properties, ARGUMENT: argument}}
    return replace(function, parameters=Raw(msgspec.json.encode(narrow)), strict=True)


@lru_cache(maxsize=KEPT)
def _pattern(grammar: CustomGrammar) -> str | None:
    return pattern_of(grammar)
