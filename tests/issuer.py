"""An OpenID issuer on this machine, with keys of its own: it describes itself, publishes its keys, and signs tokens."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any  # the claims of a token are open

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS

from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

AUDIENCE = "https://cognitiveservices.azure.com"
TENANT = "11111111-2222-3333-4444-555555555555"
KEYS_PATH = "/keys"
WELL_KNOWN_PATH = "/.well-known/openid-configuration"


class Signer:
    """A key pair with an id; it signs by one algorithm unless it is told another."""

    def __init__(self, id: str, algorithm: str = "RS256", *, private: PrivateKey | None = None) -> None:
        self.id = id
        self.algorithm = algorithm
        self.private = private or made(algorithm)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as it is published."""
        private = self.private
        if isinstance(private, rsa.RSAPrivateKey):
            public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        else:
            public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        return {**public, "kid": self.id, "use": "sig"}

    def sign(self, claims: dict[str, Any], **head: Any) -> str:
        """A token with these claims, and whatever else its head is to say."""
        algorithm = head.pop("algorithm", self.algorithm)
        return self.sign_raw(json.dumps(claims).encode(), algorithm=algorithm, **head)

    def sign_raw(self, body: bytes, *, algorithm: str = "RS256", **head: Any) -> str:
        """A token around anything; what the head is to say None of is left out."""
        said = {name: value for name, value in {"kid": self.id, **head}.items() if value is not None}
        return PyJWS().encode(body, self.private, algorithm=algorithm, headers=said)


def made(algorithm: str) -> PrivateKey:
    """A fresh private key for an algorithm."""
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ES384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class LocalIssuer:
    """What the issuer does. ``asked`` has the paths that were asked for, in order; it answers while ``gate`` is set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.signers = [Signer("rsa-1"), Signer("ec-1", "ES256"), Signer("ec-2", "ES384")]
        self.asked: list[str] = []
        self.is_down = False
        self.moved_to = ""
        self.gate = threading.Event()
        self.gate.set()
        self.named = url
        self.keys_url = f"{url}{KEYS_PATH}"
        self.body: bytes | None = None

    @property
    def jwks(self) -> str:
        """The set of its public keys."""
        return json.dumps({"keys": [signer.jwk for signer in self.signers]})

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return self.asked.count(KEYS_PATH)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good token; a claim that is changed to None is left out."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "tid": TENANT,
            "roles": ["Cognitive Services OpenAI User"],
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, **changed: Any) -> str:
        """A good token, but for the claims that are changed."""
        return self.signers[0].sign(self.claims(**changed))

    def answer(self, path: str) -> tuple[int, bytes]:
        """The status and the body of what is asked for."""
        self.asked.append(path)
        self.gate.wait(HANG_SECONDS)
        if self.is_down:
            return 503, b"{}"
        if self.moved_to:
            return 302, b"{}"
        match path:
            case "/.well-known/openid-configuration":
                return 200, json.dumps({"issuer": self.named, "jwks_uri": self.keys_url}).encode()
            case "/keys":
                return 200, self.jwks.encode() if self.body is None else self.body
            case _:
                return 404, b"{}"


@contextmanager
def issuing() -> Iterator[LocalIssuer]:
    """A running issuer."""

    class Asked(BaseHTTPRequestHandler):
        """One request."""

        def do_GET(self) -> None:
            """Answer it."""
            status, body = issuer.answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if issuer.moved_to:
                self.send_header("location", issuer.moved_to)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        issuer = LocalIssuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join(HANG_SECONDS)
