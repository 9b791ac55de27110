"""What callers under ``/openai`` are told as Azure tells it; what was recorded is named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from msgspec.structs import replace
from openai import AzureOpenAI, NotFoundError

from antiphon.config import Config, ConfigError, Server, converted
from tests import patient
from tests.http.talking import talking
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY: dict[str, Any] = {"model": "gpt-5-nano", "input": "Hi"}
UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
NAMED = ("x-ms-region", "x-ms-served-model", "x-ms-deployment-name")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that stands in West Europe, with one deployment."""
    config = scripted(
        {
            "when": "fast",
            "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast.", "retry_after": 2}}],
        },
        {"steps": [{"text": "Hello."}]},
        name="gpt-5-nano",
        model="gpt-5-nano-2025-08-07",
    )
    with serving(replace(config, server=Server(region="West Europe"))) as url:
        yield url


def test_an_answer_names_the_region_and_who_answered(address: str) -> None:
    """Recorded-traffic.md, section 6: ``x-ms-region: West Europe``, ``x-ms-served-model: gpt-5-nano-2025-08-07``."""
    headers = patient.post(f"{address}/openai/v1/responses", json=BODY).headers
    assert ["West Europe", "gpt-5-nano-2025-08-07", "gpt-5-nano"] == [headers[name] for name in NAMED]
    assert UUID.fullmatch(headers["apim-request-id"])
    assert UUID.fullmatch(headers["x-request-id"])


def test_a_stream_names_them_too(address: str) -> None:
    """With its head, before the first event."""
    headers = patient.post(f"{address}/openai/v1/responses", json={**BODY, "stream": True}).headers
    assert ["West Europe", "gpt-5-nano-2025-08-07", "gpt-5-nano"] == [headers[name] for name in NAMED]


def test_callers_of_the_other_dialect_are_told_nothing_of_it(address: str) -> None:
    """Recorded-traffic.md, section 6: OpenAI has none of them."""
    headers = patient.post(f"{address}/v1/responses", json=BODY).headers
    assert [] == [name for name in NAMED if name in headers]


def test_what_is_refused_names_the_region(address: str) -> None:
    """Recorded-traffic.md, section 6, and the reference, section 1.5: also errors; no model served them."""
    refused = patient.post(f"{address}/openai/v1/responses", json={"model": "nobody", "input": "Hi"})
    assert ("West Europe", False) == (refused.headers["x-ms-region"], "x-ms-served-model" in refused.headers)
    lost = patient.get(f"{address}/openai/nothing/here")
    assert (404, "West Europe") == (lost.status_code, lost.headers["x-ms-region"])
    assert {"code": "404", "message": "Resource not found", "type": None, "param": None} == lost.json()["error"]


def test_without_a_region_none_is_named() -> None:
    """No place is made up."""
    with serving(scripted()) as url:
        headers = patient.post(f"{url}/openai/v1/responses", json=BODY).headers
    assert "x-ms-region" not in headers


@pytest.mark.parametrize("region", ["", "West\nEurope", "Západ", " west", "x" * 65])
def test_a_region_that_is_no_header_is_told_at_the_start(region: str) -> None:
    """It is sent as it stands."""
    with pytest.raises(ConfigError, match="region"):
        converted({"server": {"region": region}}, Config, place="the configuration")


def test_a_path_names_a_deployment(address: str) -> None:
    """It counts more than the model (reference, section 1.1: ``/openai/deployments/{d}``)."""
    base = f"{address}/openai/deployments/gpt-5-nano"
    with AzureOpenAI(base_url=base, api_version="2025-04-01-preview", api_key="k", max_retries=0) as client:
        raw = client.responses.with_raw_response.create(model="another", input="Hi")
    assert ("gpt-5-nano", "gpt-5-nano-2025-08-07") == (raw.headers["x-ms-deployment-name"], raw.parse().model)


def test_a_path_that_names_none_is_404(address: str) -> None:
    """Reference, section 1.6: ``DeploymentNotFound``, with no ``type``."""
    base = f"{address}/openai/deployments/nobody"
    with (
        AzureOpenAI(base_url=base, api_version="2025-04-01-preview", api_key="k", max_retries=0) as client,
        pytest.raises(NotFoundError) as refusal,
    ):
        client.responses.create(model="gpt-5-nano", input="Hi")
    body: Any = refusal.value.body
    assert ("DeploymentNotFound", None, None) == (body["code"], body["type"], body["param"])
    assert body["message"].startswith("The API deployment for this resource does not exist.")


@pytest.mark.parametrize(
    "version",
    ["v1", "preview", "latest", "2025-03-01-preview", "2025-04-01-preview", "2025-11-15-preview", "2026-01-01"],
)
def test_a_version_that_had_this_api_is_taken(address: str, version: str) -> None:
    """Reference, section 1.1, and the addresses that were recorded (recorded-traffic.md, Azure differences)."""
    for path in ("/openai", "/openai/v1", "/openai/deployments/gpt-5-nano"):
        assert 200 == patient.post(f"{address}{path}/responses?api-version={version}", json=BODY).status_code


def test_without_a_version_it_is_the_newest(address: str) -> None:
    """Reference, section 1.1: absent; and one in a header, which people copy, is nothing."""
    for headers in ({}, {"api-version": "2020-01-01", "api_version": "2020-01-01"}):
        assert 200 == patient.post(f"{address}/openai/v1/responses", json=BODY, headers=headers).status_code


@pytest.mark.parametrize("version", ["2025-04-01-beta", "v2", "", "2025-04", "2025-13-01", "2025-04-31-preview"])
def test_what_is_no_version_is_refused(address: str, version: str) -> None:
    """Recorded-traffic.md, section 5: ``API version not supported``."""
    refused = patient.post(f"{address}/openai/responses?api-version={version}", json=BODY)
    assert (400, "API version not supported") == (refused.status_code, refused.json()["error"]["message"])


@pytest.mark.parametrize("version", ["2024-10-21", "2025-02-01-preview"])
def test_a_version_that_had_no_such_api_is_told_the_first_that_has(address: str, version: str) -> None:
    """Recorded-traffic.md, section 5 (aider#4029)."""
    refused = patient.post(f"{address}/openai/responses?api-version={version}", json=BODY)
    words = "Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later"
    assert (400, words) == (refused.status_code, refused.json()["error"]["message"])


def test_where_nothing_names_a_model_that_is_said(address: str) -> None:
    """Recorded-traffic.md, section 5: ``Missed model deployment``, where the other dialect names the parameter."""
    for path in ("responses", "responses/compact"):
        azure = patient.post(f"{address}/openai/v1/{path}", json={"input": "Hi"})
        assert (400, "Missed model deployment") == (azure.status_code, azure.json()["error"]["message"])
        plain = patient.post(f"{address}/v1/{path}", json={"input": "Hi"})
        assert (400, "missing_required_parameter") == (plain.status_code, plain.json()["error"]["code"])


def test_a_model_that_takes_no_more_is_429_in_azure_words(address: str) -> None:
    """Recorded-traffic.md, section 5: the code is the status, and it says when to ask again."""
    refused = patient.post(f"{address}/openai/v1/responses", json={**BODY, "input": "Too fast"})
    assert (429, "429", "2000") == (
        refused.status_code,
        refused.json()["error"]["code"],
        refused.headers["retry-after-ms"],
    )


@pytest.mark.parametrize(("path", "region"), [("/openai/v1/responses", "west europe"), ("/v1/responses", None)])
def test_a_websocket_is_known_by_the_same_headers(address: str, path: str, region: str | None) -> None:
    """Reference, section 1.5: ``apim-request-id`` on every answer."""
    with talking(address, path, x_ms_client_request_id="mine-1") as talk:
        headers = talk.headers
    assert UUID.fullmatch(headers["apim-request-id"])
    assert headers["x-request-id"].startswith("req_" if region is None else headers["apim-request-id"])
    assert (region, "mine-1") == (headers.get("x-ms-region"), headers["x-ms-client-request-id"])


def test_what_the_caller_calls_its_request_is_said_again(address: str) -> None:
    """Recorded-traffic.md, section 6: ``x-ms-client-request-id`` is an echo."""
    theirs = {"x-ms-client-request-id": "my-request-1"}
    assert (
        "my-request-1"
        == patient.post(f"{address}/openai/v1/responses", json=BODY, headers=theirs).headers["x-ms-client-request-id"]
    )
