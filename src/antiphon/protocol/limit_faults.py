"""The errors of limits (Responses API reference, section 1.6), and the headers that tell how much of one is left.

The official clients wait for ``retry-after-ms`` and ask again; ``x-should-retry`` keeps them from asking in vain.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from antiphon.protocol.errors import ApiError, ErrorObject, azure_error, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Limited = Literal["requests", "tokens"]

BY_MINUTE: Mapping[Limited, str] = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}
NOT_AGAIN = {"x-should-retry": "false"}
LONGEST_WAIT = 3600.0
CLIENTS_WAIT = 60.0
"""Official clients wait so long at most: told more, older ones come again at once."""


class Level(Struct, frozen=True):
    """How much of a limit by the minute is left, and in how many seconds all of it will be."""

    limit: int
    remaining: int
    reset: float


def rate_exceeded(
    what: Limited, subject: str, level: Level, *, requested: int, wait: float, levels: Mapping[Limited, Level]
) -> ApiError:
    """The minute's requests or tokens are used up; there are enough again after ``wait`` seconds."""
    used = level.limit - level.remaining
    message = (
        f"Rate limit reached for {shown(subject)} on {BY_MINUTE[what]}: Limit {level.limit}, Used {used}, Requested "
        f"{requested}. Please try again in {written(wait)}."
    )
    again = _again(wait)
    return ApiError(
        429,
        ErrorObject(message=message, type=what, code="rate_limit_exceeded"),
        headers=again | _decoded(level_headers(levels, subject, is_azure=False)),
        azure=_azure(what[:-1], wait, again | _decoded(level_headers(levels, subject, is_azure=True))),
    )


def request_too_large(subject: str, limit: int, requested: int) -> ApiError:
    """The request alone needs more tokens than there are in a minute."""
    message = (
        f"Request too large for {shown(subject)} on {BY_MINUTE['tokens']}: Limit {limit}, Requested {requested}. "
        "The input or output tokens must be reduced in order to run successfully."
    )
    return ApiError(
        429,
        ErrorObject(message=message, type="tokens", code="rate_limit_exceeded"),
        headers=NOT_AGAIN,
        azure=azure_error(429, "429", message, headers=NOT_AGAIN),
    )


def too_many_at_once(subject: str, what: str, limit: int, *, wait: float) -> ApiError:
    """As many responses run already as may, or as many background runs wait."""
    message = (
        f"Rate limit reached for {shown(subject)} on {what}: Limit {limit}, Used {limit}, Requested 1. "
        f"Please try again in {written(wait)}."
    )
    again = _again(wait)
    return ApiError(
        429,
        ErrorObject(message=message, type="requests", code="rate_limit_exceeded"),
        headers=again,
        azure=azure_error(429, "429", message, headers=again),
    )


def storage_full(limit_mib: int) -> ApiError:
    """A tenant keeps as much as it may; only deleting something helps."""
    message = f"You keep as much as you may: the storage limit is {limit_mib} MiB. Delete files, and try again."
    return ApiError(
        429,
        ErrorObject(message=message, type="insufficient_quota", code="insufficient_quota"),
        headers=NOT_AGAIN,
        azure=azure_error(429, "429", message, headers=NOT_AGAIN),
    )


def overloaded(*, wait: float) -> ApiError:
    """The process makes as many responses as it can; another may have room, or this one soon."""
    message = f"The server is overloaded. Please try again in {written(wait)}."
    return ApiError(
        503, ErrorObject(message=message, type="server_error", code="server_is_overloaded"), headers=_again(wait)
    )


def level_headers(levels: Mapping[Limited, Level], subject: str, *, is_azure: bool) -> list[tuple[bytes, bytes]]:
    """The headers that tell what is left (recorded traffic, section 6). Azure counts seconds, and has no unit."""
    headers = [pair for what, level in levels.items() for pair in _of_level(what, level, is_azure=is_azure)]
    if headers and is_azure:
        printable = "".join(letter for letter in shown(subject) if letter.isascii() and letter.isprintable())
        headers.append((b"x-ratelimit-key", printable.encode()))
    return headers


def written(seconds: float) -> str:
    """A span as the live service writes it: ``12ms``, ``7.5s``, ``1m1s``."""
    milliseconds = ceil(min(seconds, LONGEST_WAIT) * 1000)
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{ceil(rest / 1000)}s" if minutes else f"{rest / 1000:g}s"


def _of_level(what: Limited, level: Level, *, is_azure: bool) -> Sequence[tuple[bytes, bytes]]:
    name = what.encode()
    reset = str(ceil(level.reset)) if is_azure else written(level.reset)
    headers = [
        (b"x-ratelimit-limit-" + name, b"%d" % level.limit),
        (b"x-ratelimit-remaining-" + name, b"%d" % max(0, level.remaining)),
        (b"x-ratelimit-reset-" + name, reset.encode()),
    ]
    return [*headers, (b"x-ratelimit-renewalperiod-" + name, b"60")] if is_azure else headers


def _again(wait: float) -> dict[str, str]:
    wait = min(wait, CLIENTS_WAIT)
    return {"retry-after": str(max(1, ceil(wait))), "retry-after-ms": str(max(1, ceil(wait * 1000)))}


def _decoded(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def _azure(rate: str, wait: float, headers: Mapping[str, str]) -> ApiError:
    message = (
        "Requests to the Create Response Operation under Azure OpenAI API have exceeded the "
        f"{'call' if rate == 'request' else rate} rate limit of this deployment. Please retry after "
        f"{max(1, ceil(min(wait, LONGEST_WAIT)))} seconds."
    )
    return azure_error(429, "429", message, headers=headers)
