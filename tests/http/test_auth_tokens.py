"""Tests of callers who bring a token of an issuer: every failure by name, and what an issuer that changes comes to."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import TYPE_CHECKING, Any  # claims are open

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.datastructures import Headers

from antiphon.http.auth import Auth, Config, Key, Oidc
from antiphon.http.auth.oidc import LONGEST_TOKEN, Issuer
from antiphon.http.auth.ring import FixedRing
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import ApiError
from tests.issuer import AUDIENCE, TENANT, LocalIssuer, Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from antiphon.http.auth.ring import PublicKey

pytestmark = pytest.mark.anyio

URL = "https://login.example/tenant/v2.0"
LEEWAY = 60


@pytest.fixture(scope="module")
def local() -> LocalIssuer:
    """An issuer that nobody needs to ask: its keys are written down."""
    return LocalIssuer(URL)


def trusting(local: LocalIssuer, **settings: Any) -> Auth:
    """A server's part that trusts the issuer."""
    return Auth(Config(oidc=Oidc(issuer=URL, jwks=local.jwks, **settings)), host="127.0.0.1")


def bearer(token: str) -> Headers:
    """The headers of a caller."""
    return Headers({"authorization": f"Bearer {token}"})


async def refused(auth: Auth, token: str) -> ApiError:
    """How a token is refused."""
    with pytest.raises(ApiError) as caught:
        await auth.caller(bearer(token))
    return caught.value


def encoded(part: object) -> str:
    """A part of a token."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_tokens_of_rsa_keys_are_taken(local: LocalIssuer, algorithm: str) -> None:
    """By each of their algorithms; the tenant is the claim's."""
    token = local.signers[0].sign(local.claims(), algorithm=algorithm)
    assert Caller(TENANT) == await trusting(local).caller(bearer(token))


@pytest.mark.parametrize("number", [1, 2])
async def test_tokens_of_elliptic_keys_are_taken(local: LocalIssuer, number: int) -> None:
    """Of both curves."""
    token = local.signers[number].sign(local.claims())
    assert Caller(TENANT) == await trusting(local).caller(bearer(token))


@pytest.mark.parametrize("audience", [AUDIENCE, f"{AUDIENCE}/", "https://ai.azure.com", ["x", "https://ai.azure.com/"]])
async def test_both_audiences_of_azure_are_taken(local: LocalIssuer, audience: str | list[str]) -> None:
    """With and without the last slash, alone and among others."""
    assert Caller(TENANT) == await trusting(local).caller(bearer(local.token(aud=audience)))


def _under_its_public_key(local: LocalIssuer) -> str:
    """A token whose shared secret is what everybody can read: RFC 8725, section 2.1."""
    public = local.signers[0].private.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{encoded(local.claims())}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _bringing_its_key(local: LocalIssuer) -> str:
    """A token that names the keys it is to be checked with: nobody looks there."""
    evil = Signer("rsa-1")
    return evil.sign(local.claims(), jwk=evil.jwk, jku="https://evil.example/keys", x5u="https://evil.example/x")


WRONG: dict[str, tuple[Callable[[LocalIssuer], str], str]] = {
    "expired": (lambda local: local.token(exp=int(time.time()) - LEEWAY - 1), "it has expired."),
    "not yet valid": (lambda local: local.token(nbf=int(time.time()) + LEEWAY + 30), "it is not valid yet (nbf)"),
    "issued tomorrow": (lambda local: local.token(iat=int(time.time()) + 86_400), "it is not valid yet (iat)"),
    "unsigned": (
        lambda local: f"{encoded({'alg': 'none', 'kid': 'rsa-1'})}.{encoded(local.claims())}.",
        "it is not signed.",
    ),
    "unsigned in other letters": (
        lambda local: f"{encoded({'alg': 'nOnE', 'kid': 'rsa-1'})}.{encoded(local.claims())}.",
        "it is not signed.",
    ),
    "no signature": (
        lambda local: f"{local.token().rpartition('.')[0]}.",
        "its signature is not the issuer's.",
    ),
    "another's signature": (
        lambda local: Signer("rsa-1").sign(local.claims()),
        "its signature is not the issuer's.",
    ),
    "another's claims": (
        lambda local: _joined(local.token(), local.token(tid="victim")),
        "its signature is not the issuer's.",
    ),
    "a shared secret": (
        lambda local: f"{encoded({'alg': 'HS256', 'kid': 'rsa-1'})}.{encoded(local.claims())}.{encoded(b'x' * 32)}",
        "it is signed by the algorithm 'HS256', which is not accepted here.",
    ),
    "another kind of key": (
        lambda local: local.signers[1].sign(local.claims(), kid="rsa-1"),
        "its key id 'rsa-1' is none of the issuer's.",
    ),
    "an unknown key id": (
        lambda local: Signer("gone").sign(local.claims()),
        "its key id 'gone' is none of the issuer's.",
    ),
    "an evil key id": (
        lambda local: local.signers[0].sign(local.claims(), kid="\x1b[2J" + "x" * 5000),
        "its key id '\\x1b[2Jxxx",
    ),
    "another issuer": (
        lambda local: local.token(iss="https://evil.example"),
        "its issuer (iss) is not the one that this server trusts.",
    ),
    "no issuer": (lambda local: local.token(iss=None), "its issuer (iss) is not the one that this server trusts."),
    "another audience": (lambda local: local.token(aud="https://graph.microsoft.com"), "it is for another audience"),
    "no audience": (lambda local: local.token(aud=None), "it is for another audience (aud)."),
    "no end": (lambda local: local.token(exp=None), "it has no claim 'exp'."),
    "an end that is none": (lambda local: local.token(exp="soon"), "its claim 'exp' is no time."),
    "an end without end": (lambda local: local.token(exp=float("inf")), "it cannot be read."),
    "an end after all time": (lambda local: local.token(exp=10**400), "its claim 'exp' is no time."),
    "an end after most time": (lambda local: local.token(exp=1e300), "its claim 'exp' is no time."),
    "an end that is true": (lambda local: local.token(exp=True), "its claim 'exp' is no time."),
    "a beginning that is a list": (lambda local: local.token(nbf=[1]), "its claim 'nbf' is no time."),
    "audiences that are none": (lambda local: local.token(aud=[7, ["x"], {}]), "it is for another audience (aud)."),
    "an issuer that is a list": (lambda local: local.token(iss=[URL]), "its issuer (iss) is not the one"),
    "what must be understood": (
        lambda local: local.signers[0].sign(local.claims(), crit=["exp"]),
        "it demands what this server does not know (crit).",
    ),
    "claims that are a list": (lambda local: local.signers[0].sign_raw(b"[1]"), "it cannot be read."),
    "claims that are not text": (lambda local: local.signers[0].sign_raw(b'{"iss":"\xff"}'), "it cannot be read."),
    "a signature with something between": (
        lambda local: local.token()[:-4] + " " + local.token()[-4:],
        "it cannot be read.",
    ),
    "a signature that is padded": (lambda local: f"{local.token()}==", "it cannot be read."),
    "a signature in the letters of another base64": (
        lambda local: f"{local.token().rpartition('.')[0]}.{'+/' * 171}",
        "it cannot be read.",
    ),
    "the public key as a shared secret": (
        _under_its_public_key,
        "it is signed by the algorithm 'HS256', which is not accepted here.",
    ),
    "a key of its own": (
        _bringing_its_key,
        "its signature is not the issuer's.",
    ),
    "a payload that is not encoded": (
        lambda local: local.signers[0].sign(local.claims(), crit=["b64"], b64=True),
        "it demands what this server does not know (crit).",
    ),
    "an end before all time": (lambda local: local.token(exp=-5), "it has expired."),
    "an end that is no number": (lambda local: local.token(exp=float("nan")), "it cannot be read."),
    "a tenant that is a number": (lambda local: local.token(tid=7), "its claim 'tid' is no name of a tenant."),
    "a tenant of spaces": (lambda local: local.token(tid="  "), "its claim 'tid' is no name of a tenant."),
    "a tenant that looks like another": (
        lambda local: local.token(tid=f"{TENANT} "),
        "its claim 'tid' is no name of a tenant.",
    ),
    "a tenant that is written backwards": (
        lambda local: local.token(tid="a\u202eb"),
        "its claim 'tid' is no name of a tenant.",
    ),
    "no tenant": (lambda local: local.token(tid=None), "it has no claim 'tid', which names the tenant."),
    "an empty tenant": (lambda local: local.token(tid=""), "its claim 'tid' is no name of a tenant."),
    "a long tenant": (lambda local: local.token(tid="x" * 129), "its claim 'tid' is no name of a tenant."),
    "a tenant with NUL": (lambda local: local.token(tid="a\0b"), "its claim 'tid' is no name of a tenant."),
    "half a letter": (lambda local: local.token(tid="\ud800"), "it cannot be read."),
    "a tenant that is a list": (lambda local: local.token(tid=["a"]), "its claim 'tid' is no name of a tenant."),
    "two parts": (lambda local: local.token().rpartition(".")[0], "it is not made of three parts"),
    "four parts": (lambda local: f"{local.token()}.x", "it is not made of three parts"),
    "a head that is no base64": (lambda local: f"eyJ!!!.{local.token().partition('.')[2]}", "it cannot be read."),
    "a head that is no JSON": (
        lambda local: f"{encoded(b'eyJ')}.{local.token().partition('.')[2]}",
        "it cannot be read.",
    ),
    "a head of numbers": (
        lambda local: f"{encoded({'alg': 1})}.{local.token().partition('.')[2]}",
        "it cannot be read.",
    ),
    "a deep head": (lambda local: f"{encoded(b'[' * 9000)}.{local.token().partition('.')[2]}", "it cannot be read."),
    "a deep body": (
        lambda _: f"{encoded({'alg': 'RS256'})}.{encoded(b'[' * 9000)}.x",
        "it cannot be read.",
    ),
    "a deep claim": (
        lambda local: local.signers[0].sign_raw(b'{"iss":"%s","x":%s' % (URL.encode(), b"[" * 9000)),
        "it cannot be read.",
    ),
    "letters of elsewhere": (lambda _: "\u00e9\u00e9.\u00e9.\u00e9", "it cannot be read."),
    "too long": (
        lambda local: local.token(groups=["x" * 36] * 2000),
        f"it is longer than {LONGEST_TOKEN} characters.",
    ),
}


def _joined(head_and_signature: str, body: str) -> str:
    """The claims of one token under the signature of another."""
    head, _, signature = head_and_signature.split(".")
    return ".".join([head, body.split(".")[1], signature])


@pytest.mark.parametrize("name", WRONG)
async def test_every_fault_of_a_token_is_told(local: LocalIssuer, name: str) -> None:
    """As a 401 with its own words, and with a challenge that programs understand; Azure's callers get Azure's code."""
    make, words = WRONG[name]
    error = await refused(trusting(local), make(local))
    assert (401, "invalid_token") == (error.status, error.code)
    assert error.message.startswith(f"Invalid access token: {words}")
    assert 'Bearer realm="OpenAI API", error="invalid_token"' == error.headers["www-authenticate"]
    azure = error.in_azure_words()
    assert (401, "401", None) == (azure.status, azure.code, azure.type)
    assert words in azure.message
    assert len(error.message) < 300
    assert error.message.isprintable()


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("roles", ["Reader", "Cognitive Services OpenAI User"]),
        ("scp", "openid Cognitive_User"),
        ("scope", "Cognitive_User"),
        ("scp", ["openid", "Cognitive_User"]),
        ("roles", "Cognitive Services OpenAI User"),
    ],
)
async def test_a_role_may_stand_in_either_claim(local: LocalIssuer, claim: str, value: str | list[str]) -> None:
    """In a list, or among words; an only role may stand without its list."""
    role = "Cognitive Services OpenAI User" if claim == "roles" else "Cognitive_User"
    token = local.token(**{"roles": None, claim: value})
    assert Caller(TENANT) == await trusting(local, required_role=role).caller(bearer(token))


@pytest.mark.parametrize("roles", [None, [], ["Reader"], "Use", "No User", ["No User"], 7, [["User"]], {"User": 1}])
async def test_a_missing_role_is_told(local: LocalIssuer, roles: Any) -> None:
    """The caller is known, and may not call: a 403, which Azure's clients know as PermissionDenied."""
    error = await refused(trusting(local, required_role="User"), local.token(roles=roles, scp="Users openid"))
    assert (403, "insufficient_permissions") == (error.status, error.code)
    assert "'User'" in error.message
    assert (403, "PermissionDenied") == (error.in_azure_words().status, error.in_azure_words().code)
    assert error.headers["www-authenticate"].endswith('error="insufficient_scope"')


async def test_clocks_may_differ_by_a_minute(local: LocalIssuer) -> None:
    """And by no more than is configured."""
    now = int(time.time())
    late, early = local.token(exp=now - 30), local.token(nbf=now + 30, iat=now + 30)
    for token in (late, early):
        assert Caller(TENANT) == await trusting(local).caller(bearer(token))
    for token, words in ((late, "expired"), (early, "not valid yet")):
        assert words in (await refused(trusting(local, leeway_seconds=10), token)).message


async def test_the_tenant_is_the_claim_that_is_configured(local: LocalIssuer) -> None:
    """Whatever else the token says."""
    token = local.token(tid=None, org="acme")
    assert Caller("acme") == await trusting(local, tenant_claim="org").caller(bearer(token))


async def test_algorithms_can_be_narrowed(local: LocalIssuer) -> None:
    """And not widened: `none` and shared secrets are no words of the configuration."""
    error = await refused(trusting(local, algorithms=("ES256",)), local.token())
    assert "'RS256', which is not accepted here" in error.message


async def test_entra_signs_with_two_names(local: LocalIssuer) -> None:
    """Its tokens for Azure's audiences say the older one; that of another tenant is none of them."""
    url = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    auth = Auth(Config(oidc=Oidc(issuer=url, jwks=local.jwks)), host="127.0.0.1")
    for issuer in (url, f"https://sts.windows.net/{TENANT}/"):
        assert Caller(TENANT) == await auth.caller(bearer(local.token(iss=issuer)))
    other = f"https://sts.windows.net/{TENANT.replace('1', '9')}/"
    assert "its issuer (iss)" in (await refused(auth, local.token(iss=other))).message


@pytest.mark.parametrize("configured", ["https://login.example/", "https://login.example"])
async def test_the_last_slash_of_an_issuer_is_no_difference(local: LocalIssuer, configured: str) -> None:
    """Neither where its keys are found nor in a token; anything else is."""
    auth = Auth(Config(oidc=Oidc(issuer=configured, jwks=local.jwks)), host="127.0.0.1")
    for issuer in ("https://login.example", "https://login.example/"):
        assert Caller(TENANT) == await auth.caller(bearer(local.token(iss=issuer)))
    for issuer in ("https://login.example//", "https://login.example/x", "https://LOGIN.example"):
        assert "its issuer (iss)" in (await refused(auth, local.token(iss=issuer))).message


async def test_keys_and_tokens_go_together(local: LocalIssuer) -> None:
    """A key with dots in it is a key; a token in `api-key` is none; without an issuer tokens are told so."""
    config = Config(
        keys=[Key(key="a.dotted.key", tenant="a"), Key(key="plain", tenant="b")],
        oidc=Oidc(issuer=URL, jwks=local.jwks),
    )
    auth = Auth(config, host="127.0.0.1")
    callers = [await auth.caller(bearer(key)) for key in ("a.dotted.key", "plain", local.token())]
    assert [Caller("a"), Caller("b"), Caller(TENANT)] == callers
    with pytest.raises(ApiError, match="Incorrect API key provided"):
        await auth.caller(Headers({"api-key": local.token()}))
    without = Auth(Config(keys=[Key(key="k", tenant="a")]), host="127.0.0.1")
    assert "it trusts no issuer" in (await refused(without, local.token())).message


class Counting(FixedRing):
    """Keys that are written down, and how often one was looked for."""

    looks = 0

    async def find(self, algorithm: str, id: str) -> Sequence[PublicKey]:
        """The keys."""
        self.looks += 1
        return await super().find(algorithm, id)


async def test_a_good_token_is_checked_once_until_it_expires(local: LocalIssuer) -> None:
    """Or until the issuer has other keys."""
    began = int(time.time())
    clock, ring = [float(began)], Counting(local.jwks)
    issuer = Issuer(Oidc(issuer=URL), ring=ring, now=lambda: clock[0])
    token = local.token(exp=began + 100)
    for seconds in (0, 1, 100, 100 + LEEWAY - 0.1):
        clock[0] = began + seconds
        assert Caller(TENANT) == await issuer.caller(token)
    assert 1 == ring.looks
    issuer.forget()
    assert Caller(TENANT) == await issuer.caller(token)
    assert (2, 1) == (ring.looks, issuer.remembered)
    clock[0] = began + 100 + LEEWAY
    with pytest.raises(ApiError, match="it has expired"):
        await issuer.caller(token)
    assert 0 == issuer.remembered


async def test_what_is_remembered_is_bounded(local: LocalIssuer) -> None:
    """However many tokens there are: the one goes that was longest not seen."""
    ring = Counting(local.jwks)
    issuer = Issuer(Oidc(issuer=URL), ring=ring, most=3)
    tokens = [local.token(number=number) for number in range(4)]
    for number in (0, 1, 2, 0, 3, 0, 3, 2):
        await issuer.caller(tokens[number])
    assert (3, 4) == (issuer.remembered, ring.looks)
    await issuer.caller(tokens[1])
    assert (3, 5) == (issuer.remembered, ring.looks)
