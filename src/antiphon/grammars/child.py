"""The program that judges grammars: as the one that reads files is, with jobs of its own.

``python -m antiphon.grammars.child TERMS``: see `antiphon.documents.child`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.documents import child
from antiphon.documents.wire import Judge, Judged

if TYPE_CHECKING:
    from antiphon.documents.wire import Job, Outcome


def perform(job: Job, contents: list[bytes]) -> Outcome:
    """Judge a definition, or the text that comes with it. Raises `Unreadable` for what takes too much."""
    match job:
        case Judge(syntax):
            from antiphon.grammars import judging  # noqa: PLC0415 - a child imports what its job needs

            definition = contents[0].decode("utf-8", "replace")
            if len(contents) == 1:
                return Judged(fault=judging.fault(syntax, definition))
            return Judged(fits=judging.fits(syntax, definition, contents[1]))
        case _:
            return child.perform(job, contents)


if __name__ == "__main__":
    child.main(perform)
