"""Tests of what operators are told, as it is joined."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.config import ConfigError, read_config
from antiphon.http.server import CannotListen, bind
from antiphon.telemetry.settings import Metrics, Tracing
from antiphon.wiring.telling import Telemetry
from tests.serving import scripted

if TYPE_CHECKING:
    from pathlib import Path


def test_traces_without_their_extra_are_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK is not installed for those who want no traces."""
    monkeypatch.delitem(sys.modules, "antiphon.telemetry.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    config = replace(scripted(), tracing=Tracing(endpoint="http://127.0.0.1:9"))
    with pytest.raises(ConfigError, match=r"pip install 'antiphon\[tracing\]'"):
        Telemetry(config)


def test_nothing_is_made_that_nobody_asked_for() -> None:
    """Neither figures nor a tracer, and the database is the one that was opened."""
    telemetry = Telemetry(scripted())
    assert (None, None, False) == (telemetry.root.figures, telemetry.root.tracer, telemetry.root.content)


def test_a_collector_needs_a_url(tmp_path: Path) -> None:
    """Said at the start, and not by every delivery."""
    file = tmp_path / "antiphon.toml"
    file.write_text('[tracing]\nendpoint = "collector:4318"\n')
    with pytest.raises(ConfigError, match=r"tracing\.endpoint"):
        read_config(file)


def test_a_port_for_figures_that_is_taken_is_said_at_the_start() -> None:
    """In the words in which the server's own is."""
    with bind("127.0.0.1", 0) as taken, pytest.raises(CannotListen, match="Cannot listen on"):
        Telemetry(replace(scripted(), metrics=Metrics(enabled=True, port=taken.getsockname()[1])))
