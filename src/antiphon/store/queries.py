"""The SQL of the store by name: each statement stands in ``queries.sql`` under a ``-- name --`` header."""

from __future__ import annotations

import re
from importlib.resources import files


def named(text: str) -> dict[str, str]:
    """Cut a text at its ``-- name --`` headers and return each statement under its name."""
    _, *parts = re.split(r"^-- (\w+) --\n", text, flags=re.MULTILINE)
    return {name: sql.strip().removesuffix(";") for name, sql in zip(parts[::2], parts[1::2], strict=True)}


QUERIES = named(files("antiphon.store").joinpath("queries.sql").read_text(encoding="utf-8"))
