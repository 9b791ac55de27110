"""Who is calling, through the whole server: the official clients with tokens of a local issuer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any  # settings of a client are open

import pytest
from msgspec.structs import replace
from openai import AuthenticationError, AzureOpenAI, NotFoundError, OpenAI, PermissionDeniedError

from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key, Oidc
from tests import patient
from tests.http.talking import Refused, talking
from tests.issuer import Signer, issuing
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.issuer import LocalIssuer

pytestmark = pytest.mark.slow

ROLE = "Cognitive Services OpenAI User"
BODY: dict[str, Any] = {"model": "gpt-4.1-nano", "input": "This is a test"}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalIssuer]:
    """A running issuer."""
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def address(local: LocalIssuer) -> Iterator[str]:
    """A server that trusts it, and has a key as well."""
    auth = Auth(keys=[Key(key="key-a", tenant="a")], oidc=Oidc(issuer=local.url, required_role=ROLE))
    with serving(replace(scripted(), auth=auth)) as url:
        yield url


def counted(local: LocalIssuer, tokens: list[str]) -> Callable[[], str]:
    """A provider of fresh tokens, as `get_bearer_token_provider` makes one; each is written down."""

    def provide() -> str:
        tokens.append(local.token(number=len(tokens)))
        return tokens[-1]

    return provide


def test_the_sample_of_the_document_signs_in(local: LocalIssuer, address: str) -> None:
    """`AzureOpenAI` with an endpoint and a token provider, and with a base URL; each request has a token of its own."""
    tokens: list[str] = []
    ways: list[dict[str, Any]] = [
        {"azure_endpoint": address, "api_version": "2025-03-01-preview"},
        {"base_url": f"{address}/openai/v1/", "api_version": "preview"},
    ]
    for way in ways:
        with AzureOpenAI(azure_ad_token_provider=counted(local, tokens), max_retries=0, **way) as client:
            response = client.responses.create(**BODY)
            assert response.output_text
            assert response.id == client.responses.retrieve(response.id).id
            client.responses.delete(response.id)
    assert 6 == len(set(tokens))


def test_the_sample_of_the_next_api_signs_in(local: LocalIssuer, address: str) -> None:
    """`OpenAI` with the base URL of a resource, and the token provider as its key."""
    tokens: list[str] = []
    with OpenAI(base_url=f"{address}/openai/v1/", api_key=counted(local, tokens), max_retries=0) as client:
        assert client.responses.create(**BODY).output_text
        with client.responses.stream(**BODY) as events:
            assert events.get_final_response().output_text
    assert 2 == len(tokens)


def test_tenants_of_an_issuer_do_not_meet(local: LocalIssuer, address: str) -> None:
    """Nor does one meet the owner of a key."""
    with OpenAI(base_url=f"{address}/v1", api_key=local.token(), max_retries=0) as mine:
        id = mine.responses.create(**BODY).id
        for key in (local.token(tid="somebody-else"), "key-a"):
            with OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0) as theirs, pytest.raises(NotFoundError):
                theirs.responses.retrieve(id)
        assert id == mine.with_options(api_key=local.token(number=2)).responses.retrieve(id).id


def test_a_token_without_the_role_is_denied(local: LocalIssuer, address: str) -> None:
    """The clients know it as what it is, on either path."""
    for path in ("/v1", "/openai/v1"):
        with OpenAI(base_url=address + path, api_key=local.token(roles=["Reader"]), max_retries=0) as client:
            with pytest.raises(PermissionDeniedError) as caught:
                client.responses.create(**BODY)
            assert ROLE in caught.value.message
            assert ("PermissionDenied" if "openai" in path else "insufficient_permissions") == caught.value.code


def test_a_token_that_is_not_good_is_told_to_the_client(local: LocalIssuer, address: str) -> None:
    """With the reason, on either path; a WebSocket is not opened, in the same words."""
    token = local.token(exp=int(time.time()) - 120)
    for path in ("/v1", "/openai/v1"):
        with OpenAI(base_url=address + path, api_key=token, max_retries=0) as client:
            with pytest.raises(AuthenticationError, match="it has expired") as caught:
                client.responses.create(**BODY)
            assert "invalid_token" in caught.value.response.headers["www-authenticate"]
    with pytest.raises(Refused) as refused, talking(address, authorization=f"Bearer {token}"):
        pass
    assert (401, "invalid_token") == (refused.value.status, refused.value.error["code"])


@pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning")
def test_a_websocket_is_opened_with_a_token(local: LocalIssuer, address: str) -> None:
    """By the official client."""
    with (
        OpenAI(base_url=f"{address}/openai/v1", api_key=local.token(), max_retries=0) as client,
        client.responses.connect() as connection,
    ):
        connection.response.create(**BODY)
        types = [event.type for event in _until_completed(connection)]
    assert "response.created" == types[0]


def _until_completed(connection: Any) -> Iterator[Any]:
    for event in connection:
        yield event
        if event.type in {"response.completed", "error"}:
            return


def test_a_huge_header_is_refused_and_the_server_goes_on(local: LocalIssuer, address: str) -> None:
    """Whatever is in it."""
    for token in ("x" * 40_000, "eyJ" + "x" * 40_000, f"{'eyJ.' * 9000}", local.token(more="x" * 30_000)):
        answer = patient.post(f"{address}/v1/responses", json=BODY, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code in {400, 401, 431}, answer.text
        assert len(answer.text) < 1000
    assert 200 == patient.get(f"{address}/v1/models", headers={"authorization": f"Bearer {local.token()}"}).status_code


def test_keys_are_rotated_while_the_server_runs(local: LocalIssuer, address: str) -> None:
    """A token of a new key is taken as soon as the issuer may be asked again: seconds after the last time."""
    local.signers.insert(0, Signer("fresh"))
    url, body = f"{address}/v1/responses", {**BODY, "store": False}
    ends = time.monotonic() + HANG_SECONDS
    while time.monotonic() < ends:
        answer = patient.post(url, json=body, headers={"authorization": f"Bearer {local.token()}"})
        if answer.status_code == 200:
            return
        assert (401, True) == (answer.status_code, "none of the issuer's" in answer.text)
    pytest.fail("the new key is not found")
