"""Makes the least JSON that fits a schema. Pure and deterministic.

Understood: ``$ref`` within the schema, ``const``, ``enum``, ``allOf``, ``anyOf``, ``oneOf``, the bounds of each type
(``required``, ``prefixItems``, ``minItems``, ``minLength``, the bounds of numbers, ``multipleOf``) and the common
formats. A ``pattern`` is not.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import msgspec
from msgspec import Struct

Json: TypeAlias = object  # what msgspec decodes; every access below is a match
DEPTH = 64
"""How deep a schema is followed; one that goes on for ever has no instance, and null stands for it."""

FORMATS = {
    "date-time": "2000-01-01T00:00:00Z",
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class Bounds(Struct, frozen=True, rename="camel"):
    """What bounds a number."""

    minimum: float = -math.inf
    exclusive_minimum: float = -math.inf
    maximum: float = math.inf
    exclusive_maximum: float = math.inf
    multiple_of: float = 0

    def admit(self, number: float) -> bool:
        """Tell whether a number lies between the bounds."""
        return self.minimum <= number <= self.maximum and self.exclusive_minimum < number < self.exclusive_maximum


def instance(schema: Json) -> Json:
    """Give the least value that a JSON Schema admits."""
    return _made(schema, schema, DEPTH)


def _made(schema: Json, root: Json, depth: int) -> Json:
    if depth == 0:
        return None
    match schema:
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"$ref": str(pointer)}:
            return _made(_found(pointer, root), root, depth - 1)
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
            return _made(first, root, depth - 1)
        case {"allOf": [*members]}:
            return _joined([_made(member, root, depth - 1) for member in members])
        case {"type": [*names]}:
            return _of_type(names[0] if names else None, schema, root, depth)
        case {"type": name}:
            return _of_type(name, schema, root, depth)
        case {"properties": _} | {"required": _}:
            return _of_type("object", schema, root, depth)
        case _:
            return None


def _of_type(name: Json, schema: Json, root: Json, depth: int) -> Json:
    match name:
        case "object":
            return _object(schema, root, depth)
        case "array":
            return _array(schema, root, depth)
        case "string":
            return _string(schema)
        case "integer":
            return math.ceil(_number(schema, whole=True))
        case "number":
            return _number(schema, whole=False)
        case "boolean":
            return False
        case _:
            return None


def _object(schema: Json, root: Json, depth: int) -> Json:
    match schema:
        case {"required": [*names], "properties": dict(properties)}:
            return {name: _made(properties.get(name), root, depth - 1) for name in names}
        case {"required": [*names]}:
            return dict.fromkeys(names)
        case _:
            return {}


def _array(schema: Json, root: Json, depth: int) -> Json:
    match schema:
        case {"prefixItems": [*members]}:
            return [_made(member, root, depth - 1) for member in members]
        case {"minItems": int(least), "items": member}:
            return [_made(member, root, depth - 1)] * least
        case {"minItems": int(least)}:
            return [None] * least
        case _:
            return []


def _string(schema: Json) -> str:
    match schema:
        case {"format": str(form)} if form in FORMATS:
            return FORMATS[form]
        case {"minLength": int(least)}:
            return "x" * least
        case _:
            return ""


def _number(schema: Json, *, whole: bool) -> float:
    """Give 0 where it fits, else the number next to the bound that is in its way."""
    try:
        bounds = msgspec.convert(schema, Bounds)
    except msgspec.ValidationError:  # draft 4 says `true` where later ones say a number
        return 0
    low, high = max(bounds.minimum, bounds.exclusive_minimum), min(bounds.maximum, bounds.exclusive_maximum)
    step = 1 if whole else min(1, (high - low) / 2)
    if bounds.admit(0):
        number = 0.0
    elif low >= 0:
        number = low if bounds.admit(low) else low + step
    else:
        number = high if bounds.admit(high) else high - step
    return math.ceil(number / bounds.multiple_of) * bounds.multiple_of if bounds.multiple_of else number


def _joined(values: list[Json]) -> Json:
    whole: dict[Json, Json] = {}
    for value in values:
        if not isinstance(value, dict):
            return value
        whole |= value
    return whole


def _found(pointer: str, root: Json) -> Json:
    place = root
    for step in pointer.removeprefix("#").strip("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        match place:
            case dict() if name in place:
                place = place[name]
            case _ if not name:
                pass
            case _:
                return None
    return place
