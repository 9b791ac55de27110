"""The SQL of the store by name: each file in ``sql/`` holds statements, each under a header.

``-- name --`` is one text for every engine, ``-- name (sqlite) --`` the text for one of them. In a text stand three
marks, which each engine spells in its own way: ``/*lock*/`` takes the rows that nobody else holds, ``/*hold*/`` waits
for the rows, both until the transaction ends, and ``/*now*/`` is the database's clock, in milliseconds of Unix time.
What stands under a name that begins with ``_`` is a part of other statements, where that name is a mark.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKS = {
    "sqlite": {  # its writer is alone
        "lock": "",
        "hold": "",
        "now": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    },
    "postgres": {
        "lock": "FOR UPDATE SKIP LOCKED",
        "hold": "FOR UPDATE",
        "now": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    },
}

_HEADER = re.compile(r"^-- (\w+)(?: \((\w+)\))? --\n", re.MULTILINE)
_MARK = re.compile(r"/\*(\w+)\*/")


@cache
def queries(engine: str) -> Mapping[str, str]:
    """Every statement of the store as this engine runs it, by name."""
    folder = files("antiphon.store").joinpath("sql")
    texts = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return MappingProxyType(named("\n".join(text.read_text(encoding="utf-8") for text in texts), engine))


def named(text: str, engine: str) -> dict[str, str]:
    """Cut a text at its headers and return each statement of this engine under its name.

    Raises `ValueError` where a name has two texts, and `KeyError` where a mark is none.
    """
    _, *pieces = _HEADER.split(text)
    texts: dict[str, str] = {}
    for name, only, sql in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        if only in {None, engine}:
            if name in texts:
                raise ValueError(f"There are two texts for {name!r}.")
            texts[name] = sql.strip().removesuffix(";")
    marks = MARKS[engine] | {name: sql for name, sql in texts.items() if name.startswith("_")}
    return {name: _spelled(sql, marks).rstrip() for name, sql in texts.items() if not name.startswith("_")}


def _spelled(sql: str, marks: Mapping[str, str]) -> str:
    """A statement with what its marks, and those of its parts, stand for."""
    return _MARK.sub(lambda mark: _spelled(marks[mark[1]], marks), sql)
