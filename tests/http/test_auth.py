"""Tests of who may call."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from antiphon.http.auth import Config, Key
from tests import patient
from tests.serving import scripted, serving

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
