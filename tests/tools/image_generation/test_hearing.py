"""What an images API answers, cut anywhere."""

from __future__ import annotations

import pytest
from msgspec import Raw

from antiphon.protocol.response import ImageTokens, ImageToolUsage
from antiphon.tools.image_generation.images.hearing import (
    MOST_TOKENS,
    Hearing,
    Nonsense,
    TooLong,
    is_final,
    is_partial,
    usage_of,
)
from antiphon.tools.image_generation.images.shapes import NULL, Picture, Said

PARTIAL = b'{"type": "image_edit.partial_image", "b64_json": "AA=="}'
FINAL = b'{"type": "image_edit.completed", "b64_json": "AAAA"}'
STREAM = (
    b"\xef\xbb\xbf: a comment\r\n\r\nevent: image_edit.partial_image\r\ndata: " + PARTIAL + b"\r\n\r\n"
    b"id: 7\nretry: 1\ndata:" + FINAL[:33] + b"\ndata: " + FINAL[33:] + b"\n\ndata: [DONE]\n\n"
)
SAID = [Said(type="image_edit.partial_image", b64_json="AA=="), Said(type="image_edit.completed", b64_json="AAAA")]


def heard(*chunks: bytes, limit: int = 10_000) -> list[Said]:
    """All that chunks say."""
    hearing = Hearing(limit)
    return [said for chunk in chunks for said in hearing.feed(chunk)] + hearing.end()


def test_a_stream_is_the_same_wherever_it_is_cut() -> None:
    """Every cut in two, and every byte by itself."""
    for place in range(len(STREAM) + 1):
        assert SAID == heard(STREAM[:place], STREAM[place:])
    assert SAID == heard(*(bytes([byte]) for byte in STREAM))


def test_json_is_the_same_wherever_it_is_cut() -> None:
    """A body that opens with a brace is one answer."""
    body = b'\n {"created": 1,\n "data": [{"b64_json": "AA==", "revised_prompt": "r"}], "usage": {"input_tokens": 1}}'
    said = Said(data=[Picture(b64_json="AA==", revised_prompt="r")], usage=Raw(b'{"input_tokens": 1}'))
    for place in range(len(body) + 1):
        assert [said] == heard(body[:place], body[place:])


def test_a_last_event_needs_no_empty_line() -> None:
    """A server that forgets the end of its stream is understood."""
    assert SAID[1:] == heard(b"data: " + FINAL)


@pytest.mark.parametrize(
    "body", [b"", b"  \n ", b"<html>", b"data: <html>\n\n", b'{"data": 7}', b"data: [1]\n\n", b'data: {"b64_json": 1}']
)
def test_nonsense_is_told(body: bytes) -> None:
    """What is no answer raises, whenever it is noticed."""
    with pytest.raises(Nonsense):
        heard(body)


@pytest.mark.parametrize("body", [b"{" + b" " * 100, b"data: " + b"x" * 100, b"data: xx\n" * 100])
def test_an_endless_answer_is_cut_off(body: bytes) -> None:
    """No more is held than the limit."""
    with pytest.raises(TooLong):
        heard(body, limit=100)


def test_answers_are_told_apart() -> None:
    """Partial, finished, and neither."""
    whole = Said(data=[Picture(), Picture(url="/x.png")])
    assert [(True, False), (False, True), (False, True), (False, False), (False, False)] == [
        (is_partial(said), is_final(said)) for said in (*SAID, whole, Said(), Said(type="other", b64_json="AA=="))
    ]
    assert Picture(url="/x.png") == whole.picture
    assert Said().picture is None


def test_usage_is_taken_as_far_as_it_fits() -> None:
    """What is missing is counted; what does not fit is left out."""
    whole = Raw(
        b'{"input_tokens": 5, "input_tokens_details": {"image_tokens": 2, "text_tokens": 3}, "output_tokens": 9,'
        b' "output_tokens_details": {"image_tokens": 8, "text_tokens": 1}, "total_tokens": 20}'
    )
    expected = ImageToolUsage(
        input_tokens=5,
        input_tokens_details=ImageTokens(image_tokens=2, text_tokens=3),
        output_tokens=9,
        output_tokens_details=ImageTokens(image_tokens=8, text_tokens=1),
        total_tokens=20,
    )
    assert expected == usage_of(Said(usage=whole))
    assert usage_of(Said(usage=Raw(b'{"output_tokens": 4}'))) == ImageToolUsage(
        output_tokens=4, output_tokens_details=ImageTokens(image_tokens=4), total_tokens=4
    )
    mad = usage_of(Said(usage=Raw(b'{"input_tokens": -5, "output_tokens": 1000000000000000}')))
    assert mad is not None
    assert (0, MOST_TOKENS) == (mad.input_tokens, mad.output_tokens)
    assert [None, None] == [usage_of(Said(usage=usage)) for usage in (NULL, Raw(b'{"input_tokens": "many"}'))]
