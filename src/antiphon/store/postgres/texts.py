"""Statements as PostgreSQL takes them: numbered parameters, and text without NUL."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.store import Params, Value

# Strings, quoted names, comments and casts stand before the parameters, so that a colon inside of them is none.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|--[^\n]*|/\*.*?\*/|::|:([A-Za-z_]\w*)""", re.DOTALL)


@lru_cache(maxsize=1024)
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """The text with ``$1``, ``$2`` for its named parameters, and their names in this order."""
    names: dict[str, int] = {}

    def number(token: re.Match[str]) -> str:
        name = token[1]
        return f"${names.setdefault(name, len(names) + 1)}" if name else token[0]

    return _TOKEN.sub(number, sql), tuple(names)


def arguments(names: tuple[str, ...], params: Params) -> list[Value]:
    """The values of the parameters in their order.

    PostgreSQL keeps no U+0000 in a text, so U+FFFD stands for it, in what is written as in what is asked for. A JSON
    document has none: there it is an escape.
    """
    return [_kept(params[name]) for name in names]


def _kept(value: Value) -> Value:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
