"""Makes a JSON Schema one that the Messages API takes as the form of an answer.

It knows only part of the keywords, refuses the others and wants every object closed. What it does not know is said to
the model in the description of the place where it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from antiphon.protocol.parts import Json

NAMED = frozenset({"properties", "$defs", "definitions"})
LISTED = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
KNOWN = frozenset({"type", "enum", "const", "$ref", "title", "description", "default", "required", "pattern"})
UNSAID = frozenset({"additionalProperties", "$schema", "$id", "$comment"})
FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
FEWEST_ITEMS = frozenset({0, 1})


def fitted(schema: dict[str, Json]) -> dict[str, Json]:
    """Give the schema as the API takes it."""
    told: dict[str, Json] = {}
    rest: dict[str, Json] = {}
    for key, value in schema.items():
        match value:
            case dict() if key in NAMED:
                told[key] = {name: _fitted(each) for name, each in value.items()}
            case list() if key in LISTED:
                told[LISTED[key]] = [_fitted(each) for each in value]
            case dict() if key == "items":
                told[key] = fitted(value)
            case _ if key in KNOWN or _is_taken(key, value):
                told[key] = value
            case _ if key not in UNSAID:
                rest[key] = value
            case _:
                pass
    if schema.get("type") == "object" or "properties" in schema:
        told.setdefault("properties", {})
        told["additionalProperties"] = False
    if rest:
        told["description"] = "\n".join(filter(None, (str(told.get("description", "")), _written(rest))))
    return told


def _fitted(schema: Json) -> Json:
    return fitted(schema) if isinstance(schema, dict) else schema


def _is_taken(key: str, value: Json) -> bool:
    match key, value:
        case "format", str(name):
            return name in FORMATS
        case "minItems", int(count):
            return count in FEWEST_ITEMS
        case _:
            return False


def _written(rest: dict[str, Json]) -> str:
    return "It must also fit " + msgspec.json.encode(rest).decode()
