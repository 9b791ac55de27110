"""Drawings that a caller sends back: base64, and what a model can be shown of it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any  # what a client may send

import msgspec
import pytest

from antiphon.protocol.checks import check
from antiphon.protocol.errors import ApiError
from antiphon.protocol.media import result_url
from antiphon.protocol.reading import read_request


def checked(**item: Any) -> None:  # what a client may send
    """Read and check a request with a drawing in its input."""
    body = {"model": "m", "input": [{"type": "image_generation_call", **item}]}
    check(read_request(msgspec.json.encode(body)).request)


@pytest.mark.parametrize(
    "item",
    [
        {"id": "ig_1", "result": "AAAA", "status": "completed"},
        {"id": "ig_1", "result": "AA==", "status": "generating"},
        {"id": "ig_1", "result": "", "status": "failed"},
        {"id": "ig_1", "result": None, "status": "completed"},
        {"id": "ig_1"},
    ],
)
def test_a_drawing_may_come_back_whole_or_by_its_id(item: dict[str, Any]) -> None:  # what a client may send
    """Without a result it only points at one."""
    checked(**item)


@pytest.mark.parametrize(
    "result", ["AAA", "data:image/png;base64,AAAA", "antiphon-blob:resp_1/ab", "Größe", "AAAA A=="]
)
@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_drawing_that_is_no_base64_is_refused(result: str, status: str) -> None:
    """By its place."""
    with pytest.raises(ApiError) as raised:
        checked(id="ig_1", result=result, status=status)
    assert (400, "invalid_base64_image", "input[0].result") == (
        raised.value.status,
        raised.value.code,
        raised.value.param,
    )
    message = "Expected a base64-encoded image, but got an invalid base64-encoded value."
    assert f"Invalid 'input[0].result'. {message}" == raised.value.message


def test_a_drawing_with_an_empty_id_is_refused() -> None:
    """It points nowhere."""
    with pytest.raises(ApiError) as raised:
        checked(id="")
    assert ("missing_required_parameter", "input[0].id") == (raised.value.code, raised.value.param)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\xff\xd8\xff\xdb", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
    ],
)
def test_a_drawing_is_shown_by_its_first_bytes(content: bytes, media_type: str) -> None:
    """As a data URL."""
    result = b64encode(content).decode()
    assert f"data:{media_type};base64,{result}" == result_url(result)


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"%PDF-1.7", b"\x89PNG"])
def test_what_no_model_sees_is_not_shown(content: bytes) -> None:
    """An SVG is text."""
    assert None is result_url(b64encode(content).decode())
