"""The command ``antiphon`` with hosted tools in every run and a database that ends its process where a test says so.

``python -m tests.chaos.node serve --config ...``
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon import cli
from antiphon.lifecycle.preparing import History, Preparing
from antiphon.wiring import DATABASES, running
from tests.chaos.crashing import FOLDER
from tests.chaos.tools import Book, tools

if TYPE_CHECKING:
    from antiphon.engine.task import Task
    from antiphon.lifecycle import Caller, Order
    from antiphon.protocol.response import Response

BOOK = Book(Path(os.environ[FOLDER]) / "book")


class Equipped(Preparing):
    """Prepares runs whose model may call the tools."""

    async def _task(self, order: Order, response: Response, context: History, caller: Caller) -> Task:
        task = await super()._task(order, response, context, caller)
        return replace(task, tools=tools(BOOK))


def main() -> None:
    """Run the command."""
    running.Preparing = Equipped  # type: ignore[attr-defined]  # no configuration names a tool of a test's
    DATABASES.update(dict.fromkeys(DATABASES, "tests.chaos.crashing:connect"))
    cli.main()


if __name__ == "__main__":
    main()
