"""Who is calling: a key in ``api-key`` or ``Authorization: Bearer``, or a token there, and the tenant it stands for.

Without an ``[auth]`` the server is open to this machine alone: every key is accepted, and none is needed. But the
``Host`` of a request must name the server, so that a web page that rebinds its own name to this machine cannot use it;
and so must the ``Origin``, if there is one: browsers send forms, and open WebSockets, for any page, and ask nobody.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from antiphon.http.auth.config import LONGEST_KEY, Config, Key, Oidc
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import bad_key, bad_token, forbidden, missing_key
from antiphon.store import StoreUnavailable

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from antiphon.http.auth.oidc import Issuer
    from antiphon.http.auth.stored import StoredKeys

log = logging.getLogger(__name__)

__all__ = ["Auth", "Config", "Key", "Oidc"]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
LOCAL = Caller(tenant="local")
DOTS = 2


class Auth:
    """Tells callers by what they bring. ``stored`` are the keys that `antiphon keys` made. `run` goes on beside it."""

    def __init__(self, config: Config | None, *, host: str, stored: StoredKeys | None = None) -> None:
        """Raises `ValueError` for an issuer that cannot be."""
        self._is_open = config is None
        # Under a key of this process nobody can say what the digest of a guess would be; so the time of a look-up tells
        # nothing, however it compares, and is the same for one key and for a thousand.
        self._pepper = secrets.token_bytes(32)
        keys = [] if config is None else config.keys
        self._callers = {self._digest(key.key): Caller(key.tenant) for key in keys}
        self._stored = stored
        self._issuer = None if config is None or config.oidc is None else _issuer(config.oidc)
        self._names = LOOPBACK_NAMES | {host, f"[{host}]"}

    async def caller(self, headers: Headers) -> Caller:
        """Who calls. Raises ``ApiError``, 401 without a key or with a wrong one, and `StoreUnavailable`."""
        if self._is_open:
            return self._neighbour(headers)
        key, is_bearer = _key(headers)
        if not key:
            raise missing_key()
        if len(key) <= LONGEST_KEY and (caller := self._callers.get(self._digest(key))):
            return caller
        if is_bearer and _looks_like_token(key):
            return await self._bearer(key)
        if self._stored is None:
            raise bad_key(key)
        return await self._stored.caller(key)

    def is_revocable(self, headers: Headers) -> bool:
        """Whether a caller who was known comes by a key that may be revoked while a connection is open."""
        key, is_bearer = _key(headers)
        is_lasting = self._is_open or len(key) > LONGEST_KEY or self._digest(key) in self._callers
        return not is_lasting and not (is_bearer and _looks_like_token(key))

    async def run(self) -> None:
        """Say it where nobody can call, and keep the issuer's keys fresh, until cancelled."""
        if self._issuer is not None:
            await self._issuer.run()
        elif not self._is_open and not self._callers and self._stored is not None:
            try:
                is_useless = not await self._stored.any_good()
            except StoreUnavailable:
                return
            if is_useless:
                log.warning("nobody has a key", extra={"action": "nobody_has_a_key"})

    async def _bearer(self, token: str) -> Caller:
        if self._issuer is None:
            raise bad_token("this server takes keys, and no tokens: it trusts no issuer.")
        return await self._issuer.caller(token)

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._pepper, key.encode("utf-8", "surrogatepass"), "sha256")

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


def _issuer(config: Oidc) -> Issuer:
    from antiphon.http.auth.oidc import Issuer  # noqa: PLC0415 - what it imports is for those who have an issuer

    return Issuer(config)


def _looks_like_token(text: str) -> bool:
    """Whether a bearer's text is meant as a signed token: three parts, or the beginning of a JSON object in base64."""
    return text.startswith("eyJ") or text.count(".") == DOTS


def _named(origin: str) -> str:
    """The host of an origin as a ``Host`` names it; empty where there is none."""
    try:
        name = urlsplit(origin).hostname or ""
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name


def _key(headers: Headers) -> tuple[str, bool]:
    """What the caller brings, and whether as a bearer. A key of Azure's goes before a bearer's."""
    key = headers.get("api-key")
    if key:
        return key, False
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return (token.strip(), True) if scheme.lower() == "bearer" else ("", False)
