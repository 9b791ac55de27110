"""The page "Start": the first sections of README.md, so that they are written once."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.reference.tables import NOTE

README = Path(__file__).parent.parent.parent / "README.md"
SECTIONS = ("Start", "What answers", "A five-minute tour", "Your own model")


def page() -> str:
    """The sections, with links as they are below ``docs/``."""
    text = README.read_text(encoding="utf-8")
    parts = [section(text, name) for name in SECTIONS]
    joined = "\n".join(parts).replace("## Start\n", "# Start\n", 1)
    joined = joined.replace("](docs/", "](").replace("[examples/](examples/)", "`examples/`")
    return NOTE + joined.rstrip() + "\n"


def section(text: str, name: str) -> str:
    """One section of a page, its heading included."""
    match = re.search(rf"^## {re.escape(name)}\n.*?(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    if match is None:
        raise LookupError(f"README.md has no section {name!r}")
    return match[0]
