"""What an upstream's error means for the caller: whose fault it is, and a message that gives nothing away."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.protocol.errors import unsupported_parameter, unsupported_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from antiphon.backends import UpstreamFault
    from antiphon.core.turn import Turn

QUOTE_LIMIT = 240
DETAIL_LIMIT = 400

TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."
FILTERED = "The input was blocked by the content filter of the model's server. Please change it and try again."
MESSAGES: dict[UpstreamFault, str] = {
    "context_length_exceeded": TOO_LONG,
    "content_filter": FILTERED,
    "invalid_request": "The model's server refused the request as invalid.",
    "rate_limit_exceeded": "The model's server is receiving too many requests. Please try again later.",
    "server_error": "The model's server reported an error.",
    "timeout": "The model's server did not answer in time.",
    "unavailable": "The model's server is not available at the moment. Please try again later.",
    "misconfigured": "The model of this deployment cannot be reached with its present configuration.",
}

PARAMS = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    **{
        name: name
        for name in (
            "input",
            "instructions",
            "max_output_tokens",
            "temperature",
            "top_p",
            "top_logprobs",
            "presence_penalty",
            "frequency_penalty",
            "tools",
            "tool_choice",
            "reasoning.effort",
            "reasoning.summary",
            "text.format",
            "text.verbosity",
        )
    },
}
"""What a caller calls the parameter that an upstream complains about; a place in a list is the upstream's own."""

CONTEXT_WORDS = re.compile(
    r"context_length_exceeded|exceed_context_size|context_exceeded|(maximum|model's) context length"
    r"|context length is only|available context size|exceeds? (the )?context (size|window)"
    r"|context window of|prompt is too long"
    r"|input token count .{0,40}exceeds|input tokens exceed|max_tokens must be at least 1, got -"
    r"|tokens? \+ `?max_new_tokens`? must be|requested token count exceeds",
    re.IGNORECASE,
)
FILTER_WORDS = re.compile(r"content_filter|ResponsibleAIPolicy|content_policy|content management policy", re.IGNORECASE)
UNKNOWN_MODEL = re.compile(r"model_not_found|DeploymentNotFound|invalid_api_key", re.IGNORECASE)
REJECTED_FIELD = re.compile(
    r"unsupported|not supported|does not support|not permitted|not allowed|only allowed|forbidden|unrecognized|unknown"
    r"|unexpected",
    re.IGNORECASE,
)
EFFORT = re.compile(r"reasoning[_. ]effort|\breasoning\b.*\beffort\b", re.IGNORECASE)
QUOTED_EFFORT = re.compile(r"['\"`](none|minimal|low|medium|high|xhigh|max)['\"`]")
SECRET = re.compile(r"\b(sk|pk|key|Bearer)[-_ ][\w.*-]{6,}|[\w-]{24,}")
UNQUOTABLE = re.compile(rf"https?:|www\.|[<>{{}}\\]|[^\x20-\x7e]|(^|\s)/\w|{SECRET.pattern}")

STATUSES = (
    (re.compile(r"content_?(filter|policy)|invalid_prompt|image|policy_violation", re.IGNORECASE), 400),
    (re.compile(r"rate_?limit|quota|too_?many|resource_exhausted", re.IGNORECASE), 429),
    (re.compile(r"time_?out|deadline", re.IGNORECASE), 504),
    (re.compile(r"overloaded|unavailable", re.IGNORECASE), 503),
    (re.compile(r"auth|permission|not_?found", re.IGNORECASE), 401),
    (re.compile(r"bad_?request|invalid_request|invalid_argument", re.IGNORECASE), 400),
)
"""The status that an error inside a stream stands for, by its code or type."""


class Inner(Struct, frozen=True):
    """Azure's second code."""

    code: object = None


class Complaint(Struct, frozen=True):
    """An upstream's error object, whatever it puts into its fields."""

    message: object = None
    type: object = None
    code: object = None
    param: object = None
    innererror: Inner | None = None

    @property
    def kind(self) -> str:
        """Code, type and inner code, to search for words."""
        inner = self.innererror.code if self.innererror else None
        return " ".join(str(word) for word in (self.code, self.type, inner) if word is not None)


class Body(Struct, frozen=True):
    """The body of an error answer: the object under ``error``, or its fields at the top, or only ``detail``."""

    error: Complaint | str | None = None
    message: object = None
    type: object = None
    code: object = None
    param: object = None
    detail: object = None

    @property
    def complaint(self) -> Complaint | None:
        """The error object, if this body is one."""
        match self.error:
            case Complaint() as complaint:
                return complaint
            case str(message):
                return Complaint(message=message)
            case None if (words := self.message or self.detail) is not None:
                return Complaint(message=words, type=self.type, code=self.code, param=self.param)
            case None:
                return None


def read_complaint(body: bytes) -> Complaint | None:
    """Find the error object in a body or an event; None where there is none, as in an HTML page."""
    try:
        bodies = _bodies(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return next((each.complaint for each in bodies if each.complaint is not None), None)


def fault_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Say what an answer with an error status means. ``headers`` has lower-case names."""
    complaint = read_complaint(body)
    if complaint is None:
        detail = f"status {status}, {len(body)} bytes of {headers.get('content-type', 'unknown type')}"
        return _error(_fault_by_status(status), None, retry_after=_retry_after(headers), detail=detail)
    return _error(
        _fault(status, complaint), complaint, retry_after=_retry_after(headers), detail=_detail(status, complaint)
    )


def fault_of_event(complaint: Complaint) -> UpstreamError:
    """Say what an error object inside a stream means."""
    code = str(complaint.code)
    status = int(code) if code.isascii() and code.isdigit() else 500
    if status not in range(400, 600) or status == 500:  # noqa: PLR2004  # 500 is also what says nothing
        status = next((number for words, number in STATUSES if words.search(complaint.kind)), 500)
    return _error(_fault(status, complaint), complaint, retry_after=None, detail=_detail(status, complaint))


def rejects_field(body: bytes, field: str) -> bool:
    """Tell whether an error answer says that the upstream does not know the request's ``field``."""
    complaint = read_complaint(body)
    if complaint is None:
        return False
    words = f"{complaint.kind} {complaint.message}"
    is_named = complaint.param == field or re.search(rf"(?<!\w){re.escape(field)}(?!\w)", words) is not None
    return is_named and REJECTED_FIELD.search(words) is not None


def fault_of_turn(turn: Turn, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Say what an answer with an error status means for the caller of this turn, as `fault_of_answer` does.

    A reasoning effort that the upstream refuses is named, with those that it takes where it says so.
    """
    error = fault_of_answer(status, headers, body)
    complaint = read_complaint(body)
    effort = turn.reasoning.effort if turn.reasoning else None
    if error.fault != "invalid_request" or complaint is None or effort is None:
        return error
    words = f"{complaint.param} {complaint.message}"
    if not EFFORT.search(words):
        return error
    supported = [word for word in dict.fromkeys(QUOTED_EFFORT.findall(words)) if word != effort]
    refused = (
        unsupported_value("reasoning.effort", effort, model=turn.model or "chosen", supported=supported)
        if supported
        else unsupported_parameter("reasoning.effort")
    )
    return UpstreamError(
        "invalid_request",
        refused.error.message,
        param=refused.error.param,
        code=refused.code,
        detail=error.detail,
    )


def hidden(error: UpstreamError, secrets: Sequence[str]) -> UpstreamError:
    """Say the same without these words: upstreams repeat, in all innocence, the keys that they were sent."""
    if not any(secret in f"{error} {error.detail}" for secret in secrets):
        return error
    return UpstreamError(
        error.fault,
        _without(secrets, str(error)),
        param=error.param,
        code=error.code,
        retry_after=error.retry_after,
        detail=None if error.detail is None else _without(secrets, error.detail),
    )


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "[hidden]")
    return text


def _bodies(body: bytes) -> list[Body]:
    if body.lstrip()[:1] == b"[":  # Gemini wraps its error in a list
        return msgspec.json.decode(body, type=list[Body])
    return [msgspec.json.decode(body, type=Body)]


def _fault(status: int, complaint: Complaint) -> UpstreamFault:
    words = f"{complaint.kind} {complaint.message}"
    if status in (400, 413, 422, 500) and CONTEXT_WORDS.search(words):
        return "context_length_exceeded"
    if status in (400, 403, 422) and FILTER_WORDS.search(words):
        return "content_filter"
    if status == 400 and UNKNOWN_MODEL.search(complaint.kind):  # noqa: PLR2004  # an HTTP status
        return "misconfigured"
    return _fault_by_status(status)


def _fault_by_status(status: int) -> UpstreamFault:
    match status:
        case 400 | 413 | 422:
            return "invalid_request"
        case 429:
            return "rate_limit_exceeded"
        case 408 | 504:
            return "timeout"
        case 502 | 503 | 529:
            return "unavailable"
        case 401 | 402 | 403 | 404 | 405 | 410:
            return "misconfigured"
        case _:
            return "misconfigured" if status in range(300, 400) else "server_error"


def _error(
    fault: UpstreamFault, complaint: Complaint | None, *, retry_after: float | None, detail: str
) -> UpstreamError:
    message, param = MESSAGES[fault], None
    if complaint is not None and fault == "invalid_request":
        words = complaint.message
        if isinstance(words, str) and len(words) <= QUOTE_LIMIT and not UNQUOTABLE.search(words.strip()):
            message = words.strip() or message
        param = PARAMS.get(str(complaint.param).partition("[")[0])
    return UpstreamError(fault, message, param=param, retry_after=retry_after, detail=detail)


def _detail(status: int, complaint: Complaint) -> str:
    words = SECRET.sub("[hidden]", str(complaint.message))[:DETAIL_LIMIT]
    return f"status {status}, {SECRET.sub('[hidden]', complaint.kind)}: {words}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    if milliseconds := headers.get("retry-after-ms"):
        return _seconds(milliseconds, 1000)
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _seconds(text, 1)
    return _until(text, headers.get("date", "")) if seconds is None else seconds


def _seconds(text: str, unit: int) -> float | None:
    try:
        seconds = float(text) / unit
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _until(text: str, now: str) -> float | None:
    """Give the seconds from the upstream's own clock to an HTTP date."""
    try:
        return max((parsedate_to_datetime(text) - parsedate_to_datetime(now)).total_seconds(), 0)
    except (ValueError, TypeError):
        return None
