"""Limits as an operator writes them: what is read, and what is refused with words that say what to mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.config import ConfigError, read_config
from antiphon.lifecycle.limiting import Rule

if TYPE_CHECKING:
    from pathlib import Path

DEPLOYMENT = '[[deployments]]\nname = "gpt-4o"\nbackend = "scripted"\n'


def written(folder: Path, text: str) -> Path:
    """A configuration with these lines."""
    file = folder / "antiphon.toml"
    file.write_text(text + DEPLOYMENT)
    return file


def test_rules_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Each table is a rule; what it does not say is not limited."""
    text = (
        "[server]\nmax_concurrent = 7\n"
        "[[limits]]\nrequests_per_minute = 600\nstorage_mib = 10\n"
        '[[limits]]\ntenant = "a"\ndeployment = "gpt-4o"\ntokens_per_minute = 5\nconcurrent = 3\nbackground = 2\n'
    )
    config = read_config(written(tmp_path, text))
    assert 7 == config.server.max_concurrent
    assert [
        Rule(requests_per_minute=600, storage_mib=10),
        Rule(tenant="a", deployment="gpt-4o", tokens_per_minute=5, concurrent=3, background=2),
    ] == config.limits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[limits]]\nrequests = 1\n", "Did you mean 'requests_per_minute'?"),
        ("[[limits]]\nconcurrent = 0\n", "'limits[0].concurrent'"),
        ("[[limits]]\ntokens_per_minute = 1000000000001\n", "'limits[0].tokens_per_minute'"),
        ('[[limits]]\ntenant = "a"\n', "limits nothing"),
        ("[[limits]]\nconcurrent = 1\n[[limits]]\nbackground = 1\n", "Make them one"),
        ('[[limits]]\ndeployment = "gpt-5"\nconcurrent = 1\n', "'gpt-5', and there is none"),
        ('[[limits]]\ndeployment = "gpt-4o"\nstorage_mib = 1\n', "storage_mib belongs to a tenant"),
    ],
)
def test_a_rule_that_cannot_be_meant_stops_the_server(tmp_path: Path, text: str, words: str) -> None:
    """Before it answers anybody."""
    with pytest.raises(ConfigError) as refused:
        read_config(written(tmp_path, text))
    assert words in str(refused.value)
