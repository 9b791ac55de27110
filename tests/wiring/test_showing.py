"""What is shown and drawn: mistakes in its places are told by the key that holds them."""

from __future__ import annotations

import pytest

from antiphon.config import Config, ConfigError, Storage
from antiphon.wiring.showing import check_showing


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
    with pytest.raises(ConfigError, match=rf"^In \[store\] {key}: "):
        check_showing(Config(store=storage), {})


def test_a_place_that_can_be_is_no_mistake() -> None:
    """And the model that answers draws, where nobody else is named."""
    assert 1 == len(check_showing(Config(store=Storage(url="sqlite://")), {}))
