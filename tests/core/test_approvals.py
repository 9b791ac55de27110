"""Approvals: which answers are new, whose calls are made, and what a model reads of those that were not."""

from __future__ import annotations

import pytest

from antiphon.core.approvals import NOT_MADE, UNANSWERED, Consent, Decision, consented, decisions, fresh_answers
from antiphon.protocol.calls import McpApprovalRequest, McpApprovalResponse, McpCall
from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Item, Message

QUESTION = Message(role="user", content=[InputText(text="Delete it.")])
REPLY = Message(id="msg_1", status="completed", role="assistant", content=[OutputText(text="It is gone.")])
ASKED = McpApprovalRequest(id="mcpr_1", arguments="{}", name="delete", server_label="s")
OTHER = McpApprovalRequest(id="mcpr_2", arguments='{"a":1}', name="delete", server_label="s")
CALL = McpCall(
    id="mcp_1", status="completed", approval_request_id="mcpr_1", arguments="{}", name="delete", server_label="s"
)
FUNCTION_CALL = FunctionCall(id="fc_1", status="completed", arguments="{}", call_id="call_1", name="f")
FUNCTION_OUTPUT = FunctionCallOutput(call_id="call_1", output="done")


def yes(request: str = "mcpr_1") -> McpApprovalResponse:
    """An approval."""
    return McpApprovalResponse(approval_request_id=request, approve=True)


def no(request: str = "mcpr_1", **reason: str) -> McpApprovalResponse:
    """A denial."""
    return McpApprovalResponse(approval_request_id=request, approve=False, **reason)


def refusal(history: list[Item], said: list[Item]) -> tuple[int, str, str | None]:
    """What a caller is told: status, words and parameter."""
    with pytest.raises(ApiError) as raised:
        fresh_answers(history, said)
    return raised.value.status, raised.value.message, raised.value.param


@pytest.mark.parametrize("answer", [yes(), no()])
def test_an_answer_to_a_request_of_the_chain_is_new(answer: McpApprovalResponse) -> None:
    """Whatever it says."""
    assert ["mcpr_1"] == fresh_answers([QUESTION, ASKED], [answer])


def test_an_answer_may_come_late_in_a_chain() -> None:
    """After further turns, and with other words around it."""
    assert ["mcpr_1"] == fresh_answers([QUESTION, ASKED, QUESTION, REPLY], [QUESTION, yes(), QUESTION])


def test_several_answers_are_new_in_their_order() -> None:
    """Which is not always that of the requests."""
    assert ["mcpr_2", "mcpr_1"] == fresh_answers([ASKED, OTHER], [no("mcpr_2"), yes()])


def test_an_answer_counts_where_the_history_is_sent_again_by_hand() -> None:
    """The request stands in the input itself."""
    assert ["mcpr_1"] == fresh_answers([], [QUESTION, ASKED, yes()])
    assert ["mcpr_1", "mcpr_2"] == fresh_answers([], [QUESTION, ASKED, OTHER, yes(), yes("mcpr_2"), QUESTION])


@pytest.mark.parametrize("behind", [CALL, REPLY, FUNCTION_CALL])
def test_an_old_answer_in_a_history_sent_by_hand_is_not_new(behind: Item) -> None:
    """Something that a model made stands behind it."""
    assert [] == fresh_answers([], [QUESTION, ASKED, yes(), behind, QUESTION])


@pytest.mark.parametrize("behind", [QUESTION, FUNCTION_OUTPUT])
def test_what_a_client_says_behind_an_answer_does_not_make_it_old(behind: Item) -> None:
    """Only the words of a model do."""
    assert ["mcpr_1"] == fresh_answers([], [FUNCTION_CALL, ASKED, yes(), behind])


def test_an_old_answer_and_a_new_one_are_told_apart() -> None:
    """The next request of the model stands between them."""
    assert ["mcpr_2"] == fresh_answers([], [ASKED, yes(), OTHER, no("mcpr_2")])
    assert ["mcpr_2"] == fresh_answers([], [ASKED, no(), REPLY, QUESTION, OTHER, yes("mcpr_2")])


def test_an_answer_whose_call_was_made_is_not_new() -> None:
    """Wherever the call stands: clients do not always keep the order."""
    assert [] == fresh_answers([], [QUESTION, ASKED, CALL, yes()])
    assert [] == fresh_answers([ASKED, CALL], [yes()])


def test_a_call_that_needed_no_approval_answers_none() -> None:
    """It names no request."""
    unasked = McpCall(id="mcp_2", arguments="{}", name="read", server_label="s")
    assert ["mcpr_1"] == fresh_answers([ASKED, unasked], [yes()])


def test_without_answers_nothing_is_new() -> None:
    """A request may stay unanswered."""
    assert [] == fresh_answers([QUESTION, ASKED], [QUESTION])


@pytest.mark.parametrize("second", [yes(), no()])
def test_a_second_answer_in_a_chain_is_refused(second: McpApprovalResponse) -> None:
    """The first counts, even where it was a denial."""
    message = "The approval request 'mcpr_1' was answered before."
    assert (400, message, "input") == refusal([ASKED, no(), REPLY], [second])


@pytest.mark.parametrize("between", [[], [QUESTION], [REPLY]])
def test_a_second_answer_in_the_same_input_is_refused(between: list[Item]) -> None:
    """Else one approval would make two calls, or a denial would become an approval."""
    message = "The approval request 'mcpr_1' was answered before."
    assert (400, message, "input") == refusal([ASKED], [yes(), *between, yes()])
    assert (400, message, "input") == refusal([], [ASKED, no(), *between, yes()])


@pytest.mark.parametrize(
    ("history", "said"), [([], [yes()]), ([QUESTION, OTHER], [yes()]), ([], [yes(), ASKED]), ([CALL], [yes()])]
)
def test_an_answer_before_which_nothing_was_asked_is_refused(history: list[Item], said: list[Item]) -> None:
    """It names a request that does not stand before it."""
    message = "No approval request with id 'mcpr_1' found that this could answer."
    assert (400, message, "input") == refusal(history, said)


def test_a_decision_joins_a_request_and_its_answer() -> None:
    """In the order of the answers, and only of those that are new."""
    items: list[Item] = [ASKED, OTHER, no("mcpr_2"), yes()]
    both = [Decision(OTHER, no("mcpr_2")), Decision(ASKED, yes())]
    assert both == decisions(items, ["mcpr_2", "mcpr_1"])
    assert both[:1] == decisions(items, ["mcpr_2"])
    assert [] == decisions(items, [])


def test_what_has_no_approvals_is_shown_as_it_is() -> None:
    """Item by item."""
    items: list[Item] = [QUESTION, FUNCTION_CALL, FUNCTION_OUTPUT, REPLY]
    assert Consent(items, {}) == consented(items, ())


def test_a_call_that_is_about_to_be_made_stands_for_its_request() -> None:
    """The model is shown neither the request nor the answer."""
    assert Consent([QUESTION], {}) == consented([QUESTION, ASKED, yes()], {"mcpr_1"})


def test_a_call_that_was_made_stands_for_its_request() -> None:
    """In every later turn."""
    assert Consent([QUESTION, CALL, REPLY], {}) == consented([QUESTION, ASKED, yes(), CALL, REPLY], ())


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([], UNANSWERED),
        ([yes()], NOT_MADE),
        ([no()], "The user denied this call. It was not made."),
        ([no(reason="")], "The user denied this call. It was not made."),
        ([no(reason="Not now.")], "The user denied this call. It was not made. The reason given: Not now."),
    ],
)
def test_a_call_that_was_not_made_is_shown_with_the_reason(answers: list[Item], words: str) -> None:
    """As a call whose output says why."""
    assert Consent([QUESTION, ASKED, REPLY], {"mcpr_1": words}) == consented([QUESTION, ASKED, *answers, REPLY], ())


def test_of_several_requests_each_is_shown_by_its_own_answer() -> None:
    """One is made, one is denied."""
    consent = consented([ASKED, OTHER, yes(), no("mcpr_2")], {"mcpr_1"})
    assert Consent([OTHER], {"mcpr_2": "The user denied this call. It was not made."}) == consent
