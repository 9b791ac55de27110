"""The steps from an empty database to this version's schema: one file each, run once, in the order of their numbers.

Every engine has the same steps, in a folder of its own. A file is ``NNNN_what_it_does_pre.sql`` or ``..._post.sql``. A
*pre* step only adds: it runs before the new code starts, and an older version serves on beside it. A *post* step runs
once all processes are new, and an older version does not understand what it leaves.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.store import StoreTooNew

if TYPE_CHECKING:
    from collections.abc import Mapping

PRE, POST = "_pre", "_post"


class Migration(Struct, frozen=True):
    """One step: its number, the name that is recorded, and statements that end with semicolons.

    The name of a *post* step ends with ``_post``, so that its record tells what it is to a version that has no such
    step.
    """

    number: int
    name: str
    sql: str

    @property
    def is_post(self) -> bool:
        """Whether it must wait until no older version serves."""
        return self.name.endswith(POST)


def read(engine: str) -> list[Migration]:
    """All steps that this version knows, in order."""
    texts = [text for text in files(__name__).joinpath(engine).iterdir() if text.name.endswith(".sql")]
    return [
        Migration(
            number=int(text.name[:4]),
            name=text.name[5:].removesuffix(".sql").removesuffix(PRE),
            sql=text.read_text(encoding="utf-8"),
        )
        for text in sorted(texts, key=lambda text: text.name)
    ]


def refuse_newer(recorded: Mapping[int, str], known: list[Migration]) -> None:
    """Raise `StoreTooNew` where a *post* step was run that this version does not know: *pre* steps only added."""
    unknown = recorded.keys() - {step.number for step in known}
    if newer := [number for number in unknown if recorded[number].endswith(POST)]:
        raise StoreTooNew(
            f"The database has schema {max(newer)}; this version of Antiphon knows {known[-1].number}. Use a newer one."
        )
