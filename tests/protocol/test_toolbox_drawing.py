"""The settings of the tool that draws fit together."""

from __future__ import annotations

from typing import Any  # what a client may send

import msgspec
import pytest

from antiphon.protocol.checks import check
from antiphon.protocol.errors import ApiError
from antiphon.protocol.reading import read_request

MASK = {"image_url": "data:image/png;base64,AAAA"}


def checked(*tools: dict[str, Any]) -> None:  # what a client may send
    """Read and check a request with these settings of the tool."""
    body = {"model": "m", "input": "Draw!", "tools": [{"type": "image_generation", **tool} for tool in tools]}
    check(read_request(msgspec.json.encode(body)).request)


@pytest.mark.parametrize(
    "tool",
    [
        {},
        {"n": 1, "partial_images": 3, "output_compression": 50, "output_format": "webp"},
        {"background": "transparent"},
        {"background": "transparent", "output_format": "svg"},
        {"background": "opaque", "output_format": "jpeg"},
        {"input_image_mask": MASK, "action": "edit"},
        {"input_image_mask": {"file_id": "file-1"}},
        {"output_format": "gif", "output_compression": 100, "partial_images": 0},
        {"action": "generate", "input_image_mask": None},
    ],
)
def test_settings_that_fit_are_taken(tool: dict[str, Any]) -> None:  # what a client may send
    """Whether a deployment can do it is not decided here."""
    checked(tool)


@pytest.mark.parametrize(
    ("tool", "param", "says"),
    [
        ({"n": 2}, "n", "'n' must be 1"),
        ({"n": 0}, "n", "'n' must be 1"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "'jpeg'"),
        ({"action": "generate", "input_image_mask": MASK}, "input_image_mask", "'action' is 'generate'"),
        ({"output_format": "gif", "partial_images": 1}, "partial_images", "'partial_images' is not supported"),
        ({"output_format": "gif", "input_image_mask": MASK}, "input_image_mask", "'input_image_mask' is not"),
        ({"output_format": "gif", "output_compression": 9}, "output_compression", "'output_compression' is not"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tool: dict[str, Any],  # what a client may send
    param: str,
    says: str,
) -> None:
    """By the place of the one that has to go."""
    with pytest.raises(ApiError) as raised:
        checked(tool)
    assert (400, "invalid_value", f"tools[0].{param}") == (raised.value.status, raised.value.code, raised.value.param)
    assert says in raised.value.message


@pytest.mark.parametrize(
    ("mask", "param"),
    [
        ({}, "tools[0].input_image_mask.image_url"),
        ({"image_url": None, "file_id": None}, "tools[0].input_image_mask.image_url"),
        ({**MASK, "file_id": "file-1"}, None),
        ({"image_url": "data:image/png;base64,antiphon-blob:x"}, "tools[0].input_image_mask.image_url"),
    ],
)
def test_a_mask_is_an_image_like_any_other(mask: dict[str, str | None], param: str | None) -> None:
    """A URL or a file, and base64 that can be read."""
    with pytest.raises(ApiError) as raised:
        checked({"input_image_mask": mask})
    assert param == raised.value.param


def test_the_tool_stands_in_a_request_once() -> None:
    """The model could not tell two of them apart."""
    with pytest.raises(ApiError) as raised:
        checked({}, {"model": "other"})
    message = "Duplicate tool type: 'image_generation' stands more than once in 'tools'."
    assert ("tools[1].type", message) == (raised.value.param, raised.value.message)
