"""PostgreSQL as a database: shared by several processes, each with a few connections."""

from __future__ import annotations

from antiphon.store.postgres.database import Postgres, connect, migrate

__all__ = ["Postgres", "connect", "migrate"]
