"""The models that can be fetched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from antiphon.backends.llama.catalog import (
    CATALOG,
    DEFAULT,
    SMALL,
    Model,
    entries,
    entry,
    find,
    locate,
    remove,
    stand_in,
    verify,
)
from antiphon.backends.llama.errors import CorruptError, UnknownModelError
from tests.backends.llama.fakes import BYTES, MODEL


@pytest.mark.parametrize("model", CATALOG.values())
def test_every_part_has_its_pinned_package(model: Model) -> None:
    """As many pins as parts, each with one SHA-256, and the parts add up."""
    pins = model.pins()
    assert len(pins) == len(model.part_sizes())
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    assert sum(model.part_sizes()) == model.size


def test_the_default_comes_first(tmp_path: Path) -> None:
    """A list begins with what is used without a word."""
    assert [each.model.name for each in entries(tmp_path)] == [DEFAULT, SMALL]


def test_a_file_of_another_size_is_not_the_model(tmp_path: Path) -> None:
    """Present means there and whole."""
    (tmp_path / MODEL.file).write_bytes(BYTES[:-1])
    assert not entry(MODEL, tmp_path).present
    (tmp_path / MODEL.file).write_bytes(BYTES)
    assert entry(MODEL, tmp_path).present


def test_verify_looks_at_every_byte(tmp_path: Path) -> None:
    """A file of the right size with one wrong bit is refused, and the message says how to mend it."""
    path = tmp_path / MODEL.file
    path.write_bytes(BYTES)
    assert verify(MODEL, tmp_path) == path
    path.write_bytes(BYTES[:-1] + bytes([BYTES[-1] ^ 1]))
    with pytest.raises(CorruptError, match="antiphon models fetch tiny"):
        verify(MODEL, tmp_path)


def test_verify_says_that_there_is_nothing(tmp_path: Path) -> None:
    """A model that was not fetched has no bytes."""
    with pytest.raises(CorruptError, match="is not at"):
        verify(MODEL, tmp_path)


def test_remove_takes_the_model_and_what_a_broken_fetch_left(tmp_path: Path) -> None:
    """And says whether there was anything."""
    for name in ("tiny.gguf", "tiny.gguf.partial", "tiny.gguf.parts"):
        (tmp_path / name).write_bytes(b"x")
    assert remove(MODEL, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not remove(MODEL, tmp_path)


def test_a_name_lies_in_the_folder_and_a_path_where_it_is(tmp_path: Path) -> None:
    """A GGUF file of the operator's own needs no catalog."""
    assert tmp_path / CATALOG[SMALL].file == locate(SMALL, tmp_path)
    assert Path("/models/mine.gguf") == locate("/models/mine.gguf", tmp_path)
    assert Path("mine.gguf") == locate("mine.gguf", tmp_path)


def test_the_small_model_stands_in_only_for_a_default_that_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for by name and is not here is an error later, not another model."""
    monkeypatch.setitem(CATALOG, SMALL, MODEL)
    assert stand_in(DEFAULT, tmp_path) == DEFAULT
    (tmp_path / MODEL.file).write_bytes(BYTES)
    assert stand_in(DEFAULT, tmp_path) == SMALL
    assert stand_in("mine.gguf", tmp_path) == "mine.gguf"
    monkeypatch.setitem(CATALOG, DEFAULT, MODEL)
    assert stand_in(DEFAULT, tmp_path) == DEFAULT


def test_a_word_that_is_neither_name_nor_path_is_refused(tmp_path: Path) -> None:
    """The message names the models that there are."""
    with pytest.raises(UnknownModelError, match=SMALL):
        locate("smollm", tmp_path)
    with pytest.raises(UnknownModelError, match=DEFAULT):
        find("smollm")
