"""Tests of the lines of the log."""

from __future__ import annotations

import logging
import warnings
from typing import Any  # what a line holds is open

import anyio
import anyio.lowlevel
import msgspec
import pytest

from antiphon.telemetry import trail
from antiphon.telemetry.logs import JsonFormatter, log_to_stderr
from antiphon.telemetry.trail import NOWHERE, Trail, along

log = logging.getLogger("antiphon.tests")


def line(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The last line."""
    found: dict[str, Any] = msgspec.json.decode(JsonFormatter().format(caplog.records[-1]))
    return found


def test_a_line_says_for_whose_request_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """The id and the tenant are added by the formatter: no log call names them."""
    trail = Trail(request="req_1", tenant="a")
    trail.client_request = "mine-1"
    with along(trail.branch(tenant="b")):
        log.warning("something", extra={"action": "something"})
        found = line(caplog)
    assert ("req_1", "mine-1", "b") == (found["request"], found["client_request"], found["tenant"])
    assert "something" == found["action"]


def test_what_a_line_says_itself_counts_more(caplog: pytest.LogCaptureFixture) -> None:
    """A line that names a request is about that one."""
    with along(Trail(request="req_1")):
        log.warning("something", extra={"action": "something", "request": "req_2"})
        found = line(caplog)
    assert "req_2" == found["request"]


@pytest.mark.parametrize("odd", ["\udcff", "a\nb\u2028", float("nan"), 10**30, {(1, 2): b"\xff"}, ValueError("\udcff")])
def test_a_line_is_json_whatever_it_says(caplog: pytest.LogCaptureFixture, odd: object) -> None:
    """And one line; a word that is no text is written as far as it can be."""
    log.warning("something", extra={"action": "something", "odd": odd})
    text = JsonFormatter().format(caplog.records[-1])
    assert "\n" not in text
    assert {"something"} == {line(caplog)["action"], line(caplog)["message"]}
    text.encode()


def test_warnings_are_lines_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of Python and of packages that are used."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", DeprecationWarning)  # what others leave open is told where it belongs
            log_to_stderr("info")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = before
        root.setLevel(level)
    [written] = capsys.readouterr().err.splitlines()
    assert "old" in msgspec.json.decode(written)["message"]


def test_outside_of_requests_nothing_is_added(caplog: pytest.LogCaptureFixture) -> None:
    """A sweep is nobody's."""
    log.warning("something", extra={"action": "something"})
    assert not {"request", "client_request", "tenant", "trace"} & line(caplog).keys()


@pytest.mark.anyio
async def test_what_a_request_starts_has_its_trail_and_nobody_else() -> None:
    """Tasks inherit it; a branch in one of them is not seen by the others."""
    seen: dict[str, str] = {}

    async def work(name: str, *, branches: bool) -> None:
        if branches:
            trail.follow(trail.current().branch(tenant="b"))
        await anyio.lowlevel.checkpoint()
        seen[name] = f"{trail.current().request} {trail.current().tenant}"

    with along(Trail(request="req_1", tenant="a")):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: work("branched", branches=True))
            group.start_soon(lambda: work("plain", branches=False))
    assert {"branched": "req_1 b", "plain": "req_1 a"} == seen
    assert trail.current() is NOWHERE


def test_an_upstream_is_told_the_id_unless_the_operator_says_it() -> None:
    """A header of the configuration is not sent twice."""
    work = Trail(request="req_1")
    assert b"x-request-id: req_1\r\n" == work.lines(but={})
    assert b"" == work.lines(but={"x-request-id": "mine"})
    assert b"" == NOWHERE.lines(but={})
