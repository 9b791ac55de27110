"""Servers whose models the tests of background responses conduct."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openai import OpenAI

from antiphon.config import Background, Config, Storage
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conducting import Models

KEYS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
REFUSING = (
    {"when": "limit", "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast.", "retry_after": 2}}]},
    {"when": "away", "steps": [{"fail": {"fault": "unavailable", "message": "Nobody is there."}}]},
)


LEASE_SECONDS = 600
"""So long that nobody is saved by a beat: what is to be heard at once is told."""


@pytest.fixture(scope="module", params=["memory", "file", pytest.param("postgres", marks=pytest.mark.whole)])
def storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """Where a server keeps its responses: each database in turn."""
    match request.param:
        case "memory":
            return Storage(url="sqlite://")
        case "file":
            folder: Path = tmp_path_factory.mktemp("store")
            return Storage(url=f"sqlite://{folder}/antiphon.db")
        case _:
            return Storage(url=request.getfixturevalue("postgres_server").url)


@pytest.fixture(scope="module")
def address(models: Models, storage: Storage) -> Iterator[str]:
    """A server whose models are conducted; one called ``scripted`` refuses what it is asked."""
    deployments = [models.deployment, *scripted(*REFUSING, name="scripted").deployments]
    background = Background(lease_seconds=LEASE_SECONDS)
    with serving(Config(store=storage, deployments=deployments, background=background)) as url:
        yield url


@pytest.fixture(scope="module")
def narrow(models: Models) -> Iterator[str]:
    """A server that works on one run at a time."""
    background = Background(workers=1)
    with serving(Config(store=Storage(url="sqlite://"), deployments=[models.deployment], background=background)) as url:
        yield url


@pytest.fixture(scope="module")
def shared(models: Models) -> Iterator[str]:
    """A server of two tenants."""
    with serving(Config(store=Storage(url="sqlite://"), deployments=[models.deployment], auth=KEYS)) as url:
        yield url


@pytest.fixture
def official(address: str) -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent."""
    with OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0, _strict_response_validation=True) as made:
        yield made
