"""Who is calling: a key in ``api-key`` or ``Authorization: Bearer``, and the tenant that it stands for.

Without any keys the server is open to this machine alone: every key is accepted, and none is needed. But the ``Host``
of a request must name the server, so that a web page that rebinds its own name to this machine cannot use it; and so
must the ``Origin``, if there is one: browsers send forms, and open WebSockets, for any page, and ask nobody.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from antiphon.lifecycle import Caller
from antiphon.protocol.errors import bad_key, forbidden, missing_key

if TYPE_CHECKING:
    from starlette.datastructures import Headers

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
LOCAL = Caller(tenant="local")


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A key and whose it is."""

    key: str
    tenant: str


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[auth]``: the keys that open the server."""

    keys: list[Key] = []


class Auth:
    """Tells callers by their keys. Keys are kept as digests; finding one takes the same time for every key."""

    def __init__(self, config: Config | None, *, host: str) -> None:
        self._callers = None if config is None else {_digest(key.key): Caller(key.tenant) for key in config.keys}
        self._names = LOOPBACK_NAMES | {host, f"[{host}]"}

    def caller(self, headers: Headers) -> Caller:
        """Who calls. Raises ``ApiError``: 401 without a key or with a wrong one."""
        if self._callers is None:
            return self._neighbour(headers)
        key = _key(headers)
        if not key:
            raise missing_key()
        caller = self._callers.get(_digest(key))
        if caller is None:
            raise bad_key(key)
        return caller

    def _neighbour(self, headers: Headers) -> Caller:
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name.lower() not in self._names:
            raise forbidden(
                "This server has no keys and answers only to the names of this machine, such as localhost. "
                "To serve other names, give it an [auth] section."
            )
        origin = headers.get("origin")
        if origin is not None and _named(origin) not in self._names:
            raise forbidden(
                "This server has no keys and answers no web pages but those of this machine. To serve others, give it "
                "an [auth] section."
            )
        return LOCAL


def _named(origin: str) -> str:
    """The host of an origin as a ``Host`` names it; empty where there is none."""
    try:
        name = urlsplit(origin).hostname or ""
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name


def _key(headers: Headers) -> str:
    key = headers.get("api-key")
    if key:
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
