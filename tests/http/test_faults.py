"""Tests of how faults of what stands behind the server are worded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.backends import UpstreamError
from antiphon.http.faults import as_api_error

if TYPE_CHECKING:
    from antiphon.backends import UpstreamFault


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("context_length_exceeded", 400, "context_length_exceeded"),
        ("content_filter", 400, "content_filter"),
        ("invalid_request", 400, None),
        ("rate_limit_exceeded", 429, "rate_limit_exceeded"),
        ("server_error", 502, "server_error"),
        ("misconfigured", 502, "server_error"),
        ("unavailable", 503, "server_error"),
        ("timeout", 504, "server_error"),
    ],
)
def test_a_fault_has_its_status_and_its_code(fault: UpstreamFault, status: int, code: str | None) -> None:
    """The caller's input is a 400, being too fast a 429, and the rest is the server's."""
    error = as_api_error(UpstreamError(fault, "words for the caller", detail="words for the operator"))
    assert (status, code) == (error.status, error.code)
    assert "operator" not in error.message


def test_a_caller_is_told_how_long_to_wait() -> None:
    """The upstream's wait is handed on, and left out where it gave none."""
    told = as_api_error(UpstreamError("rate_limit_exceeded", "Too fast.", retry_after=1.5))
    untold = as_api_error(UpstreamError("rate_limit_exceeded", "Too fast."))
    assert ("2", "1500") == (told.headers["retry-after"], told.headers["retry-after-ms"])
    assert "retry-after" not in untold.headers


def test_what_only_the_operator_can_mend_is_not_asked_again() -> None:
    """A wrong key of ours is no reason for a client to try twice more."""
    assert "false" == as_api_error(UpstreamError("misconfigured", "Not set up.")).headers["x-should-retry"]
