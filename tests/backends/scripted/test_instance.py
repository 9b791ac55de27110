"""The least JSON that fits a schema."""

from __future__ import annotations

import jsonschema_rs
import pytest

from antiphon.backends.scripted.instance import instance


@pytest.mark.parametrize(
    ("schema", "least"),
    [
        ({}, None),
        (True, None),
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "string"}, ""),
        ({"type": "string", "minLength": 3}, "xxx"),
        ({"type": "string", "format": "date"}, "2000-01-01"),
        ({"type": "string", "format": "strange"}, ""),
        ({"type": ["string", "null"]}, ""),
        ({"type": []}, None),
        ({"type": "null"}, None),
        ({"type": "boolean"}, False),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "exclusiveMinimum": 0}, 1),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 4, "multipleOf": 3}, 6),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, 0.25),
        ({"type": "number", "maximum": -2}, -2.0),
        ({"type": "number", "minimum": -5, "maximum": 5}, 0.0),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, None),
        ({"type": "array"}, []),
        ({"type": "array", "minItems": 2, "items": {"type": "integer"}}, [0, 0]),
        ({"type": "array", "minItems": 1}, [None]),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, [1, 2]),
        ({"type": "object"}, {}),
        ({"type": "object", "required": ["a"]}, {"a": None}),
        ({"properties": {"a": {"const": 1}, "b": {}}, "required": ["a"]}, {"a": 1}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ""),
        ({"oneOf": [{"const": 2}]}, 2),
        ({"allOf": [{"required": ["a"]}, {"properties": {"b": {"const": 2}}, "required": ["b"]}]}, {"a": None, "b": 2}),
        ({"allOf": [{"type": "integer"}]}, 0),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 3}}}, 3),
        ({"$ref": "#/$defs/none"}, None),
    ],
)
def test_the_least_instance_of_a_schema(schema: object, least: object) -> None:
    """Every keyword that is understood, at its bound."""
    assert least == instance(schema)


def test_a_schema_without_end_has_an_end() -> None:
    """A type that must hold itself has no instance; it is cut."""
    made = instance({"$ref": "#", "type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}})
    assert made is None


def test_a_strict_schema_of_an_agent_is_satisfied() -> None:
    """Nested objects, unions and references, judged by a validator of another maker."""
    schema = {
        "type": "object",
        "properties": {
            "steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}},
            "score": {"type": "number", "minimum": 0.5, "maximum": 1},
            "mood": {"anyOf": [{"enum": ["calm"]}, {"type": "null"}]},
        },
        "required": ["steps", "score", "mood"],
        "additionalProperties": False,
        "$defs": {
            "step": {
                "type": "object",
                "properties": {"at": {"type": "string", "format": "date-time"}, "n": {"type": "integer"}},
                "required": ["at", "n"],
                "additionalProperties": False,
            }
        },
    }
    jsonschema_rs.validate(schema, instance(schema))
