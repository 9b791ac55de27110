"""The limits of a configuration, as a process keeps them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from antiphon.lifecycle.limiting import Limiting
from antiphon.lifecycle.seating import LEASE_SECONDS, Tenure
from antiphon.lifecycle.tickets import Gate
from antiphon.store.quotas import Quotas
from antiphon.store.seats import Seating

if TYPE_CHECKING:
    from antiphon.config import Config
    from antiphon.store import Database


def limiting(config: Config, database: Database) -> Limiting:
    """The part that admits requests; where several processes may open the database, they share limits through it."""
    quotas, seating = Quotas(database), Seating(database, lease=round(LEASE_SECONDS * 1000))
    return Limiting(
        config.limits,
        gate=Gate(config.server.max_concurrent),
        default=config.server.default_deployment,
        quotas=quotas if database.is_shared else None,
        tenure=Tenure(seating, clock=time.monotonic) if database.is_shared else None,
        waiting=quotas.background_runs,
    )
