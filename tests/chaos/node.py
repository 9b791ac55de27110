"""The command ``antiphon`` with hosted tools in every run and a database that ends its process where a test says so.

``python -m tests.chaos.node serve --config ...``
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon import cli
from antiphon.lifecycle.equipping import Equipping
from antiphon.wiring import DATABASES, making
from tests.chaos.crashing import FOLDER
from tests.chaos.tools import Book, tools

if TYPE_CHECKING:
    from antiphon.engine.task import Task
    from antiphon.lifecycle.equipping import Case

BOOK = Book(Path(os.environ[FOLDER]) / "book")


class Equipped(Equipping):
    """Equips every run with the tools."""

    async def task(self, case: Case) -> Task:
        """The task with tools of a test's alone."""
        return replace(await super().task(case), tools=tools(BOOK))


def main() -> None:
    """Run the command."""
    making.Equipping = Equipped  # type: ignore[attr-defined]  # no configuration names a tool of a test's
    DATABASES.update(dict.fromkeys(DATABASES, "tests.chaos.crashing:connect"))
    cli.main()


if __name__ == "__main__":
    main()
