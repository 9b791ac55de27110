"""Approvals: which answers count, and that each counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.core.approvals import Decision
from antiphon.ids import Ids
from antiphon.lifecycle.approving import COUNTS_SECONDS, Approving
from antiphon.protocol.calls import McpApprovalRequest, McpApprovalResponse
from antiphon.protocol.errors import ApiError
from antiphon.sealing import Seal

if TYPE_CHECKING:
    from antiphon.store.approvals import Approvals
    from tests.lifecycle.conftest import Clock

pytestmark = pytest.mark.anyio

URL = "https://bank.example/mcp"
ARGUMENTS = '{"amount":1}'


def asked(approving: Approving, clock: Clock, *, tenant: str = "a", url: str = URL) -> Decision:
    """A request that was signed, and an answer to it."""
    sign = approving.sign(tenant=tenant, label="bank", url=url, name="pay")
    id = sign(Ids.of_chain(None, clock).new("mcpr"), ARGUMENTS)
    request = McpApprovalRequest(id=id, arguments=ARGUMENTS, name="pay", server_label="bank")
    return Decision(request, McpApprovalResponse(id="mcpa_1", approval_request_id=id, approve=True))


async def refusal(approving: Approving, decision: Decision, *, tenant: str = "a", url: str = URL) -> str:
    """What the caller is told; empty where the answer counts."""
    try:
        await approving.check([decision], {"bank": url}, tenant=tenant)
    except ApiError as error:
        return error.message
    return ""


def unknown(id: str) -> str:
    """What is said of a request that is not known."""
    return f"No approval request with id '{id}' found that this could answer."


async def test_an_answer_to_what_was_asked_counts(approving: Approving, clock: Clock) -> None:
    """Its id has the form of all ids, and nothing of it had to be kept."""
    decision = asked(approving, clock)
    assert "" == await refusal(approving, decision)
    assert 55 == len(decision.request.id)


@pytest.mark.parametrize(
    "change",
    [{"arguments": '{"amount":2}'}, {"arguments": '{"amount": 1}'}, {"name": "take"}, {"server_label": "other"}],
)
async def test_a_changed_request_is_not_known(approving: Approving, clock: Clock, change: dict[str, str]) -> None:
    """To the letter."""
    decision = asked(approving, clock)
    changed = Decision(replace(decision.request, **change), decision.answer)
    assert unknown(decision.request.id) == await refusal(approving, changed)


async def test_another_tenant_or_another_server_is_not_meant(approving: Approving, clock: Clock) -> None:
    """Under the same label too."""
    decision = asked(approving, clock)
    assert unknown(decision.request.id) == await refusal(approving, decision, tenant="b")
    assert unknown(decision.request.id) == await refusal(approving, decision, url="https://evil.example/mcp")


@pytest.mark.parametrize("place", [0, 5, 20, 24, 30, 38, 54])
async def test_an_id_that_was_changed_anywhere_is_not_known(approving: Approving, clock: Clock, place: int) -> None:
    """Its time and its chance are signed like the rest."""
    decision = asked(approving, clock)
    id = decision.request.id
    forged = id[:place] + ("1" if id[place] != "1" else "2") + id[place + 1 :]
    assert unknown(forged) == await refusal(approving, Decision(replace(decision.request, id=forged), decision.answer))


async def test_an_answer_counts_for_a_fixed_time(approving: Approving, clock: Clock) -> None:
    """And not a second longer."""
    decision = asked(approving, clock)
    clock.now += COUNTS_SECONDS
    assert "" == await refusal(approving, decision)
    clock.now += 1
    assert unknown(decision.request.id) == await refusal(approving, decision)


async def test_an_answer_counts_once(approving: Approving, clock: Clock) -> None:
    """Except for the response that used it, which may be taken over by another process."""
    decision = asked(approving, clock)
    id = decision.request.id
    await approving.spend([id], tenant="a", response="resp_1")
    await approving.spend([id], tenant="a", response="resp_1")
    assert f"The approval request '{id}' was answered before." == await refusal(approving, decision)
    with pytest.raises(ApiError, match="answered before"):
        await approving.spend([id], tenant="a", response="resp_2")


async def test_what_is_used_is_known_for_as_long_as_it_could_count(
    approving: Approving, spent: Approvals, clock: Clock
) -> None:
    """A sweep forgets it only when its request is too old as well."""
    decision = asked(approving, clock)
    await approving.spend([decision.request.id], tenant="a", response="resp_1")
    clock.now += COUNTS_SECONDS - 1
    await spent.sweep(clock.now)
    assert "answered before" in await refusal(approving, decision)
    clock.now += 2
    await spent.sweep(clock.now)
    assert unknown(decision.request.id) == await refusal(approving, decision)


async def test_keys_are_changed_without_losing_requests(spent: Approvals, clock: Clock) -> None:
    """The first signs, all are known; a key that is gone takes its requests with it."""
    decision = asked(Approving(Seal(["old"]), spent, now=clock), clock)
    assert "" == await refusal(Approving(Seal(["new", "old"]), spent, now=clock), decision)
    gone = Approving(Seal(["new"]), spent, now=clock)
    assert unknown(decision.request.id) == await refusal(gone, decision)
