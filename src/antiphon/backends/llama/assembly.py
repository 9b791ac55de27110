"""A file that grows part by part, survives an interruption, and is given its name only when its SHA-256 is right.

Beside the growing file lies a journal with one SHA-256 a part, written after the part has reached the disk. Whoever
comes back after an interruption reads both, keeps the parts that agree and cuts off the rest.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from antiphon.backends.llama.catalog import digest
from antiphon.backends.llama.errors import CorruptError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from antiphon.backends.llama.catalog import Model


class Assembly:
    """The one owner of the growing file of a model; hold the model's lock around it."""

    def __init__(self, model: Model, folder: Path) -> None:
        self._model = model
        self._sizes = model.part_sizes()
        self._target = folder / model.file
        self._growing = folder / f"{model.file}.partial"
        self._journal = folder / f"{model.file}.parts"
        self._digests = self._agreeing()
        self._cut()

    @property
    def parts(self) -> int:
        """How many parts are whole and on disk."""
        return len(self._digests)

    @property
    def size(self) -> int:
        """How many bytes those parts have."""
        return sum(self._sizes[: self.parts])

    def append(self, chunks: Iterable[bytes]) -> None:
        """Write the next part. Raises `SourceError`, and keeps nothing of it, where it has not the expected size."""
        try:
            sha = self._written(chunks)
        except BaseException:
            self._cut()
            raise
        self._digests.append(sha)
        self._write_journal()

    def finish(self) -> Path:
        """Give the file its name. Raises `CorruptError`, and deletes all, where its SHA-256 is not the model's."""
        found = digest(self._growing)
        if found != self._model.sha256:
            self._growing.unlink()
            self._journal.unlink(missing_ok=True)
            raise CorruptError(
                f"What was fetched for {self._model.name} has the SHA-256 {found} instead of {self._model.sha256}; "
                f"it was deleted. Run `antiphon models fetch {self._model.name}` to try again."
            )
        self._growing.replace(self._target)
        self._journal.unlink(missing_ok=True)
        return self._target

    def _written(self, chunks: Iterable[bytes]) -> str:
        expected = self._sizes[self.parts]
        sha, written = hashlib.sha256(), 0
        with self._growing.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
                sha.update(chunk)
                written += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        if written != expected:
            raise SourceError(f"part {self.parts + 1} has {written} bytes instead of {expected}")
        return sha.hexdigest()

    def _agreeing(self) -> list[str]:
        if not (self._growing.is_file() and self._journal.is_file()):
            return []
        agreeing: list[str] = []
        with self._growing.open("rb") as file:
            for size, noted in zip(self._sizes, self._journal.read_text(encoding="ascii").split(), strict=False):
                if hashlib.sha256(file.read(size)).hexdigest() != noted:
                    break
                agreeing.append(noted)
        return agreeing

    def _cut(self) -> None:
        with self._growing.open("ab") as file:
            file.truncate(self.size)
        self._write_journal()

    def _write_journal(self) -> None:
        fresh = self._journal.with_suffix(".parts-new")
        fresh.write_text("\n".join(self._digests), encoding="ascii")
        fresh.replace(self._journal)
