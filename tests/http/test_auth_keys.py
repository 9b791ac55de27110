"""Tests of which keys of an issuer check a token: what they are for, how strong they are, and what tells them apart."""

from __future__ import annotations

import json
from typing import Any  # a JWK is open

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.datastructures import Headers

from antiphon.http.auth import Auth, Config, Oidc
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import ApiError
from tests.issuer import TENANT, LocalIssuer, Signer

URL = "https://login.example/tenant/v2.0"


@pytest.fixture(scope="module")
def local() -> LocalIssuer:
    """An issuer that nobody needs to ask: its keys are written down."""
    return LocalIssuer(URL)


def bearer(token: str) -> Headers:
    """The headers of a caller."""
    return Headers({"authorization": f"Bearer {token}"})


async def refused(auth: Auth, token: str) -> str:
    """In which words a token is refused."""
    with pytest.raises(ApiError) as caught:
        await auth.caller(bearer(token))
    return caught.value.message


def published(*jwks: dict[str, Any]) -> Auth:
    """A server's part that trusts an issuer with these keys."""
    return Auth(Config(oidc=Oidc(issuer=URL, jwks=json.dumps({"keys": jwks}))), host="127.0.0.1")


@pytest.mark.anyio
async def test_a_key_is_used_for_what_it_says(local: LocalIssuer) -> None:
    """A key that names its algorithm checks no other; one for encryption, or for signing alone, checks nothing."""
    signer = local.signers[0]
    auth = published({**signer.jwk, "alg": "RS256"})
    assert Caller(TENANT) == await auth.caller(bearer(local.token()))
    other = signer.sign(local.claims(), algorithm="PS512")
    assert "its key id 'rsa-1' is none of the issuer's." in await refused(auth, other)
    bare = {name: value for name, value in signer.jwk.items() if name != "use"}
    assert Caller(TENANT) == await published({**bare, "key_ops": ["verify"]}).caller(bearer(local.token()))
    for wrong in ({"use": "enc"}, {"alg": "RSA-OAEP"}, {"alg": "ES256"}, {"key_ops": ["encrypt"]}, {"key_ops": 7}):
        with pytest.raises(ValueError, match="it has no public key"):
            published({**bare, **wrong})


def test_a_weak_key_is_none() -> None:
    """Whoever publishes it."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - its weakness is the point
    with pytest.raises(ValueError, match="2048 bits or more"):
        published(Signer("weak", private=private).jwk)


@pytest.mark.anyio
async def test_keys_of_one_id_are_each_tried(local: LocalIssuer) -> None:
    """Issuers that rotate without new ids publish both for a while; a third one's is refused."""
    old, new = local.signers[0], Signer("rsa-1")
    auth = published(old.jwk, new.jwk)
    for signer in (old, new):
        assert Caller(TENANT) == await auth.caller(bearer(signer.sign(local.claims())))
    assert "its signature" in await refused(auth, Signer("rsa-1").sign(local.claims()))
    unnamed = [{name: value for name, value in each.jwk.items() if name != "kid"} for each in (old, new)]
    token = old.sign(local.claims(), kid=None)
    assert "it names no key id (kid)" in await refused(published(*unnamed), token)
    assert Caller(TENANT) == await published(unnamed[0]).caller(bearer(token))


@pytest.mark.anyio
async def test_a_token_needs_no_key_id_where_there_is_one_key() -> None:
    """Where there are several, it does."""
    alone = LocalIssuer(URL)
    token = alone.signers[0].sign(alone.claims(), kid=None)
    jwks = [signer.jwk for signer in alone.signers]
    assert Caller(TENANT) == await published(*jwks).caller(bearer(token))
    assert "it names no key id (kid)" in await refused(published(*jwks, Signer("rsa-2").jwk), token)


@pytest.mark.parametrize(
    ("jwks", "words"),
    [
        ("http://login.example/keys", "is no https URL"),
        ("not a set", "it is no JWK set"),
        ('{"keys": []}', "it has no public key"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}', "it has no public key"),
        (
            '{"keys": [{"kty": "RSA", "kid": "a"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, 7]}',
            "it has no public key",
        ),
        ('{"keys": ' + "[" * 9000, "it is no JWK set"),
    ],
)
def test_keys_that_are_none_are_told(jwks: str, words: str) -> None:
    """Before anybody calls."""
    with pytest.raises(ValueError, match=words):
        Oidc(issuer=URL, jwks=jwks)


def test_an_issuer_is_asked_over_tls_alone() -> None:
    """But on this machine."""
    for url in (
        "http://login.example",
        "login.example",
        "ftp://login.example",
        "http://127.0.0.1.evil.example",
        "https://",
    ):
        with pytest.raises(ValueError, match="is no https URL"):
            Oidc(issuer=url)
    for url in ("https://login.example", "http://127.0.0.1:1", "http://localhost", "http://[::1]:9/x"):
        assert url == Oidc(issuer=url).issuer
