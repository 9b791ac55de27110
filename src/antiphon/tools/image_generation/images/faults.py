"""What a server's refusal comes to, in our own words: nothing that it said reaches a caller. Pure."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec
from msgspec import Struct

from antiphon.protocol.calls import ImageRefusal
from antiphon.tools.image_generation.drawing import DrawingError
from antiphon.tools.image_generation.images.shapes import Fault, Said

_MODERATION = re.compile(
    r"moderation|content_?policy|content_?filter|responsible_?ai|safety_(?:system|violation)|image_content_policy",
    re.IGNORECASE,
)
_STREAMING = re.compile(rb"stream|partial_images")
_CATEGORY = re.compile(r"[a-z][a-z_/\-]{0,40}\Z")
_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
_MISCONFIGURED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
_QUOTAS = frozenset({"insufficient_quota", "rate_limit_exceeded"})
_MOST_CATEGORIES = 20

MISCONFIGURED = "The image model is not set up correctly. The operator of this server can see why in its log."


class Refused(Struct, frozen=True):
    """A refusal: the HTTP status, None for an event of a stream, and the body as far as it was read."""

    status: int | None
    body: bytes

    @property
    def fault(self) -> Fault:
        """The error in the body, empty where there is none that can be read."""
        try:
            said = msgspec.json.decode(self.body, type=Said)
            return msgspec.json.decode(said.error, type=Fault)
        except (msgspec.DecodeError, RecursionError):
            return Fault()

    @property
    def is_of_streaming(self) -> bool:
        """Whether it may be the stream, or its unfinished pictures, that the server does not know."""
        return self.status in _REFUSALS and _STREAMING.search(self.body) is not None and not _is_moderation(self.fault)

    @property
    def logged(self) -> dict[str, str | int | None]:
        """What an operator may read of it: words for programs, no text."""
        fault = self.fault
        return {
            "status": self.status,
            "code": _word(fault.code),
            "type": _word(fault.type),
            "param": _word(fault.param),
        }


def drawing_error(refused: Refused, sent: frozenset[str]) -> DrawingError:
    """The error for the caller; ``sent`` are the names of what was sent, of which one may be at fault."""
    fault, status = refused.fault, refused.status
    if _is_moderation(fault):
        return DrawingError("moderation_blocked", "The picture was refused by a content filter.", refusal=_found(fault))
    if status in _MISCONFIGURED:
        return DrawingError("misconfigured", MISCONFIGURED)
    if status == HTTPStatus.TOO_MANY_REQUESTS or {fault.code, fault.type} & _QUOTAS:
        return DrawingError("rate_limit_exceeded", "The image model has too much to do. Please try again later.")
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT}:
        return DrawingError("timeout", "The image model did not draw in time.")
    if status is not None and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        what = f" It does not take this value of '{fault.param}'." if fault.param in sent else ""
        return DrawingError("invalid_request", f"The image model refused the request.{what}")
    return DrawingError("server_error", "The image model failed. Please try again.")


def _is_moderation(fault: Fault) -> bool:
    return any(isinstance(word, str) and _MODERATION.search(word) is not None for word in (fault.code, fault.type))


def _found(fault: Fault) -> ImageRefusal | None:
    details = fault.moderation_details
    if details is None:
        return None
    categories = [each for each in details.categories if _CATEGORY.match(each)][:_MOST_CATEGORIES]
    match details.moderation_stage:
        case "input" | "output" as stage:
            return ImageRefusal(categories=categories, moderation_stage=stage)
        case _:
            return ImageRefusal(categories=categories, moderation_stage="unknown")


def _word(value: str | int | None) -> str | None:
    return str(value) if value is not None and _WORD.match(str(value)) else None
