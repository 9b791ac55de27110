"""Schemas, as the API takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.backends.anthropic.schemas import fitted

if TYPE_CHECKING:
    from antiphon.protocol.parts import Json


def test_every_object_is_closed() -> None:
    """Wherever it stands."""
    item: dict[str, Json] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    closed: dict[str, Json] = {**item, "additionalProperties": False}
    schema: dict[str, Json] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": item, "minItems": 1},
            "either": {"oneOf": [item, {"type": "null"}]},
            "any": {"anyOf": [{"$ref": "#/$defs/item"}, True]},
        },
        "$defs": {"item": item},
        "additionalProperties": {"type": "string"},
    }
    assert fitted(schema) == {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": closed, "minItems": 1},
            "either": {"anyOf": [closed, {"type": "null"}]},
            "any": {"anyOf": [{"$ref": "#/$defs/item"}, True]},
        },
        "$defs": {"item": closed},
        "additionalProperties": False,
    }


def test_what_the_api_does_not_take_is_told_in_words() -> None:
    """Bounds, lengths and foreign formats; what says nothing is left out."""
    assert fitted({"type": "integer", "minimum": 1, "maximum": 5, "description": "A number."}) == {
        "type": "integer",
        "description": 'A number.\nIt must also fit {"minimum":1,"maximum":5}',
    }
    assert fitted({"type": "array", "minItems": 2, "$comment": "x"}) == {
        "type": "array",
        "description": 'It must also fit {"minItems":2}',
    }
    assert fitted({"type": "string", "format": "date"}) == {"type": "string", "format": "date"}
    assert fitted({"type": "string", "format": "color"}) == {
        "type": "string",
        "description": 'It must also fit {"format":"color"}',
    }


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    """Names are no keywords."""
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {"minimum": {"type": "number"}, "items": {"type": "string"}},
    }
    assert fitted(schema) == {**schema, "additionalProperties": False}


def test_the_schema_that_was_given_is_left_as_it_was() -> None:
    """It is the request's."""
    schema: dict[str, Json] = {"type": "object", "minProperties": 1}
    fitted(schema)
    assert schema == {"type": "object", "minProperties": 1}
