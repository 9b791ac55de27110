"""Schemas as servers of others write them: ordinary ones, and those that would bring llama.cpp down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from antiphon.backends.llama.keywords import Schema


def deep(levels: int) -> Schema:
    """Objects within each other."""
    schema: Schema = {"type": "null"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    return schema


def chained(length: int) -> Schema:
    """A definition that leads to the next."""
    chain: Schema = {f"d{n}": {"properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**chain, f"d{length}": {"type": "null"}}}


def x(schema: Schema | bool) -> Schema:  # noqa: FBT001  # true and false are schemas
    """An object with a property that must be there."""
    return {"type": "object", "properties": {"x": schema}, "required": ["x"]}


SELF: Final[Schema] = {
    "type": "object",
    "properties": {"x": {"allOf": [{"$ref": "#/$defs/a"}]}},
    "$defs": {"a": {"type": "object", "properties": {"y": {"allOf": [{"$ref": "#/$defs/a"}]}}}},
}

CYCLES: Final[list[Schema]] = [
    {"$ref": "#"},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    {"allOf": [{"$ref": "#"}]},
    {"allOf": [{"$ref": "#"}, {"type": "object"}]},
    {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    {"properties": {"x": {"oneOf": [{"$ref": "#/properties/x"}]}}},
    {"properties": {"x": {"allOf": [{"$ref": "#"}, {"properties": {"y": {}}}]}}},
    {"items": {"allOf": [{"anyOf": [{"$ref": "#/items"}]}, {"$ref": "#/items"}]}},
]
"""They refer to themselves without an end, or through an ``allOf`` of several."""

ORDINARY: Final[list[Schema]] = [
    x(True),
    x(False),
    x({"items": True}),
    x({"anyOf": [True, {"type": "null"}]}),
    x({"allOf": [True, {"type": "string"}]}),
    x({"not": {"$ref": "#/properties/x"}}),
    {**x({"$ref": "#/$defs/a~1b~0c"}), "$defs": {"a/b~c": {"type": "string"}}},
    {**x({"$ref": "#/definitions/Foo%20Bar"}), "definitions": {"Foo Bar": {"type": "string"}}},
    x({"type": "string", "minLength": 1_000_000, "maxLength": 10**12}),
    x({"type": "array", "items": {"type": "string"}, "minItems": 100_000}),
    x({"type": "number", "minimum": -1e300, "maximum": 1e300}),
    x({"type": "integer", "minimum": -(10**18), "maximum": 10**18}),
    x({"enum": [10**300, "a"]}),
    x({"type": "string", "minLength": 9, "maxLength": 3}),
    x({"type": ["string", "null"], "format": "uri", "default": None}),
    {**x({"type": "string"}), "anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
    {"type": "object", "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a]^-": {}, "": {}}, "additionalProperties": {"type": "string"}},
    SELF,
]

WORST: Final[list[Schema]] = [
    SELF,
    {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(5_000)}},
    {"type": "object", "properties": {f"p{n}": {} for n in range(490)}},
    {"type": "object", "properties": {"é" * 100_000: {"type": "null"}}},
    chained(240),
    deep(140),
    x({"allOf": [{"$ref": "#/properties/x"}, {"properties": {"y": {"$ref": "#"}}}]}),
    x({"type": "string", "pattern": "(" * 400 + "a" + ")" * 400}),
    {
        "type": "object",
        "properties": {f"p{n}": {"type": "string", "minLength": 1_000, "maxLength": 1_900} for n in range(99)},
    },
    x({"enum": [f"value {n}" for n in range(500)]}),
]
"""What is at the edge of what the engine bears, or was beyond it."""
