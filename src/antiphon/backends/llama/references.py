"""References within a JSON Schema: where they lead, what they are called, and whether following them ends. Pure."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from antiphon.backends.llama.errors import UnfitSchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from antiphon.backends.llama.keywords import Json, Schema

PLACE: Final = "#/$defs/"
LONGEST: Final = 40
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}")


def pointed(root: Schema, reference: str) -> Json:
    """Return what a reference leads to. Raises `UnfitSchemaError` where that is nothing within the schema."""
    if reference != "#" and not reference.startswith("#/"):
        raise UnfitSchemaError("The JSON Schema refers to another one, which the embedded model cannot fetch.")
    found: Json = root
    for step in reference[2:].split("/") if reference != "#" else []:
        found = _step(found, unquote(step).replace("~1", "/").replace("~0", "~"))
    return found


def name(reference: str, prefix: str, taken: Mapping[str, Json]) -> str:
    """Return a name for what a reference leads to, of letters and digits: llama.cpp takes all else for one another."""
    letters = re.sub(r"[^A-Za-z0-9]+", "", unquote(reference).rpartition("/")[2])[:LONGEST]
    first = f"{prefix}{letters}" if letters[:1].isalpha() else f"{prefix}d{letters}"
    free, number = first, 1
    while free in taken:
        number += 1
        free = f"{first}x{number}"
    return free


def check_ends(definitions: Mapping[str, Json]) -> None:
    """Raise `UnfitSchemaError` where a definition stands for itself, with references and unions between alone."""
    beside = {each: list(_beside(form)) for each, form in definitions.items()}
    try:
        TopologicalSorter(beside).prepare()
    except CycleError as error:
        raise UnfitSchemaError("The JSON Schema refers to itself without an end.") from error


def _step(found: Json, key: str) -> Json:
    match found:
        case dict() if key in found:
            return found[key]
        case list() if _INDEX.fullmatch(key) and int(key) < len(found):
            return found[int(key)]
        case _:
            raise UnfitSchemaError("The JSON Schema refers to a part that it does not have.")


def _beside(form: Json) -> Iterator[str]:
    match form:
        case {"$ref": str(reference)}:
            yield reference.removeprefix(PLACE)
        case {"anyOf": list(several)}:
            for each in several:
                yield from _beside(each)
        case _:
            pass
