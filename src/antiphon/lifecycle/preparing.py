"""Prepare: everything that can be decided before a model is asked is decided here, and what cannot be done is refused.

Policy stands here, not in the turn loop.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.approvals import consented, decisions, fresh_answers
from antiphon.core.echo import opened, without_secrets
from antiphon.core.offer import Offer, offer
from antiphon.core.outputs import in_words
from antiphon.core.pictures import pictures, pointed_first
from antiphon.core.transcript import Said, added, is_reference, transcript
from antiphon.core.turn import Output, Turn
from antiphon.engine.task import Task
from antiphon.ids import Ids
from antiphon.lifecycle import EVERY_MODEL, Caller, Deployment, Order, Policy, Prepared
from antiphon.lifecycle.remotes import Party, known_lists, outdated
from antiphon.lifecycle.unmet import nothing_said, refuse_what_is_missing, without_effect
from antiphon.protocol.calls import McpListTools
from antiphon.protocol.checks import check
from antiphon.protocol.errors import missing_parameter, unknown_parameter
from antiphon.protocol.items import PREFIXES, Item
from antiphon.protocol.refusals import (
    model_not_found,
    previous_response_in_progress,
    previous_response_not_found,
    tool_unavailable,
)
from antiphon.protocol.tools import Tool as RequestTool
from antiphon.store import ItemRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from antiphon.core.approvals import Decision
    from antiphon.lifecycle.drawings import Drawings
    from antiphon.lifecycle.remotes import Remotes
    from antiphon.protocol.reading import Received
    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.response import Response
    from antiphon.store.approvals import Spending
    from antiphon.store.store import Store
    from antiphon.tools import Tool, ToolServer


class History(Struct, frozen=True):
    """The items of a chain, oldest first, and what the model reads of its hosted calls, by item id."""

    items: list[Item]
    outputs: dict[str, Output]


class Preparing:
    """Takes requests to runs that can begin, or go on. ``now`` gives unix seconds."""

    def __init__(
        self,
        *,
        store: Store,
        deployments: Mapping[str, Deployment],
        drawings: Drawings,
        remotes: Remotes,
        policy: Policy,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._remotes = remotes
        self._deployments = deployments
        self._drawings = drawings
        self._seeing = drawings.seeing
        self._policy = policy
        self.now = now

    async def prepare(
        self, received: Received, caller: Caller, *, path_deployment: str | None = None, painter: str | None = None
    ) -> Prepared:
        """Decide all that can be decided before a model is asked. Raises ``ApiError`` for what cannot be done.

        ``path_deployment`` is the deployment that the request's path names; it counts for more than the body's model.
        ``painter`` is the image deployment that a header names; the tool's own model counts for more.
        """
        request = received.request
        name = path_deployment or request.model or self._policy.default_deployment
        if name is None:
            raise missing_parameter("model")
        deployment = self._deployment(name)
        check(request)
        refuse_what_is_missing(request)
        offered = offer(request, hands_over=deployment.pass_through)
        self._refuse_ignored(received.ignored, offered.unavailable)
        order = Order(name, request, painter=self._drawings.painter(offered.drawing, painter), pointed=_named(request))
        await self._drawings.check(offered.drawing, caller)
        ignored = [*without_effect(request), *self._drawings.without_effect(offered.drawing, order.painter)]
        ids = Ids.of_chain(request.previous_response_id, self.now)
        history = await self._history(request.previous_response_id, caller)
        said = await self._said(request, history, caller=caller, ids=ids)
        items = await self._seeing.fetched(_items_of(said), deployment, caller)
        said = [Said(each.position, item) for each, item in zip(said, items, strict=True)]
        response = opened(request, id=ids.new("resp"), created_at=self.now(), model=deployment.model or name)
        context = History([*history.items, *items], history.outputs)
        if not deployment.pass_through:
            anew = await self._outdated(request, context, caller)
            order = replace(order, answered=fresh_answers(history.items, items), anew=anew)
        await self._check_answers(order, response, context, caller)
        task = await self._task(order, response, context, caller)
        if not task.turn.items and request.instructions is None:
            raise nothing_said()
        secret = [each.item for each in said if without_secrets(each.item) is not each.item]
        return Prepared(
            order=replace(order, request=replace(request, input=secret)),
            task=task,
            caller=caller,
            ids=ids,
            said=said,
            extras=received.extras,
            ignored=received.ignored + ignored,
            unavailable=offered.unavailable,
        )

    async def again(self, order: Order, response: Response, caller: Caller) -> Task | None:
        """The task of a response that waits in the queue, as `prepare` made it; None where it was deleted meanwhile.

        Raises ``ApiError`` where it cannot be done any more.
        """
        rows = await self._store.context(response.id, tenant=caller.tenant, is_queued=True)
        if rows is None:
            return None
        history = _history(rows)
        secret = {item.id: item for item in order.request.input}
        items = [secret.get(item.id, item) for item in history.items]
        return await self._task(order, response, History(items, history.outputs), caller)

    async def _outdated(self, request: CreateResponse, context: History, caller: Caller) -> list[str]:
        """The labels of the MCP servers that are listed anew though the context has a list."""
        before: list[RequestTool] = []
        is_listed = any(isinstance(item, McpListTools) for item in context.items)
        if is_listed and request.previous_response_id is not None:
            kept = await self._store.response(request.previous_response_id, tenant=caller.tenant)
            before = _decode_echo(kept).tools if kept is not None else []
        return outdated(request, context.items, before)

    async def _check_answers(self, order: Order, response: Response, context: History, caller: Caller) -> None:
        """Refuse an answer to what was never asked, or was answered before."""
        if not order.answered:
            return
        party = _party(response, self._deployment(order.name), caller)
        decided = decisions(context.items, order.answered)
        await self._remotes.check(decided, self._remotes.named(order.request, party), caller)

    def spending(self, prepared: Prepared) -> Spending | None:
        """The answers of a person that a response uses up; None where it has none."""
        answered, response = prepared.order.answered, prepared.task.response
        return self._remotes.spending(answered, prepared.caller.tenant, response.id) if answered else None

    async def _task(self, order: Order, response: Response, context: History, caller: Caller) -> Task:
        """The task of a response whose transcript is made of ``context``: all that is there when it begins."""
        deployment = self._deployment(order.name)
        items, outputs = context.items, context.outputs
        party = _party(response, deployment, caller)
        servers: dict[str, ToolServer] = {}
        decided: list[Decision] = []
        granted: dict[str, Tool] = {}
        if not deployment.pass_through:
            servers = self._remotes.named(order.request, party)
            decided = decisions(items, order.answered)
            granted = self._remotes.granted(items, servers, decided)
            consent = consented(items, granted)
            items, outputs = consent.items, {**outputs, **consent.outputs}
        items = pointed_first(transcript(items), order.pointed)
        shown = pictures(items, order.pointed) if order.painter is not None else []
        known = known_lists(order, context.items)
        offered = offer(order.request, known, hands_over=deployment.pass_through, pictures=len(shown))
        opening = None
        if servers or decided:
            equip = partial(self._remotes.equipment, order.request, known, servers, party, len(shown))
            opening = self._remotes.opening(known, servers=servers, decided=decided, party=party, equip=equip)
        items = await self._seeing.seen(items, deployment, caller, draws=offered.drawing is not None)
        if not deployment.vision:
            outputs = dict[str, Output]({id: in_words(output) for id, output in outputs.items()})
        most = self._policy.max_tool_calls
        turn = _turn(order.request, offered, model=order.name, items=items, outputs=outputs)
        return Task(
            response=response,
            turn=turn,
            backend=deployment.backend,
            tools=self._drawings.tools(offered.drawing, order, shown, deployment=deployment, caller=caller),
            grants=granted,
            allowed=offered.allowed,
            most_calls=most if response.max_tool_calls is None else min(most, response.max_tool_calls),
            raw_thoughts=deployment.raw_thoughts,
            opening=opening,
            show=self._drawings.sight(deployment, turn, offered, caller),
        )

    def _deployment(self, name: str) -> Deployment:
        deployment = self._deployments.get(name) or self._deployments.get(EVERY_MODEL)
        if deployment is None:
            raise model_not_found(name)
        return deployment

    def _refuse_ignored(self, ignored: list[str], unavailable: list[str]) -> None:
        if not self._policy.strict_params:
            return
        if ignored:
            raise unknown_parameter(ignored[0])
        if unavailable:
            raise tool_unavailable(unavailable[0], param="tools")

    async def _history(self, previous_id: str | None, caller: Caller) -> History:
        if previous_id is None:
            return History([], {})
        rows = await self._store.context(previous_id, tenant=caller.tenant)
        if rows is None and await self._store.response(previous_id, tenant=caller.tenant) is not None:
            raise previous_response_in_progress(previous_id)
        if rows is None:
            raise previous_response_not_found(previous_id)
        return _history(rows)

    async def _said(self, request: CreateResponse, history: History, *, caller: Caller, ids: Ids) -> list[Said]:
        """What the request adds, every item with an id and every reference resolved."""
        known = {item.id for item in history.items}
        wanted = [item.id for item in request.input if is_reference(item) and item.id not in known]
        rows = await self._store.find_items(wanted, tenant=caller.tenant) if wanted else {}
        kept = {item.id: item for item in _items(list(rows.values()))}
        said = [item if item.id else replace(item, id=ids.new(PREFIXES[type(item)])) for item in request.input]
        return added(history.items, said, kept)


class Echo(Struct, frozen=True):
    """The tools that a kept response was made with."""

    tools: list[RequestTool] = []


_decode_echo = msgspec.json.Decoder(Echo).decode
_decode_items = msgspec.json.Decoder(list[Item]).decode


def _items(rows: list[ItemRow]) -> list[Item]:
    return _decode_items(b"[" + b",".join([row.json for row in rows]) + b"]")


def _named(request: CreateResponse) -> list[str]:
    """The ids of what the input only names."""
    return [item.id for item in request.input if is_reference(item)]


def _history(rows: list[ItemRow]) -> History:
    return History(_items(rows), {row.id: row.output for row in rows if row.output is not None})


def _items_of(said: list[Said]) -> list[Item]:
    return [each.item for each in said]


def _party(response: Response, deployment: Deployment, caller: Caller) -> Party:
    return Party(tenant=caller.tenant, response=response.id, sees_images=deployment.vision)


def _turn(
    request: CreateResponse, offered: Offer, *, model: str, items: list[Item], outputs: dict[str, Output]
) -> Turn:
    shows_logprobs = "message.output_text.logprobs" in request.include
    return Turn(
        items=items,
        model=model,
        instructions=request.instructions,
        outputs=outputs,
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
        user=request.user,
        handed_over=offered.handed_over,
    )
