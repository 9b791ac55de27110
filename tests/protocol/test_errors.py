"""Errors: four keys always, the live service's words, and nothing of a caller's secrets."""

from __future__ import annotations

import msgspec
import pytest

from antiphon.protocol import errors
from antiphon.protocol.errors import ApiError, ErrorObject, alternatives, listed, shown

RECORDED = [
    (
        errors.invalid_value("include[0]", "x", supported=["a", "b", "c"]),
        {
            "message": "Invalid value: 'x'. Supported values are: 'a', 'b', and 'c'.",
            "type": "invalid_request_error",
            "param": "include[0]",
            "code": "invalid_value",
        },
    ),
    (
        errors.missing_parameter("tools[0].container"),
        {
            "message": "Missing required parameter: 'tools[0].container'.",
            "type": "invalid_request_error",
            "param": "tools[0].container",
            "code": "missing_required_parameter",
        },
    ),
    (
        errors.unknown_parameter("bogus"),
        {
            "message": "Unknown parameter: 'bogus'.",
            "type": "invalid_request_error",
            "param": "bogus",
            "code": "unknown_parameter",
        },
    ),
    (
        errors.unsupported_value("reasoning.effort", "minimal", model="o4-mini", supported=["low", "medium", "high"]),
        {
            "message": "Unsupported value: 'minimal' is not supported with the 'o4-mini' model. "
            "Supported values are: 'low', 'medium', and 'high'.",
            "type": "invalid_request_error",
            "param": "reasoning.effort",
            "code": "unsupported_value",
        },
    ),
    (
        errors.unsupported_parameter("temperature"),
        {
            "message": "Unsupported parameter: 'temperature' is not supported with this model.",
            "type": "invalid_request_error",
            "param": "temperature",
            "code": "unsupported_parameter",
        },
    ),
    (
        errors.mutually_exclusive("previous_response_id", "conversation"),
        {
            "message": "Mutually exclusive parameters. Ensure you are only providing one of: 'previous_response_id' or "
            "'conversation'.",
            "type": "invalid_request_error",
            "param": None,
            "code": "mutually_exclusive_parameters",
        },
    ),
    (
        errors.invalid_type("stream", expected="a boolean", got="a string"),
        {
            "message": "Invalid type for 'stream': expected a boolean, but got a string instead.",
            "type": "invalid_request_error",
            "param": "stream",
            "code": "invalid_type",
        },
    ),
]


@pytest.mark.parametrize(("error", "expected"), RECORDED, ids=[error.code or "" for error, _ in RECORDED])
def test_an_error_is_worded_as_recorded(error: ApiError, expected: dict[str, str | None]) -> None:
    """Clients tell errors apart by their words, so each is compared whole."""
    assert msgspec.json.decode(msgspec.json.encode(error.body)) == {"error": expected}
    assert error.status == 400
    assert str(error) == expected["message"]


def test_an_error_has_four_keys_even_where_there_is_nothing_to_say() -> None:
    """A client that reads ``param`` and ``code`` finds null, not nothing."""
    sent = msgspec.json.encode(errors.invalid_request("No.").body)
    assert sent == b'{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":null}}'


def test_what_is_said_of_an_error_can_be_read_from_it() -> None:
    """The parts of the object are at hand without taking it apart."""
    error = ApiError(418, ErrorObject(message="m", type="t", param="p", code="c"))
    assert (error.message, error.type, error.param, error.code) == ("m", "t", "p", "c")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.bad_key("wrong"), 401, "401"),
        (errors.missing_key(), 401, "401"),
        (errors.bad_token("expired"), 401, "401"),
        (errors.unknown_url("POST", "/openai/x"), 404, "404"),
        (errors.method_not_allowed("PUT", "/openai/responses", allowed=["POST"]), 405, "405"),
        (errors.rate_limited("m", retry_after=2), 429, "429"),
    ],
)
def test_azure_has_its_own_words(error: ApiError, status: int, code: str) -> None:
    """Under ``/openai`` the code is the status as text, and there is no type."""
    azure = error.in_azure_words()
    assert (azure.status, azure.code, azure.type) == (status, code, None)
    assert azure.headers == error.headers


def test_an_error_that_azure_words_alike_is_the_same() -> None:
    """Most errors are the same under both roads."""
    error = errors.missing_parameter("model")
    assert error.in_azure_words() is error


def test_a_key_is_not_sent_back() -> None:
    """The owner of a key knows it by its ends; a short key would be given away by them."""
    assert "sk-a********6789" in errors.bad_key("sk-abcdefghijklmnop123456789").message
    assert "short" not in errors.bad_key("short").message


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (errors.body_too_large(100), 413, "invalid_request_error"),
        (errors.unsupported_content_type("text/plain"), 415, "invalid_request_error"),
        (errors.forbidden("No."), 403, "invalid_request_error"),
        (errors.quota_exceeded(), 429, "insufficient_quota"),
        (errors.bad_api_version(), 400, "invalid_request_error"),
        (errors.background_needs_store(), 400, "invalid_request_error"),
        (errors.invalid_json(), 400, "invalid_request_error"),
    ],
)
def test_a_refusal_has_the_status_that_clients_act_on(error: ApiError, status: int, type_: str) -> None:
    """A client retries, signs in again or gives up by the status and the type."""
    assert (error.status, error.type) == (status, type_)
    assert error.message


def test_an_exhausted_quota_is_not_asked_for_again() -> None:
    """A client that retries every 429 is told not to."""
    assert errors.quota_exceeded().headers == {"x-should-retry": "false"}


def test_a_limited_caller_is_told_when_to_come_back() -> None:
    """Both headers that clients read are there, in seconds and in milliseconds."""
    assert errors.rate_limited("m", retry_after=1.5).headers == {"retry-after": "2", "retry-after-ms": "1500"}


def test_a_long_value_is_cut() -> None:
    """An error never sends back much of what was sent."""
    assert shown("x" * 1000) == "x" * 100 + "..."
    assert shown("x" * 100) == "x" * 100


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], ""), (["a"], "'a'"), (["a", "b"], "'a' and 'b'"), (["a", "b", "c"], "'a', 'b', and 'c'")],
)
def test_a_list_reads_as_a_sentence(values: list[str], expected: str) -> None:
    """Values are listed with commas from three on."""
    assert listed(values) == expected


def test_a_choice_reads_as_a_sentence() -> None:
    """Words are given as they are, with ``or`` before the last."""
    assert alternatives(["a string", "array", "object"]) == "a string, array, or object"
