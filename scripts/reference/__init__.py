"""Pages of the documentation that are written from the code: what they say cannot differ from what it does.

``python -m scripts.reference`` writes them; ``tests/test_docs.py`` fails where a page is stale. What the code cannot
say, the meaning of a setting in a sentence, stands in ``meanings.toml``; a meaning too few or too many is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.reference import errors, http, logs, machine, settings, start

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parent.parent.parent / "docs"

PAGES: dict[str, Callable[[], str]] = {
    "start.md": start.page,
    "reference/configuration.md": settings.configuration,
    "reference/backends.md": settings.backends,
    "reference/scripts.md": settings.scripts,
    "reference/command.md": http.command,
    "reference/http.md": http.page,
    "reference/errors.md": errors.page,
    "reference/logs.md": logs.page,
    "explanation/machine.md": machine.page,
    "explanation/machine.svg": machine.drawing,
}
"""Every generated file below ``docs/``, and what writes it."""
