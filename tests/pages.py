"""The documentation as text: what is shown in it, and how to run that."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from scripts.reference import DOCS
from tests.command import ROOT, run_python

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
PROSE = sorted(path for path in [README, *DOCS.rglob("*.md")] if "adr" not in path.parts)
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def blocks(language: str) -> list[tuple[str, str]]:
    """Every block of a language: where it stands, and what is in it. What start.md repeats is read in README.md."""
    return [
        (f"{path.relative_to(ROOT)}:{text[: found.start()].count(chr(10)) + 1}", found["code"])
        for path in PROSE
        if path.name != "start.md"
        for text in [path.read_text(encoding="utf-8")]
        for found in BLOCK.finditer(text)
        if found["language"] == language
    ]


def python_blocks(page: str = "README.md") -> list[str]:
    """The Python of a page, in order."""
    return [code for place, code in blocks("python") if place.startswith(f"{page}:")]


def run_page(page: str, url: str, folder: Path, *, before: str = "") -> str:
    """What the Python of a page prints. ``before`` is Python that the page takes for granted."""
    script = folder / "page.py"
    script.write_text("\n".join([before, *python_blocks(page)]).replace("http://127.0.0.1:8080", url))
    return run_python(str(script), url=url, folder=folder)
