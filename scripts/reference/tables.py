"""Markdown for generated pages: tables of fields, their types in words, their defaults, and their meanings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import NODEFAULT, Struct, inspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOTE = "<!-- Written from the code by `python -m scripts.reference`: do not edit. -->\n\n"


class Meanings(Struct, frozen=True):
    """What ``meanings.toml`` says: a sentence a field, by the table that it stands in."""

    configuration: dict[str, dict[str, str]]
    image_deployments: dict[str, dict[str, str]]
    places: dict[str, str]
    backends: dict[str, dict[str, str]]
    scripts: dict[str, dict[str, str]]
    parameters: dict[str, str]
    queries: dict[str, str]
    bodies: dict[str, dict[str, str]]
    answer_headers: dict[str, str]
    request_headers: dict[str, str]
    errors: dict[str, str]
    faults: dict[str, str]
    logs: dict[str, str]
    prose: dict[str, str]
    states: dict[str, str]
    routes: dict[str, str]


MEANINGS = msgspec.convert(
    tomllib.loads(Path(__file__).with_name("meanings.toml").read_text(encoding="utf-8")), Meanings
)


def written(name: str, **parts: str) -> str:
    """Write a page: its prose, with each ``{part}`` in its place, under the note that it was written from the code."""
    text = MEANINGS.prose[name].strip()
    for part, content in parts.items():
        text = text.replace(f"{{{part}}}", content.strip())
    return f"{NOTE}{text}\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table, with an empty line behind it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines) + "\n"


def fields(type_: type[Struct], meanings: Mapping[str, str]) -> str:
    """Write a struct as a table. Raises `LookupError` where the meanings are not those of its own fields."""
    own = msgspec.structs.fields(type_)
    expect_same(type_.__name__, [field.encode_name for field in own], meanings)
    rows = [
        [f"`{field.encode_name}`", kind(inspect.type_info(field.type)), default(field), meanings[field.encode_name]]
        for field in own
    ]
    return table(["key", "value", "default", "meaning"], rows)


def expect_same(place: str, found: Iterable[str], meanings: Iterable[str]) -> None:
    """Raise `LookupError` unless exactly the names that were found have a meaning."""
    if missing := set(found) - set(meanings):
        raise LookupError(f"meanings.toml does not say what these of {place} are: {', '.join(sorted(missing))}")
    if gone := set(meanings) - set(found):
        raise LookupError(f"meanings.toml has meanings of {place} that is not there: {', '.join(sorted(gone))}")


def default(field: msgspec.structs.FieldInfo) -> str:
    """Write a default as TOML has it; nothing for one that is None, a word for a key that must be there."""
    if field.required:
        return "needed"
    value = field.default_factory() if field.default is NODEFAULT else field.default
    match value:
        case None | msgspec.UNSET:
            return ""
        case Struct():
            return ""
        case _:
            return f"`{msgspec.json.encode(value).decode()}`"


def kind(node: inspect.Type) -> str:
    """Write a type in words."""
    match node:
        case inspect.UnionType(types=types):
            kinds = [kind(each) for each in types if not isinstance(each, inspect.NoneType)]
            return " or ".join(dict.fromkeys(kinds))
        case inspect.ListType(item_type=inspect.LiteralType(values=values)):
            return f"list of {listed(values)}"
        case inspect.ListType(item_type=inner):
            return f"list of {PLURALS.get(kind(inner), kind(inner))}"
        case inspect.VarTupleType(item_type=inner):
            return f"list of {kind(inner)}"
        case inspect.DictType(value_type=inner):
            return f"table of {PLURALS.get(kind(inner), kind(inner))}"
        case inspect.Metadata(type=inner):
            return kind(inner)
        case _:
            return plain(node)


PLURALS = {"text": "texts", "table": "tables"}


def plain(node: inspect.Type) -> str:
    """Write a type that holds no other in words."""
    match node:
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.IntType():
            return f"whole number{bounds(node)}"
        case inspect.FloatType():
            return f"number{bounds(node)}"
        case inspect.StrType(max_length=int(longest)):
            return f"text, at most {longest:,} characters"
        case inspect.StrType():
            return "text"
        case inspect.LiteralType(values=values):
            return listed(values)
        case inspect.StructType():
            return "table"
        case _:
            return "anything"


def listed(values: Iterable[object]) -> str:
    """Write a choice of words."""
    return " or ".join(f"`{value}`" for value in values)


def bounds(node: inspect.IntType | inspect.FloatType) -> str:
    """Write the bounds of a number."""
    parts = [
        f", {word} {limit:,}"
        for word, limit in (("at least", node.ge), ("more than", node.gt), ("at most", node.le), ("less than", node.lt))
        if limit is not None
    ]
    return "".join(parts)
