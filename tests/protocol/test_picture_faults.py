"""What a caller is told of pictures and documents that cannot be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from antiphon.documents import Reason
from antiphon.protocol import picture_faults as faults

if TYPE_CHECKING:
    from antiphon.protocol.errors import ApiError

PICTURES = {
    "not_an_image": "invalid_image_format",
    "image_too_large": "image_too_large",
    "image_parse_error": "image_parse_error",
    "empty": "empty_image_file",
    "too_large": "image_file_too_large",
    "unsupported": "unsupported_image_media_type",
}
DOCUMENTS = {"unsupported": "unsupported_file", "too_large": "file_too_large"}


@pytest.mark.parametrize("reason", [reason for reason in get_args(Reason) if reason != "busy"])
def test_every_reason_has_a_code(reason: str) -> None:
    """One of a picture, one of a document; the message is the reader's."""
    picture, document = faults.picture_refused(reason, "No."), faults.document_refused(reason, "No.", "a.pdf")
    assert (400, "input", PICTURES.get(reason, "invalid_image"), "No.") == told(picture)
    expected = (400, "input", DOCUMENTS.get(reason, "invalid_file"), "The file 'a.pdf' cannot be read: No.")
    assert expected == told(document)


def test_a_server_that_is_busy_is_not_the_callers_fault() -> None:
    """It says when to try again."""
    for error, words in (
        (faults.picture_refused("busy", "No."), "No."),
        (faults.document_refused("busy", "No.", "a.pdf"), "The file 'a.pdf' cannot be read: No."),
    ):
        assert (503, None, "server_error", words) == told(error)
        assert ("server_error", "5", "5000") == (
            error.type,
            error.headers["retry-after"],
            error.headers["retry-after-ms"],
        )


def told(error: ApiError) -> tuple[int, str | None, str | None, str]:
    """Status, parameter, code and words."""
    return error.status, error.param, error.code, error.message


@pytest.mark.parametrize(
    ("error", "param", "code", "says"),
    [
        (faults.unreadable_picture(), "input", "invalid_base64_image", "not valid base64"),
        (faults.unreadable_file(), "input", "invalid_value", "not valid base64"),
        (faults.no_such_picture("file-1"), "input", "image_file_not_found", "file-1"),
        (faults.no_such_drawing("ig_1"), "input", "image_file_not_found", "ig_1"),
        (faults.not_downloaded("404", is_picture=True), "input", "failed_to_download_image", "an image: 404"),
        (faults.not_downloaded("404", is_picture=False), "input", "failed_to_download_file", "a file: 404"),
        (faults.file_too_large("a.pdf", 9), "input", "file_too_large", "'a.pdf' is larger than the 9 bytes"),
        (faults.no_eyes("blind"), "input", "image_input_not_supported", "'blind' cannot see images"),
        (faults.nothing_to_edit("tools[0].action"), "tools[0].action", "invalid_value", "no image in the input"),
        (faults.image_deployment_not_found("d", param=None), None, "model_not_found", "'d' does not exist"),
    ],
)
def test_each_refusal_names_what_is_wrong(error: ApiError, param: str | None, code: str, says: str) -> None:
    """By the codes of the official packages."""
    assert (400, param, code) == told(error)[:3]
    assert says in error.message
