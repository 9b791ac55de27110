"""The steps from an empty database to this version's schema: one file each, run once, in the order of their numbers."""

from __future__ import annotations

from importlib.resources import files

from msgspec import Struct


class Migration(Struct, frozen=True):
    """One step: its number, its name, and statements that end with semicolons."""

    number: int
    name: str
    sql: str


def read() -> list[Migration]:
    """All steps that this version knows, in order. A file is named ``NNNN_what_it_adds.sql``."""
    steps = [step for step in files(__name__).iterdir() if step.name.endswith(".sql")]
    return [
        Migration(number=int(step.name[:4]), name=step.name[5:-4], sql=step.read_text(encoding="utf-8"))
        for step in sorted(steps, key=lambda step: step.name)
    ]
