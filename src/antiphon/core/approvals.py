"""Approvals: the calls that a person was asked about, the answers, and what a model reads of those not made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.core.transcript import is_spoken
from antiphon.protocol.calls import McpApprovalRequest, McpApprovalResponse, McpCall
from antiphon.protocol.items import Item
from antiphon.protocol.refusals import approval_spent, approval_unknown

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

UNANSWERED = "The user has not approved this call. It was not made."
NOT_MADE = "The user approved this call, but it was not made."


class Decision(Struct, frozen=True):
    """A request, and the answer that a person gave to it."""

    request: McpApprovalRequest
    answer: McpApprovalResponse


class Consent(Struct, frozen=True):
    """The transcript without the answers and without the requests whose calls stand in it or are about to be made.

    The requests that are left are calls that were not made; ``outputs`` says why, by their ids.
    """

    items: list[Item]
    outputs: dict[str, str]


def fresh_answers(history: Sequence[Item], said: Sequence[Item]) -> list[str]:
    """The ids of the requests that a request for a response answers now.

    Raises ``ApiError`` for a second answer, and for one before which nothing was asked.
    Who keeps the history himself sends old answers again: one is new if nothing that a model made stands behind it and
    no call was made for it.
    """
    made = _made([*history, *said])
    answered = {item.approval_request_id for item in history if isinstance(item, McpApprovalResponse)}
    asked = {item.id for item in history if isinstance(item, McpApprovalRequest)}
    fresh: list[str] = []
    for item in said:
        match item:
            case McpApprovalResponse(approval_request_id=id):
                if id not in asked:
                    raise approval_unknown(id)
                if id in answered:
                    raise approval_spent(id)
                answered.add(id)
                if id not in made:
                    fresh.append(id)
            case McpApprovalRequest(id=id):
                asked.add(id)
                fresh = []
            case _ if is_spoken(item):
                fresh = []
            case _:
                pass
    return fresh


def decisions(items: Sequence[Item], answered: Sequence[str]) -> list[Decision]:
    """The answers to these requests, which `fresh_answers` found."""
    requests = {item.id: item for item in items if isinstance(item, McpApprovalRequest)}
    answers = {item.approval_request_id: item for item in items if isinstance(item, McpApprovalResponse)}
    return [Decision(requests[id], answers[id]) for id in answered]


def consented(items: Sequence[Item], granted: Container[str]) -> Consent:
    """What a model is shown of approvals. ``granted``: the requests whose calls are about to be made."""
    made = _made(items)
    answers = {item.approval_request_id: item for item in items if isinstance(item, McpApprovalResponse)}
    shown: list[Item] = []
    outputs: dict[str, str] = {}
    for item in items:
        match item:
            case McpApprovalResponse():
                pass
            case McpApprovalRequest(id=id) if id in granted or id in made:
                pass
            case McpApprovalRequest(id=id):
                outputs[id] = _verdict(id, answers)
                shown.append(item)
            case _:
                shown.append(item)
    return Consent(shown, outputs)


def _verdict(id: str, answers: Mapping[str, McpApprovalResponse]) -> str:
    match answers.get(id):
        case None:
            return UNANSWERED
        case McpApprovalResponse(approve=True):
            return NOT_MADE
        case denial:
            because = f" The reason given: {denial.reason}" if denial.reason else ""
            return f"The user denied this call. It was not made.{because}"


def _made(items: Sequence[Item]) -> set[str]:
    """The requests whose calls were made."""
    return {item.approval_request_id for item in items if isinstance(item, McpCall) and item.approval_request_id}
