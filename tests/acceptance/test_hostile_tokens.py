"""Sealed content that is not what it should be: changed, foreign, old, or of another kind, wherever it may be sent."""

from __future__ import annotations

import json
import string
import time
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from antiphon.config import Encryption
from antiphon.lifecycle import DAY_SECONDS, Policy
from antiphon.lifecycle.tokens import Tokens
from antiphon.sealing import Seal
from tests.acceptance.hostile import Json, error, kinds, says, standing, turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx2 as httpx

    from antiphon.lifecycle.tokens import Kind
    from tests.acceptance.hostile import Stand

pytestmark = pytest.mark.slow

KEY = "a key of 32 characters or so, for tests"
HI: Json = {"role": "user", "content": "hi"}
NEXT: Json = {"role": "user", "content": "And now?"}
SECRET = "thought-7d1f"
ALPHABET = string.ascii_letters + string.digits + "-_"
REFUSED = (
    "The encrypted content for item {0} could not be verified. Reason: Encrypted content could not be decrypted or "
    "parsed."
)


class Sealed(Struct, frozen=True):
    """Items that hold what is sealed, made by runs of one server."""

    thought: Json
    summary: Json


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A server with a key of its own."""
    with standing(encryption=Encryption(keys=[KEY])) as made:
        yield made


@pytest.fixture(scope="module")
def sealed(stand: Stand) -> Sealed:
    """One of each kind."""
    return made_by(stand)


def made_by(stand: Stand) -> Sealed:
    """Sealed items of this server."""
    stand.model.will(turn({"reasoning_content": SECRET}, {"content": "Yes."}))
    thinking = stand.made(include=["reasoning.encrypted_content"])
    stand.model.will(says(f"They said hi; {SECRET}."))
    compacted = stand.made(input=[HI, {"type": "compaction_trigger"}])
    assert (["reasoning", "message"], ["compaction"]) == (kinds(thinking), kinds(compacted))
    return Sealed(thinking["output"][0], compacted["output"][0])


def bringing(item: Json, token: str) -> list[Json]:
    """An input with an item that holds this."""
    return [HI, {**item, "encrypted_content": token}, {"role": "assistant", "content": "Yes."}, NEXT]


def refused(answer: httpx.Response, item: Json) -> None:
    """An answer names the item, and tells nothing of why."""
    found = error(answer)
    assert (400, "invalid_request_error") == (answer.status_code, found["type"])
    assert ("input", "invalid_encrypted_content") == (found["param"], found["code"])
    assert REFUSED.format(item["id"]) == found["message"]


@pytest.mark.parametrize("kind", ["thought", "summary"])
def test_what_is_sealed_is_understood_as_it_came(stand: Stand, sealed: Sealed, kind: str) -> None:
    """By its server, for its tenant; the model sees what was sealed."""
    item = getattr(sealed, kind)
    stand.model.will()
    heard = stand.heard(input=bringing(item, item["encrypted_content"]), reasoning={"context": "all_turns"})
    assert SECRET in json.dumps(heard)
    assert SECRET not in json.dumps(item)


@pytest.mark.parametrize("kind", ["thought", "summary"])
def test_what_was_changed_at_any_byte_is_refused(stand: Stand, sealed: Sealed, kind: str) -> None:
    """One character is another, is missing, or is one too many."""
    item = getattr(sealed, kind)
    token = item["encrypted_content"]
    before = len(stand.model.asked)
    for at, letter in enumerate(token):
        other = ALPHABET[(ALPHABET.find(letter) + 1) % len(ALPHABET)]
        refused(stand.ask(input=bringing(item, token[:at] + other + token[at + 1 :])), item)
    for at in range(0, len(token), 7):
        for changed in (token[:at] + token[at + 1 :], token[:at] + "A" + token[at:], token[:at] + "!" + token[at:]):
            refused(stand.ask(input=bringing(item, changed)), item)
    assert before == len(stand.model.asked)


CHANGES: dict[str, Callable[[str], str]] = {
    "a line break": lambda token: f"{token}\n",
    "a blank before": lambda token: f" {token}",
    "more padding": lambda token: f"{token}=",
    "less padding": lambda token: token.rstrip("=") if token.endswith("=") else token[:-1],
    "twice": lambda token: token + token,
    "half": lambda token: token[: len(token) // 2],
    "its beginning": lambda token: token[:12],
    "the other alphabet": lambda token: token.replace("-", "+").replace("_", "/") + "+/",
    "capitals": lambda token: token.upper(),
    "another version": lambda token: "B" + token[1:],
    "letters": lambda token: f"ü{token}",
    "no text": lambda token: token.replace(token[20], "\x00"),
    "an old mark": lambda _: "gAAAAABp4CVuo_va1l5KdyyIfA553gFmrl8KTk8SKrPp",
    "json": lambda _: '{"text":"Hm.","model":"m"}',
    "much": lambda _: "A" * 5_000_000,
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("kind", ["thought", "summary"])
def test_what_is_written_in_another_way_is_refused(stand: Stand, sealed: Sealed, kind: str, how: str) -> None:
    """Though it were the same bytes."""
    item = getattr(sealed, kind)
    refused(stand.ask(input=bringing(item, CHANGES[how](item["encrypted_content"]))), item)


def test_a_token_is_nothing_but_what_it_was_sealed_as(stand: Stand, sealed: Sealed) -> None:
    """A summary is no thought, and a thought no summary."""
    refused(stand.ask(input=bringing(sealed.thought, sealed.summary["encrypted_content"])), sealed.thought)
    refused(stand.ask(input=bringing(sealed.summary, sealed.thought["encrypted_content"])), sealed.summary)


WAYS: dict[str, Json] = {
    "json": {},
    "stream": {"stream": True},
    "background": {"background": True},
    "not stored": {"store": False},
    "truncated": {"truncation": "auto"},
    "compacted": {"context_management": [{"type": "compaction", "compact_threshold": 1000}]},
}


@pytest.mark.parametrize("path", ["/v1", "/openai/v1", "/openai/deployments/m"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["thought", "summary"])
def test_what_is_sealed_for_another_tenant_is_refused(
    stand: Stand, sealed: Sealed, kind: str, way: str, path: str
) -> None:
    """In the same words as garbage, however it is sent."""
    item = getattr(sealed, kind)
    body = {"model": "m", "input": bringing(item, item["encrypted_content"]), **WAYS[way]}
    refused(stand.post(body, f"{path}/responses", key="key-b"), item)


@pytest.mark.parametrize("route", ["input_tokens", "compact"])
@pytest.mark.parametrize("kind", ["thought", "summary"])
def test_no_other_route_opens_it_either(stand: Stand, sealed: Sealed, kind: str, route: str) -> None:
    """Neither counting nor compacting."""
    item = getattr(sealed, kind)
    token = item["encrypted_content"]
    for key, sent in (("key-b", token), ("key-a", token[:-5])):
        body = {"model": "m", "input": bringing(item, sent)}
        refused(stand.post(body, f"/v1/responses/{route}", key=key), item)


@pytest.mark.parametrize("kind", ["thought", "summary"])
def test_a_conversation_takes_nothing_that_cannot_be_opened(stand: Stand, sealed: Sealed, kind: str) -> None:
    """Neither when it begins nor later, so that it is never spoiled; its owner's own is shown to the model."""
    item = getattr(sealed, kind)
    foreign, broken = item["encrypted_content"], item["encrypted_content"][:-5]
    for key, token in (("key-b", foreign), ("key-a", broken)):
        empty = stand.post({}, "/v1/conversations", key=key).json()["id"]
        for path in ("/v1/conversations", f"/v1/conversations/{empty}/items"):
            answer = stand.post({"items": bringing(item, token)}, path, key=key)
            assert (400, "invalid_encrypted_content") == (answer.status_code, error(answer)["code"])
            assert REFUSED.partition("{0}")[0] in error(answer)["message"]
        listed = stand.client.get(f"/v1/conversations/{empty}/items", headers={"api-key": key})
        assert [] == listed.json()["data"]
    made = stand.post({"items": bringing(item, foreign)}, "/v1/conversations").json()
    stand.model.will()
    assert SECRET in json.dumps(stand.heard(conversation=made["id"], reasoning={"context": "all_turns"}))


@pytest.mark.parametrize("kind", ["thought", "summary"])
def test_another_server_does_not_open_it(sealed: Sealed, kind: str) -> None:
    """One with the same tenants and another key; with the key it does."""
    item = getattr(sealed, kind)
    for key, status in (("another key of 32 characters or more", 400), (KEY, 200)):
        with standing(encryption=Encryption(keys=[key])) as other:
            answer = other.ask(input=bringing(item, item["encrypted_content"]))
            assert status == answer.status_code, answer.text
            assert status == 200 or error(answer)["code"] == "invalid_encrypted_content"


def token(kind: Kind, plain: bytes, *, age: int = 0, tenant: str = "a") -> str:
    """A token as the server makes it, so many seconds ago."""
    return Tokens(Seal([KEY]), Policy(), now=lambda: int(time.time()) - age).seal(kind, plain, tenant)


THOUGHT = b'{"text":"Hm.","model":"m"}'
SUMMARY = b'{"version":1,"summary":{"text":"Hm.","stands_alone":true,"kept":[]}}'


@pytest.mark.parametrize(("age", "status"), [(0, 200), (29, 200), (31, 400), (4000, 400)])
def test_a_token_is_good_for_as_long_as_a_response_is_kept(stand: Stand, sealed: Sealed, age: int, status: int) -> None:
    """In days; both kinds."""
    seconds = age * DAY_SECONDS
    for item, sent in (
        (sealed.thought, token("thought", THOUGHT, age=seconds)),
        (sealed.summary, token("summary", SUMMARY, age=seconds)),
    ):
        answer = stand.ask(input=bringing(item, sent))
        assert status == answer.status_code, answer.text
        if status == 400:
            refused(answer, item)


@pytest.mark.parametrize("plain", [b"", b"null", b"[]", b"{", b'{"text":5,"version":2}', b"\xff"])
def test_what_was_sealed_in_another_form_is_refused(stand: Stand, sealed: Sealed, plain: bytes) -> None:
    """As a version of this server to come, or one long gone, may have sealed it."""
    refused(stand.ask(input=bringing(sealed.thought, token("thought", plain))), sealed.thought)
    refused(stand.ask(input=bringing(sealed.summary, token("summary", plain))), sealed.summary)


def test_only_the_last_summary_is_opened(stand: Stand, sealed: Sealed) -> None:
    """What stands before it is not looked at any more; two that cannot be opened are still one refusal."""
    broken = {**sealed.summary, "id": "cmp_broken", "encrypted_content": "broken"}
    assert 200 == stand.ask(input=[broken, sealed.summary, NEXT]).status_code
    refused(stand.ask(input=[sealed.summary, broken, NEXT]), broken)


def test_a_token_is_of_its_type(stand: Stand, sealed: Sealed) -> None:
    """Neither a number nor a list is text."""
    for item, at in ((sealed.thought, "input[1]"), (sealed.summary, "input[1]")):
        for sent, got in ((5, "an integer"), ([], "an array"), ({}, "an object"), (True, "a boolean")):
            answer = stand.ask(input=[HI, {**item, "encrypted_content": sent}, NEXT])
            param = f"{at}.encrypted_content"
            words = f"Invalid type for '{param}': expected a string, but got {got} instead."
            found = error(answer)
            assert (400, param, "invalid_type", words) == (
                answer.status_code,
                found["param"],
                found["code"],
                found["message"],
            )
