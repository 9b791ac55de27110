"""Which JSON Schemas can be followed strictly: every object closed, every property required.

The words of a problem are the live service's where they were recorded. A schema is read as a tree and references are
not followed, so the work grows with its size alone. Source: recorded errors ``invalid_function_parameters`` and
``invalid_json_schema``.
"""

from __future__ import annotations

from typing import Any, TypeGuard

MAX_DEPTH = 100

_UNSUPPORTED = (
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
)
_MAPS = ("properties", "$defs", "definitions")
_TYPED_BY = ("type", "$ref", "anyOf", "enum", "const")

Schema = dict[str, Any]  # JSON Schema is open
Context = tuple[str, ...]


def strict_compatible(schema: Schema) -> bool:
    """Whether a model can be held to the schema as it stands."""
    return strict_problem(schema) is None


def strict_problem(schema: Schema) -> str | None:
    """Say why a model cannot be held to the schema; None if it can.

    The text follows "Invalid schema for function 'f': " or "Invalid schema for response_format 'n': ". ``context`` in
    it is the way from the root to the fault; the first fault in the order of the text is the one that is named.
    """
    if schema.get("type") != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    pending: list[tuple[int, Context, Any]] = [(0, (), schema)]  # JSON Schema is open
    while pending:
        depth, context, node = pending.pop()
        fault = _fault(node, depth, root=schema)
        if fault is not None:
            return f"In context={context!r}, {fault}"
        pending.extend(reversed([(depth + 1, (*context, *way), child) for way, child in _children(node)]))
    return None


def _fault(node: Any, depth: int, *, root: Schema) -> str | None:  # a subschema may be any JSON
    if depth > MAX_DEPTH:
        return f"{depth} levels of nesting exceeds limit of {MAX_DEPTH}."
    if not _is_object(node) or not any(key in node for key in _TYPED_BY):
        return "schema must have a 'type' key."
    return _misshapen(node) or _unsupported(node) or _dangling(node, root) or _unclosed(node)


def _is_object(value: object) -> TypeGuard[Schema]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:  # its members may be any JSON
    return isinstance(value, list)


def _misshapen(node: Schema) -> str | None:
    for key in _MAPS:
        if not isinstance(node.get(key, {}), dict):
            return f"'{key}' is required to be an object."
    if not isinstance(node.get("anyOf", []), list):
        return "'anyOf' is required to be an array."
    return None


def _unsupported(node: Schema) -> str | None:
    return next((f"'{key}' is not permitted." for key in _UNSUPPORTED if key in node), None)


def _dangling(node: Schema, root: Schema) -> str | None:
    if "$ref" not in node or _resolves(node["$ref"], root):
        return None
    return f"reference {node['$ref']!r} does not point to a definition in the schema."


def _resolves(reference: object, root: Schema) -> bool:
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return False
    place: Any = root  # JSON Schema is open
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not _is_object(place) or name not in place:
            return False
        place = place[name]
    return True


def _unclosed(node: Schema) -> str | None:
    kind = node.get("type")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind) and "properties" not in node:
        return None
    if node.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    return _unrequired(node.get("properties", {}), node.get("required", []))


def _unrequired(properties: Schema, required: object) -> str | None:
    rule = "'required' is required to be supplied and to be an array including every key in properties."
    if not _is_array(required) or not all(isinstance(name, str) for name in required):
        return rule
    named = set(required)
    missing = next((name for name in properties if name not in named), None)
    if missing is not None:
        return f"{rule} Missing '{missing}'."
    extra = next((name for name in required if name not in properties), None)
    return None if extra is None else f"'required' holds a key that is not in properties: '{extra}'."


def _children(node: Schema) -> list[tuple[Context, Any]]:  # a subschema may be any JSON
    children: list[tuple[Context, Any]] = [  # a subschema may be any JSON
        ((key, name), child) for key in _MAPS for name, child in node.get(key, {}).items()
    ]
    if "items" in node:
        children.append((("items",), node["items"]))
    children.extend((("anyOf", str(index)), child) for index, child in enumerate(node.get("anyOf", [])))
    return children
