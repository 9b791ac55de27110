"""Tests of the keys of an issuer that is asked over HTTP: rotated, away, slow to be asked, and flooded with key ids."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any  # the settings of an issuer are open

import anyio
import pytest

from antiphon.http.auth import Oidc
from antiphon.http.auth import ring as rings
from antiphon.http.auth.config import is_trusted
from antiphon.http.auth.fetching import FETCH_SECONDS, LONGEST_DOCUMENT, Fetcher
from antiphon.http.auth.oidc import Issuer
from antiphon.http.auth.ring import MOST_UNKNOWN, FetchedRing
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import ApiError
from tests.issuer import KEYS_PATH, TENANT, WELL_KNOWN_PATH, Signer, issuing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from tests.issuer import LocalIssuer

pytestmark = pytest.mark.anyio

FLOOD = 300


@pytest.fixture
def local() -> Iterator[LocalIssuer]:
    """A running issuer."""
    with issuing() as made:
        yield made


@asynccontextmanager
async def fetching(local: LocalIssuer, jwks: str | None) -> AsyncGenerator[Callable[[], Awaitable[bytes]]]:
    """What fetches its keys."""
    fetcher = Fetcher(local.url, jwks, is_trusted=is_trusted)
    try:
        yield fetcher.fetch
    finally:
        await fetcher.aclose()


@asynccontextmanager
async def trusting(local: LocalIssuer, *, pause: float = 0.0, jwks: str | None = None) -> AsyncGenerator[Issuer]:
    """A part that trusts the issuer, and keeps its keys fresh; it leaves it alone for no longer than is said."""

    def changed() -> None:
        issuer.forget()

    ring = FetchedRing(partial(fetching, local, jwks), changed, pause=pause)
    issuer = Issuer(Oidc(issuer=local.url), ring=ring)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(issuer.run())
        yield issuer
        running.cancel()


async def said(issuer: Issuer, token: str) -> Any:
    """Who brings a token, or the status and words with which it is refused."""
    try:
        return await issuer.caller(token)
    except ApiError as error:
        return error.status, error.message


async def test_keys_are_found_where_the_issuer_says(local: LocalIssuer) -> None:
    """By discovery; tokens are checked without asking again."""
    async with trusting(local) as issuer:
        for signer in local.signers:
            assert Caller(TENANT) == await issuer.caller(signer.sign(local.claims()))
    assert [WELL_KNOWN_PATH, KEYS_PATH] == local.asked


async def test_keys_are_found_where_the_operator_says(local: LocalIssuer) -> None:
    """Without discovery."""
    async with trusting(local, jwks=f"{local.url}{KEYS_PATH}") as issuer:
        assert Caller(TENANT) == await issuer.caller(local.token())
    assert [KEYS_PATH] == local.asked


async def test_many_that_wait_at_the_start_have_nothing_fetched_twice(local: LocalIssuer) -> None:
    """The fetch that goes on is theirs."""
    async with trusting(local) as issuer:
        async with anyio.create_task_group() as group:
            for number in range(9):
                group.start_soon(issuer.caller, local.token(number=number))
        for number in range(9, 99):
            await issuer.caller(local.token(number=number))
            await anyio.lowlevel.checkpoint()
    assert 1 == local.fetches


async def test_a_rotated_key_is_found_at_once(local: LocalIssuer) -> None:
    """The first token that it signed has the keys fetched; what the old one signed is refused from then on."""
    async with trusting(local) as issuer:
        old = local.token()
        assert Caller(TENANT) == await issuer.caller(old)
        local.signers = [Signer("rsa-2")]
        assert Caller(TENANT) == await issuer.caller(local.token())
        assert (401, "Invalid access token: its key id 'rsa-1' is none of the issuer's.") == await said(issuer, old)


async def test_an_issuer_that_is_away_is_not_missed(local: LocalIssuer) -> None:
    """While its keys are there; new ones are found when it is back."""
    async with trusting(local) as issuer:
        assert Caller(TENANT) == await issuer.caller(local.token())
        local.is_down = True
        late = Signer("rsa-2")
        assert (401, "Invalid access token: its key id 'rsa-2' is none of the issuer's.") == await said(
            issuer, late.sign(local.claims())
        )
        assert Caller(TENANT) == await issuer.caller(local.token(fresh="yes"))
        local.is_down = False
        local.signers.append(late)
        assert Caller(TENANT) == await issuer.caller(late.sign(local.claims()))


async def test_a_key_id_that_comes_during_a_fetch_is_asked_for_again(local: LocalIssuer) -> None:
    """What is fetched may be older than the key; that it is not in there makes it no stranger."""
    gate, began = asyncio.Event(), asyncio.Event()
    old, new = Signer("rsa-1"), Signer("rsa-2")
    published = [[old], [old], [old, new]]

    async def fetch() -> bytes:
        signers = published.pop(0)
        if len(published) == 1:
            began.set()
            await gate.wait()
        return json.dumps({"keys": [signer.jwk for signer in signers]}).encode()

    async with anyio.create_task_group() as group:
        ring = FetchedRing(lambda: nullcontext(fetch), lambda: None, pause=0.0)
        group.start_soon(ring.run)
        assert [] != await ring.find("RS256", "rsa-1")
        group.start_soon(ring.find, "RS256", "stranger")
        await began.wait()
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(ring.find, "RS256", "rsa-2")
            await anyio.lowlevel.checkpoint()
            gate.set()
        assert 1 == ring.unknown
        assert [] != await ring.find("RS256", "rsa-2")
        group.cancel_scope.cancel()


async def test_without_any_keys_the_answer_is_to_try_again(local: LocalIssuer) -> None:
    """A 503 with a time, and no 401 that would send a client for another token; it works once the issuer is back."""
    local.is_down = True
    async with trusting(local) as issuer:
        with pytest.raises(ApiError) as caught:
            await issuer.caller(local.token())
        assert 503 == caught.value.status
        assert 1 <= int(caught.value.headers["retry-after"]) <= rings.PAUSE_SECONDS
        local.is_down = False
        assert Caller(TENANT) == await issuer.caller(local.token())


async def test_a_flood_of_key_ids_asks_the_issuer_once(local: LocalIssuer) -> None:
    """However many come at once, and one after the other: it is left alone for the pause. All are refused."""
    async with trusting(local, pause=3600) as issuer:
        assert Caller(TENANT) == await issuer.caller(local.token())
        stranger = Signer("x")
        tokens = [stranger.sign(local.claims(), kid=f"kid-{number}") for number in range(FLOOD)]
        answers: list[Any] = []

        async def ask(token: str) -> None:
            answers.append(await said(issuer, token))

        async with anyio.create_task_group() as group:
            for token in tokens[: FLOOD // 2]:
                group.start_soon(ask, token)
        for token in tokens[FLOOD // 2 :]:
            await ask(token)
        assert Caller(TENANT) == await issuer.caller(local.token(fresh="yes"))
    assert FLOOD == sum(answer[0] == 401 for answer in answers)
    assert 1 == local.fetches


async def test_many_that_wait_for_a_key_wait_for_one_fetch(local: LocalIssuer) -> None:
    """At the start, as later."""
    async with trusting(local, pause=3600) as issuer:
        answers: list[Any] = []

        async def ask(number: int) -> None:
            answers.append(await said(issuer, local.token(number=number)))

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(ask, number)
    assert [Caller(TENANT)] * 50 == answers
    assert 1 == local.fetches


async def test_an_unknown_key_id_is_asked_for_once(local: LocalIssuer) -> None:
    """A client that goes on with an old token does not have the issuer asked each time the pause is over."""
    async with trusting(local, pause=0.0) as issuer:
        assert Caller(TENANT) == await issuer.caller(local.token())
        stranger = Signer("old").sign(local.claims())
        for _ in range(20):
            assert (401, "Invalid access token: its key id 'old' is none of the issuer's.") == await said(
                issuer, stranger
            )
    assert 2 == local.fetches


async def test_a_key_id_is_not_unknown_before_the_issuer_was_asked_for_it(local: LocalIssuer) -> None:
    """What is refused because the issuer is left alone is asked for as soon as it is not."""
    clock = [0.0]
    async with anyio.create_task_group() as group:
        ring = FetchedRing(partial(fetching, local, None), lambda: None, clock=lambda: clock[0], pause=0.0)
        group.start_soon(ring.run)
        assert [] != await ring.find("RS256", "rsa-1")
        local.signers.append(Signer("rsa-2"))
        clock[0] = -1.0  # as if it was not over yet
        assert [] == await ring.find("RS256", "rsa-2")
        assert 0 == ring.unknown
        clock[0] = 1.0
        assert [] != await ring.find("RS256", "rsa-2")
        group.cancel_scope.cancel()


async def test_key_ids_that_are_unknown_fill_no_memory() -> None:
    """There is a bound, whoever chooses them; and what was remembered is not asked for until it is forgotten."""
    jwks = json.dumps({"keys": [Signer("rsa-1").jwk]}).encode()
    asked = 0

    async def fetch() -> bytes:
        nonlocal asked
        asked += 1
        return jwks

    async with anyio.create_task_group() as group:
        ring = FetchedRing(lambda: nullcontext(fetch), lambda: None, pause=0.0)
        group.start_soon(ring.run)
        for number in range(MOST_UNKNOWN + 50):
            assert [] == await ring.find("RS256", f"kid-{number}")
        assert MOST_UNKNOWN == ring.unknown
        before = asked
        assert [] == await ring.find("RS256", f"kid-{MOST_UNKNOWN}")
        assert before == asked
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"body": b"x" * (LONGEST_DOCUMENT + 1)}, "more than 524288 bytes"),
        ({"body": b"[]"}, "it is no JWK set"),
        ({"body": b""}, "it is no JWK set"),
        ({"body": b"<html>"}, "it is no JWK set"),
        ({"body": json.dumps({"keys": []}).encode()}, "no public key"),
        ({"named": "https://evil.example"}, "describes another issuer, 'https://evil.example'"),
        ({"keys_url": "http://keys.example"}, "a URL that is not https"),
        ({"keys_url": "http://127.0.0.1:1/keys"}, "cannot be reached"),
    ],
)
async def test_an_issuer_that_says_nonsense_is_told_to_the_operator(
    local: LocalIssuer, caplog: pytest.LogCaptureFixture, changed: dict[str, Any], words: str
) -> None:
    """In the log, with the reason; callers are asked to try again."""
    for name, value in changed.items():
        setattr(local, name, value)
    async with trusting(local) as issuer:
        assert 503 == (await said(issuer, local.token()))[0]
    [first, *_] = [record for record in caplog.records if record.__dict__.get("action") == "issuer_keys_not_fetched"]
    assert words in str(first.__dict__["error"])


async def test_an_issuer_that_sends_elsewhere_is_not_followed(
    local: LocalIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever could redirect would choose the keys."""
    with issuing() as evil:
        local.moved_to = f"{evil.url}{KEYS_PATH}"
        async with trusting(local) as issuer:
            assert 503 == (await said(issuer, local.token()))[0]
        assert [] == evil.asked
    assert "answered with status 302" in caplog.records[0].__dict__["error"]


async def test_an_issuer_that_does_not_answer_is_given_up(local: LocalIssuer) -> None:
    """After a time, for all that is asked of it together; a request waits for longer than that."""
    local.gate.clear()
    fetcher = Fetcher(local.url, None, is_trusted=is_trusted, seconds=0.01)
    try:
        with pytest.raises(rings.FetchError, match=r"did not answer in 0\.01 s"):
            await fetcher.fetch()
    finally:
        local.gate.set()
        await fetcher.aclose()
    assert rings.PATIENCE > FETCH_SECONDS
