"""HTML as Markdown, and what HTML takes too long."""

from __future__ import annotations

from functools import partial

import pytest

from antiphon.documents import Unreadable, markup
from antiphon.documents.markup import DEPTH, markdown_of
from tests.patient import is_in_proportion, takes_at_most


@pytest.mark.parametrize("tag", ["<b>x</b>", "<p>", "<BR>", "<x/>"])
def test_a_page_of_too_many_elements_is_told(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any is made."""
    monkeypatch.setattr(markup, "ELEMENTS", 10)
    assert isinstance(markdown_of(10 * tag), str)
    with pytest.raises(Unreadable, match="more than 10 elements") as caught:
        markdown_of(11 * tag)
    assert "too_large" == caught.value.reason


def test_megabytes_of_tags_are_refused_sooner_than_a_page_is_read() -> None:
    """Counting them is cheap."""

    def refused() -> None:
        with pytest.raises(Unreadable):
            markdown_of("<b>" * 1_400_000)

    assert takes_at_most(1, refused, partial(markdown_of, "<b>x</b>" * 20_000))


@pytest.mark.parametrize("repeated", ["<a ", "<a b=\"'", "<!--", "<pre>", "<br>&<pre>", "<table>\n<pre><br>'", "&#32;"])
def test_a_page_four_times_as_long_takes_about_four_times_as_long(repeated: str) -> None:
    """And not sixteen times: tags that never end, elements within each other, and blanks are looked at once."""
    assert is_in_proportion(lambda count: markdown_of("<html>x" + count * repeated + "y"), 6_000, times=4)


def test_elements_that_are_too_deep_stand_side_by_side() -> None:
    """Their text is all there, in its order, and no script is."""
    page = "<div>" * 20_000 + "deep<script>evil()</script>" + "</div>" * 20_000 + "<b>after</b>"
    assert ["deep", "**after**"] == markdown_of(page).split()
    assert DEPTH < 200


def test_text_behind_the_last_tag_is_text() -> None:
    """Whatever it begins."""
    assert "**a** b <c" == markdown_of("<b>a</b> b <c")
    assert "<c" == markdown_of("<c")


def test_long_blanks_are_cut() -> None:
    """Those of code stay as they are up to a length that code has."""
    assert f"a{100 * ' '}b" in markdown_of(f"<pre>a{5_000 * ' '}b</pre>")
