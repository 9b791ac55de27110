"""Input schemas of other people's tools, made over into what chat models take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON Schema is open

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.backends.llama.keywords import DEPTH
from antiphon.backends.llama.schemas import alone
from antiphon.core.schemas import DEEPEST, LARGEST, parameters

if TYPE_CHECKING:
    from collections.abc import Callable

Schema = dict[str, Any]  # JSON Schema is open

ANY: Schema = {"type": "object", "properties": {}}
FREE: Schema = {**ANY, "additionalProperties": True}
TEXT: Schema = {"type": "string"}
KEYWORDS = [
    *("type", "properties", "$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "items", "prefixItems", "required"),
    *("enum", "additionalProperties", "definitions", "minLength", "pattern", "$id", "$schema", "default"),
]
VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3)
WORDS = st.sampled_from(["object", "string", "#", "#/", "#/$defs/a", "#/anyOf/0", "#/properties/a", "a"])
JSON = st.recursive(
    VALUES | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYWORDS, "a"]), inner, max_size=4),
    max_leaves=25,
)
SCHEMAS = st.dictionaries(st.sampled_from([*KEYWORDS, "a"]), JSON, max_size=6)


def read(schema: Schema) -> Schema:
    """What a model is given for a schema."""
    given: Schema = msgspec.json.decode(parameters(schema))
    return given


def nested(levels: int, around: Callable[[object], object], inner: object) -> object:
    """A value within as many others."""
    for _ in range(levels):
        inner = around(inner)
    return inner


@given(schema=SCHEMAS)
def test_whatever_a_server_sends_a_model_is_given_a_schema_of_an_object(schema: Schema) -> None:
    """Nothing raises, the root names its type, and what was made over once stays as it is."""
    made = read(schema)
    assert ("object", True) == (made["type"], isinstance(made["properties"], dict))
    assert "$ref" not in made
    assert made == read(made)


@given(schema=SCHEMAS)
def test_every_reference_that_a_model_is_given_leads_somewhere_and_comes_to_an_end(schema: Schema) -> None:
    """So no grammar looks for it in vain, or for ever."""
    made = read(schema)
    for reference in references(made):
        met: set[str] = set()
        while isinstance(reference, str):
            assert reference not in met
            met.add(reference)
            reference = lookup(made, reference).get("$ref")  # noqa: PLW2901 - the way goes on


def references(schema: object) -> list[object]:
    """The references in the properties and definitions of a schema."""
    if not isinstance(schema, dict):
        return []
    inner = [each for key in ("properties", "$defs", "definitions") for each in schema.get(key, {}).values()]
    own = [schema["$ref"]] if "$ref" in schema else []
    return [*own, *(found for each in inner for found in references(each))]


def lookup(schema: Schema, reference: str) -> Schema:
    """What a reference of these tests leads to."""
    found: Any = schema
    for step in reference.split("/")[1:]:
        found = found[int(step)] if isinstance(found, list) else found[step]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": TEXT}, "required": ["a"], "additionalProperties": False},
        {**ANY, "description": "Äh", "title": "T", "x-of-theirs": {"type": 7}, "examples": [None]},
        {**ANY, "properties": {"a": True, "b": False, "c": {"type": ["string", "null"], "enum": ["x", 1, None]}}},
        {**ANY, "properties": {"a": {"type": "array", "items": [TEXT, {"type": "null"}]}}},
        {**ANY, "properties": {"a": {"type": "array", "prefixItems": [TEXT], "items": False}}},
        {**ANY, "anyOf": [{"required": ["a"]}, {"required": ["b"]}], "not": {"required": ["c"]}},
        {**ANY, "properties": {"a": {"oneOf": [TEXT, {"type": "null"}]}, "b": {"allOf": [{"minLength": 1}, TEXT]}}},
        {**ANY, "patternProperties": {"^x": TEXT}, "propertyNames": {"maxLength": 3}, "dependentSchemas": {"a": ANY}},
        {**ANY, "if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": True},
        {**ANY, "properties": {"a": {"$ref": "#/$defs/a~1b~0"}}, "$defs": {"a/b~": TEXT}},
        {**ANY, "properties": {"a": {"$ref": "#/definitions/a"}}, "definitions": {"a": TEXT}},
        {**ANY, "properties": {"a": {"anyOf": [TEXT, {"type": "null"}]}, "b": {"$ref": "#/properties/a/anyOf/0"}}},
        {**ANY, "properties": {"a": {"type": "array", "items": {"$ref": "#"}}}},
        {
            **ANY,
            "properties": {"a": {"$ref": "#/$defs/t"}},
            "$defs": {"t": {"properties": {"t": {"$ref": "#/$defs/t"}}}},
        },
    ],
    ids=lambda schema: ",".join(schema)[16:] or "plain",
)
def test_what_means_something_is_kept_to_the_letter(schema: Schema) -> None:
    """Unions, references, definitions, recursion, tuples, conditions, and words that only the server understands."""
    assert schema == read(schema)


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({}, ANY),
        ({"properties": {"a": TEXT}}, {**ANY, "properties": {"a": TEXT}}),
        ({"required": ["a"]}, {**ANY, "required": ["a"]}),
        ({"type": ["object", "null"], "properties": {"a": TEXT}}, {**ANY, "properties": {"a": TEXT}}),
        ({"type": "object", "properties": None, "required": None, "description": None}, ANY),
        ({"$schema": "https://x", "$id": "https://y", "type": "object"}, ANY),
    ],
)
def test_the_root_says_that_it_is_an_object(schema: Schema, made: Schema) -> None:
    """It has properties, no nulls, and no name of its own."""
    assert made == read(schema)


def test_a_reference_at_the_root_is_followed() -> None:
    """As far as it leads; what stands beside it counts for more, and the definitions stay."""
    definitions = {
        "a": {"$ref": "#/$defs/b", "title": "A"},
        "b": {"properties": {"x": {"$ref": "#/$defs/a"}}, "title": "B"},
    }
    made = read({"$ref": "#/$defs/a", "$defs": definitions, "description": "D"})
    whole = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "title": "A", "description": "D"}
    assert {**whole, "$defs": definitions} == made


@pytest.mark.parametrize(
    "part",
    [
        {"$ref": "https://elsewhere/schema.json"},
        {"$ref": "other.json#/a"},
        {"$ref": "#anchor"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/properties/a/anyOf/2", "anyOf": [TEXT, TEXT]},
        {"$ref": "#/properties/a/anyOf/01", "anyOf": [TEXT, TEXT]},
        {"$ref": "#/properties/a/anyOf/" + "9" * 5000, "anyOf": [TEXT, TEXT]},
        {"$ref": "#/title/x"},
        {"$ref": "#/x-junk"},
        {"$ref": "#/properties/b"},
        {"$ref": 7},
        {"$id": {}},
        {"type": "text"},
        {"type": 7},
        {"type": []},
        {"type": {"a": "string"}},
        {"type": ["string", "text"]},
        {"type": ["string", ["null"]]},
        {"type": None},
        {"required": True},
        {"required": [7]},
        {"required": None},
        {"enum": "x"},
        {"enum": []},
        {"properties": []},
        {"properties": {"a": "string"}},
        {"$defs": {"a": 7}},
        {"anyOf": {}},
        {"anyOf": []},
        {"anyOf": [7]},
        {"allOf": [{"anyOf": 7}]},
        {"prefixItems": {}},
        {"items": "string"},
        {"items": [7]},
        {"additionalProperties": "no"},
        {"additionalProperties": [TEXT]},
        {"not": None},
        {"minLength": "x"},
        {"maxItems": -1},
        {"minItems": 2.5},
        {"pattern": 7},
        {"format": None},
        "string",
        None,
        [TEXT],
    ],
    ids=str,
)
def test_what_is_no_schema_becomes_one_of_any_object(part: object) -> None:
    """And what refers to anything that is none, is missing or stands elsewhere: nothing is fetched."""
    junk: Schema = {"type": "object", "title": "T", "x-junk": {"type": 7}, "properties": {"a": part, "b": None}}
    if not isinstance(part, dict) or part.get("$ref") != "#/properties/b":
        del junk["properties"]["b"]
    assert FREE == read(junk)


@pytest.mark.parametrize("type_", ["string", "array", ["string", "null"]])
def test_a_root_that_is_no_object_becomes_any_object(type_: object) -> None:
    """A call's arguments are one, wherever the schema says otherwise."""
    assert FREE == read({"type": type_})
    assert FREE == read({"$ref": "#/$defs/a", "$defs": {"a": {"type": type_}}})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"properties": {"x": {"$ref": "#/properties/x"}}},
        {"properties": {"x": {"allOf": [{"$ref": "#/properties/x"}]}}},
        {"properties": {"x": {"anyOf": [TEXT, {"$ref": "#/properties/x"}]}}},
        {"properties": {"x": {"oneOf": [{"not": {"$ref": "#/properties/x"}}]}}},
        {"allOf": [{"$ref": "#"}]},
    ],
)
def test_a_schema_that_stands_for_itself_becomes_one_of_any_object(schema: Schema) -> None:
    """Who follows it never ends: an engine in native code dies of it."""
    assert FREE == read(schema)


@pytest.mark.parametrize("key", ["default", "x-of-theirs", "enum"])
def test_a_value_that_is_too_deep_makes_it_any_object(key: str) -> None:
    """Schemas or not: what reads it may have no more room than we do."""
    for levels, fits in ((DEEPEST - 3, True), (DEEPEST - 2, False), (50_000, False)):
        schema = {**ANY, "properties": {"a": {key: nested(levels, lambda inner: [inner], 1)}}}
        assert fits == (read(schema) != FREE)


@pytest.mark.parametrize(
    "around",
    [
        lambda inner: {"properties": {"a": inner}},
        lambda inner: {"anyOf": [inner]},
        lambda inner: {"items": inner},
        lambda inner: {"additionalProperties": inner},
    ],
)
def test_a_schema_that_is_deep_is_kept_as_long_as_the_embedded_model_follows_it(
    around: Callable[[object], object],
) -> None:
    """The embedded model refuses the whole turn for a deeper one."""
    kept = 0
    for levels in (*range(1, DEPTH), 50_000):
        made = read({**ANY, "properties": {"a": nested(levels, around, TEXT)}})
        kept += made != FREE
        assert alone(made)
    assert 40 < kept < DEEPEST


def test_a_schema_that_is_too_large_becomes_one_of_any_object() -> None:
    """A model reads all of it."""
    room = LARGEST - len(msgspec.json.encode({**ANY, "title": ""}))
    assert {**ANY, "title": "x" * room} == read({**ANY, "title": "x" * room})
    assert FREE == read({**ANY, "title": "x" * (room + 1)})


def test_a_chain_of_references_is_followed_however_long_it_is() -> None:
    """Each step only once, and without a stack of our own."""
    definitions: Schema = {str(step): {"$ref": f"#/$defs/{step + 1}"} for step in range(4000)}
    made = read({"$ref": "#/$defs/0", "$defs": {**definitions, "4000": {"required": ["a"]}}})
    assert ["a"] == made["required"]
