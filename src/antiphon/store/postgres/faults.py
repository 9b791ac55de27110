"""What goes wrong with PostgreSQL, in the words of the store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from antiphon.store import Conflict, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator


class Contended(StoreUnavailable):
    """Another transaction was in the way, and this one is undone: the same dialogue may succeed when it begins anew."""


_IN_THE_WAY = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,  # a migration came between; the driver has forgotten the old plan
)


@contextmanager
def translated() -> Generator[None, None, None]:
    """Tell what the driver or the server says in our words. It holds no dialogue: what that raises is its own."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Conflict(f"The rows do not fit: {_said(error)}.") from error
    except _IN_THE_WAY as error:
        raise Contended(f"Another transaction was in the way: {_said(error)}.") from error
    except (asyncpg.DataError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # Its text may quote a parameter, and so would the cause when it is logged.
        raise StoreUnavailable(f"The database could not be used: {type(error).__name__}.") from None
    except asyncpg.PostgresError as error:
        raise StoreUnavailable(f"The database could not be used: {_said(error)}.") from error
    except TimeoutError as error:
        raise StoreUnavailable("The database did not answer in time.") from error
    except OSError as error:
        raise StoreUnavailable(f"The database could not be reached: {error.strerror or error}.") from error


def _said(error: asyncpg.PostgresError) -> str:
    """The server's sentence. Its detail quotes rows: it is taken out, so that no log has it either."""
    error.detail = None
    return str(error.args[0]) if error.args else type(error).__name__
