"""JSON Schemas made over into what llama.cpp's grammar follows. Pure.

llama.cpp resolves a reference only by a path of keys from the root, and not ``#`` itself. So a schema is moved to a
place of its own under ``$defs``, and every reference in it is led there. A pattern that the grammar cannot follow is
left out: the string is then free.
"""

from __future__ import annotations

from typing import TypeAlias

from antiphon.backends.llama.patterns import FORMATS, fitted

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Schema: TypeAlias = dict[str, Json]

DEPTH = 150
BOUNDS = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum"))

VALUES = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords that hold values, in which nothing is a schema."""

NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords that hold schemas under names that are no keywords."""


class UnfitSchemaError(Exception):
    """llama.cpp would not survive this schema."""


def fit(schema: Schema, root: str = "#", *, depth: int = 0) -> Schema:
    """Return a schema that the grammar follows and that reads the same when it stands at ``root`` of another.

    Raises `UnfitSchemaError` where nothing can fit the schema or where it is nested too deeply.
    """
    _check(schema, depth)
    return {
        key: value if key in VALUES else _moved(key, value, root, depth=depth + 1)
        for key, value in _patterned(schema).items()
    }


def alone(schema: Schema) -> Schema:
    """Return a schema whose root is a mere reference, so that references to the root can be followed."""
    return {"$ref": "#/$defs/root", "$defs": {"root": fit(schema, "#/$defs/root")}}


def placed(schemas: list[Schema]) -> tuple[list[Schema], Schema]:
    """Return a reference to each schema, and the definitions to put at the root under ``$defs``."""
    names = [f"s{index}" for index in range(len(schemas))]
    definitions: Schema = {name: fit(schema, f"#/$defs/{name}") for name, schema in zip(names, schemas, strict=True)}
    return [{"$ref": f"#/$defs/{name}"} for name in names], definitions


def _check(schema: Schema, depth: int) -> None:
    if depth > DEPTH:
        raise UnfitSchemaError(f"The embedded model follows JSON Schemas of at most {DEPTH} levels.")
    for least, most in BOUNDS:
        match schema.get(least), schema.get(most):
            case ((int() | float() as low), (int() | float() as high)) if low > high:
                # llama.cpp would count down from the smaller number until the memory is full
                raise UnfitSchemaError(f"The JSON Schema has a {least} of {low} above its {most} of {high}.")
            case _:
                pass


def _moved(key: str, value: Json, root: str, *, depth: int) -> Json:
    match value:
        case str() if key == "$ref" and value.startswith("#"):
            return root + value[1:]
        case dict() if key in NAMES:
            return {name: _moved("", each, root, depth=depth) for name, each in value.items()}
        case dict():
            return fit(value, root, depth=depth)
        case list():
            _check({}, depth)
            return [_moved("", element, root, depth=depth + 1) for element in value]
        case _:
            return value


def _patterned(schema: Schema) -> Schema:
    match schema:
        case {"pattern": str(pattern), **rest}:
            follows = fitted(pattern)
            return rest if follows is None else {**rest, "pattern": follows}
        case {"type": "string", "format": str(form), **rest} if form in FORMATS:
            return {**rest, "type": "string", "pattern": FORMATS[form]}
        case _:
            return schema
