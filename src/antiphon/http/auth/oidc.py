"""Callers who bring a token: a JWT of the OpenID issuer that the operator trusts, and the tenant that it names.

A token that was found good is remembered by its digest until it expires, or until the issuer has other keys. So most
requests cost a digest, and a signature is checked once for each token.

Keys and signatures are PyJWT's. A token is taken apart here, once and strictly, and refused where it is cheapest: PyJWT
looks at each of its characters, which costs more than the signature, and strangers choose how many there are.
"""

from __future__ import annotations

import hashlib
import re
import time
from binascii import a2b_base64
from collections import OrderedDict
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import jwt
import msgspec
from anyio.to_thread import run_sync
from msgspec import UNSET, Struct

from antiphon.http.auth.config import URLS, is_tenant, is_trusted
from antiphon.http.auth.ring import KINDS, FetchedRing, FixedRing, KeysUnavailable
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import bad_token, issuer_unavailable, lacks_role, shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from antiphon.http.auth.config import Oidc
    from antiphon.http.auth.ring import PublicKey, Ring

LONGEST_TOKEN = 16_384
"""Characters. One of Entra ID that names two hundred groups has thirteen thousand."""
MOST_REMEMBERED = 8192
"""Tokens. A remembered one takes some 300 bytes."""
DOTS = 2
ROLES = "roles"
SCOPES = ("scp", "scope")
"""Claims that say what a caller may do: roles, whose names may have spaces, and scopes, which stand between spaces."""
LAST_SECOND = 1e12
"""Whatever is later is no time: thirty thousand years."""
_URL_SAFE = bytes.maketrans(b"-_+/=", b"+/!!!")
"""The letters of base64 for those of tokens; what has no place there becomes what has none here either."""
_SIGNATURES = {name: jwt.get_algorithm_by_name(name) for name in KINDS}
_ENTRA = re.compile(r"https://login\.microsoftonline\.com/(?P<id>[0-9a-f-]{36})/v2\.0/?")


Claims: TypeAlias = dict[str, Any]  # the claims of a token are open


class _Head(Struct, frozen=True):
    """What a token says of its signature. ``crit`` names what must be understood, and nothing of that is here."""

    alg: str
    kid: str = ""
    crit: Any = UNSET  # whatever it is, the token is refused


class _Token(Struct, frozen=True):
    """A token, taken apart, of which nothing is believed yet."""

    head: _Head
    claims: Claims
    signed: bytes
    signature: bytes


class Issuer:
    """Tells callers by the tokens of an issuer. `run` keeps its keys fresh."""

    def __init__(
        self,
        config: Oidc,
        *,
        ring: Ring | None = None,
        now: Callable[[], float] = time.time,
        most: int = MOST_REMEMBERED,
    ) -> None:
        """``ring`` stands in for the keys that the configuration names. Raises `ValueError`.

        ``now`` gives Unix seconds, and ``most`` is how many tokens are remembered.
        """
        self._config = config
        self._issuers = frozenset(_both_ways(config.issuer) + _other_names(config.issuer))
        self._audiences = frozenset(name for each in config.audiences for name in _both_ways(each))
        self._algorithms = frozenset(config.algorithms)
        self._ring = ring or self._configured_ring(config)
        self._now = now
        self._most = most
        self._remembered: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def _configured_ring(self, config: Oidc) -> Ring:
        if config.jwks is not None and not config.jwks.startswith(URLS):
            return FixedRing(config.jwks)
        return FetchedRing(lambda: _fetching(config.issuer, config.jwks), self.forget)

    @property
    def remembered(self) -> int:
        """How many tokens need not be checked again."""
        return len(self._remembered)

    async def run(self) -> None:
        """Keep the issuer's keys fresh, until cancelled."""
        await self._ring.run()

    def forget(self) -> None:
        """Check every token anew: the key that signed it may not be the issuer's any more."""
        self._remembered.clear()

    async def caller(self, token: str) -> Caller:
        """Who brings this token. Raises ``ApiError``: 401, 403 for want of a role, 503 where no keys can be had."""
        if len(token) > LONGEST_TOKEN:
            raise bad_token(f"it is longer than {LONGEST_TOKEN} characters.")
        # Remembered by digest, so that no token lies in the memory of the server.
        print_ = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        if found := self._remembered.get(print_):
            caller, expires_at = found
            if self._now() < expires_at:
                self._remembered.move_to_end(print_)
                return caller
            del self._remembered[print_]
        caller, expires_at = await self._checked(token)
        self._remembered[print_] = caller, expires_at
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return caller

    async def _checked(self, text: str) -> tuple[Caller, float]:
        """The caller, and until when the token is good (Unix seconds)."""
        token = _taken_apart(text)
        algorithm = token.head.alg
        if algorithm not in self._algorithms:
            raise bad_token(f"it is signed by the algorithm '{_plain(algorithm)}', which is not accepted here.")
        # Before its signature: a token of somebody else's is not worth asking our issuer for keys.
        issuer = token.claims.get("iss")
        if not isinstance(issuer, str) or issuer not in self._issuers:
            raise bad_token("its issuer (iss) is not the one that this server trusts.")
        verify = _SIGNATURES[algorithm].verify
        keys = await self._keys(algorithm, token.head.kid)
        if not any(verify(token.signed, key, token.signature) for key in keys):
            raise bad_token("its signature is not the issuer's.")
        ends = self._ends(token.claims)
        if not self._is_for_us(token.claims.get("aud")):
            raise bad_token("it is for another audience (aud).")
        return self._named(token.claims), ends

    async def _keys(self, algorithm: str, id: str) -> Sequence[PublicKey]:
        """The keys that a token says it was signed with. They are of the kind that the algorithm needs."""
        try:
            keys = await self._ring.find(algorithm, id)
        except KeysUnavailable as error:
            raise issuer_unavailable(retry_after=error.retry_after) from error
        if not keys and not id:
            raise bad_token("it names no key id (kid), and the issuer has several keys.")
        if not keys:
            raise bad_token(f"its key id '{_plain(id)}' is none of the issuer's.")
        return keys

    def _ends(self, claims: Claims) -> float:
        """When the token is good no more, with the leeway that clocks have. Raises ``ApiError`` where it is not now."""
        now, leeway = self._now(), self._config.leeway_seconds
        ends = _seconds(claims, "exp")
        if ends is None:
            raise bad_token("it has no claim 'exp'.")
        if ends + leeway <= now:
            raise bad_token("it has expired.")
        for name in ("nbf", "iat"):
            begins = _seconds(claims, name)
            if begins is not None and begins - leeway > now:
                raise bad_token(f"it is not valid yet ({name}); the clocks of issuer and server may differ.")
        return ends + leeway

    def _is_for_us(self, audience: object) -> bool:
        return not self._audiences.isdisjoint(_texts(audience))

    def _named(self, claims: Claims) -> Caller:
        role = self._config.required_role
        if role is not None and role not in _scopes(claims):
            raise lacks_role(role)
        claim = self._config.tenant_claim
        tenant = claims.get(claim)
        if tenant is None:
            raise bad_token(f"it has no claim '{claim}', which names the tenant.")
        if not isinstance(tenant, str) or not is_tenant(tenant):
            raise bad_token(f"its claim '{claim}' is no name of a tenant.")
        return Caller(tenant)


@asynccontextmanager
async def _fetching(issuer: str, jwks: str | None) -> AsyncGenerator[Callable[[], Awaitable[bytes]]]:
    """What fetches the keys, while the context is open."""
    # aiohttp takes a quarter of a second: it is imported in a thread, as there are requests already.
    await run_sync(import_module, "antiphon.http.auth.fetching")
    from antiphon.http.auth.fetching import Fetcher  # noqa: PLC0415 - the thread has just imported it

    fetcher = Fetcher(issuer, jwks, is_trusted=is_trusted)
    try:
        yield fetcher.fetch
    finally:
        await fetcher.aclose()


def _taken_apart(text: str) -> _Token:
    """The parts of a token. Raises ``ApiError``."""
    if text.count(".") != DOTS:
        raise bad_token("it is not made of three parts, as a signed token is.")
    try:
        signed, _, signature = text.encode("ascii").rpartition(b".")
        first, _, second = signed.partition(b".")
        head = msgspec.json.decode(_bytes(first), type=_Head)
        if head.alg.lower() == "none":
            raise bad_token("it is not signed.")
        if head.crit is not UNSET:
            raise bad_token("it demands what this server does not know (crit).")
        claims = msgspec.json.decode(_bytes(second), type=Claims)
        return _Token(head, claims, signed, _bytes(signature))
    except (ValueError, RecursionError) as error:  # of base64, of Unicode, of JSON, and of what stands in it
        raise bad_token("it cannot be read.") from error


def _bytes(part: bytes) -> bytes:
    """What stands in base64 as tokens have it. Raises `ValueError`."""
    return a2b_base64(part.translate(_URL_SAFE) + b"=" * (-len(part) % 4), strict_mode=True)


def _seconds(claims: Claims, name: str) -> float | None:
    """A time among the claims, in Unix seconds; None where there is none. Raises ``ApiError``."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LAST_SECOND:
        raise bad_token(f"its claim '{name}' is no time.")
    return float(value)


def _texts(claim: object) -> list[str]:
    """The texts of a claim that is one, or a list of them; whatever else stands there is none."""
    if isinstance(claim, str):
        return [claim]
    listed = cast("list[object]", claim) if isinstance(claim, list) else []  # JSON: whatever stands in it is asked next
    return [each for each in listed if isinstance(each, str)]


def _scopes(claims: Claims) -> set[str]:
    """What a caller may do. Whatever it is, some issuers write a list, and some write one text."""
    words = [word for name in SCOPES for text in _texts(claims.get(name)) for word in text.split()]
    return {*_texts(claims.get(ROLES)), *words}


def _other_names(issuer: str) -> list[str]:
    """Entra ID issues tokens for Azure's own audiences under its older name; tenant and keys are the same."""
    match = _ENTRA.fullmatch(issuer.lower())
    return [] if match is None else [f"https://sts.windows.net/{match['id']}/"]


def _both_ways(audience: str) -> list[str]:
    """An audience that is a URL is the same with and without its last slash: clients ask for either."""
    bare = audience.removesuffix("/")
    return [bare, f"{bare}/"] if "://" in audience else [audience]


def _plain(text: str) -> str:
    """What a stranger wrote, as it may be shown."""
    return shown(text if text.isprintable() else ascii(text)[1:-1])
