"""Limiting: which rule holds, what is held while a response is made, and what it costs in the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec.structs import replace

from antiphon.core.tally import Tally
from antiphon.lifecycle import Caller
from antiphon.lifecycle.limiting import Bound, Limiting, Rule, bound, fault
from antiphon.lifecycle.tickets import FIRST_SURPLUS, Gate
from antiphon.protocol.content import InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message
from antiphon.protocol.request import CreateResponse
from antiphon.store import StoreUnavailable
from antiphon.store.quotas import Asking, Quotas
from antiphon.store.sqlite import connect
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from antiphon.core.quota import Grant
    from antiphon.lifecycle.tickets import Ticket
    from antiphon.protocol.limit_faults import Limited

pytestmark = pytest.mark.anyio

A, B = Caller("a"), Caller("b")
ASKED = CreateResponse(
    model="m", input=[Message(id="msg_1", role="user", content=[InputText(text="hello " * 10)], status="completed")]
)
ESTIMATED = 23
"""The tokens of what is asked, about."""


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def limited(*rules: Rule, now: Clock | None = None, default: str | None = None) -> Limiting:
    """Limits of one process."""
    clock = now or Clock()
    return Limiting(rules, clock=clock, default=default)


async def admit(limiting: Limiting, caller: Caller = A, request: CreateResponse = ASKED) -> Ticket:
    """Let a request in."""
    return await limiting.admit(request, caller, None)


async def refused(limiting: Limiting, caller: Caller = A, request: CreateResponse = ASKED) -> ApiError:
    """Have a request refused."""
    with pytest.raises(ApiError) as error:
        await admit(limiting, caller, request)
    return error.value


def remaining(ticket: Ticket, what: Limited = "tokens") -> int:
    """What is left, as a ticket tells it."""
    return ticket.levels()[what].remaining


def took(tokens: int) -> Tally:
    """What a response took."""
    return Tally(day=0, outcome="completed", input_tokens=tokens - tokens // 2, output_tokens=tokens // 2)


# Rules


def test_the_most_exact_rule_of_each_kind_holds() -> None:
    """Tenant and deployment, then tenant, then deployment, then neither; each kind by itself."""
    rules = [
        Rule(concurrent=1, requests_per_minute=1, tokens_per_minute=1, background=1),
        Rule(deployment="m", concurrent=2, requests_per_minute=2, tokens_per_minute=2),
        Rule(tenant="a", concurrent=3, requests_per_minute=3),
        Rule(tenant="a", deployment="m", concurrent=4),
    ]
    assert Bound(4, "m") == bound(rules, "concurrent", tenant="a", deployment="m")
    assert Bound(3, "*") == bound(rules, "requests_per_minute", tenant="a", deployment="m")
    assert Bound(2, "m") == bound(rules, "tokens_per_minute", tenant="a", deployment="m")
    assert Bound(1, "*") == bound(rules, "background", tenant="a", deployment="m")
    assert Bound(1, "*") == bound(rules, "concurrent", tenant="b", deployment="other")
    assert bound(rules, "storage_mib", tenant="a", deployment="m") is None


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([Rule(concurrent=1), Rule(background=1)], "Make them one"),
        ([Rule(tenant="a")], "limits nothing"),
        ([Rule(deployment="m", storage_mib=1)], "belongs to a tenant"),
        ([Rule(deployment="n", concurrent=1)], "there is none"),
    ],
)
def test_rules_that_cannot_be_meant_are_named(rules: list[Rule], words: str) -> None:
    """With what is wrong with them."""
    assert words in (fault(rules, ["m"]) or "")
    assert fault([Rule(tenant="a", deployment="n", concurrent=1), Rule(storage_mib=1)], ["m", "*"]) is None
    assert fault([Rule(deployment="n", concurrent=1)], []) is None


# Requests


async def test_a_tenant_has_so_many_requests_a_minute_and_another_has_its_own() -> None:
    """The next is refused until the first are a minute old, and what is refused is not counted."""
    clock = Clock()
    limiting = limited(Rule(requests_per_minute=2), now=clock)
    for _ in range(2):
        (await admit(limiting)).__exit__(None, None, None)
    error = await refused(limiting)
    assert (429, "requests", "60000") == (error.status, error.type, error.headers["retry-after-ms"])
    await admit(limiting, B)
    clock.now += 61
    assert 1 == remaining(await admit(limiting), "requests")


async def test_a_rule_that_names_a_deployment_counts_that_alone() -> None:
    """Others go by the rule for all together."""
    limiting = limited(Rule(requests_per_minute=2), Rule(deployment="m", requests_per_minute=1))
    await admit(limiting)
    await refused(limiting)
    for other in ("x", "y"):
        await admit(limiting, request=replace(ASKED, model=other))
    await refused(limiting, request=replace(ASKED, model="z"))


async def test_the_deployment_of_the_path_and_the_default_count() -> None:
    """Before and behind the model that the request names."""
    limiting = limited(Rule(deployment="m", requests_per_minute=1), default="m")
    await limiting.admit(replace(ASKED, model="x"), A, "m")
    await refused(limiting, request=replace(ASKED, model=None))


async def test_without_rules_nothing_is_counted() -> None:
    """And no header tells of a limit."""
    assert [] == (await admit(limited())).headers(is_azure=True)


# Tokens


async def test_what_a_response_may_cost_is_reserved_and_what_it_took_is_settled() -> None:
    """The input by estimate and ``max_output_tokens``; then what was counted."""
    limiting = limited(Rule(tokens_per_minute=1000))
    ticket = await admit(limiting, request=replace(ASKED, max_output_tokens=500))
    reserved = 1000 - remaining(ticket)
    assert 500 + ESTIMATED == pytest.approx(reserved, abs=10)
    error = await refused(limiting, request=replace(ASKED, max_output_tokens=500))
    assert ("tokens", f"Limit 1000, Used {reserved}, Requested {reserved}") == (
        error.type,
        error.message.partition(": ")[2].partition(".")[0],
    )
    ticket.settle(took(40))
    ticket.__exit__(None, None, None)
    assert 960 == remaining(ticket)


async def test_what_a_response_took_beyond_its_reservation_is_charged() -> None:
    """Who comes next waits until that is a minute old."""
    clock = Clock()
    limiting = limited(Rule(tokens_per_minute=1000), now=clock)
    ticket = await admit(limiting)
    ticket.settle(took(3000))
    assert -2000 == remaining(ticket)
    await refused(limiting)
    clock.now += 61
    await admit(limiting)


async def test_what_others_cost_is_reserved_where_a_request_sets_no_limit() -> None:
    """At first a guess; then the mean of what came beside what was sent, and never more than a minute has."""
    limiting = limited(Rule(tokens_per_minute=100_000))
    ticket = await admit(limiting)
    assert FIRST_SURPLUS + ESTIMATED == pytest.approx(100_000 - remaining(ticket), abs=10)
    ticket.settle(took(1))
    for _ in range(30):
        ticket = await admit(limiting)
        ticket.settle(took(500))
    before = remaining(ticket)
    assert 500 == pytest.approx(before - remaining(await admit(limiting)), abs=10)
    assert 100 == 100 - remaining(await admit(limited(Rule(tokens_per_minute=100))))


async def test_a_request_that_no_minute_has_room_for_is_told_so() -> None:
    """By what it sends, or by what it wants."""
    limiting = limited(Rule(tokens_per_minute=100))
    error = await refused(limiting, request=replace(ASKED, max_output_tokens=100))
    assert error.message.startswith("Request too large for m on tokens per min (TPM): Limit 100, Requested ")
    long = Message(id="msg_1", role="user", content=[InputText(text="hello " * 1000)], status="completed")
    assert "false" == (await refused(limiting, request=replace(ASKED, input=[long]))).headers["x-should-retry"]


async def test_what_never_ran_costs_nothing_and_what_was_left_costs_what_was_sent() -> None:
    """A request that was refused later on, and one whose client went away."""
    limiting = limited(Rule(tokens_per_minute=1000, requests_per_minute=10))
    ticket = await admit(limiting)
    ticket.__exit__(ApiError, None, None)
    assert 1000 == remaining(ticket)
    ticket = await admit(limiting)
    ticket.__exit__(asyncio.CancelledError, None, None)
    assert 1000 - ESTIMATED == pytest.approx(remaining(ticket), abs=10)
    assert 8 == remaining(ticket, "requests")


async def test_a_request_that_a_later_limit_refuses_uses_nothing_of_the_first() -> None:
    """Neither of requests nor of places."""
    limiting = limited(Rule(tokens_per_minute=100, requests_per_minute=2, concurrent=1))
    await refused(limiting, request=replace(ASKED, max_output_tokens=1000))
    ticket = await admit(limiting)
    assert 1 == remaining(ticket, "requests")


async def test_a_background_run_is_settled_by_whoever_performs_it() -> None:
    """With what was reserved when it was queued, here or elsewhere."""
    limiting = limited(Rule(tokens_per_minute=1000))
    ticket = await admit(limiting, request=replace(ASKED, background=True, max_output_tokens=500))
    ticket.hand_over()
    ticket.__exit__(None, None, None)
    assert 500 - ESTIMATED == pytest.approx(remaining(ticket), abs=10)
    limiting.settle_late("a", ticket.reserved, took(100))
    assert 900 == remaining(ticket)
    elsewhere = limited(Rule(tokens_per_minute=1000))
    elsewhere.settle_late("a", ticket.reserved, took(100))
    assert 1000 - FIRST_SURPLUS - ESTIMATED == pytest.approx(remaining(await admit(elsewhere)), abs=200)
    limiting.settle_late("a", None, took(100))
    assert 900 == remaining(ticket)


# What runs at once


async def test_so_many_responses_run_at_once() -> None:
    """A place is free again when its response has ended, once, however often its ticket is left."""
    limiting = limited(Rule(concurrent=2))
    first, _second = await admit(limiting), await admit(limiting)
    error = await refused(limiting)
    assert (429, "1000") == (error.status, error.headers["retry-after-ms"])
    await admit(limiting, B)
    first.__exit__(None, None, None)
    first.__exit__(None, None, None)
    await admit(limiting)
    await refused(limiting)


async def test_background_runs_count_as_such() -> None:
    """Those that are queued or running, and those that are about to be; not as responses that run at once."""
    waiting = {"count": 1}

    async def count(quota: str) -> int:
        assert '["background","a","*"]' == quota
        return waiting["count"]

    clock = Clock()
    limiting = Limiting([Rule(concurrent=1, background=3)], waiting=count, clock=clock)
    request = replace(ASKED, background=True)
    first, _second = await admit(limiting, request=request), await admit(limiting, request=request)
    assert '["background","a","*"]' == first.quota
    assert "background runs" in (await refused(limiting, request=request)).message
    first.__exit__(None, None, None)
    waiting["count"] = 2
    await refused(limiting, request=request)
    await admit(limiting)


async def test_a_process_that_has_enough_to_do_says_so_at_once() -> None:
    """With 503, before anything is looked at."""
    limiting = Limiting(gate=Gate(1))
    limiting.gate.check()
    ticket = await admit(limiting)
    with pytest.raises(ApiError) as error:
        limiting.gate.check()
    assert (503, "server_is_overloaded", "1") == (
        error.value.status,
        error.value.code,
        error.value.headers["retry-after"],
    )
    assert 503 == (await refused(limiting, B)).status
    ticket.__exit__(None, None, None)
    await admit(limiting, B)


# Shared, and over time


async def test_what_counts_nothing_is_forgotten() -> None:
    """Tenants come and go: a process remembers those of the last minute."""
    clock = Clock()
    limiting = limited(Rule(requests_per_minute=2, tokens_per_minute=10_000, concurrent=2), now=clock)
    for number in range(100):
        (await admit(limiting, Caller(f"t{number}"))).__exit__(None, None, None)
    last = await admit(limiting)
    limiting.sweep()
    assert 101 == limiting.remembered
    clock.now += 61
    limiting.sweep()
    assert 1 == limiting.remembered
    last.__exit__(None, None, None)
    limiting.sweep()
    assert 0 == limiting.remembered


async def test_what_ends_long_after_it_was_reserved_is_settled_all_the_same() -> None:
    """Its minute is over, and nobody else asked meanwhile: what it took beyond counts from its end on."""
    clock = Clock()
    limiting = limited(Rule(tokens_per_minute=1000), now=clock)
    ticket = await admit(limiting)
    clock.now += 300
    limiting.sweep()
    ticket.settle(took(3000))
    ticket.__exit__(None, None, None)
    assert -2000 + FIRST_SURPLUS + ESTIMATED == pytest.approx(remaining(ticket), abs=10)
    await refused(limiting)


async def test_what_is_low_is_asked_for_beside_requests_and_given_back_at_the_end() -> None:
    """Whoever asks first waits for the database, the others do not; a process that stops holds nothing."""
    database = await connect("sqlite://")
    told: list[Asking] = []
    low = asyncio.Event()

    class Watched(Quotas):
        """Shared limits that are watched."""

        async def ask(self, asking: Asking) -> Grant:
            """Note what is asked."""
            told.append(asking)
            given = await super().ask(asking)
            if len(told) > 1:
                low.set()
            return given

    limiting = Limiting([Rule(requests_per_minute=6400)], quotas=Watched(database))
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(limiting.run)
            ticket = [await admit(limiting) for _ in range(80)][-1]
            await low.wait()
            assert [1, 1] == [asking.needs for asking in told[:2]]
            assert 6320 >= remaining(ticket, "requests")
            group.cancel_scope.cancel()
    assert 6320 == (await Quotas(database).ask(Asking('["requests","a","*"]', 6400))).free
    await limiting.forget()
    await database.aclose()


async def test_a_limit_that_cannot_be_asked_for_refuses_and_heals() -> None:
    """Nobody knows whether there is anything left; what was owed is told later."""
    database = await connect("sqlite://")
    is_away = True

    class Away(Quotas):
        """Shared limits that cannot be reached at times."""

        async def ask(self, asking: Asking) -> Grant:
            """Refuse while they cannot."""
            if is_away:
                raise StoreUnavailable("it is away")
            return await super().ask(asking)

    limiting = Limiting([Rule(requests_per_minute=10, concurrent=1)], quotas=Away(database))
    with pytest.raises(StoreUnavailable):
        await admit(limiting)
    is_away = False
    await admit(limiting)
    await database.aclose()
