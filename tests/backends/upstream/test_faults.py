"""What the error answers of upstreams mean."""

from __future__ import annotations

import json

import pytest

from antiphon.backends.upstream.faults import fault_of_answer, fault_of_turn, rejects_field
from antiphon.core.turn import Turn
from antiphon.protocol.settings import Reasoning

TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."
UNSUPPORTED = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
INVALID = "The model's server refused the request as invalid."


def body(message: object, **fields: object) -> bytes:
    """An error in OpenAI's shape."""
    return json.dumps({
        "error": {"message": message, "type": "invalid_request_error", "param": None, **fields}
    }).encode()


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, body("This model's maximum context length is 4097 tokens.", code="context_length_exceeded")),
        (400, body("Input tokens exceed the configured limit of 272000 tokens.", code="context_length_exceeded")),
        (400, body("You passed 1015 input tokens. However, the model's context length is only 1024 tokens.", code=400)),
        (400, body("max_tokens must be at least 1, got -186.", code=400)),
        (
            400,
            b'{"object":"error","message":"The input (5) is longer than the model\'s context length (4 tokens)."}',
        ),
        (400, b'{"error":{"code":400,"message":"the request exceeds","type":"exceed_context_size_error","n_ctx":8}}'),
        (500, b'{"error":{"code":500,"message":"the request exceeds the available context size."}}'),
        (
            400,
            b'[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum allowed"}}]',
        ),
        (422, b'{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"}'),
    ],
)
def test_an_input_that_is_too_long_is_told_in_the_words_of_the_api(status: int, answer: bytes) -> None:
    """Every upstream says it otherwise; clients look for one code."""
    error = fault_of_answer(status, {}, answer)
    assert ("context_length_exceeded", TOO_LONG) == (error.fault, str(error))


@pytest.mark.parametrize(
    ("status", "answer", "fault"),
    [
        (
            400,
            body("filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
            "content_filter",
        ),
        (400, body("no such model", code="model_not_found"), "misconfigured"),
        (400, body("bad"), "invalid_request"),
        (422, b'{"detail":[{"msg":"bad"}]}', "invalid_request"),
        (413, b"", "invalid_request"),
        (401, body("Incorrect API key"), "misconfigured"),
        (402, body("Insufficient Balance"), "misconfigured"),
        (403, b"<html>Forbidden</html>", "misconfigured"),
        (404, body("The model does not exist"), "misconfigured"),
        (302, b"", "misconfigured"),
        (408, b"", "timeout"),
        (429, body("slow down"), "rate_limit_exceeded"),
        (500, b"<html>oops</html>", "server_error"),
        (502, b"<html>Bad gateway</html>", "unavailable"),
        (503, b"", "unavailable"),
        (504, b"", "timeout"),
        (529, body("Overloaded"), "unavailable"),
        (418, b"", "server_error"),
        (500, b"{}", "server_error"),
        (500, b"\xff", "server_error"),
    ],
)
def test_a_status_says_whose_fault_it_is(status: int, answer: bytes, fault: str) -> None:
    """The caller's, the operator's or the upstream's."""
    assert fault == fault_of_answer(status, {}, answer).fault


@pytest.mark.parametrize(
    "message",
    [
        "See https://example.com/docs for help.",
        "Incorrect key sk-abcdefghijkl.",
        "Bearer abcdefghij was refused",
        "<b>Bad</b>",
        "Failed at /srv/model/app.py",
        '{"detail": 1}',
        "token 0123456789abcdef0123456789abcdef",
        "line one\nline two",
        "x" * 300,
        "",
        {"detail": [{"type": "extra_forbidden"}]},
        None,
    ],
)
def test_words_that_may_give_something_away_are_not_passed_on(message: object) -> None:
    """Only short plain sentences reach the caller."""
    assert INVALID == str(fault_of_answer(400, {}, body(message)))


def test_a_plain_sentence_is_passed_on_with_the_parameter_as_the_caller_calls_it() -> None:
    """It helps whoever wrote the request."""
    error = fault_of_answer(400, {}, body("Value must be between 0 and 2.", param="max_completion_tokens"))
    assert ("Value must be between 0 and 2.", "max_output_tokens") == (str(error), error.param)
    assert fault_of_answer(400, {}, body("Bad.", param="secret_setting")).param is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_the_time_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds or a date by the upstream's own clock."""
    assert seconds == fault_of_answer(429, headers, body("slow down")).retry_after


def test_the_detail_is_for_the_operator_and_hides_keys() -> None:
    """The log says what the upstream said."""
    error = fault_of_answer(401, {}, body("Incorrect API key provided: sk-abcdefghijklmnop.", code="invalid_api_key"))
    assert error.detail is not None
    assert "401" in error.detail
    assert "invalid_api_key" in error.detail
    assert "abcdef" not in error.detail + str(error)
    assert fault_of_answer(502, {"content-type": "text/html"}, b"<p>").detail == "status 502, 3 bytes of text/html"


@pytest.mark.parametrize(
    ("answer", "field", "rejected"),
    [
        (
            body("Unsupported parameter: 'max_tokens' is not supported with this model.", param="max_tokens"),
            "max_tokens",
            True,
        ),
        (
            b'{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"]}]}}',
            "max_completion_tokens",
            True,
        ),
        (body("max_completion_tokens is too large: 9", param="max_completion_tokens"), "max_completion_tokens", False),
        (body("Unsupported parameter: 'verbosity'", param="verbosity"), "max_completion_tokens", False),
        (b"<html>max_tokens unsupported</html>", "max_tokens", False),
    ],
)
def test_a_field_that_an_upstream_does_not_know_is_recognised(answer: bytes, field: str, *, rejected: bool) -> None:
    """A value that is refused is no such case."""
    assert rejected is rejects_field(answer, field)


@pytest.mark.parametrize(
    ("answer", "field", "rejected"),
    [
        (body("Unknown parameter: 'user_id'."), "user", False),
        (body("Unknown parameter: 'user'."), "user", True),
        (body("'metadata' is only allowed when 'store' is enabled."), "metadata", True),
    ],
)
def test_a_field_is_a_word_of_its_own(answer: bytes, field: str, *, rejected: bool) -> None:
    """Its name may be part of another."""
    assert rejected is rejects_field(answer, field)


LOW = Turn([], model="m", reasoning=Reasoning(effort="low"))


@pytest.mark.parametrize(
    ("turn", "status", "answer", "message"),
    [
        (
            LOW,
            400,
            body("reasoning effort 'low' is not supported; use \"high\" or `max`"),
            "Unsupported value: 'low' is not supported with the 'm' model. Supported values are: 'high' and 'max'.",
        ),
        (LOW, 400, body("Bad.", param="reasoning_effort"), UNSUPPORTED),
        (LOW, 422, body("Bad.", param="reasoning.effort"), UNSUPPORTED),
        (LOW, 400, body("Bad.", param="temperature"), "Bad."),
        (LOW, 400, b"<html>reasoning_effort</html>", INVALID),
        (Turn([], reasoning=Reasoning()), 400, body("reasoning_effort is bad."), "reasoning_effort is bad."),
        (Turn([]), 400, body("reasoning_effort is bad."), "reasoning_effort is bad."),
        (LOW, 500, body("reasoning_effort is bad."), "The model's server reported an error."),
    ],
)
def test_a_refused_effort_is_told_in_the_words_of_the_api(turn: Turn, status: int, answer: bytes, message: str) -> None:
    """Only where the caller named one, and where it is the caller's fault."""
    error = fault_of_turn(turn, status, {}, answer)
    assert message == str(error)
    assert (error.param == "reasoning.effort") is message.startswith("Unsupported")
    assert error.detail is not None
