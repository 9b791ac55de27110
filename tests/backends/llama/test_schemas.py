"""Schemas that llama.cpp's grammar follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.backends.llama.errors import UnfitSchemaError
from antiphon.backends.llama.keywords import DEPTH, NODES, REPEATS, SIZE
from antiphon.backends.llama.schemas import alone, fit, placed
from tests.backends.llama.schemas import CYCLES, ORDINARY, SELF

if TYPE_CHECKING:
    from antiphon.backends.llama.keywords import Json, Schema

STRING: Schema = {"type": "string"}
NULL: Schema = {"type": "null"}


def within(form: Schema) -> Json:
    """What the property ``x`` of an object with this schema becomes."""
    match fit({"type": "object", "properties": {"x": form}}).form:
        case {"properties": {"x": found}}:
            return found
        case other:
            pytest.fail(f"{other} has no x")


def test_references_lead_to_definitions_at_the_root() -> None:
    """Every definition that is referred to, the root among them, stands there under a name of letters and digits."""
    node: Schema = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/the~1end~0"}]}},
    }
    moved = alone({**node, "$defs": {"the/end~": NULL, "unused": STRING}})
    root: Schema = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/sd"}, {"$ref": "#/$defs/sthe1end0"}]}},
    }
    assert moved == {"$ref": "#/$defs/root", "$defs": {"root": root, "sd": root, "sthe1end0": NULL}}


def test_each_schema_keeps_its_references_to_itself() -> None:
    """Two schemas with equal names inside do not meet."""
    one: Schema = {"$ref": "#/$defs/x", "$defs": {"x": NULL}}
    two: Schema = {"$ref": "#/$defs/x", "$defs": {"x": STRING}}
    references, definitions = placed([one, two])
    assert references == [{"$ref": "#/$defs/s0"}, {"$ref": "#/$defs/s1"}]
    assert definitions == {"s0": {"$ref": "#/$defs/s0x"}, "s0x": NULL, "s1": {"$ref": "#/$defs/s1x"}, "s1x": STRING}


def test_definitions_whose_names_differ_in_signs_alone_stay_apart() -> None:
    """llama.cpp takes all signs for the same one."""
    places: Schema = {"a-b": NULL, "a_b": STRING}
    fitted = fit({"properties": {"x": {"$ref": "#/$defs/a-b"}, "y": {"$ref": "#/$defs/a_b"}}, "$defs": places})
    assert {"ab": NULL, "abx2": STRING} == fitted.definitions


def test_values_are_no_schemas() -> None:
    """What looks like a schema inside a constant stays as it is."""
    value: Schema = {"const": {"$ref": "#/a", "pattern": "\\d"}}
    assert value == fit(value).form


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    """Names of properties are no keywords."""
    schema: Schema = {"type": "object", "properties": {"const": {"$ref": "#/x"}, "$ref": STRING}, "x": NULL}
    assert fit(schema).form == {"type": "object", "properties": {"const": {"$ref": "#/$defs/x"}, "$ref": STRING}}


def test_patterns_are_made_fit_or_left_out() -> None:
    """A string with a pattern that cannot be followed is free."""
    assert within({"type": "string", "pattern": r"^\d$"}) == {"type": "string", "pattern": "^[0-9]$"}
    assert within({"pattern": "(?=x)"}) == STRING


def test_a_format_that_llama_cpp_does_not_know_becomes_a_pattern() -> None:
    """Formats that it knows stay."""
    assert "pattern" in fit({"type": "string", "format": "ipv4"}).form
    assert fit({"type": "string", "format": "date"}).form == {"type": "string", "format": "date"}


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({"type": "string", "minLength": 1_000_000}, STRING),
        ({"type": "string", "minLength": 2, "maxLength": 10**12}, {"type": "string", "minLength": 2}),
        ({"type": "string", "minLength": 5, "maxLength": 2}, STRING),
        ({"type": "array", "minItems": 100_000}, {"type": "array", "items": {}}),
        ({"type": "array", "items": True, "minItems": 3, "maxItems": 1}, {"type": "array", "items": {}}),
        ({"type": "integer", "minimum": 5, "maximum": 4}, {"type": "integer"}),
        ({"type": "integer", "minimum": -1e300, "maximum": 1e300}, {"type": "integer"}),
        ({"type": "number", "minimum": -1e300, "maximum": 1e300}, {"type": "number"}),
        ({"type": "integer", "minimum": 10**300}, {"type": "integer"}),
        ({"type": "integer", "minimum": 0.5, "exclusiveMaximum": 9}, {"type": "integer", "minimum": 1, "maximum": 8}),
        ({"type": "integer", "enum": [10**300]}, {"type": "integer"}),
        ({"const": 10**300}, {}),
        ({"enum": ["x" * 100_000]}, {}),
        ({"type": "string", "enum": [f"v{n}" for n in range(10_000)]}, STRING),
        ({"type": "string", "pattern": "^a{1,99999999999}$"}, STRING),
        ({"type": "string", "pattern": "(" * 3000 + ")" * 3000}, STRING),
    ],
)
def test_what_a_grammar_cannot_hold_falls_away(schema: Schema, form: Schema) -> None:
    """The model is told less strictly, and the turn does not fail."""
    assert within(schema) == form


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        ({"properties": {"a": True, "b": False}, "required": ["a", "b"]}, {"properties": {"a": {}}, "required": ["a"]}),
        ({"items": True}, {"items": {}}),
        ({"items": False}, {"items": {}, "maxItems": 0}),
        ({"anyOf": [True, False]}, {"anyOf": [{}]}),
        ({"allOf": [True, {"type": "null"}]}, NULL),
        ({"additionalProperties": {}}, {"additionalProperties": True}),
    ],
)
def test_true_takes_anything_and_false_nothing(schema: Schema, form: Schema) -> None:
    """Wherever a schema may stand."""
    (found,) = [within(schema)]
    assert isinstance(found, dict)
    assert form == {key: value for key, value in found.items() if key != "type"} or form == found


def test_an_all_of_one_is_that_one() -> None:
    """A reference in it may lead back to where it stands."""
    fitted = fit(SELF)
    assert fitted.form == {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}
    assert fitted.definitions == {"a": {"type": "object", "properties": {"y": {"$ref": "#/$defs/a"}}}}


def test_an_all_of_many_is_one_schema_with_what_all_say() -> None:
    """What two say of one property holds as well."""
    base: Schema = {"properties": {"kind": {"type": "string"}, "id": NULL}, "required": ["id"]}
    schema: Schema = {"allOf": [{"$ref": "#/$defs/b"}, {"properties": {"kind": {"enum": ["k"]}}, "required": ["kind"]}]}
    assert fit({**schema, "$defs": {"b": base}}).form == {
        "type": "object",
        "properties": {"kind": {"enum": ["k"]}, "id": NULL},
        "required": ["kind", "id"],
    }


def test_a_union_beside_properties_gives_way_to_them() -> None:
    """llama.cpp would follow the union alone, and then anything would do."""
    schema: Schema = {"type": "object", "properties": {"a": NULL}, "anyOf": [{"required": ["a"]}]}
    assert fit(schema).form == {"type": "object", "properties": {"a": NULL}}
    assert fit({"type": "string", "anyOf": [{"maxLength": 2}]}).form == {"anyOf": [{"type": "string", "maxLength": 2}]}


@pytest.mark.parametrize("schema", CYCLES)
def test_a_schema_that_stands_for_itself_is_unfit(schema: Schema) -> None:
    """Through references and unions alone nobody gets to an end."""
    with pytest.raises(UnfitSchemaError):
        fit(schema)


@pytest.mark.parametrize("schema", ORDINARY)
def test_what_servers_write_is_fit(schema: Schema) -> None:
    """All of it may be found in the wild."""
    assert fit(schema).form["type"] == "object"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "bogus"},
        {"enum": []},
        {"anyOf": {}},
        {"properties": {"a": 5}},
        {"properties": []},
        {"$ref": "https://example.com/x"},
        {"$ref": "#/nowhere"},
        {"$ref": "#/$defs/a", "$defs": {"a": 5}},
        {"not": {}, "anyOf": [False]},
    ],
)
def test_what_is_no_schema_is_unfit(schema: Schema) -> None:
    """The caller of a strict schema learns it before the engine is asked."""
    with pytest.raises(UnfitSchemaError):
        fit(schema)


def test_a_schema_of_endless_depth_is_refused() -> None:
    """A native stack has an end."""
    schema: Schema = {}
    for _ in range(DEPTH + 1):
        schema = {"items": schema}
    with pytest.raises(UnfitSchemaError, match="levels"):
        fit(schema)


@pytest.mark.parametrize("key", ["properties", "anyOf", "prefixItems"])
def test_a_schema_of_too_many_parts_is_refused(key: str) -> None:
    """The engine would be busy for seconds, and slow for whoever comes after."""
    parts: Json = {f"p{n}": STRING for n in range(NODES)} if key == "properties" else [STRING for _ in range(NODES)]
    with pytest.raises(UnfitSchemaError, match="parts"):
        fit({key: parts})


def test_the_name_of_a_property_that_would_bring_the_engine_down_frees_the_object() -> None:
    """llama.cpp's own regular expressions do not survive long names."""
    assert within({"type": "object", "properties": {"é" * 100_000: NULL}}) == {"type": "object"}


def test_names_that_the_engine_cannot_tell_from_others_close_the_object() -> None:
    """It would put them into a set of characters as they are."""
    schema: Schema = {"type": "object", "properties": {"a]": NULL}, "additionalProperties": True}
    assert fit(schema).form == {"type": "object", "properties": {"a]": NULL}}


KEYS = st.sampled_from([
    "$ref",
    "$defs",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "default",
    "a",
])
WORDS = st.sampled_from([
    "#",
    "#/$defs/a",
    "#/a",
    "#/properties/a",
    "#/allOf/0",
    "#/anyOf/1",
    "object",
    "array",
    "string",
    "integer",
    "null",
    "date",
])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | WORDS
JUNK = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5)
)
JUNK_SCHEMAS = st.dictionaries(KEYS, JUNK | st.dictionaries(KEYS, JUNK), max_size=5)


@given(JUNK_SCHEMAS)
def test_junk_is_fit_within_bounds_or_unfit_and_nothing_else(schema: Schema) -> None:
    """Nothing raises but the one known error, and what comes out can be made into a grammar."""
    try:
        whole = alone(schema)
    except UnfitSchemaError:
        return
    assert len(msgspec.json.encode(whole)) < SIZE
    check(whole)


def check(form: Json) -> None:
    """Every schema in it is one, and no number in it too large."""
    match form:
        case {"properties": dict(named)}:
            for each in named.values():
                check(each)
        case {"$defs": dict(named)}:
            for each in named.values():
                check(each)
        case {"anyOf": several} | {"prefixItems": several}:
            assert isinstance(several, list)
            for each in several:
                check(each)
        case {"items": inner}:
            check(inner)
        case _:
            pass
    assert isinstance(form, dict)
    assert not form.keys() & {"allOf", "oneOf", "not", "patternProperties"}
    for key in ("minItems", "maxItems", "minLength", "maxLength"):
        count = form.get(key, 0)
        assert isinstance(count, int)
        assert 0 <= count <= REPEATS
