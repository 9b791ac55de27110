"""JSON Schemas made over into what llama.cpp's grammar follows and survives. Pure.

A schema is written anew in a small dialect: references to definitions of our naming at the root, ``anyOf``, values, and
the keywords of single types. What is none of this falls away, and the model is told less strictly. ``allOf`` becomes
one schema. What nothing can be made of is unfit: what refers to itself with nothing between, what is no schema, and
what is so large that the child would not be done with it.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from antiphon.backends.llama.errors import UnfitSchemaError
from antiphon.backends.llama.keywords import (
    NODES,
    TURN_NODES,
    VALUES,
    Budget,
    Json,
    Schema,
    counts,
    notes,
    number,
    string,
    types,
    values,
)
from antiphon.backends.llama.references import PLACE, check_ends, name, pointed

ROOT: Final = "root"
NAME: Final = 128
"""How long the name of a property may be; llama.cpp crashes over long ones."""
PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/@$ -]{1,128}")
"""Names that llama.cpp can tell from the names of further properties."""
STRUCTURE: Final = frozenset({"anyOf", "oneOf", "const", "enum", "properties", "items", "prefixItems", "pattern"})
TYPED: Final = STRUCTURE | {"type", "$ref", "allOf"}


class Fitted(Struct, frozen=True):
    """A schema that the grammar follows, and the definitions that it needs at the root of the whole."""

    form: Schema
    definitions: Schema


def fit(schema: Schema, prefix: str = "", budget: Budget | None = None) -> Fitted:
    """Return a schema that the grammar follows; the names of its definitions begin with ``prefix``.

    ``budget`` is what the schemas of the turn have left. Raises `UnfitSchemaError`, and nothing else, where nothing can
    fit the schema or where it is too large.
    """
    budget = budget or Budget()
    budget.begin()
    fitting = _Fitting(schema, prefix, budget)
    form = fitting.whole()
    return Fitted(form, fitting.definitions)


def alone(schema: Schema) -> Schema:
    """Return a schema that stands for itself."""
    fitted = fit(schema, "s")
    return {"$ref": PLACE + ROOT, "$defs": {ROOT: fitted.form, **fitted.definitions}}


def placed(schemas: list[Schema]) -> tuple[list[Schema], Schema]:
    """Return a reference to each schema, and the definitions to put at the root under ``$defs``."""
    budget = Budget(TURN_NODES + NODES)  # functions alone may take those of a turn, and what is beside them one more
    definitions: Schema = {}
    for index, schema in enumerate(schemas):
        fitted = fit(schema, f"s{index}", budget)
        definitions |= {f"s{index}": fitted.form, **fitted.definitions}
    return [{"$ref": f"{PLACE}s{index}"} for index in range(len(schemas))], definitions


class _Fitting:
    """One schema on its way; the owner of its definitions, which are made as references to them turn up."""

    def __init__(self, root: Schema, prefix: str, budget: Budget) -> None:
        self._root = root
        self._prefix = prefix
        self._budget = budget
        self._names: dict[int, str] = {}  # by the identity of what a reference leads to
        self._waiting: list[tuple[str, Schema]] = []
        self.definitions: Schema = {}

    def whole(self) -> Schema:
        """Make the root and all definitions."""
        form = self._made(self._root, 0)
        if form is None:
            raise UnfitSchemaError("Nothing fits the JSON Schema.")
        while self._waiting:
            each, target = self._waiting.pop()
            self.definitions[each] = self._made(target, 0) or {}
        check_ends({"": form, **self.definitions})
        return form

    def _made(self, schema: Json, depth: int) -> Schema | None:
        """The form of a schema; None where nothing fits it."""
        match schema:
            case bool():
                return {} if schema else None
            case dict():
                self._budget.take(depth)
                form = self._formed(schema, depth)
                return None if form is None else notes(schema) | form
            case _:
                raise UnfitSchemaError("The JSON Schema holds something that is no schema.")

    def _formed(self, schema: Schema, depth: int) -> Schema | None:
        match schema:
            case {"$ref": reference}:
                return self._referred(reference)
            case {"allOf": list(parts)} if parts:
                if len(parts) == 1 and STRUCTURE.isdisjoint(schema):
                    return self._made(_typed(parts[0], schema), depth + 1)
                joined = self._joined(schema, ())
                return None if joined is None else self._made(joined, depth + 1)
            case {"anyOf": several} | {"oneOf": several} if not schema.get("properties"):
                return self._union(several, schema, depth)
            case _:
                pass
        return values(schema, self._budget) or self._single(schema, depth)

    def _referred(self, reference: Json) -> Schema | None:
        if not isinstance(reference, str):
            raise UnfitSchemaError("The JSON Schema has a reference that is no text.")
        match pointed(self._root, reference):
            case bool() as anything:
                return {} if anything else None
            case dict() as target:
                if id(target) not in self._names:
                    fresh = name(reference, self._prefix, self.definitions)
                    self._names[id(target)] = fresh
                    self.definitions[fresh] = {}
                    self._waiting.append((fresh, target))
                return {"$ref": PLACE + self._names[id(target)]}
            case _:
                raise UnfitSchemaError("The JSON Schema refers to something that is no schema.")

    def _union(self, several: Json, schema: Schema, depth: int) -> Schema | None:
        if not isinstance(several, list) or not several:
            raise UnfitSchemaError("The JSON Schema has a union of nothing.")
        forms = [self._made(_typed(each, schema), depth + 1) for each in several]
        left: list[Json] = [form for form in forms if form is not None]
        return {"anyOf": left} if left else None

    def _single(self, schema: Schema, depth: int) -> Schema:
        names = types(schema)
        form: Schema = {}
        if "object" in names:
            form |= self._object(schema, depth)
        if "array" in names:
            form |= self._array(schema, depth)
        if "string" in names:
            form |= string(schema, self._budget)
        if "integer" in names or "number" in names:
            form |= number(schema, whole="integer" in names)
        match names:
            case []:
                return form
            case [one]:
                return {"type": one, **form}
            case _:
                return {"type": [*names], **form}

    def _object(self, schema: Schema, depth: int) -> Schema:
        named = schema.get("properties", {})
        if not isinstance(named, dict):
            raise UnfitSchemaError("The JSON Schema has properties that are no object.")
        if any(len(each) > NAME for each in named):
            return {}
        forms = {each: self._made(inner, depth + 1) for each, inner in named.items()}
        properties: Schema = {each: form for each, form in forms.items() if form is not None}
        form: Schema = {"properties": properties} if "properties" in schema else {}
        required = schema.get("required")
        wanted = {each for each in required if isinstance(each, str)} if isinstance(required, list) else set[str]()
        if kept := [each for each in properties if each in wanted]:
            form["required"] = [*kept]
        return form | self._further(schema, properties, depth)

    def _further(self, schema: Schema, properties: Schema, depth: int) -> Schema:
        """What is said of further properties; not said, there are none beside those that are named."""
        further = schema.get("additionalProperties")
        if further is None or (further is False and not properties and schema.get("patternProperties")):
            return {}
        if further is not False and not all(PLAIN.fullmatch(each) for each in properties):
            return {}
        form = self._made(further, depth + 1)
        return {"additionalProperties": False if form is None else form or True}

    def _array(self, schema: Schema, depth: int) -> Schema:
        items = schema.get("items", True)
        first = items if isinstance(items, list) else schema.get("prefixItems")
        if isinstance(first, list) and first:
            forms = [self._made(each, depth + 1) for each in first]
            return {"prefixItems": [{} if form is None else form for form in forms]}
        if isinstance(items, list):
            return {}
        form = self._made(items, depth + 1)
        if form is None:
            return {"items": {}, "maxItems": 0}
        return {"items": form, **counts(schema, "minItems", "maxItems", budget=self._budget)}

    def _joined(self, schema: Schema, within: tuple[int, ...]) -> Schema | None:
        """One schema for a schema and all parts of its ``allOf``; None where nothing fits it."""
        parts = schema["allOf"]
        joined: Schema = {key: value for key, value in schema.items() if key != "allOf"}
        for each in parts if isinstance(parts, list) else [parts]:
            part = self._plain(each, (*within, id(schema)))
            if part is None:
                return None
            joined = _both(joined, part)
        return joined

    def _plain(self, part: Json, within: tuple[int, ...]) -> Schema | None:
        """A part without a reference and without an ``allOf`` of its own."""
        while isinstance(part, dict) and id(part) not in within:
            self._budget.take(len(within))
            within = (*within, id(part))
            match part:
                case {"$ref": str(reference)}:
                    part = pointed(self._root, reference)
                case {"allOf": list()}:
                    return self._joined(part, within[:-1])
                case _:
                    return part
        if isinstance(part, bool):
            return {} if part else None
        raise UnfitSchemaError("The JSON Schema has an allOf that refers to itself, or to what is no schema.")


def _typed(part: Json, schema: Schema) -> Json:
    """A part of a union, of the type that the union names."""
    if isinstance(part, dict) and "type" in schema and TYPED.isdisjoint(part):
        return {"type": schema["type"], **part}
    return part


def _both(one: Schema, other: Schema) -> Schema:
    """One schema for two; where they differ in what cannot be joined, it is the first."""
    both = {**other, **one}
    match one, other:
        case {"properties": dict(ours)}, {"properties": dict(theirs)}:
            shared: Schema = {each: {"allOf": [ours[each], theirs[each]]} for each in ours if each in theirs}
            both["properties"] = {**theirs, **ours, **shared}
        case _:
            pass
    match one, other:
        case {"required": list(ours_too)}, {"required": list(theirs_too)}:
            both["required"] = [*ours_too, *theirs_too]
        case _:
            pass
    match one, other:
        case {"enum": list(few)}, {"enum": list(others)} if len(few) <= VALUES and len(others) <= VALUES:
            both["enum"] = [each for each in few if each in others]
        case _:
            pass
    return both
