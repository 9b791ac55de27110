"""Refusals of files and uploads: what a form, a file or an upload may not be.

The words for an unknown purpose were recorded; for the others none were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from antiphon.protocol.errors import ApiError, ErrorObject, alternatives, invalid_request, shown
from antiphon.protocol.files import FilePurpose

if TYPE_CHECKING:
    from collections.abc import Sequence

# The form


def expects_form(sent: str) -> ApiError:
    """The body is declared as something other than a form with a file."""
    return ApiError(
        415,
        ErrorObject(
            message=f"Unsupported content type: '{shown(sent)}'. This API method only accepts 'multipart/form-data' "
            "requests.",
            code="unsupported_content_type",
        ),
    )


def malformed_form(reason: str) -> ApiError:
    """The body is no form; ``reason`` says in a few words what is wrong with it."""
    return invalid_request(f"We could not parse the multipart form of your request: {reason}.")


def several_files(field: str) -> ApiError:
    """The form holds more than one file."""
    return invalid_request(f"Only one '{field}' may be sent.", param=field)


def field_too_long(limit: int) -> ApiError:
    """A field of the form is longer than so many bytes."""
    return invalid_request(f"A field of the form is longer than {limit} bytes.")


# The file


def unknown_purpose(purpose: str) -> ApiError:
    """The file is for something that there is not."""
    return invalid_request(
        f"'{shown(purpose)}' is not one of {list(get_args(FilePurpose))} - 'purpose'", param="purpose"
    )


def empty_file() -> ApiError:
    """There is nothing in the file."""
    return invalid_request("File is empty.", param="file")


def not_for_vision(media_type: str, supported: Sequence[str]) -> ApiError:
    """A file that is no image, for a purpose that takes images alone."""
    return invalid_request(
        f"Files with purpose 'vision' must be images ({alternatives(supported)}), but this file is '{media_type}'.",
        param="file",
        code="unsupported_file",
    )


def no_such_cursor(after: str) -> ApiError:
    """The file after which a page shall begin is not in the list."""
    return invalid_request(f"No file with id '{shown(after)}' in this list.", param="after")


def range_not_satisfiable(size: int) -> ApiError:
    """The part that was asked for begins behind the end of the file."""
    return ApiError(
        416,
        ErrorObject(message=f"The range is not within the {size} bytes of this file."),
        headers={"content-range": f"bytes */{size}"},
    )


# The upload


def upload_not_found(id: str) -> ApiError:
    """The upload is unknown, long over or somebody else's."""
    return ApiError(404, ErrorObject(message=f"No such Upload object: {shown(id)}", param="id"))


def upload_closed(id: str, status: str) -> ApiError:
    """The upload has ended: it takes nothing more."""
    return invalid_request(f"Upload '{shown(id)}' is {status} and cannot be changed.", param="id")


def upload_full(id: str) -> ApiError:
    """The upload holds far more than was announced."""
    return invalid_request(f"Upload '{shown(id)}' holds more parts than its 'bytes' can need.", param="data")


def upload_too_large(size: int, limit: int) -> ApiError:
    """More is announced than an upload may hold."""
    return invalid_request(
        f"Invalid 'bytes': integer above maximum value. Expected a value <= {limit}, but got {size} instead.",
        param="bytes",
        code="integer_above_max_value",
    )


def unknown_part(id: str) -> ApiError:
    """A part that the upload does not have."""
    return invalid_request(f"No part with id '{shown(id)}' in this upload.", param="part_ids")


def repeated_part(id: str) -> ApiError:
    """A part that is named twice."""
    return invalid_request(f"The part '{shown(id)}' is named more than once.", param="part_ids")


def wrong_size(*, announced: int, got: int) -> ApiError:
    """The parts are not what was announced."""
    return invalid_request(
        f"The parts hold {got} bytes, but the upload was created for {announced} bytes.", param="part_ids"
    )


def wrong_digest() -> ApiError:
    """The parts together have another digest."""
    return invalid_request("The md5 checksum of the parts does not match 'md5'.", param="md5")
