"""The jobs of a child that judges."""

from __future__ import annotations

import pytest

from antiphon.documents import child as reader
from antiphon.documents.nouns import Unreadable
from antiphon.documents.wire import Describe, Described, Judge, Judged
from antiphon.grammars import child
from tests.documents.files import quarters, saved


def test_a_definition_is_judged_by_itself() -> None:
    """What is wrong with it, if anything is."""
    assert Judged() == child.perform(Judge("regex"), [b"a+"])
    assert Judged(fault="Invalid regex grammar: unclosed group") == child.perform(Judge("regex"), [b"("])


def test_a_text_is_judged_by_its_definition() -> None:
    """Whether it fits."""
    assert Judged(fits=True) == child.perform(Judge("lark"), [b'start: "a"', b"a"])
    assert Judged(fits=False) == child.perform(Judge("lark"), [b'start: "a"', b"b"])


def test_it_does_what_any_child_does_besides() -> None:
    """No job is unknown to it."""
    assert isinstance(child.perform(Describe(), [saved(quarters(), "PNG")]), Described)


def test_a_child_that_reads_files_judges_nothing() -> None:
    """It is of another kind."""
    with pytest.raises(Unreadable, match="another kind"):
        reader.perform(Judge("regex"), [b"a"])
