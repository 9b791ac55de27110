"""Some seconds of mixed load at the limits: every answer is served or refused as promised."""

from __future__ import annotations

import anyio
import pytest

from antiphon.config import Config
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from antiphon.lifecycle.limiting import Rule
from benchmarks.crowd import Heard, Tenant, crowd, steady
from tests.patient import STORY_SECONDS
from tests.serving import MEMORY, scripted, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 6.0
MOST = 40
CALM = Tenant("calm", "key-calm", 5.0)
BUSY = [Tenant("busy", "key-busy", 20.0), Tenant("other", "key-other", 15.0)]
SPOKEN = {
    "usage": {"input_tokens": 10, "output_tokens": 20},
    "steps": [{"text": "word " * 20}],
    "tokens_per_second": 200,
}
CONFIG = Config(
    store=MEMORY,
    auth=Auth(keys=[Key(key=tenant.key, tenant=tenant.name) for tenant in (CALM, *BUSY)]),
    deployments=scripted(SPOKEN).deployments,
    limits=[
        Rule(requests_per_minute=MOST, tokens_per_minute=1_000_000, background=1000),
        Rule(tenant="calm", requests_per_minute=10_000, tokens_per_minute=1_000_000),
    ],
)


def served(heard: list[Heard], tenant: Tenant) -> int:
    """How many answers of a tenant were served."""
    return sum(each.status == 200 for each in heard if each.turn.tenant == tenant)


async def test_at_the_limits_no_answer_is_lost_and_nobody_has_more_than_he_may() -> None:
    """Who stays below them is always served, the others as often as they may, and then are told when to come again."""
    with serving(CONFIG) as address, anyio.fail_after(STORY_SECONDS):
        heard = await crowd(address, steady([CALM, *BUSY], SECONDS))
    assert round(SECONDS * sum(tenant.rate for tenant in (CALM, *BUSY))) == len(heard)
    assert round(SECONDS * CALM.rate) == served(heard, CALM)
    assert [MOST, MOST] == [served(heard, tenant) for tenant in BUSY]
    assert {(200, False), (429, True)} == {(each.status, each.waits) for each in heard}
