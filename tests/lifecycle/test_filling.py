"""Filling in: references are found where they may stand, and left as words everywhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # JSON

import pytest

from antiphon.lifecycle import filling, inlining
from antiphon.lifecycle.filling import MARK, Reference, TooMuch, filled, referenced

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

BLOB = f"resp_1/{'a' * 64}"
REFERENCE = f"{MARK}{BLOB}"
URL = "data:image/png;base64,"


async def fill(text: bytes) -> bytes:
    """The text, with what was read in the place of each reference."""

    async def read(blob: str) -> bytes:
        return b"<%b>" % blob.encode()

    return await filled(text, read)


def written(value: Any) -> bytes:  # JSON
    """JSON as it is kept: without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


FILLED = f"<{BLOB}>"


def drawing(result: str = REFERENCE, **more: Any) -> dict[str, Any]:  # JSON
    """A drawing."""
    return {"type": "image_generation_call", "id": "ig_1", "result": result, **more}


def message(*parts: dict[str, Any]) -> dict[str, Any]:  # JSON
    """A message with parts."""
    return {"type": "message", "role": "user", "content": [*parts]}


def picture(url: str = URL + REFERENCE) -> dict[str, Any]:  # JSON
    """A picture of an input."""
    return {"type": "input_image", "detail": "auto", "image_url": url}


ITEMS = [
    (drawing(), drawing(FILLED)),
    (message(picture()), message(picture(URL + FILLED))),
    (
        message({"type": "input_file", "filename": "a", "file_data": REFERENCE}),
        message({"type": "input_file", "filename": "a", "file_data": FILLED}),
    ),
    (
        message({"type": "input_file", "file_data": "data:text/plain;x=é;base64," + REFERENCE}),
        message({"type": "input_file", "file_data": "data:text/plain;x=é;base64," + FILLED}),
    ),
    (
        {"type": "function_call_output", "output": [picture()]},
        {"type": "function_call_output", "output": [picture(URL + FILLED)]},
    ),
    (
        {"type": "custom_tool_call_output", "output": [picture("DATA:x," + REFERENCE)]},
        {"type": "custom_tool_call_output", "output": [picture("DATA:x," + FILLED)]},
    ),
    (
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": URL + REFERENCE}},
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": URL + FILLED}},
    ),
]


TOLD: list[Callable[[Any], Any]] = [  # JSON
    lambda each: {"object": "list", "data": [each, each], "first_id": "a"},
    lambda each: {"id": "resp_1", "metadata": {}, "output": [{"type": "reasoning"}, each], "usage": None},
    lambda each: {"type": "response.output_item.done", "item": each, "output_index": 0},
    lambda each: {"type": "response.completed", "response": {"output": [each], "id": "resp_1"}},
]


@pytest.mark.parametrize(("item", "expected"), ITEMS)
async def test_an_item_is_filled_where_it_may_hold_base64(item: Any, expected: Any) -> None:  # JSON
    """In a page of items, in a response and in its events."""
    for told in TOLD:
        assert written(told(expected)) == await fill(written(told(item)))


WORDS = [
    f"See {REFERENCE}",
    REFERENCE,
    URL + REFERENCE,
    f'{{"type":"image_generation_call","result":"{REFERENCE}"}}',
    f"event: x\ndata: {REFERENCE}\n\n",
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(
    "item",
    [
        lambda words: message({"type": "input_text", "text": words}),
        lambda words: {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": words}]},
        lambda words: {"type": "function_call", "arguments": words, "result": words},
        lambda words: {"type": "function_call_output", "output": words},
        lambda words: {"type": "computer_call_output", "output": words},
        lambda words: {"type": "mcp_call", "output": words, "content": [picture(words)]},
        lambda words: drawing(FILLED, revised_prompt=words, error={"message": words}),
        lambda words: {"result": words, **message()},
        lambda words: {words: words, "result": words},
        lambda words: {"type": words, "result": words},
        lambda words: {"type": 7, "result": words},
        lambda words: [drawing(words)],
        lambda words: words,
    ],
)
async def test_words_are_told_as_they_are(item: Any, words: str) -> None:  # JSON
    """Whatever they look like, and whatever the keys of a caller are called."""
    output = [item(words), drawing()]
    told = {"metadata": {"result": words, words: words}, "output": output, "tools": [{"parameters": drawing(words)}]}
    assert written({**told, "output": [item(words), drawing(FILLED)]}) == await fill(written(told))


@pytest.mark.parametrize(
    "url",
    [
        f"https://p.example/{REFERENCE}",
        f"https://p.example/,{REFERENCE}",
        f"{URL}{REFERENCE}A",
        f"{URL}A{REFERENCE}",
        f"{URL}{MARK}resp_1/abc",
        f"{URL}{MARK}../{'a' * 64}",
        f"{MARK}{MARK}{BLOB}",
        "",
    ],
)
async def test_what_is_no_reference_is_left_in_its_place(url: str) -> None:
    """A URL of the web, and base64 that is none."""
    told = written({"output": [message(picture(url)), drawing(url)]})
    assert told == await fill(told)
    assert None is referenced(url)


async def test_a_block_of_events_is_filled_event_by_event() -> None:
    """Several may stand in it, and signs of life between them; each is told as it was written."""

    def block(*results: str) -> bytes:
        frames = [b": keep-alive\n\n"]
        for number, result in enumerate(results):
            partial = {"type": "partial", "partial_image_b64": result, "sequence_number": number}
            done = {"type": "done", "item": drawing(result, revised_prompt=REFERENCE)}
            frames += [b"event: %b\ndata: %b\n\n" % (b"x", written(each)) for each in (partial, done)]
        return b"".join(frames)

    assert block(FILLED, "AAAA", FILLED) == await fill(block(REFERENCE, "AAAA", REFERENCE))


async def test_what_is_told_often_is_read_once() -> None:
    """However many parts of a page hold it; and each other is read as well."""
    asked: list[str] = []

    async def read(blob: str) -> bytes:
        asked.append(blob)
        return b"<%b>" % blob.encode()

    other = REFERENCE[:-1] + "b"
    page = {"data": [message(*[picture()] * 40, picture(URL + other)), drawing()]}
    expected = {
        "data": [message(*[picture(URL + FILLED)] * 40, picture(f"{URL}<{other[len(MARK) :]}>")), drawing(FILLED)]
    }
    assert written(expected) == await filled(written(page), read)
    assert [BLOB, other[len(MARK) :]] == asked


async def test_a_long_page_is_filled_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """And comes out the same."""
    monkeypatch.setattr(inlining, "THREADED", 10)
    assert written({"data": [drawing(FILLED)]}) == await fill(written({"data": [drawing()]}))


async def test_an_answer_does_not_become_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as long is fine; what is beyond that is not even read."""
    page = written({"data": [drawing(), drawing(), drawing(REFERENCE[:-1] + "b"), drawing(REFERENCE[:-1] + "c")]})
    asked: list[str] = []

    async def read(blob: str) -> bytes:
        asked.append(blob)
        return bytes(1000)

    monkeypatch.setattr(filling, "MOST_BYTES", len(page) + 4000)
    assert len(page) + 4000 - 4 * len(REFERENCE) == len(await filled(page, read))
    monkeypatch.setattr(filling, "MOST_BYTES", len(page) + 1999)
    asked.clear()
    with pytest.raises(TooMuch):
        await filled(page, read)
    assert [BLOB] == asked


async def test_events_are_told_however_long_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that was refused them would never come to those behind."""
    monkeypatch.setattr(filling, "MOST_BYTES", 10)
    event = b"event: x\ndata: %b\n\n"
    assert event % written({"item": drawing(FILLED)}) == await fill(event % written({"item": drawing()}))


async def test_what_holds_no_reference_is_not_even_read() -> None:
    """It may be anything."""
    text = b"not JSON {"
    assert text is await fill(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (REFERENCE, Reference(0, BLOB)),
        (URL + REFERENCE, Reference(len(URL), BLOB)),
        (f"DATA:,{REFERENCE}", Reference(6, BLOB)),
        ("AAAA", None),
        (f"{REFERENCE}\n", None),
    ],
)
async def test_a_reference_is_found_in_the_place_of_base64(text: str, found: Reference | None) -> None:
    """Alone, or behind the comma of a data URL."""
    assert found == referenced(text)


def test_a_block_is_told_event_by_event_where_something_is_filled_in() -> None:
    """And in one piece where nothing is: it is the same in the end."""
    plain = b"event: a\ndata: {}\n\n: still there\n\n"
    assert [plain] == filling.told_apart(plain)
    marked = plain + b'data: {"result":"antiphon-blob:r/0"}\n\n'
    assert [b"event: a\ndata: {}\n\n", b": still there\n\n", b'data: {"result":"antiphon-blob:r/0"}\n\n'] == (
        filling.told_apart(marked)
    )
