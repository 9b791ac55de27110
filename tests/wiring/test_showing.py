"""What is shown and drawn: mistakes in its places are told by the key that holds them."""

from __future__ import annotations

import pytest

from antiphon.config import Config, ConfigError, Storage
from antiphon.wiring.showing import checks, painters


@pytest.mark.parametrize(
    ("storage", "key"),
    [
        (Storage(url="sqlite://host/a.db"), "url"),
        (Storage(url="sqlite:///"), "url"),
        (Storage(url="sqlite://", blobs="http://bucket"), "blobs"),
        (Storage(url="sqlite://host/a.db", blobs="http://bucket"), "blobs"),
    ],
)
def test_a_wrong_place_is_told_by_its_key(storage: Storage, key: str) -> None:
    """The blobs lie beside the database where nothing else is said: then it is the database that is wrong."""
    *others, blobs = checks(Config(store=storage), {})
    for check in others:
        check()
    with pytest.raises(ConfigError, match=rf"^In \[store\] {key}: "):
        blobs()


def test_a_place_that_can_be_is_no_mistake() -> None:
    """And the model that answers draws, where nobody else is named."""
    config = Config(store=Storage(url="sqlite://"))
    for check in checks(config, {}):
        check()
    assert 1 == len(painters(config))
