"""Lists of items: what is large in them is told to whoever asks for it."""

from __future__ import annotations

import json
from typing import Any  # JSON

import pytest

from antiphon.http.listing import listed
from antiphon.store import ItemRow, Page

PICTURE = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"}
FILE = {"type": "input_file", "filename": "a.txt", "file_data": "AAAA"}
SCREEN = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"}
TEXT = {"type": "input_text", "text": "an input_file and an input_image"}
OF_PICTURES, OF_SCREENS = "message.input_image.image_url", "computer_call_output.output.image_url"


def told(item: dict[str, Any], *include: str) -> Any:  # JSON
    """An item as it is listed."""
    row = ItemRow(id="msg_1", json=json.dumps(item).encode())
    page = json.loads(listed(Page(rows=[row], has_more=True), include))
    assert ("list", True, "msg_1", "msg_1") == (page["object"], page["has_more"], page["first_id"], page["last_id"])
    return page["data"][0]


@pytest.mark.parametrize(
    ("part", "shown", "include"),
    [
        (PICTURE, {"type": "input_image", "detail": "auto"}, OF_PICTURES),
        (FILE, {"type": "input_file", "filename": "a.txt"}, OF_PICTURES),
        (SCREEN, {"type": "computer_screenshot"}, OF_SCREENS),
    ],
)
def test_content_is_told_where_it_is_asked_for(part: Any, shown: Any, include: str) -> None:  # JSON
    """In messages, in what functions gave, and on screens; all beside it is always told."""
    [other] = {OF_PICTURES, OF_SCREENS} - {include}
    for key, content in (("content", [TEXT, part]), ("output", [part, TEXT]), ("output", part)):
        hidden = shown if content is part else [TEXT if each is TEXT else shown for each in content]
        item = {"type": "message", key: content}
        assert {**item, key: hidden} == told(item) == told(item, other)
        assert item == told(item, include) == told(item, include, other)


@pytest.mark.parametrize("item", [{"type": "message", "content": [TEXT]}, {"type": "x", "output": "an input_image"}])
def test_words_are_told_as_they_are(item: Any) -> None:  # JSON
    """Though they name what is hidden."""
    assert item == told(item)


def test_an_empty_list_names_nobody() -> None:
    """As the live service does."""
    expected: dict[str, Any] = {
        "object": "list",
        "data": [],
        "first_id": None,
        "has_more": False,
        "last_id": None,
    }  # JSON
    assert expected == json.loads(listed(Page(rows=[], has_more=False), []))
