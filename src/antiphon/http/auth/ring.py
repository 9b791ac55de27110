"""The public keys of an issuer: read from a JWK set, kept while the issuer is away, and fetched anew with restraint.

Whatever callers send, the issuer is asked once in `PAUSE_SECONDS` at most, by one task for the whole process. A token
waits for that task only where its key id is not known, and was not unknown a moment ago. A key that was once fetched
goes on working while the issuer cannot be asked; so does, for that time, one that the issuer has withdrawn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeAlias

import anyio
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    Fetch: TypeAlias = Callable[[], Awaitable[bytes]]

log = logging.getLogger(__name__)

FRESH_SECONDS = 3600.0
"""How long fetched keys are used before they are fetched again, beside the requests."""
PAUSE_SECONDS = 5.0
"""How long the issuer is left alone after it was asked, whatever callers send."""
AGAIN_SECONDS = 60.0
"""After how long it is asked again that did not answer, where nobody waits for it."""
UNKNOWN_SECONDS = 60.0
"""How long a key id that was not found is refused without asking again."""
MOST_UNKNOWN = 1024
PATIENCE = 6.0
"""How long a request waits for keys. Longer than one fetch may take."""

WEAKEST_RSA = 2048
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256",
    "ES384": "P-384",
}
"""What kind of key each algorithm needs. Those of shared secrets, and ``none``, are not among them."""

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey


class KeysUnavailable(Exception):
    """The issuer's keys were never there, and cannot be had now; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("The keys of the issuer cannot be had now.")
        self.retry_after = retry_after


class FetchError(Exception):
    """The issuer could not be asked, or what it answered is no set of keys; the message says why."""


class Ring(Protocol):
    """Where the public keys of an issuer are found."""

    async def find(self, algorithm: str, id: str) -> Sequence[PublicKey]:
        """What a token may have been signed with: see `Keys.find`. Raises `KeysUnavailable`."""
        ...

    async def run(self) -> None:
        """Keep the keys fresh, until cancelled."""
        ...


class _Jwk(Struct, frozen=True):
    """What is read of a key before it is believed to be one (RFC 7517, section 4)."""

    kty: str
    kid: str = ""
    use: str = "sig"
    key_ops: tuple[str, ...] = ("verify",)
    alg: str | None = None
    crv: str = ""


class _Jwks(Struct, frozen=True):
    keys: list[msgspec.Raw]


class Keys:
    """Public keys, found by what is signed with them: an algorithm, and their id, which is empty where they have none.

    A key that names an algorithm is for that one alone.
    """

    def __init__(self, named: Iterable[tuple[str, str, PublicKey]]) -> None:
        self._found: defaultdict[tuple[str, str], list[PublicKey]] = defaultdict(list)
        self._by_algorithm: defaultdict[str, list[PublicKey]] = defaultdict(list)
        for algorithm, id, key in named:
            self._found[algorithm, id].append(key)
            self._by_algorithm[algorithm].append(key)
        self.prints: set[tuple[str, str, object]] = {
            (*name, key.public_numbers()) for name, keys in self._found.items() for key in keys
        }
        """What tells two sets of keys apart."""

    def __len__(self) -> int:
        """How many different keys there are."""
        return len({numbers for *_, numbers in self.prints})

    def find(self, algorithm: str, id: str) -> Sequence[PublicKey]:
        """The keys of this id, of which there is seldom more than one; without an id, the only one of the algorithm."""
        if id:
            return self._found.get((algorithm, id), [])
        fitting = self._by_algorithm.get(algorithm, [])
        return fitting if len(fitting) == 1 else []


def read_keys(text: str | bytes) -> Keys:
    """The keys of a JWK set that can verify a signature here; others are left out, as issuers publish those too.

    Raises `ValueError` where there is none, or where it is no JWK set.
    """
    try:
        raws = msgspec.json.decode(text, type=_Jwks).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"it is no JWK set: {error}") from error
    named: list[tuple[str, str, PublicKey]] = []
    for raw in raws:
        with suppress(Exception):  # whatever is wrong with one of them, by which library: the others work
            named += _named(bytes(raw))
    if not named:
        raise ValueError("it has no public key of RSA (2048 bits or more) or of the curves P-256 and P-384")
    return Keys(named)


def _named(raw: bytes) -> list[tuple[str, str, PublicKey]]:
    """A key under each algorithm that it is for; nothing where that is none. Raises whatever is wrong with it."""
    head = msgspec.json.decode(raw, type=_Jwk)
    kind = head.kty if head.kty == "RSA" else head.crv
    algorithms = [name for name, needs in KINDS.items() if needs == kind and head.alg in {None, name}]
    if head.use != "sig" or "verify" not in head.key_ops or not algorithms:
        return []
    key = _public(kind, raw.decode())
    return [] if key is None else [(algorithm, head.kid, key) for algorithm in algorithms]


def _public(kind: str, jwk: str) -> PublicKey | None:
    """The key that a JWK is; None for a private one, and for one that is too short to be one."""
    if kind != "RSA":
        point = ECAlgorithm.from_jwk(jwk)
        return point if isinstance(point, EllipticCurvePublicKey) else None
    key = RSAAlgorithm.from_jwk(jwk)
    return key if isinstance(key, RSAPublicKey) and key.key_size >= WEAKEST_RSA else None


class FixedRing:
    """Keys that are written down. Fulfils `Ring`."""

    def __init__(self, text: str) -> None:
        """Raises `ValueError`."""
        self._keys = read_keys(text)

    async def find(self, algorithm: str, id: str) -> Sequence[PublicKey]:
        """See `Ring.find`."""
        return self._keys.find(algorithm, id)

    async def run(self) -> None:
        """See `Ring.run`: they stay as they are."""


class FetchedRing:
    """Keys that are fetched as the text of a JWK set. Fulfils `Ring`.

    ``opened`` gives a context with what fetches the text, which raises `FetchError`. ``changed`` is called when the
    issuer has other keys than before. Nothing is fetched while `run` is not running. ``clock`` counts seconds.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[Fetch]],
        changed: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._opened = opened
        self._changed = changed
        self._clock = clock
        self._pause = pause
        self._keys = Keys([])
        self._wanted = asyncio.Event()
        self._landed = asyncio.Event()
        self._is_asking = True  # `run` begins with it
        self._has_answered = False
        self._rests_until = 0.0
        self._unknown: OrderedDict[tuple[str, str], float] = OrderedDict()

    @property
    def unknown(self) -> int:
        """How many key ids are known to be none of the issuer's."""
        return len(self._unknown)

    async def find(self, algorithm: str, id: str) -> Sequence[PublicKey]:
        """See `Ring.find`."""
        keys = self._keys.find(algorithm, id)
        if not keys:
            has_said = await self._has_said(algorithm, id)
            keys = self._keys.find(algorithm, id)
            if has_said and not keys:
                self._remember_unknown(algorithm, id)
        if not self._keys:
            raise KeysUnavailable(max(1.0, self._rests_until - self._clock()))
        return keys

    async def _has_said(self, algorithm: str, id: str) -> bool:
        """Whether the issuer has now said which keys it has. Waits for that, but where it is to be left alone now.

        What it is asked for already may be older than a key that it is not found among.
        """
        now = self._clock()
        if self._unknown.get((algorithm, id), now) > now:
            return False
        is_late = self._is_asking
        if not is_late:
            if now < self._rests_until:
                return False
            self._wanted.set()
        landed = self._landed
        try:
            async with asyncio.timeout(PATIENCE):
                await landed.wait()
        except TimeoutError:
            return False
        return self._has_answered and not is_late

    def _remember_unknown(self, algorithm: str, id: str) -> None:
        """Callers choose what is remembered here, so there is a bound, and the oldest goes first."""
        self._unknown[algorithm, id] = self._clock() + UNKNOWN_SECONDS
        self._unknown.move_to_end((algorithm, id))
        if len(self._unknown) > MOST_UNKNOWN:
            self._unknown.popitem(last=False)

    async def run(self) -> None:
        """See `Ring.run`."""
        async with self._opened() as fetch:
            while True:
                await self._ask(fetch)
                await asyncio.sleep(self._pause)
                with anyio.move_on_after(FRESH_SECONDS if self._has_answered else AGAIN_SECONDS):
                    await self._wanted.wait()

    async def _ask(self, fetch: Fetch) -> None:
        """Ask the issuer once, and let those go on who wait for it."""
        self._is_asking = True
        self._wanted.clear()
        self._has_answered = await self._renew(fetch)
        self._rests_until = self._clock() + self._pause
        self._is_asking = False
        landed, self._landed = self._landed, asyncio.Event()
        landed.set()

    async def _renew(self, fetch: Fetch) -> bool:
        """Whether the issuer has said which keys it has."""
        try:
            keys = read_keys(await fetch())
        except (FetchError, ValueError) as error:
            log.warning(
                "keys of the issuer not fetched",
                extra={"action": "issuer_keys_not_fetched", "error": str(error), "kept": len(self._keys)},
            )
            return False
        if keys.prints != self._keys.prints:
            self._keys = keys
            self._changed()
            log.info("keys of the issuer fetched", extra={"action": "issuer_keys_fetched", "count": len(keys)})
        return True
