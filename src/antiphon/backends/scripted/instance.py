"""Makes the least JSON that fits a schema. Pure and deterministic.

Understood: ``$ref`` within the schema, ``const``, ``enum``, ``allOf``, ``anyOf``, ``oneOf``, the bounds of each type
(``required``, ``prefixItems``, ``minItems``, ``minLength``, the bounds of numbers, ``multipleOf``) and the common
formats. A ``pattern`` is not.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

Json: TypeAlias = object
"""Any JSON value; a schema is one until it is read as a `Schema`."""

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


class Schema(Struct, frozen=True, rename="camel"):
    """The keywords that are understood."""

    ref: str | None = field(default=None, name="$ref")
    const: Json | UnsetType = UNSET
    enum: list[Json] = []
    any_of: list[Json] = []
    one_of: list[Json] = []
    all_of: list[Json] = []
    type: str | list[str] | None = None
    properties: dict[str, Json] = {}
    required: list[str] = []
    items: Json = True
    prefix_items: list[Json] = []
    min_items: int = 0
    min_length: int = 0
    format: str | None = None
    minimum: float = -math.inf
    exclusive_minimum: float = -math.inf
    maximum: float = math.inf
    exclusive_maximum: float = math.inf
    multiple_of: float = 0

    def admits(self, number: float) -> bool:
        """Tell whether a number lies between the bounds."""
        return self.minimum <= number <= self.maximum and self.exclusive_minimum < number < self.exclusive_maximum


def instance(schema: Json) -> Json:
    """Give the least value that a JSON Schema admits; null for a schema that cannot be read or followed."""
    return _Maker(schema).made(schema, DEPTH)


class _Maker:
    """Makes values for the parts of one schema, the root of its references."""

    def __init__(self, root: Json) -> None:
        self._root = root

    def made(self, node: Json, depth: int) -> Json:
        schema = _read(node)
        if depth == 0 or schema is None:
            return None
        if schema.const is not UNSET:
            return schema.const
        if schema.enum:
            return schema.enum[0]
        if schema.ref is not None:
            return self.made(self._found(schema.ref), depth - 1)
        if chosen := schema.any_of or schema.one_of:
            return self.made(chosen[0], depth - 1)
        if schema.all_of:
            return _joined([self.made(member, depth - 1) for member in schema.all_of])
        return self._of_type(schema, depth)

    def _of_type(self, schema: Schema, depth: int) -> Json:
        match _type(schema):
            case "object":
                return {name: self.made(schema.properties.get(name), depth - 1) for name in schema.required}
            case "array" if schema.prefix_items:
                return [self.made(member, depth - 1) for member in schema.prefix_items]
            case "array":
                return [self.made(schema.items, depth - 1)] * schema.min_items
            case "string":
                return FORMATS.get(schema.format or "", "x" * schema.min_length)
            case "integer":
                return math.ceil(_number(schema, whole=True))
            case "number":
                return _number(schema, whole=False)
            case "boolean":
                return False
            case _:
                return None

    def _found(self, pointer: str) -> Json:
        place = self._root
        for step in pointer.removeprefix("#").split("/")[1:]:
            place = _members(place).get(step.replace("~1", "/").replace("~0", "~"))
        return place


def _read(node: Json) -> Schema | None:
    try:
        return msgspec.convert(node, Schema)
    except msgspec.ValidationError:  # ``true``, or a keyword of another draft
        return None


def _type(schema: Schema) -> str | None:
    match schema.type:
        case str(name):
            return name
        case None:
            return "object" if schema.properties or schema.required else None
        case names:
            return names[0] if names else None


def _number(schema: Schema, *, whole: bool) -> float:
    """Give 0 where it fits, else the number next to the bound that is in its way."""
    low, high = max(schema.minimum, schema.exclusive_minimum), min(schema.maximum, schema.exclusive_maximum)
    step = 1 if whole else min(1, (high - low) / 2)
    if schema.admits(0):
        number = 0.0
    elif low >= 0:
        number = low if schema.admits(low) else low + step
    else:
        number = high if schema.admits(high) else high - step
    return math.ceil(number / schema.multiple_of) * schema.multiple_of if schema.multiple_of else number


def _joined(values: list[Json]) -> Json:
    """Give the objects as one; of other values the first fits as well as any."""
    objects = [_members(value) for value in values]
    return {name: value for each in objects for name, value in each.items()} if any(objects) else values[0]


def _members(value: Json) -> dict[str, Json]:
    try:
        return msgspec.convert(value, dict[str, Json])
    except msgspec.ValidationError:
        return {}
