"""Images and files of a request: where they are, and whether what is inlined can be read at all.

A data URL is looked at without being decoded: its type, its alphabet and its length. The codes are those that the
official packages list for images; the words were recorded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import UNSET

from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage
from antiphon.protocol.errors import ApiError, invalid_request, missing_parameter, mutually_exclusive, shown

if TYPE_CHECKING:
    from msgspec import UnsetType

    from antiphon.protocol.tool_settings import ImageMask

IMAGE_TYPES = frozenset(("image/png", "image/jpeg", "image/jpg", "image/webp", "image/gif"))

_RESULTS = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "UklGR": "image/webp", "R0lGOD": "image/gif"}
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BESIDE = b"=\r\n"
_PIECE = 16_384
_WEB = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_HEADER = re.compile(r"data:(?P<type>[^;,\s]*)(?:;(?!base64,)[^;,]*)*(?P<base64>;base64)?,", re.IGNORECASE)
_HEADER_CHARACTERS = 512
_MEDIA_THAT_NO_FILE_IS = ("audio/", "video/")
_AN_IMAGE = "a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')"
_A_FILE = "a base64-encoded data URL with a valid file MIME type (e.g. 'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ==')"


def check_image(image: InputImage | ComputerScreenshot | ImageMask, at: str) -> None:
    """An image is named by exactly one of a URL and a file; ``at`` is its path. Raises ``ApiError``."""
    url, file_id = _given(image.image_url), _given(image.file_id)
    if url is not None and file_id is not None:
        raise mutually_exclusive(f"{at}.image_url", f"{at}.file_id")
    if url is None and file_id is None:
        raise missing_parameter(f"{at}.image_url")
    if url is not None:
        _check_image_url(url, f"{at}.image_url")


def check_file(file: InputFile, at: str) -> None:
    """A file is named by exactly one of an id, a URL and its content; content has a name. Raises ``ApiError``."""
    sources = {"file_id": file.file_id, "file_url": file.file_url, "file_data": file.file_data}
    given = [name for name, source in sources.items() if source is not UNSET]
    if not given:
        raise missing_parameter(f"{at}.file_id")
    if len(given) > 1:
        raise mutually_exclusive(f"{at}.{given[0]}", f"{at}.{given[1]}")
    if isinstance(file.file_url, str) and not _WEB.match(file.file_url):
        raise _no_url(f"{at}.file_url", code="invalid_value")
    if isinstance(file.file_data, str):
        _check_file_data(file.file_data, f"{at}.file_data")
        if file.filename is UNSET:
            raise missing_parameter(f"{at}.filename")


def check_result(image: str, at: str) -> None:
    """A drawn image that a caller sends back is the base64 that it was. Raises ``ApiError``."""
    if not is_base64(image, 0):
        raise invalid_request(
            f"Invalid '{at}'. Expected a base64-encoded image, but got an invalid base64-encoded value.",
            param=at,
            code="invalid_base64_image",
        )


def result_url(image: str) -> str | None:
    """A drawn image as a data URL, by its first characters of base64; None where it is none that models see."""
    for start, media_type in _RESULTS.items():
        if image.startswith(start):
            return f"data:{media_type};base64,{image}"
    return None


def _given(value: str | UnsetType | None) -> str | None:
    return value if isinstance(value, str) else None


def _check_image_url(url: str, param: str) -> None:
    if _WEB.match(url):
        return
    if not url[:5].lower() == "data:":
        raise _no_image_url(url, param)
    header = _HEADER.match(url[:_HEADER_CHARACTERS])
    if header is None or header["base64"] is None:
        raise _unreadable(param, "an invalid base64-encoded value", code="invalid_base64_image")
    if header["type"].lower() not in IMAGE_TYPES:
        what = f"unsupported MIME type '{shown(header['type'])}'"
        raise _unreadable(param, what, code="invalid_image_format")
    if len(url) == header.end():
        raise _unreadable(param, "an empty image", code="empty_image_file")
    if not is_base64(url, header.end()):
        raise _unreadable(param, "an invalid base64-encoded value", code="invalid_base64_image")


def _no_image_url(url: str, param: str) -> ApiError:
    if "://" in url[:_HEADER_CHARACTERS] or not url:
        return _no_url(param, code="invalid_image_url")
    return _unreadable(param, "a value without the 'data:' prefix", code="invalid_image_url")


def _check_file_data(content: str, param: str) -> None:
    header = _HEADER.match(content[:_HEADER_CHARACTERS])
    if header is not None and header["type"].lower().startswith(_MEDIA_THAT_NO_FILE_IS):
        raise _no_file(param, f"unsupported MIME type '{shown(header['type'])}'")
    start = 0 if header is None else header.end()
    if start == len(content):
        raise _no_file(param, "an empty file")
    if (header is not None and header["base64"] is None) or not is_base64(content, start):
        raise _no_file(param, "an invalid base64-encoded value")


def is_base64(text: str, start: int) -> bool:
    """Whether all of ``text`` from ``start`` on is padded base64; line breaks are tolerated.

    It is looked at in pieces: no second copy of a large one is made.
    """
    padding = breaks = 0
    for at in range(start, len(text), _PIECE):
        try:
            others = text[at : at + _PIECE].encode("ascii").translate(None, _ALPHABET)
        except UnicodeEncodeError:
            return False
        if others.strip(_BESIDE):
            return False
        padding += others.count(b"=")
        breaks += len(others) - others.count(b"=")
    if padding > 2 or (len(text) - start - breaks) % 4:  # noqa: PLR2004 - base64 is written in fours, two of them padding
        return False
    return not padding or _is_end(text, text.index("=", start))


def _is_end(text: str, start: int) -> bool:
    """Whether nothing but padding and line breaks stands behind ``start``."""
    return len(text) - start == sum(text.count(each, start) for each in "=\r\n")


def _no_url(param: str, *, code: str) -> ApiError:
    return invalid_request(
        f"Invalid '{param}'. Expected a valid URL, but got a value with an invalid format.", param=param, code=code
    )


def _unreadable(param: str, what: str, *, code: str) -> ApiError:
    return invalid_request(f"Invalid '{param}'. Expected {_AN_IMAGE}, but got {what}.", param=param, code=code)


def _no_file(param: str, what: str) -> ApiError:
    return invalid_request(
        f"Invalid file data: '{param}'. Expected {_A_FILE}, but got {what}.", param=param, code="invalid_value"
    )
