"""What single keywords of a JSON Schema become in llama.cpp's grammar. Pure.

What the grammar cannot hold falls away, and the model is told less strictly: a bound that is too large, a value that
is too long, a pattern that it does not know.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from antiphon.backends.llama.errors import UnfitSchemaError
from antiphon.backends.llama.patterns import FORMATS, fitted, weight

if TYPE_CHECKING:
    from collections.abc import Sequence

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Schema: TypeAlias = dict[str, Json]

DEPTH: Final = 150
NODES: Final = 500
"""How many schemas one may consist of: the work for the properties of one object grows with their third power."""
TURN_NODES: Final = 4_000
SIZE: Final = 100_000
"""How many repetitions and characters of values the grammar of a turn may hold."""
REPEATS: Final = 2_000
VALUES: Final = 500
VALUE: Final = 2_000
VALUE_DEPTH: Final = 50
FORMAT: Final = 64
LARGEST: Final = 10**15 - 1
"""llama.cpp writes a bounded integer with 15 digits."""

TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")
TEXTS: Final = ("title", "description", "$comment")
NOTES: Final = ("default", "example", "examples", "multipleOf", "uniqueItems", "deprecated", "readOnly", "writeOnly")


class Budget:
    """What is left for the schemas of one turn; the one owner of these counts."""

    def __init__(self, nodes: int = TURN_NODES) -> None:
        self._turn = nodes
        self._schema = NODES
        self._size = SIZE

    def begin(self) -> None:
        """Begin with the next schema of the turn."""
        self._schema = NODES

    def take(self, depth: int) -> None:
        """Take one schema at this depth. Raises `UnfitSchemaError` where there are too many or too deep ones."""
        if depth > DEPTH:
            raise UnfitSchemaError(f"The embedded model follows JSON Schemas of at most {DEPTH} levels.")
        self._turn -= 1
        self._schema -= 1
        if self._schema < 0:
            raise UnfitSchemaError(f"The embedded model follows JSON Schemas of at most {NODES} parts.")
        if self._turn < 0:
            raise UnfitSchemaError(f"The embedded model follows at most {TURN_NODES} parts of JSON Schemas at a time.")

    def holds(self, size: int) -> bool:
        """Take so much of the grammar's room, if there is."""
        if size > self._size:
            return False
        self._size -= size
        return True


def types(schema: Schema) -> list[str]:
    """The types that a schema names or means; none where it takes any value."""
    named = schema.get("type")
    if named is None:
        return _meant(schema)
    names = named if isinstance(named, list) else [named]
    known = [each for each in TYPES if each in names]
    if not known or any(each not in TYPES for each in names):
        raise UnfitSchemaError("The JSON Schema has a type that does not exist.")
    return known


def notes(schema: Schema) -> Schema:
    """What a schema says to its reader alone."""
    texts: Schema = {key: schema[key] for key in TEXTS if isinstance(schema.get(key), str)}
    return texts | {key: schema[key] for key in NOTES if key in schema and _is_flat(schema[key])}


def values(schema: Schema, budget: Budget) -> Schema:
    """The constant or the enumeration of a schema; nothing where there is none that the grammar can hold."""
    if "const" in schema:
        return {"const": schema["const"]} if _are_held([schema["const"]], budget) else {}
    if "enum" not in schema:
        return {}
    match schema["enum"]:
        case list(several) if several:
            return {"enum": several} if _are_held(several, budget) else {}
        case _:
            raise UnfitSchemaError("The JSON Schema has an enum without values.")


def counts(schema: Schema, least: str, most: str, *, budget: Budget) -> Schema:
    """The bounds of a length; neither where they cross."""
    found = {key: count for key in (least, most) if (count := _count(schema.get(key))) is not None}
    if found.get(least, 0) > found.get(most, REPEATS) or not budget.holds(sum(found.values())):
        return {}
    return {**found}


def string(schema: Schema, budget: Budget) -> Schema:
    """Pattern, format and length of a string."""
    form = counts(schema, "minLength", "maxLength", budget=budget)
    pattern = fitted(text) if isinstance(text := schema.get("pattern"), str) else None
    named = schema.get("format")
    if not isinstance(named, str) or len(named) > FORMAT:
        named = None
    pattern = FORMATS.get(named) if pattern is None and named is not None else pattern
    if pattern is not None and budget.holds(weight(pattern)):
        return {**form, "pattern": pattern}
    return form if named is None or named in FORMATS else {**form, "format": named}


def number(schema: Schema, *, whole: bool) -> Schema:
    """The bounds of a number, or of an integer if ``whole``; neither where they cross."""
    lows = [_bound(schema.get("minimum"), whole=whole, up=True, step=0)]
    highs = [_bound(schema.get("maximum"), whole=whole, up=False, step=0)]
    if whole:
        lows.append(_bound(schema.get("exclusiveMinimum"), whole=True, up=True, step=1))
        highs.append(_bound(schema.get("exclusiveMaximum"), whole=True, up=False, step=1))
    low = max((each for each in lows if each is not None), default=None)
    high = min((each for each in highs if each is not None), default=None)
    if low is not None and high is not None and low > high:
        return {}
    return {key: each for key, each in (("minimum", low), ("maximum", high)) if each is not None}


def _meant(schema: Schema) -> list[str]:
    if "properties" in schema or "additionalProperties" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    return ["string"] if isinstance(schema.get("pattern"), str) else []


def _bound(value: Json, *, whole: bool, up: bool, step: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST < value < LARGEST:
        return None
    if not whole:
        return value
    if up:
        return math.floor(value) + 1 if step else math.ceil(value)
    return math.ceil(value) - 1 if step else math.floor(value)


def _count(value: Json) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= REPEATS else None


def _are_held(several: Sequence[Json], budget: Budget) -> bool:
    if len(several) > VALUES or not all(_is_held(each, VALUE_DEPTH) for each in several):
        return False
    sizes = [len(msgspec.json.encode(each)) for each in several]
    return max(sizes) <= VALUE and budget.holds(sum(sizes))


def _is_held(value: Json, levels: int) -> bool:
    match value:
        case dict():
            return levels > 0 and all(_is_held(each, levels - 1) for each in value.values())
        case list():
            return levels > 0 and all(_is_held(each, levels - 1) for each in value)
        case int() | float():
            return -(2**63) <= value < 2**63
        case _:
            return True


def _is_flat(value: Json) -> bool:
    return _is_held(value, 1) and not isinstance(value, dict)
