"""Refusals of pictures and documents that a request shows, by the codes of the official packages.

Source: Responses API reference, section 1.6 (codes of images).
"""

from __future__ import annotations

from antiphon.protocol.errors import ApiError, invalid_request, shown
from antiphon.protocol.refusals import server_error

LONGEST_SIDE = 16_384
"""Pixels of an edge that no picture may have more of."""

RETRY_AFTER = 5
"""Seconds after which it is worth sending a file again that had no turn."""

_PICTURE_CODES = {
    "not_an_image": "invalid_image_format",
    "image_too_large": "image_too_large",
    "image_parse_error": "image_parse_error",
    "empty": "empty_image_file",
    "too_large": "image_file_too_large",
    "unsupported": "unsupported_image_media_type",
}


def picture_refused(reason: str, message: str) -> ApiError:
    """A picture that cannot be read; ``reason`` is one of `antiphon.documents`, ``message`` is for the caller.

    Only one that is ``busy`` is not the caller's fault: a 503, which clients try again.
    """
    if reason == "busy":
        return _busy(message)
    return _refused(message, _PICTURE_CODES.get(reason, "invalid_image"))


def document_refused(reason: str, message: str, name: str) -> ApiError:
    """A document that cannot be read, by its name; see `picture_refused`."""
    if reason == "busy":
        return _busy(f"The file '{shown(name)}' cannot be read: {message}")
    code = {"unsupported": "unsupported_file", "too_large": "file_too_large"}.get(reason, "invalid_file")
    return _refused(f"The file '{shown(name)}' cannot be read: {message}", code)


def unreadable_picture() -> ApiError:
    """A picture whose base64 cannot be read."""
    return _refused("An image of the input is not valid base64.", "invalid_base64_image")


def unreadable_file() -> ApiError:
    """A document whose base64 cannot be read."""
    return _refused("A file of the input is not valid base64.", "invalid_value")


def no_such_picture(id: str) -> ApiError:
    """The file of a picture is unknown, expired, deleted or somebody else's."""
    return _refused(f"No such File object: {shown(id)}", "image_file_not_found")


def no_such_drawing(id: str) -> ApiError:
    """A drawing of an earlier response whose picture is gone."""
    return _refused(f"The image of '{shown(id)}' is no longer kept.", "image_file_not_found")


def not_downloaded(message: str, *, is_picture: bool) -> ApiError:
    """A URL of the input that could not be fetched."""
    if is_picture:
        return _refused(f"Error while downloading an image: {message}", "failed_to_download_image")
    return _refused(f"Error while downloading a file: {message}", "failed_to_download_file")


def file_too_large(name: str, limit: int) -> ApiError:
    """A file that is longer than what a request may show; ``limit`` is in bytes."""
    return _refused(f"The file '{shown(name)}' is larger than the {limit} bytes that input may have.", "file_too_large")


class TooMuchShown(ApiError):
    """Pictures and documents that cannot be shown together."""


def too_many_shown(most: int) -> ApiError:
    """More pictures and documents than a conversation may have."""
    return _together(f"The conversation has more than {most} images and files.", "too_many_files")


def too_much_shown(most: int) -> ApiError:
    """Pictures and documents that are too large together; ``most`` is in characters of text and base64."""
    words = f"The images and files of the conversation come to more than {most} characters. Show fewer or smaller ones."
    return _together(words, "file_too_large")


def no_eyes(model: str) -> ApiError:
    """A picture for a model that cannot see."""
    return _refused(
        f"The model '{shown(model)}' cannot see images: the deployment takes text alone. Use a deployment with vision, "
        "or ask the operator to have images described (`[vision] describe_with`).",
        "image_input_not_supported",
    )


def nothing_to_edit(param: str) -> ApiError:
    """The tool that draws shall edit, and the conversation has no picture."""
    return invalid_request(
        "The image generation tool is set to 'edit', and there is no image in the input to edit.",
        param=param,
        code="invalid_value",
    )


def image_deployment_not_found(name: str, *, param: str | None) -> ApiError:
    """No image deployment has this name."""
    return invalid_request(
        f"The image generation deployment '{shown(name)}' does not exist.", param=param, code="model_not_found"
    )


def _refused(message: str, code: str) -> ApiError:
    return invalid_request(message, param="input", code=code)


def _together(message: str, code: str) -> TooMuchShown:
    refused = _refused(message, code)
    return TooMuchShown(refused.status, refused.error)


def _busy(message: str) -> ApiError:
    error = server_error(message, status=503).error
    headers = {"retry-after": str(RETRY_AFTER), "retry-after-ms": str(RETRY_AFTER * 1000)}
    return ApiError(503, error, headers=headers)
