"""Schemas that llama.cpp's grammar follows."""

from __future__ import annotations

import pytest

from antiphon.backends.llama.schemas import DEPTH, Schema, UnfitSchemaError, alone, fit, placed

ROOT = "#/$defs/root"


def test_references_follow_a_schema_to_its_new_place() -> None:
    """Every reference is led to where its target stands now."""
    node: Schema = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/end"}]}}}
    moved = alone({**node, "$defs": {"end": {"type": "null"}}})
    assert moved == {
        "$ref": ROOT,
        "$defs": {
            "root": {
                "type": "object",
                "properties": {
                    "next": {"anyOf": [{"$ref": ROOT}, {"$ref": f"{ROOT}/$defs/end"}]},
                },
                "$defs": {"end": {"type": "null"}},
            },
        },
    }


def test_each_schema_keeps_its_references_to_itself() -> None:
    """Two schemas with equal names inside do not meet."""
    one: Schema = {"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}
    two: Schema = {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string"}}}
    references, definitions = placed([one, two])
    assert references == [{"$ref": "#/$defs/s0"}, {"$ref": "#/$defs/s1"}]
    assert definitions == {
        "s0": {"$ref": "#/$defs/s0/$defs/x", "$defs": {"x": {"type": "null"}}},
        "s1": {"$ref": "#/$defs/s1/$defs/x", "$defs": {"x": {"type": "string"}}},
    }


def test_values_are_no_schemas() -> None:
    """What looks like a schema inside a constant stays as it is."""
    value: Schema = {"const": {"$ref": "#/a", "pattern": "\\d"}, "enum": [{"pattern": "x"}]}
    assert value == fit(value, "#/$defs/root")


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    """Names of properties are no keywords."""
    schema: Schema = {"properties": {"const": {"$ref": "#/x"}, "pattern": {"type": "string"}}}
    assert fit(schema, "#/r") == {"properties": {"const": {"$ref": "#/r/x"}, "pattern": {"type": "string"}}}


def test_patterns_are_made_fit_or_left_out() -> None:
    """A string with a pattern that cannot be followed is free."""
    schema: Schema = {"properties": {"a": {"type": "string", "pattern": r"^\d$"}, "b": {"pattern": "(?=x)"}}}
    assert fit(schema) == {"properties": {"a": {"type": "string", "pattern": "^[0-9]$"}, "b": {}}}


def test_a_format_that_llama_cpp_does_not_know_becomes_a_pattern() -> None:
    """Formats that it knows stay."""
    assert "pattern" in fit({"type": "string", "format": "ipv4"})
    assert fit({"type": "string", "format": "date"}) == {"type": "string", "format": "date"}


@pytest.mark.parametrize(("least", "most"), [("minLength", "maxLength"), ("minItems", "maxItems")])
def test_bounds_that_cross_are_refused(least: str, most: str) -> None:
    """llama.cpp counts from the smaller one until the memory is full."""
    with pytest.raises(UnfitSchemaError, match=f"{least} of 5 above its {most} of 2"):
        fit({"properties": {"a": {least: 5, most: 2}}})


def test_a_schema_of_endless_depth_is_refused() -> None:
    """A native stack has an end."""
    schema: Schema = {}
    for _ in range(DEPTH + 1):
        schema = {"items": schema}
    with pytest.raises(UnfitSchemaError, match="levels"):
        fit(schema)
