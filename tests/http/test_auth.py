"""Tests of who may call."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from starlette.datastructures import Headers

from antiphon.http.auth import Auth, Config, Key
from antiphon.http.auth.stored import StoredKeys
from antiphon.lifecycle import Caller
from antiphon.protocol.errors import ApiError
from antiphon.store import sqlite
from antiphon.store.keys import Keys, new_key
from tests import patient
from tests.serving import scripted, serving
from tests.store.troubled import Troubled

KEYS = Config(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
BODY = {"model": "m", "input": "hi"}


def test_a_key_is_taken_from_either_header() -> None:
    """``api-key`` and ``Authorization: Bearer`` mean the same."""
    with serving(replace(scripted(), auth=KEYS)) as address:
        statuses = [
            patient.post(f"{address}/v1/responses", json=BODY, headers=headers).status_code
            for headers in ({"api-key": "key-a"}, {"authorization": "Bearer key-a"}, {"authorization": "bearer  key-a"})
        ]
    assert [200, 200, 200] == statuses


@pytest.mark.parametrize(
    "headers", [{}, {"api-key": "wrong"}, {"authorization": "Bearer wrong"}, {"authorization": "Basic key-a"}]
)
def test_without_a_right_key_nothing_is_answered(headers: dict[str, str]) -> None:
    """A missing key and a wrong one are a 401 with the challenge, in the words of the path; the key is not shown."""
    with serving(replace(scripted(), auth=KEYS)) as address:
        plain = patient.post(f"{address}/v1/responses", json=BODY, headers=headers)
        azure = patient.get(f"{address}/openai/v1/models", headers=headers)
        health = patient.get(f"{address}/health")
    assert (401, 401, 200) == (plain.status_code, azure.status_code, health.status_code)
    assert {"message", "type", "param", "code"} == set(plain.json()["error"])
    assert "401" == azure.json()["error"]["code"]
    assert plain.headers["www-authenticate"].startswith("Bearer")


def test_tenants_do_not_meet() -> None:
    """What one tenant stored is not there for another, by any verb, in the same words as what was never there."""
    with serving(replace(scripted(), auth=KEYS)) as address:
        mine = {"api-key": "key-a"}
        theirs = {"api-key": "key-b"}
        id = patient.post(f"{address}/v1/responses", json=BODY, headers=mine).json()["id"]
        url = f"{address}/v1/responses/{id}"
        reached = [
            patient.get(url, headers=theirs),
            patient.get(f"{url}/input_items", headers=theirs),
            patient.post(f"{url}/cancel", headers=theirs),
            patient.delete(url, headers=theirs),
        ]
        chained = patient.post(f"{address}/v1/responses", json={**BODY, "previous_response_id": id}, headers=theirs)
        still = patient.get(url, headers=mine)
    assert [404] * 4 == [answer.status_code for answer in reached]
    assert {f"Response with id '{id}' not found."} == {answer.json()["error"]["message"] for answer in reached}
    assert (400, "previous_response_not_found") == (chained.status_code, chained.json()["error"]["code"])
    assert 200 == still.status_code


def test_an_open_server_answers_only_to_its_own_names() -> None:
    """Without keys a request whose Host is a stranger's name is refused: a web page could have sent it."""
    with serving(scripted()) as address:
        answers = [
            patient.get(f"{address}/v1/models", headers={"host": host}).status_code
            for host in ("localhost:1", "127.0.0.1", "[::1]:9", "evil.example", "127.0.0.1.evil.example:80", "")
        ]
    assert [200, 200, 200, 403, 403, 403] == answers


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("https://[::1]:8080", 200),
        ("http://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://127.0.0.1@evil.example", 403),
        ("http://[::1", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_an_open_server_answers_no_web_page_of_strangers(origin: str | None, status: int) -> None:
    """Browsers send forms and bare requests for any page, and ask nobody: without keys the page must be of here."""
    headers = {} if origin is None else {"origin": origin}
    with serving(scripted()) as address:
        answers = [
            patient.post(
                f"{address}/v1/files", files={"file": ("a.txt", b"x")}, data={"purpose": "user_data"}, headers=headers
            ),
            patient.post(f"{address}/v1/conversations", headers=headers),
            patient.get(f"{address}/v1/models", headers=headers),
        ]
    assert [status] * 3 == [answer.status_code for answer in answers]


def test_with_keys_the_key_decides() -> None:
    """A page that has one was given it."""
    with serving(replace(scripted(), auth=KEYS)) as address:
        headers = {"api-key": "key-a", "origin": "https://app.example"}
        assert 200 == patient.get(f"{address}/v1/models", headers=headers).status_code


@pytest.mark.parametrize("key", ["", " key", "key\n", "k\te\ty", "cl\u00e9", "x" * 4097])
def test_a_key_that_nobody_can_send_is_told(key: str) -> None:
    """At the start, and without the key: it may be a right one with something added."""
    with pytest.raises(ValueError, match="a key has 1 to 4096 letters, digits and signs of ASCII") as caught:
        Key(key=key, tenant="a")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("tenant", ["", " ", "a ", "a\0b", "a\nb", "\ud800", "x" * 129])
def test_what_names_no_tenant_is_told(tenant: str) -> None:
    """Whether a key or a token names it: the database is to keep it, and people are to see it."""
    with pytest.raises(ValueError, match="is no name of one: it has 1 to 128 characters"):
        Key(key="key", tenant=tenant)


def test_a_key_is_one_tenants() -> None:
    """Two that have the same would read each other's responses; one may have it twice."""
    with pytest.raises(ValueError, match="the tenants 'a' and 'b' have the same key"):
        Config(keys=[Key(key="secret", tenant="a"), Key(key="other", tenant="a"), Key(key="secret", tenant="b")])
    assert 2 == len(Config(keys=[Key(key="secret", tenant="a")] * 2).keys)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("raw", "tenant"),
    [
        ([(b"authorization", b"bEaReR   key-a  ")], "a"),
        ([(b"authorization", b"Bearer key-a"), (b"api-key", b"key-b")], "b"),
        ([(b"authorization", b"Bearer key-a"), (b"api-key", b"")], "a"),
        ([(b"authorization", b"Bearer key-a"), (b"api-key", b"wrong")], None),
        ([(b"authorization", b"Bearer key-a"), (b"authorization", b"Bearer key-b")], "a"),
        ([(b"authorization", b"Bearer wrong"), (b"authorization", b"Bearer key-b")], None),
        ([(b"authorization", b"key-a")], None),
        ([(b"authorization", b"Bearer\tkey-a")], None),
        ([(b"authorization", b"Bearer key-\xe9\xff\x00")], None),
        ([(b"authorization", b"Bearer " + b"x" * 100_000)], None),
        ([(b"authorization", b"Bearer ")], None),
    ],
)
async def test_what_a_caller_brings_is_read_one_way(raw: list[tuple[bytes, bytes]], tenant: str | None) -> None:
    """A key of Azure's goes before a bearer's, and the first of two before the second; a wrong one is wrong."""
    auth = Auth(KEYS, host="127.0.0.1")
    if tenant is not None:
        assert Caller(tenant) == await auth.caller(Headers(raw=raw))
        return
    with pytest.raises(ApiError) as caught:
        await auth.caller(Headers(raw=raw))
    assert 401 == caught.value.status
    assert len(caught.value.message) < 300


@pytest.mark.anyio
async def test_it_is_said_at_the_start_that_nobody_has_a_key(caplog: pytest.LogCaptureFixture) -> None:
    """Where that is so, and can be known; it keeps no server from starting."""
    database = Troubled(await sqlite.connect("sqlite://"))
    keys = Keys(database)
    auth = Auth(Config(), host="127.0.0.1", stored=StoredKeys(keys))
    try:
        await auth.run()
        assert ["nobody has a key"] == caplog.messages
        await Auth(KEYS, host="127.0.0.1", stored=StoredKeys(keys)).run()
        await Auth(None, host="127.0.0.1", stored=StoredKeys(keys)).run()
        database.is_away = True
        await auth.run()
        database.is_away = False
        await keys.add(new_key(), tenant="a", name="", life_ms=None)
        await auth.run()
        assert 1 == len(caplog.messages)
    finally:
        await database.aclose()
