"""What an error of the Messages API means, where the words that all upstreams share do not tell it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from antiphon.backends import UpstreamError
from antiphon.backends.upstream.faults import MESSAGES, Complaint, fault_of_answer, fault_of_event, read_complaint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.backends import UpstreamFault

KINDS: tuple[tuple[re.Pattern[str], UpstreamFault], ...] = (
    (re.compile(r"exceeds? (the )?context (limit|window)", re.IGNORECASE), "context_length_exceeded"),
    (re.compile(r"credit balance|billing|spend limit|usage limits?", re.IGNORECASE), "misconfigured"),
)
"""An account that is out of money or over a limit of its owner's is refused as if the request were invalid."""


PLACE = re.compile(r"[a-z_]+(\.\w+)*")
PARAMS = {
    "output_config.effort": "reasoning.effort",
    "output_config.format": "text.format",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "system": "instructions",
    "thinking": "reasoning",
    "tool_choice": "tool_choice",
    "tools": "tools",
    "temperature": "temperature",
    "top_p": "top_p",
    "metadata": "safety_identifier",
}
"""What a caller calls the place that the upstream complains about; a place in a list is the upstream's own."""


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Say what an answer with an error status means. ``headers`` has lower-case names."""
    return _told_apart(fault_of_answer(status, headers, body), read_complaint(body))


def breakdown(frame: bytes) -> UpstreamError:
    """Say what an error inside a stream means."""
    complaint = read_complaint(frame) or Complaint()
    return _told_apart(fault_of_event(complaint), complaint)


def _told_apart(error: UpstreamError, complaint: Complaint | None) -> UpstreamError:
    if complaint is None or error.fault not in {"invalid_request", "server_error"}:
        return error
    words = f"{complaint.kind} {complaint.message}"
    for pattern, fault in KINDS:
        if pattern.search(words):
            return UpstreamError(fault, MESSAGES[fault], detail=error.detail)
    return UpstreamError(error.fault, str(error), param=_param(complaint), detail=error.detail)


def _param(complaint: Complaint) -> str | None:
    """The caller's name for the place that a message opens with."""
    place = PLACE.match(str(complaint.message).lstrip("`"))
    return next((param for start, param in PARAMS.items() if place and place[0].startswith(start)), None)
