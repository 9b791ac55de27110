"""Sealing: what only this server may read travels as a token, authenticated and bound to what it belongs to.

A token is the version, the name of its key, a nonce and the ciphertext of AES-256-GCM, in URL-safe base64. Keys are
derived from the configured secrets by HKDF-SHA256 (RFC 5869), so a secret may have any form; it should have 32 random
characters or more. The first secret seals, all of them open: a new one is put in front, an old one stays until what it
sealed is gone.

A tag is an HMAC-SHA256 (RFC 2104) under a key derived likewise: what is public comes back as this server wrote it.
"""

from __future__ import annotations

import binascii
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
NAME_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 32
SHORTEST_TAG_BYTES = 8
_HEAD_BYTES = len(VERSION) + NAME_BYTES


class CannotOpen(Exception):
    """The token was changed, belongs to something else, or was sealed with a key that is not known here."""


class Seal:
    """Seals and opens, tags and knows its tags. ``secrets``: at least one, the one that seals and tags first."""

    def __init__(self, secrets: list[str]) -> None:
        self._ciphers = {_derived(secret, b"name", NAME_BYTES): _cipher(secret) for secret in secrets}
        self._name = next(iter(self._ciphers))
        self._tag_keys = [_derived(secret, b"tag", TAG_BYTES) for secret in secrets]

    def seal(self, plain: bytes, bound: str) -> str:
        """A token of ``plain`` that opens only where ``bound`` is the same."""
        nonce = os.urandom(NONCE_BYTES)
        head = VERSION + self._name
        sealed = self._ciphers[self._name].encrypt(nonce, plain, head + bound.encode())
        return urlsafe_b64encode(head + nonce + sealed).decode()

    def open(self, token: str, bound: str) -> bytes:
        """What was sealed. Raises `CannotOpen`."""
        try:
            sealed = urlsafe_b64decode(token.encode())
        except (binascii.Error, UnicodeEncodeError) as error:
            raise CannotOpen from error
        if urlsafe_b64encode(sealed).decode() != token:  # the same bytes, written in another way
            raise CannotOpen
        head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        cipher = self._ciphers.get(head.removeprefix(VERSION))
        if cipher is None:
            raise CannotOpen
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + bound.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen from error

    def tag(self, message: bytes) -> bytes:
        """32 bytes that only this server can make of a message; the first of them, 8 at least, may stand for all."""
        return hmac.digest(self._tag_keys[0], message, "sha256")

    def is_tagged(self, message: bytes, tag: bytes) -> bool:
        """Whether a tag, or its first bytes, was made of this message here; how long that takes tells nothing of it."""
        if not SHORTEST_TAG_BYTES <= len(tag) <= TAG_BYTES:
            return False
        made = [hmac.digest(key, message, "sha256")[: len(tag)] for key in self._tag_keys]
        return any([hmac.compare_digest(each, tag) for each in made])  # noqa: C419 - all are compared, whichever fits


def _cipher(secret: str) -> AESGCM:
    return AESGCM(_derived(secret, b"key", 32))


def _derived(secret: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length=length, salt=None, info=b"antiphon seal " + purpose).derive(secret.encode())
