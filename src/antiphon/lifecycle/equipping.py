"""Equipping: the task of a run, made of what was asked for and of all that was said before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.approvals import consented, decisions
from antiphon.core.compaction import last_compaction
from antiphon.core.offer import Offer, offer
from antiphon.core.outputs import in_words
from antiphon.core.pictures import pictures, pointed_first
from antiphon.core.settling import loaded
from antiphon.core.thoughts import visible
from antiphon.core.transcript import transcript
from antiphon.core.turn import Hints, Output, Thinking, Turn
from antiphon.core.writing import Shown
from antiphon.engine.fitting import Fitting
from antiphon.engine.task import Equipment, Opening, Task
from antiphon.engine.truncating import Truncating
from antiphon.lifecycle import Caller, Deployment, History, Order
from antiphon.lifecycle.remotes import Party, known_lists, listed
from antiphon.lifecycle.screens import Past, is_native
from antiphon.protocol.items import CompactionTrigger
from antiphon.protocol.response import Response
from antiphon.tools.tool_search import ToolSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from antiphon.backends import Backend
    from antiphon.core.approvals import Decision
    from antiphon.engine.task import Show
    from antiphon.grammars import Grammars
    from antiphon.lifecycle import Policy
    from antiphon.lifecycle.compacting import Compacting
    from antiphon.lifecycle.drawings import Drawings
    from antiphon.lifecycle.remotes import Remotes
    from antiphon.lifecycle.screens import Screens
    from antiphon.protocol.calls import McpToolListing
    from antiphon.protocol.items import Item, OutputItem
    from antiphon.protocol.request import CreateResponse
    from antiphon.tools import Tool, ToolServer

_encode = msgspec.json.Encoder().encode


class Case(Struct, frozen=True):
    """A response that is to be made: what was asked for, by whom, and who answers."""

    order: Order
    response: Response
    context: History
    deployment: Deployment
    caller: Caller

    @property
    def party(self) -> Party:
        """Whom MCP servers serve."""
        return Party(tenant=self.caller.tenant, response=self.response.id, sees_images=self.deployment.vision)


class Equipping:
    """Makes tasks."""

    def __init__(
        self,
        *,
        drawings: Drawings,
        remotes: Remotes,
        compacting: Compacting,
        grammars: Grammars,
        screens: Screens,
        policy: Policy,
    ) -> None:
        self.drawings = drawings
        self._screens = screens
        self.remotes = remotes
        self.grammars = grammars
        self._compacting = compacting
        self._policy = policy

    async def task(self, case: Case) -> Task:
        """The task of a response. Raises ``ApiError`` where it cannot be done."""
        task = await self._task(case)
        return replace(task, deployment=case.deployment.name, provider=case.deployment.provider)

    async def _task(self, case: Case) -> Task:
        order, deployment, caller = case.order, case.deployment, case.caller
        items, outputs = case.context.items, case.context.outputs
        seen = self._compacting.unfolded(items, caller.tenant)
        servers: dict[str, ToolServer] = {}
        decided: list[Decision] = []
        granted: dict[str, Tool] = {}
        if not deployment.pass_through:
            servers = self.remotes.named(order.request, case.party)
            decided = decisions(items, order.answered)
            granted = self.remotes.granted(items, servers, decided)
            consent = consented(seen, granted)
            seen, outputs = consent.items, {**outputs, **consent.outputs}
        whole = pointed_first(transcript(seen), order.pointed)
        shown = pictures(whole, order.pointed) if order.painter is not None else []
        kit = Kit(case, servers, known_lists(order, case.context.items), pictures=len(shown))
        offered = kit.offered([])
        items = await self._screens.seen(whole, offered, deployment, caller, truncates=_truncates(order))
        if not deployment.vision:
            outputs = dict[str, Output]({id: in_words(output) for id, output in outputs.items()})
        turn = _turn(case, offered, [*order.preface, *items], outputs)
        tools = self.drawings.tools(offered.drawing, order, shown, deployment=deployment, caller=caller)
        is_triggered = any(isinstance(item, CompactionTrigger) for item in case.context.items[-1:])
        return Task(
            response=case.response,
            turn=turn,
            backend=await self._backend(case, offered, Past(whole, items)),
            tools={**tools, **_search(offered)},
            clients=offered.clients,
            grants=granted,
            allowed=offered.allowed,
            most_calls=self._most_calls(case.response),
            shown=_shown(case),
            seal=partial(self._sealed, caller.tenant) if seals(order.request) else None,
            thinker=case.response.model,
            opening=self._opening(kit, servers, decided, offered),
            show=partial(self._seen, caller.tenant, self.drawings.sight(deployment, turn, offered, caller)),
            compact=self._compacting.closure(order.request, deployment, caller, now=is_triggered),
            purpose="compact" if is_triggered else "answer",
        )

    async def _backend(self, case: Case, offered: Offer, past: Past) -> Backend:
        """Who answers; with what keeps calls to grammars and to a screen, and turns within the window, where need be.

        A search may find a tool that has a grammar.
        """
        backend = case.deployment.backend
        if offered.search is not None or any(function.grammar is not None for function in offered.functions):
            backend = Fitting(backend, partial(self.grammars.fits, party=case.caller.tenant))
        if offered.computer is not None:
            backend = await self._screens.driven(backend, offered.computer, past, case.deployment, case.caller)
        if _truncates(case.order):
            whole_steps = is_native(offered.computer, case.deployment)
            backend = Truncating(backend, case.deployment.context_window, whole_steps=whole_steps)
        return backend

    async def _seen(self, tenant: str, sight: Show | None, turn: Turn) -> Turn:
        """A turn as the model sees it: with summaries of this very response in words, and pictures in its hand."""
        if last_compaction(turn.items) is not None:
            turn = replace(turn, items=self._compacting.unfolded(turn.items, tenant))
        return turn if sight is None else await sight(turn)

    def _opening(
        self, kit: Kit, servers: Mapping[str, ToolServer], decided: Sequence[Decision], offered: Offer
    ) -> Opening | None:
        """What comes before the model is asked, where anything does or the tools may become more."""
        if not servers and not decided and offered.search is None:
            return None
        return self.remotes.opening(
            kit.known, servers=servers, decided=decided, party=kit.case.party, equip=partial(self._equipment, kit)
        )

    def _equipment(self, kit: Kit, made: Sequence[OutputItem]) -> Equipment:
        """What a model may call by all that is known and was ``made``; see `Opening`."""
        offered = kit.offered(made)
        remote = self.remotes.reached(offered.remote, kit.servers, kit.case.party)
        return Equipment(
            offered.functions,
            offered.choice,
            offered.allowed,
            tools={**remote.tools, **_search(offered)},
            clients={**offered.clients, **remote.asks},
        )

    def _most_calls(self, response: Response) -> int:
        most = self._policy.max_tool_calls
        return most if response.max_tool_calls is None else min(most, response.max_tool_calls)

    def _sealed(self, tenant: str, thinking: Thinking) -> str:
        return self._compacting.tokens.seal("thought", _encode(thinking), tenant)


class Kit:
    """What the tools of a response are made of. ``known`` has the lists of servers that were there before."""

    def __init__(
        self,
        case: Case,
        servers: Mapping[str, ToolServer],
        known: Mapping[str, list[McpToolListing]],
        *,
        pictures: int,
    ) -> None:
        self.case = case
        self.servers = servers
        self.known = known
        self._pictures = pictures

    def offered(self, made: Sequence[OutputItem]) -> Offer:
        """What the model is offered, once these items were made."""
        return offer(
            self.case.order.request,
            {**self.known, **listed(made)},
            loaded=loaded([*self.case.context.items, *made]),
            hands_over=self.case.deployment.pass_through,
            pictures=self._pictures,
            is_blind=self.case.deployment.is_blind,
        )


def seals(request: CreateResponse) -> bool:
    """Whether thoughts go out sealed: where they were asked for, and where nothing is kept here."""
    return "reasoning.encrypted_content" in request.include or request.store is False


def _shown(case: Case) -> Shown:
    reasoning = case.order.request.reasoning
    summary = None if reasoning is None else reasoning.summary or reasoning.generate_summary or None
    return Shown(raw=case.deployment.raw_thoughts, summary=summary)


def _search(offered: Offer) -> dict[str, Tool]:
    return {} if offered.search is None else {offered.search.name: ToolSearch(offered.search.deferred)}


def _turn(case: Case, offered: Offer, items: list[Item], outputs: dict[str, Output]) -> Turn:
    request = case.order.request
    shows_logprobs = "message.output_text.logprobs" in request.include
    return Turn(
        items=items,
        model=case.order.name,
        instructions=request.instructions,
        outputs=outputs,
        thoughts=visible(
            items, case.context.thoughts, model=case.response.model, every_turn=every_turn(request, case.deployment)
        ),
        functions=offered.functions,
        choice=offered.choice,
        parallel_tool_calls=request.parallel_tool_calls,
        text=request.text,
        reasoning=request.reasoning,
        temperature=request.temperature,
        top_p=request.top_p,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        logprobs=shows_logprobs,
        top_logprobs=request.top_logprobs if shows_logprobs else None,
        max_output_tokens=request.max_output_tokens,
        hints=_hints(request),
        handed_over=offered.handed_over,
    )


def _truncates(order: Order) -> bool:
    """Whether what is too long may be made shorter."""
    return order.request.truncation == "auto"


def every_turn(request: CreateResponse, deployment: Deployment) -> bool:
    """Whether a model sees what it thought in all turns, and not in the last one alone."""
    match None if request.reasoning is None else request.reasoning.context:
        case "all_turns":
            return True
        case "current_turn":
            return False
        case _:
            return deployment.recalls_thoughts


def _hints(request: CreateResponse) -> Hints:
    return Hints(
        user=request.user,
        safety_identifier=request.safety_identifier,
        metadata=request.metadata,
        tier=request.service_tier,
        prompt_cache_key=request.prompt_cache_key,
        prompt_cache_retention=request.prompt_cache_retention,
        prompt_cache_options=request.prompt_cache_options,
    )
