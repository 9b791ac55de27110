"""The errors and headers of limits, in the forms that clients read."""

from __future__ import annotations

import pytest

from antiphon.protocol.limit_faults import (
    Level,
    level_headers,
    overloaded,
    rate_exceeded,
    request_too_large,
    storage_full,
    too_many_at_once,
    written,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.0001, "1ms"),
        (0.012, "12ms"),
        (1.0, "1s"),
        (7.5, "7.5s"),
        (60.0, "1m0s"),
        (61.2, "1m2s"),
        (float("inf"), "60m0s"),
    ],
)
def test_spans_are_written_as_the_live_service_writes_them(seconds: float, text: str) -> None:
    """Never shorter than they are."""
    assert text == written(seconds)


def test_a_rate_that_is_reached_says_how_much_and_when() -> None:
    """In the words, type and code that clients know, and in the headers that official clients wait by."""
    level = Level(limit=3, remaining=0, reset=61.0)
    error = rate_exceeded("requests", "gpt-4o", level, requested=1, wait=0.25, levels={"requests": level})
    assert (429, "requests", "rate_limit_exceeded", None) == (error.status, error.type, error.code, error.param)
    assert (
        "Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 250ms." == error.message
    )
    expected = {
        "retry-after": "1",
        "retry-after-ms": "250",
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m1s",
    }
    assert expected == error.headers


def test_clients_are_told_to_wait_a_minute_at_most() -> None:
    """Where it takes some seconds more they are told again; the words say how long it is."""
    level = Level(limit=3, remaining=0, reset=61.0)
    error = rate_exceeded("requests", "m", level, requested=1, wait=60.5, levels={})
    assert ("60", "60000") == (error.headers["retry-after"], error.headers["retry-after-ms"])
    assert error.message.endswith("Please try again in 1m1s.")


def test_azure_says_it_in_its_own_words() -> None:
    """Code 429, seconds without a unit, and the key of the limit."""
    level = Level(limit=3, remaining=-2, reset=60.5)
    azure = rate_exceeded("tokens", "gpt-4o", level, requested=1, wait=1.5, levels={"tokens": level}).in_azure_words()
    assert (429, None, "429") == (azure.status, azure.type, azure.code)
    assert azure.message.endswith(
        "have exceeded the token rate limit of this deployment. Please retry after 2 seconds."
    )
    assert ("2", "1500") == (azure.headers["retry-after"], azure.headers["retry-after-ms"])
    assert ("0", "61", "60", "gpt-4o") == tuple(
        azure.headers[f"x-ratelimit-{name}"]
        for name in ("remaining-tokens", "reset-tokens", "renewalperiod-tokens", "key")
    )


def test_what_can_never_fit_is_not_to_be_asked_again() -> None:
    """A request that is larger than a minute's tokens, and a storage that is full."""
    for error in (request_too_large("m", 100, 200), storage_full(10)):
        assert {"x-should-retry": "false"} == error.headers == error.in_azure_words().headers
        assert (429, "429") == (error.status, error.in_azure_words().code)
    assert "Limit 100, Requested 200" in request_too_large("m", 100, 200).message
    assert "10 MiB" in storage_full(10).message


def test_what_runs_at_once_and_an_overload_are_to_be_asked_again() -> None:
    """Soon; an overload is the server's, and so is its status."""
    error = too_many_at_once("m", "concurrent responses", 2, wait=1.0)
    assert (429, "requests", "1", "1000") == (
        error.status,
        error.type,
        error.headers["retry-after"],
        error.headers["retry-after-ms"],
    )
    assert (503, "server_error", "1") == (
        overloaded(wait=1.0).status,
        overloaded(wait=1.0).type,
        overloaded(wait=1.0).headers["retry-after"],
    )


def test_a_name_that_a_caller_wrote_makes_no_header_of_its_own() -> None:
    """What is not printable is left out, and what is long is cut."""
    headers = dict(level_headers({"requests": Level(1, 1, 0)}, "a\r\nx-evil: 1\N{SNOWMAN}" + "b" * 200, is_azure=True))
    key = headers[b"x-ratelimit-key"]
    assert b"\r" not in key
    assert b"\n" not in key
    assert len(key) < 120
    assert [] == level_headers({}, "m", is_azure=True)
