"""Which schemas can be followed strictly, and the words for those that cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.protocol.strictness import MAX_DEPTH, strict_compatible, strict_problem

Schema = dict[str, Any]  # JSON Schema is open

CLOSED = "'additionalProperties' is required to be supplied and to be false."
ALL = "'required' is required to be supplied and to be an array including every key in properties."
TYPED = "schema must have a 'type' key."


def closed(**properties: object) -> Schema:
    """Make an object that can be followed strictly."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def nested(depth: int) -> Schema:
    """Put an object into an object, so many times."""
    schema = closed()
    for _ in range(depth):
        schema = closed(child=schema)
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        closed(),
        closed(a={"type": "string"}, b={"type": ["integer", "null"]}),
        closed(a={"enum": ["x", None]}, b={"const": 1}),
        closed(a={"type": "array", "items": closed(b={"type": "string"})}),
        closed(a={"anyOf": [closed(), {"type": "null"}]}),
        closed(a={"type": ["object", "null"], "properties": {}, "additionalProperties": False}),
        {**closed(a={"$ref": "#/$defs/A"}), "$defs": {"A": closed(again={"$ref": "#"})}},
        {**closed(a={"$ref": "#/definitions/a~1b~0"}), "definitions": {"a/b~": {"type": "string"}}},
        {"type": "object", "additionalProperties": False},
        {**closed(a={"type": "string"}), "$schema": "https://json-schema.org/draft/2020-12/schema"},
    ],
)
def test_a_closed_schema_can_be_followed(schema: Schema) -> None:
    """Every object is closed and every property required, as deep as it goes."""
    assert strict_problem(schema) is None
    assert strict_compatible(schema)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        ({"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
        ({"type": "object"}, f"In context=(), {CLOSED}"),
        ({**closed(), "additionalProperties": True}, f"In context=(), {CLOSED}"),
        ({**closed(), "additionalProperties": {"type": "string"}}, f"In context=(), {CLOSED}"),
        ({**closed(a={"type": "string"}), "required": []}, f"In context=(), {ALL} Missing 'a'."),
        ({**closed(a={"type": "string"}), "required": "a"}, f"In context=(), {ALL}"),
        ({**closed(), "required": [[]]}, f"In context=(), {ALL}"),
        (
            {**closed(), "required": ["ghost"]},
            "In context=(), 'required' holds a key that is not in properties: 'ghost'.",
        ),
        (closed(x={"type": "object"}), f"In context=('properties', 'x'), {CLOSED}"),
        (
            closed(x={**closed(unit={"type": "string"}), "required": []}),
            f"In context=('properties', 'x'), {ALL} Missing 'unit'.",
        ),
        (closed(x={"properties": {}, "type": "string"}), f"In context=('properties', 'x'), {CLOSED}"),
        (closed(x={"type": ["object", "null"]}), f"In context=('properties', 'x'), {CLOSED}"),
        (
            closed(x={"type": "array", "items": {"type": "object"}}),
            f"In context=('properties', 'x', 'items'), {CLOSED}",
        ),
        (
            closed(x={"anyOf": [{"type": "null"}, {"type": "object"}]}),
            f"In context=('properties', 'x', 'anyOf', '1'), {CLOSED}",
        ),
        ({**closed(), "$defs": {"A": {"type": "object"}}}, f"In context=('$defs', 'A'), {CLOSED}"),
        (closed(x={}), f"In context=('properties', 'x'), {TYPED}"),
        (closed(x=True), f"In context=('properties', 'x'), {TYPED}"),
        ({**closed(), "properties": []}, "In context=(), 'properties' is required to be an object."),
        (closed(x={"anyOf": {}}), "In context=('properties', 'x'), 'anyOf' is required to be an array."),
        (closed(x={"type": "string", "not": {}}), "In context=('properties', 'x'), 'not' is not permitted."),
        ({**closed(), "allOf": []}, "In context=(), 'allOf' is not permitted."),
        (
            closed(x={"$ref": "#/$defs/Nowhere"}),
            "In context=('properties', 'x'), reference '#/$defs/Nowhere' does not point to a definition in the schema.",
        ),
        (
            closed(x={"$ref": "other.json"}),
            "In context=('properties', 'x'), reference 'other.json' does not point to a definition in the schema.",
        ),
        (
            closed(x={"$ref": 1}),
            "In context=('properties', 'x'), reference 1 does not point to a definition in the schema.",
        ),
        (closed(a=True, b={"type": "object"}), f"In context=('properties', 'a'), {TYPED}"),
    ],
)
def test_the_first_fault_is_named_with_its_place(schema: Schema, problem: str) -> None:
    """The words are those of the live service where it was recorded."""
    assert problem == strict_problem(schema)
    assert not strict_compatible(schema)


def test_a_schema_may_be_deep_but_not_bottomless() -> None:
    """Depth has a limit of its own, so that nothing runs out of stack later."""
    assert strict_problem(nested(MAX_DEPTH)) is None
    problem = strict_problem(nested(5_000))
    assert problem is not None
    assert problem.endswith("101 levels of nesting exceeds limit of 100.")


def test_a_wide_schema_is_read_in_one_pass() -> None:
    """A hundred thousand properties take no hundred thousand searches of a list each."""
    assert strict_compatible(closed(**{f"p{number}": {"type": "string"} for number in range(100_000)}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([
                "type",
                "properties",
                "items",
                "anyOf",
                "$ref",
                "$defs",
                "required",
                "additionalProperties",
            ]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["properties", "required", "anyOf", "items", "$defs", "$ref"]), JSON))
def test_no_json_breaks_the_reading(schema: Schema) -> None:
    """Whatever a client sends as a schema, the answer is a sentence or nothing."""
    problem = strict_problem({"type": "object", "additionalProperties": False, **schema})
    assert problem is None or problem.endswith(".")


def strict_schemas() -> st.SearchStrategy[Schema]:
    """Draw schemas that were closed on purpose."""
    leaf = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"enum": ["a"]}])
    return st.recursive(
        leaf,
        lambda inner: (
            st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3).map(lambda each: closed(**each))
            | inner.map(lambda each: {"type": "array", "items": each})
            | st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each})
        ),
        max_leaves=10,
    ).map(lambda schema: closed(root=schema))


@given(strict_schemas())
def test_every_schema_closed_on_purpose_is_compatible(schema: Schema) -> None:
    """Nothing is refused that keeps the rules."""
    assert strict_problem(schema) is None
