"""``[auth]``: who may call."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta, Struct

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]
"""Signatures of public keys: whoever can check one cannot make one. ``none`` and shared secrets are not among them."""

AZURE_AUDIENCES = ("https://cognitiveservices.azure.com", "https://ai.azure.com")
LONGEST_KEY = 4096
LONGEST_TENANT = 128
TENANT_FORM = f"it has 1 to {LONGEST_TENANT} characters that can be printed, and begins and ends with no space"
URLS = ("https://", "http://")


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A key and whose it is."""

    key: str
    tenant: str

    def __post_init__(self) -> None:
        """Raises `ValueError` for a key that nobody could send, and for what is no name of a tenant."""
        if not 0 < len(self.key) <= LONGEST_KEY or not _can_be_sent(self.key):
            raise ValueError(
                f"a key has 1 to {LONGEST_KEY} letters, digits and signs of ASCII, and begins and ends with no space"
            )
        if not is_tenant(self.tenant):
            raise ValueError(f"tenant {self.tenant!r} is no name of one: {TENANT_FORM}")


class Oidc(Struct, frozen=True, forbid_unknown_fields=True):
    """``[auth.oidc]``: the issuer whose signed tokens are taken, Entra ID or any that speaks OpenID Connect.

    ``jwks`` is a URL, or the text of a JWK set; without it the issuer says where its keys are.
    """

    issuer: Annotated[str, Meta(min_length=1)]
    audiences: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)] = AZURE_AUDIENCES
    jwks: str | None = None
    tenant_claim: Annotated[str, Meta(min_length=1)] = "tid"
    required_role: str | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = get_args(Algorithm)
    leeway_seconds: Annotated[int, Meta(ge=0, le=600)] = 60

    def __post_init__(self) -> None:
        """Raises `ValueError` for what no token could be checked with."""
        if self.jwks is None or self.jwks.startswith(URLS):
            named, url = ("issuer", self.issuer) if self.jwks is None else ("jwks", self.jwks)
            if not is_trusted(url):
                raise ValueError(
                    f"{named} {url!r} is no https URL, so anybody on the way could send keys (http is for this machine "
                    'alone); jwks = "file:PATH" reads them from a file'
                )
            return
        from antiphon.http.auth.ring import read_keys  # noqa: PLC0415 - what it imports costs a start its time

        try:
            read_keys(self.jwks)
        except ValueError as error:
            raise ValueError(f"jwks is neither a URL nor the text of a JWK set: {error}") from error


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[auth]``: who may call, besides whoever has a key that `antiphon keys` made."""

    keys: list[Key] = []
    oidc: Oidc | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` where it cannot be told whose a key is."""
        owners: dict[str, str] = {}
        for key in self.keys:
            if (owner := owners.setdefault(key.key, key.tenant)) != key.tenant:
                raise ValueError(f"the tenants {owner!r} and {key.tenant!r} have the same key")


def is_trusted(url: str) -> bool:
    """Whether what comes from a URL is from whom it names: over TLS, or from this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host)))


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_tenant(name: str) -> bool:
    """Whether a text can name a tenant: it is in every row, so it is short, and no text that a database refuses.

    A space at an end could not be seen, and would make another tenant.
    """
    return 0 < len(name) <= LONGEST_TENANT and name.isprintable() and name == name.strip()


def _can_be_sent(key: str) -> bool:
    """Whether a key arrives as it is written: what else is in a header is told apart, or cut off, on the way."""
    return key.isascii() and key.isprintable() and key == key.strip()
