"""A tool's input schema as models take it: an object at its root, whole, and without anything to be fetched.

Servers of others write what they like there. What means something is kept to the letter, references and unions as well;
what is no schema becomes one that takes any object. A schema that stands for itself, through references or unions and
nothing else, is none: who follows it never ends (llama.cpp would not survive it).
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, TypeGuard

import msgspec
from msgspec import Raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Schema = dict[object, object]

DEEPEST = 100
"""How many objects and arrays may stand within each other, in values as well."""
LARGEST = 200_000
"""How many bytes a schema may have: a model reads them all, in every turn."""
_ANY = msgspec.json.encode({"type": "object", "properties": {}, "additionalProperties": True})
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_OF_SCHEMAS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_INNER = ("additionalProperties", "contains", "propertyNames")
_BESIDE = ("not", "if", "then", "else")
_UNIONS = ("anyOf", "oneOf", "allOf")
_TEXTS = ("$ref", "$schema", "$id", "pattern", "format")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems")
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


def object_schema(properties: dict[str, object], *required: str) -> dict[str, object]:
    """The schema of an object that has these properties and no others; those that are named must be there."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def parameters(schema: Mapping[str, object]) -> Raw:
    """The parameters of a function, as JSON text."""
    root: Schema = {key: value for key, value in schema.items() if value is not None}
    if not _is_shallow(root, DEEPEST) or len(msgspec.json.encode(root)) > LARGEST or not _is_whole(root):
        return Raw(_ANY)
    rooted = _rooted(root)
    return Raw(_ANY if rooted is None else msgspec.json.encode(rooted))


def _rooted(root: Schema) -> Schema | None:
    """With an object at the root: chat models insist on its being named, wherever the schema says it."""
    rooted = root.copy()
    while (reference := rooted.pop("$ref", None)) is not None:
        rooted = {**(_resolved(root, reference) or {}), **rooted}
    named: Schema = {"type": "object", "properties": {}}
    named |= {key: value for key, value in rooted.items() if key not in {"$schema", "$id"}}
    if "object" not in (_members(named["type"]) or [named["type"]]):
        return None
    named["type"] = "object"
    return named


def _is_shallow(value: object, levels: int) -> bool:
    if levels == 0:
        return not _is_object(value) and not _is_array(value)
    return all(_is_shallow(each, levels - 1) for each in _members(value))


def _is_object(value: object) -> TypeGuard[Schema]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _members(value: object) -> list[object]:
    """What stands in an object or an array; nothing, if it is neither."""
    if _is_object(value):
        return [*value.values()]
    return [*value] if _is_array(value) else []


def _is_whole(root: Schema) -> bool:
    """Whether all that belongs to a schema, or that its references lead to, has the form of one and comes to an end."""
    beside: dict[int, list[int]] = {}  # the schemas that a value has to fit as well
    waiting: list[object] = [root]
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, bool) or id(schema) in beside:
            continue
        if not _is_object(schema) or not _is_formed(schema):
            return False
        others = list(_beside(schema, root))
        beside[id(schema)] = [id(other) for other in others]
        waiting += [*others, *_inside(schema)]
    return _ends(beside)


def _ends(beside: Mapping[int, list[int]]) -> bool:
    try:
        TopologicalSorter(beside).prepare()
    except CycleError:
        return False
    return True


def _is_formed(schema: Schema) -> bool:
    """Whether the keywords of a schema hold what they must, as far as models and their grammars look at it."""
    return (
        _is_type(schema.get("type", "object"))
        and all(isinstance(schema.get(key, ""), str) for key in _TEXTS)
        and all(isinstance(count := schema.get(key, 0), int) and count >= 0 for key in _COUNTS)
        and all(isinstance(schema.get(key, {}), dict) for key in _OF_SCHEMAS)
        and all(isinstance(schema.get(key, []), list) for key in ("required", "prefixItems"))
        and all(isinstance(name, str) for name in _members(schema.get("required")))
        and all(isinstance(schema.get(key, [True]), list) and schema.get(key, [True]) for key in ("enum", *_UNIONS))
    )


def _is_type(value: object) -> bool:
    names = value if _is_array(value) and value else [value]
    return all(isinstance(name, str) and name in _TYPES for name in names)


def _beside(schema: Schema, root: Schema) -> Iterator[object]:
    """The schemas for the same value: what a reference leads to (nothing that is none, if nowhere), and unions."""
    if "$ref" in schema:
        yield _resolved(root, schema["$ref"])
    for key in _UNIONS:
        yield from _members(schema.get(key))
    for key in _BESIDE:
        yield schema.get(key, True)


def _inside(schema: Schema) -> Iterator[object]:
    """The schemas for parts of a value, and the definitions."""
    for key in (*_OF_SCHEMAS, "prefixItems"):
        yield from _members(schema.get(key))
    items = schema.get("items", True)
    yield from items if _is_array(items) else [items]  # a list is the older form of prefixItems
    for key in _INNER:
        yield schema.get(key, True)


def _resolved(root: Schema, reference: object) -> Schema | None:
    """The object that a reference within the schema names; of another document nothing is fetched."""
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: object = root
    for step in reference[2:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if _is_object(found) and key in found:
            found = found[key]
        elif _is_array(found) and _INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found if _is_object(found) else None
