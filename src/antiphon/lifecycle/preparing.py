"""Prepare: everything that can be decided before a model is asked is decided here, and what cannot be done is refused.

Policy stands here, not in the turn loop.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.approvals import decisions, fresh_answers
from antiphon.core.echo import opened
from antiphon.core.offer import offer
from antiphon.core.settling import loaded, settled
from antiphon.core.thoughts import in_sight, removed
from antiphon.core.transcript import is_reference
from antiphon.grammars import BadGrammar
from antiphon.ids import Ids
from antiphon.lifecycle import (
    EVERY_MODEL,
    Asker,
    Caller,
    Deployment,
    History,
    Hold,
    Order,
    Policy,
    Prepared,
    conversation_id,
)
from antiphon.lifecycle import history as history_of
from antiphon.lifecycle.equipping import Case, every_turn
from antiphon.lifecycle.filtering import fresh_text
from antiphon.lifecycle.remotes import outdated
from antiphon.lifecycle.routing import Asked, routed
from antiphon.lifecycle.unmet import nothing_said, refuse_what_is_missing, says_nothing, without_effect
from antiphon.protocol.calls import McpListTools, ToolSearchOutput
from antiphon.protocol.checks import check
from antiphon.protocol.errors import invalid_request, missing_model, unknown_parameter
from antiphon.protocol.items import AdditionalTools
from antiphon.protocol.refusals import model_not_found, tool_unavailable
from antiphon.protocol.tool_settings import CustomGrammar
from antiphon.protocol.toolbox import check_choice
from antiphon.protocol.tools import CustomTool, NamespaceTool
from antiphon.protocol.tools import Tool as RequestTool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from antiphon.core.offer import Offer
    from antiphon.core.turn import Thinking
    from antiphon.engine.task import Task
    from antiphon.lifecycle.equipping import Equipping
    from antiphon.lifecycle.filtering import Filtering
    from antiphon.lifecycle.prompts import Prompts
    from antiphon.lifecycle.recalling import Addition, Recalling
    from antiphon.protocol.items import Item
    from antiphon.protocol.reading import Received
    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.response import Response
    from antiphon.store.approvals import Spending


class Preparing:
    """Takes requests to runs that can begin, or go on. ``now`` gives unix seconds."""

    def __init__(  # noqa: PLR0913 - the parts that know something of a request
        self,
        *,
        deployments: Mapping[str, Deployment],
        recalling: Recalling,
        equipping: Equipping,
        prompts: Prompts,
        policy: Policy,
        now: Callable[[], int],
        filtering: Filtering | None = None,
    ) -> None:
        self._store = recalling.store
        self._conversing = recalling.conversing
        self._recalling = recalling
        self._equipping = equipping
        self._remotes = equipping.remotes
        self._drawings = equipping.drawings
        self._deployments = deployments
        self._prompts = prompts
        self._policy = policy
        self._filtering = filtering
        self.now = now

    async def prepare(self, received: Received, asker: Asker) -> Prepared:
        """Decide all that can be decided before a model is asked. Raises ``ApiError`` for what cannot be done.

        A conversation is held from now on, until what holds it in what is returned is left.
        """
        async with AsyncExitStack() as stack:
            prepared = await self._prepared(received, asker, stack)
            if self._filtering is not None:
                prepared = await _filtered(prepared, self._filtering)
            return replace(prepared, held=stack.pop_all())

    async def survey(self, received: Received, asker: Asker) -> Prepared:
        """The same for a request that nobody runs: nothing is held."""
        return await self._prepared(received, asker, None)

    async def _prepared(self, received: Received, asker: Asker, stack: AsyncExitStack | None) -> Prepared:
        rendered = await self._prompts.rendered(received.request)
        asked, caller = rendered.request, asker.caller
        name = self._name(asked, asker)
        check(replace(asked, tool_choice=None))  # what it goes on from may bring the tool that is chosen
        refuse_what_is_missing(asked)
        await self._check_grammars(asked, caller)
        begun = await self._begun(asked, caller, stack)
        history = await self._recalling.history(asked, caller, asker.memory or {})
        request = _settled(asked, history)
        name, deployment = self._chosen(name, Asked(request, history.items, history.outputs))
        offered = _offered(request, history, deployment)
        self._refuse_ignored(received.ignored, offered.unavailable)
        painter = self._drawings.painter(offered.drawing, asker.painter)
        await self._drawings.check(offered.drawing, caller)
        addition = await self._recalling.addition(request, history, caller, begun.ids)
        addition = addition.showing(await self._drawings.seeing.fetched(addition.items, deployment, caller))
        preface = await self._preface(rendered.messages, begun.ids, deployment, caller)
        order = Order(name, request, painter=painter, pointed=_named(request), preface=preface)
        case = self._case(order, asked.tools, history, addition, Who(begun.id, deployment, caller))
        case = await self._with_remotes(case, addition.items, history)
        task = await self._task(case, only_prepares=request.generate is False and asker.memory is not None)
        ignored = without_effect(request, deployment, is_remembered=asker.memory is not None)
        return Prepared(
            order=replace(case.order, request=replace(request, input=addition.secret)),
            task=task,
            context=case.context,
            deployment=deployment,
            caller=caller,
            ids=begun.ids,
            said=addition.said,
            extras=received.extras,
            ignored=[*received.ignored, *ignored, *self._drawings.without_effect(offered.drawing, painter)],
            unavailable=offered.unavailable,
            hold=begun.hold,
            held=AsyncExitStack(),
        )

    def _case(self, order: Order, tools: list[RequestTool], history: History, addition: Addition, who: Who) -> Case:
        """What is to be made, with the whole conversation. ``tools`` are those that the request itself brings."""
        response = opened(
            replace(order.request, tools=tools),
            id=who.response,
            created_at=self.now(),
            model=who.deployment.model or order.name,
            preface=order.preface or None,
        )
        thoughts = self._recalling.thoughts(addition, who.caller, response.model)
        context = history.and_then(History(addition.items, addition.kept.outputs, thoughts))
        every = every_turn(order.request, who.deployment)
        seen = {**in_sight(context.items, history.thoughts, every_turn=every), **thoughts}
        return Case(order, _with_transformations(response, seen), context, who.deployment, who.caller)

    async def _task(self, case: Case, *, only_prepares: bool) -> Task:
        """The task of a case. Raises ``ApiError`` where it gives a model nothing to answer."""
        task = await self._equipping.task(case)
        if only_prepares:
            task = replace(task, purpose="prepare")
        if says_nothing(task):
            raise nothing_said()
        return task

    async def _preface(
        self, messages: list[Item] | None, ids: Ids, deployment: Deployment, caller: Caller
    ) -> list[Item]:
        """The messages of a template, with ids and with what they show in hand. Raises ``ApiError``."""
        named = [replace(message, id=ids.new("msg")) for message in messages or []]
        return await self._drawings.seeing.fetched(named, deployment, caller)

    async def _begun(self, request: CreateResponse, caller: Caller, stack: AsyncExitStack | None) -> Begun:
        """A response to be, which holds its conversation. Raises ``ApiError`` where another one does."""
        conversation = conversation_id(request)
        if conversation is None:
            ids = Ids.of_chain(request.previous_response_id, self.now)
            return Begun(ids, ids.new("resp"))
        ids = self._conversing.ids(conversation)
        id = ids.new("resp")
        if stack is None:
            return Begun(ids, id)
        return Begun(ids, id, await stack.enter_async_context(self._conversing.holding(conversation, caller, id)))

    async def again(self, order: Order, response: Response, caller: Caller) -> Task | None:
        """The task of a response that waits in the queue, as `prepare` made it; None where it was deleted meanwhile.

        Raises ``ApiError`` where it cannot be done any more.
        """
        rows = await self._store.context(response.id, tenant=caller.tenant, is_queued=True)
        if rows is None:
            return None
        context = history_of(rows)
        secret = {item.id: item for item in order.request.input}
        items = [secret.get(item.id, item) for item in context.items]
        case = Case(order, response, replace(context, items=items), self._deployment(order.name), caller)
        task = await self._equipping.task(case)
        if self._filtering is None:
            return task
        return replace(task, backend=self._filtering.guarded(task.backend))

    def spending(self, prepared: Prepared) -> Spending | None:
        """The answers of a person that a response uses up; None where it has none."""
        answered, response = prepared.order.answered, prepared.task.response
        return self._remotes.spending(answered, prepared.caller.tenant, response.id) if answered else None

    async def _with_remotes(self, case: Case, said: list[Item], history: History) -> Case:
        """With what is said to MCP servers. Raises ``ApiError`` for an answer to what was never asked."""
        if case.deployment.pass_through:
            return case
        answered = fresh_answers(history.items, said)
        anew = await self._outdated(case.order.request, case.context, case.caller)
        case = replace(case, order=replace(case.order, answered=answered, anew=anew))
        if answered:
            servers = self._remotes.named(case.order.request, case.party)
            await self._remotes.check(decisions(case.context.items, answered), servers, case.caller)
        return case

    async def _outdated(self, request: CreateResponse, context: History, caller: Caller) -> list[str]:
        """The labels of the MCP servers that are listed anew though the context has a list."""
        before: list[RequestTool] = []
        is_listed = any(isinstance(item, McpListTools) for item in context.items)
        if is_listed and request.previous_response_id is not None:
            kept = await self._store.response(request.previous_response_id, tenant=caller.tenant)
            before = _decode_echo(kept).tools if kept is not None else []
        return outdated(request, context.items, before)

    async def _check_grammars(self, request: CreateResponse, caller: Caller) -> None:
        """Raise ``ApiError`` for a grammar that is none."""
        brought = [
            (f"input[{index}].tools", item.tools)
            for index, item in enumerate(request.input)
            if isinstance(item, AdditionalTools | ToolSearchOutput)
        ]
        for at, tool in _custom_tools([("tools", request.tools), *brought]):
            if isinstance(tool.format, CustomGrammar):
                try:
                    await self._equipping.grammars.check(tool.format, party=caller.tenant)
                except BadGrammar as error:
                    param = f"{at}.format.definition"
                    raise invalid_request(f"Invalid '{param}': {error}", param=param, code="invalid_value") from error

    def _name(self, request: CreateResponse, asker: Asker) -> str:
        """The deployment that is asked. Raises ``ApiError`` where none is named, or one that is not there."""
        name = asker.path_deployment or request.model or self._policy.default_deployment
        if name is None:
            raise missing_model()
        if self._policy.routers.keys().isdisjoint({name, EVERY_MODEL}):
            self._deployment(name)
        return name

    def _chosen(self, name: str, asked: Asked) -> tuple[str, Deployment]:
        """Who answers, and by which name: a deployment that chooses among others is none itself."""
        routers = self._policy.routers
        is_known = name in routers or name in self._deployments
        chosen = routed(EVERY_MODEL if not is_known and EVERY_MODEL in routers else name, routers, asked)
        return chosen, self._deployment(chosen)

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


async def _filtered(prepared: Prepared, filtering: Filtering) -> Prepared:
    """What is ready to run, once its prompt is judged. Raises ``ApiError`` for one that is too bad."""
    task = prepared.task
    fresh = frozenset(item.id for item in [*(each.item for each in prepared.said), *prepared.order.preface])
    found = await filtering.prompt(fresh_text(task.turn, fresh))
    response = replace(task.response, content_filters=None)
    return replace(
        prepared, task=replace(task, response=response, backend=filtering.guarded(task.backend), filters=found)
    )


class Begun(Struct, frozen=True):
    """A response to be: what gives its ids, its own, and the hold of its conversation."""

    ids: Ids
    id: str
    hold: Hold | None = None


class Who(Struct, frozen=True):
    """Of whom it is: the id of the response, who answers, and who asks."""

    response: str
    deployment: Deployment
    caller: Caller


class Echo(Struct, frozen=True):
    """The tools that a kept response was made with."""

    tools: list[RequestTool] = []


_decode_echo = msgspec.json.Decoder(Echo).decode


def _settled(asked: CreateResponse, history: History) -> CreateResponse:
    """The request with what its conversation brings. Raises ``ApiError`` where it chooses a tool that is not there."""
    request = settled(asked, history.items)
    check_choice(replace(request, tools=[*request.tools, *loaded(history.items)]))
    return request


def _offered(request: CreateResponse, history: History, deployment: Deployment) -> Offer:
    """What the model is offered before any server has listed its tools. Raises ``ApiError``."""
    found = loaded([*history.items, *request.input])
    return offer(request, loaded=found, hands_over=deployment.pass_through, is_blind=deployment.is_blind)


def _custom_tools(lists: Iterable[tuple[str, Sequence[RequestTool]]]) -> Iterable[tuple[str, CustomTool]]:
    """The custom tools in lists of tools, and where they stand."""
    for place, tools in lists:
        for index, tool in enumerate(tools):
            match tool:
                case CustomTool():
                    yield f"{place}[{index}]", tool
                case NamespaceTool(tools=members):
                    yield from _custom_tools([(f"{place}[{index}].tools", members)])
                case _:
                    pass


def _named(request: CreateResponse) -> list[str]:
    """The ids of what the input only names."""
    return [item.id for item in request.input if is_reference(item)]


def _with_transformations(response: Response, thoughts: Mapping[str, Thinking]) -> Response:
    """The response, and which reasoning items its model is not shown."""
    gone = removed(thoughts, model=response.model)
    return replace(response, input_transformations=gone) if gone else response
