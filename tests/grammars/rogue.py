"""A child that judges as any other, but for definitions that tell it how to misbehave."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from antiphon.documents import child as reader
from antiphon.documents.wire import Described, Judge, Judged
from antiphon.grammars import child

if TYPE_CHECKING:
    from antiphon.documents.wire import Job, Outcome


def carry_out(job: Job, contents: list[bytes]) -> Outcome:
    """Do as the definition says, or what is asked."""
    match contents[0]:
        case b"die":
            os._exit(1)
        case b"hang":
            threading.Event().wait()
        case b"astray":
            return Described("x")
        case b"who" if isinstance(job, Judge):
            return Judged(fault=str(os.getpid()))
        case _:
            pass
    return child.perform(job, contents)


if __name__ == "__main__":
    reader.main(carry_out)
