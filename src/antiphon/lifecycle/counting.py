"""Counting: how many tokens a model reads of a turn, by its own tokenizer where its backend can ask it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
from msgspec import Struct

from antiphon.backends import Counting, UpstreamError
from antiphon.core.estimate import estimate

if TYPE_CHECKING:
    from antiphon.core.turn import Turn
    from antiphon.lifecycle import Deployment

log = logging.getLogger(__name__)

SECONDS = 10.0
"""How long an upstream may count. An estimate takes a millisecond."""


class Counted(Struct, frozen=True):
    """A number of tokens; it is exact where the model's own tokenizer said it, else estimated."""

    tokens: int
    is_exact: bool


async def count(turn: Turn, deployment: Deployment) -> Counted:
    """How many tokens the deployment's model reads of a turn; see `antiphon.core.estimate` where it cannot say."""
    if not isinstance(deployment.backend, Counting):
        return Counted(estimate(turn), is_exact=False)
    try:
        with anyio.fail_after(SECONDS):
            return Counted(await deployment.backend.count(turn), is_exact=True)
    except (UpstreamError, TimeoutError) as error:
        log.debug(
            "tokens estimated",
            extra={"action": "tokens_estimated", "deployment": deployment.name, "error": str(error)},
        )
        return Counted(estimate(turn), is_exact=False)
