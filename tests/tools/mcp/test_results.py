"""Results of tools, in the words of the client and of the model."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from antiphon.protocol.content import InputImage, InputText
from antiphon.tools.mcp.results import error_content, error_message, error_text, for_client, for_model, read

PICTURE = base64.b64encode(b"12345").decode()
TEXT = {"type": "text", "text": "words"}
IMAGE = {"type": "image", "data": PICTURE, "mimeType": "image/PNG"}
ALL = [
    (TEXT, "words"),
    (IMAGE, "[image: image/PNG, 5 bytes]"),
    ({"type": "audio", "data": PICTURE, "mimeType": "audio/wav"}, "[audio: audio/wav, 5 bytes]"),
    ({"type": "resource_link", "uri": "file:///a", "name": "a"}, "[resource: file:///a (a)]"),
    ({"type": "resource_link", "uri": "file:///a"}, "[resource: file:///a]"),
    ({"type": "resource", "resource": {"uri": "file:///a", "text": "in it"}}, "[resource: file:///a]\nin it"),
    ({"type": "resource", "resource": {"uri": "f:a", "text": ""}}, "[resource: f:a]\n"),
    (
        {"type": "resource", "resource": {"uri": "file:///a", "blob": PICTURE, "mimeType": "application/pdf"}},
        "[resource: file:///a, application/pdf, 5 bytes]",
    ),
    (
        {"type": "resource", "resource": {"uri": "file:///a", "blob": PICTURE}},
        "[resource: file:///a, application/octet-stream, 5 bytes]",
    ),
    ({"type": "hologram"}, "[content of an unknown kind]"),
    ({"type": "text"}, "[content of an unknown kind]"),
    ("words", "[content of an unknown kind]"),
]


@pytest.mark.parametrize(("block", "expected"), ALL)
def test_each_kind_of_content_has_its_words(block: object, expected: str) -> None:
    """The client and a model without eyes read the same."""
    result = read({"content": [block]})
    assert (expected, expected) == (for_client(result), for_model(result, sees_images=False))


def test_blocks_stand_on_lines_of_their_own() -> None:
    """In their order."""
    assert "\n".join(line for _, line in ALL) == for_client(read({"content": [block for block, _ in ALL]}))


def test_a_model_that_sees_gets_pictures() -> None:
    """As data URLs, between the words around them."""
    expected = [
        InputText(text="words"),
        InputImage(image_url=f"data:image/png;base64,{PICTURE}"),
        InputText(text='{"n":1}'),
    ]
    assert expected == for_model(read({"content": [TEXT, IMAGE], "structuredContent": {"n": 1}}), sees_images=True)
    assert "words" == for_model(read({"content": [TEXT]}), sees_images=True)


@pytest.mark.parametrize(("kind", "content"), [("image/svg+xml", PICTURE), ("image/png", "%%%"), ("image/png", "")])
def test_a_picture_that_no_model_reads_is_told_in_words(kind: str, content: str) -> None:
    """A kind that models do not take, or no base64."""
    result = read({"content": [{"type": "image", "data": content, "mimeType": kind}]})
    assert for_client(result) == for_model(result, sees_images=True)


def test_nothing_is_said_to_be_nothing_to_the_model() -> None:
    """The client sees an empty text."""
    results: list[dict[str, Any]] = [{}, {"content": []}, {"content": [], "structuredContent": None}]  # as sent
    for raw in results:
        assert ("", "(no output)") == (for_client(read(raw)), for_model(read(raw), sees_images=True))


@pytest.mark.parametrize(
    ("texts", "structured", "expected"),
    [
        ([], {"n": 1}, '{"n":1}'),
        (['{"n": 1}'], {"n": 1}, '{"n": 1}'),
        (["3"], {"result": 3}, "3"),
        (["three"], {"result": "three"}, "three"),
        (["a", "b"], {"result": ["a", "b"]}, "a\nb"),
        (['{"n": 1}', '{"n": 2}'], {"result": [{"n": 1}, {"n": 2}]}, '{"n": 1}\n{"n": 2}'),
        (["one found"], {"n": 1}, 'one found\n{"n":1}'),
        (["x"], {"result": "x", "more": 1}, 'x\n{"result":"x","more":1}'),
        (["[" * 5000], {"n": 1}, "[" * 5000 + '\n{"n":1}'),
    ],
)
def test_structured_content_is_said_once(texts: list[str], structured: object, expected: str) -> None:
    """Where the text says the same, that does."""
    content = [{"type": "text", "text": text} for text in texts]
    assert expected == for_client(read({"content": content, "structuredContent": structured}))


def test_an_error_is_what_the_server_calls_so() -> None:
    """And nothing else."""
    assert [True, False, False] == [read({"isError": value}).is_error for value in (True, False, "yes")]


def test_what_an_error_says_is_short_and_holds_no_secret() -> None:
    """In every string of it, and in names."""
    block = {"type": "text", "text": "key topsecret" + "x" * 9000, "annotations": {"topsecret": [1, None, "topsecret"]}}
    result = read({"content": [block] * 30, "isError": True})
    content = error_content(result, ["topsecret"])
    assert (20, 4000) == (len(content), len(content[0]["text"]))
    assert {"<redacted>": [1, None, "<redacted>"]} == content[0]["annotations"]
    text = error_text(result, ["topsecret"])
    assert (4000, True, False) == (len(text), text.startswith("key <redacted>x"), "topsecret" in text)


def test_a_message_stands_on_one_line() -> None:
    """Without control characters, and never longer than a thousand."""
    assert "no  <redacted>" == error_message("no\r\nsecret\0", ["secret"])
    assert 1000 == len(error_message("x" * 2000, []))
