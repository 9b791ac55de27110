"""A response from request to row: prepare, perform.

`prepare` decides everything that can be decided before a model is asked, and refuses what cannot be done: policy stands
here, not in the turn loop. `perform` runs the engine and keeps what came of it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from antiphon import engine
from antiphon.backends import Backend
from antiphon.core.echo import opened, without_secret_keys, without_secrets
from antiphon.core.offer import Offer, offer
from antiphon.core.transcript import Said, added, transcript
from antiphon.core.turn import Turn
from antiphon.engine import Emit, Task
from antiphon.ids import Ids
from antiphon.images import with_fetched_images
from antiphon.outbound import Outbound
from antiphon.protocol.calls import ToolSearchOutput
from antiphon.protocol.checks import check
from antiphon.protocol.content import InputFile, InputImage
from antiphon.protocol.errors import invalid_request, missing_parameter, unknown_parameter, unsupported_parameter
from antiphon.protocol.items import (
    PREFIXES,
    AdditionalTools,
    ConfigurationUpdate,
    FunctionCallOutput,
    Item,
    ItemReference,
    Message,
)
from antiphon.protocol.parts import Json
from antiphon.protocol.reading import Received
from antiphon.protocol.refusals import (
    conversation_not_found,
    file_not_found,
    model_not_found,
    previous_response_not_found,
    prompt_not_found,
    tool_unavailable,
)
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.response import Response
from antiphon.store import ItemRow, ResponseRow
from antiphon.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400
EVERY_MODEL = "*"


class Caller(Struct, frozen=True):
    """Who asks: the tenant that every row belongs to."""

    tenant: str


class Deployment(Struct, frozen=True):
    """A model that callers may name, and the backend behind it.

    ``model`` is what the response says that answered; None: the name that the caller used. ``fetch_images``: images
    that are named by a URL are fetched here and handed on as data. ``raw_thoughts``: reasoning is shown as it is.
    """

    name: str
    backend: Backend
    model: str | None = None
    fetch_images: bool = False
    raw_thoughts: bool = False


class Policy(Struct, frozen=True):
    """What the operator decided for all requests. ``default_deployment`` answers a request that names no model."""

    strict_params: bool = False
    retention_days: int = 30
    default_deployment: str | None = None


class Prepared(Struct, frozen=True):
    """A request that is ready to run, with all that will be kept of it.

    ``ignored`` and ``unavailable`` name the parameters and the types of tools that had no effect.
    """

    task: Task
    caller: Caller
    ids: Ids
    inputs: list[ItemRow]
    ignored: list[str]
    unavailable: list[str]


class Lifecycle:
    """Takes requests to responses. ``now`` gives unix seconds."""

    def __init__(
        self,
        *,
        store: Store,
        deployments: Mapping[str, Deployment],
        outbound: Outbound,
        policy: Policy,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._deployments = deployments
        self._outbound = outbound
        self._policy = policy
        self._now = now

    async def prepare(self, received: Received, caller: Caller, *, path_deployment: str | None = None) -> Prepared:
        """Decide all that can be decided before a model is asked. Raises ``ApiError`` for what cannot be done.

        ``path_deployment`` is the deployment that the request's path names; it counts for more than the body's model.
        """
        request = received.request
        name = path_deployment or request.model or self._policy.default_deployment
        if name is None:
            raise missing_parameter("model")
        deployment = self._deployment(name)
        check(request)
        _refuse_what_is_missing(request)
        offered = offer(request)
        ignored = received.ignored + _without_effect(request)
        self._refuse_ignored(received.ignored, offered.unavailable)
        ids = Ids.of_chain(request.previous_response_id, self._now)
        history = await self._history(request.previous_response_id, caller)
        said = await self._said(request, history, caller=caller, ids=ids)
        if deployment.fetch_images:  # kept as they were fetched: a URL may be dead when the chain goes on
            said = await self._with_images(said)
        items = transcript([*history.items, *(each.item for each in said)])
        if not items and request.instructions is None:
            raise invalid_request(
                "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
                param="input",
                code="missing_required_parameter",
            )
        if deployment.fetch_images:
            items = await with_fetched_images(items, self._outbound)
        response = opened(request, id=ids.new("resp"), created_at=self._now(), model=deployment.model or name)
        return Prepared(
            task=Task(
                response=response,
                turn=_turn(request, offered, model=name, items=items, outputs=history.outputs),
                backend=deployment.backend,
                allowed=offered.allowed,
                raw_thoughts=deployment.raw_thoughts,
            ),
            caller=caller,
            ids=ids,
            inputs=[_row(each, received.extras) for each in said],
            ignored=ignored,
            unavailable=offered.unavailable,
        )

    async def perform(self, prepared: Prepared, emit: Emit) -> Response:
        """Run it, keep what came of it before its end is told, and return it final. Raises what `engine.run` raises."""

        async def keep(response: Response, outputs: Mapping[str, str]) -> None:
            if response.store:
                await self._save(prepared, response, outputs)

        if prepared.ignored or prepared.unavailable:
            log.warning(
                "parts of a request had no effect",
                extra={
                    "action": "request_without_effect",
                    "response": prepared.task.response.id,
                    "ignored": ascii(prepared.ignored)[:1000],
                    "unavailable": prepared.unavailable,
                },
            )
        response = await engine.run(prepared.task, new_id=prepared.ids.new, now=self._now, emit=emit, keep=keep)
        log.info(
            "response finished",
            extra={"action": "response_finished", "response": response.id, "status": response.status},
        )
        return response

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
        if rows is None:
            raise previous_response_not_found(previous_id)
        outputs = {row.id: row.output for row in rows if row.output is not None}
        return History(_items(rows), outputs)

    async def _said(self, request: CreateResponse, history: History, *, caller: Caller, ids: Ids) -> list[Said]:
        """What the request adds, every item with an id and every reference resolved."""
        known = {item.id for item in history.items}
        wanted = [item.id for item in request.input if isinstance(item, ItemReference) and item.id not in known]
        rows = await self._store.find_items(wanted, tenant=caller.tenant) if wanted else {}
        kept = {item.id: item for item in _items(list(rows.values()))}
        said = [item if item.id else replace(item, id=ids.new(PREFIXES[type(item)])) for item in request.input]
        return added(history.items, said, kept)

    async def _with_images(self, said: list[Said]) -> list[Said]:
        items = await with_fetched_images([each.item for each in said], self._outbound)
        return [Said(each.position, item) for each, item in zip(said, items, strict=True)]

    async def _save(self, prepared: Prepared, response: Response, outputs: Mapping[str, str]) -> None:
        row = ResponseRow(
            id=response.id,
            tenant=prepared.caller.tenant,
            status=response.status,
            model=response.model,
            created_at=response.created_at,
            expires_at=response.created_at + self._policy.retention_days * DAY_SECONDS,
            response=_encode(response),
            previous_id=response.previous_response_id,
        )
        made = [ItemRow(id=item.id, json=_encode(item), output=outputs.get(item.id)) for item in response.output]
        await self._store.save(row, inputs=prepared.inputs, outputs=made)


class History(Struct, frozen=True):
    """The items of a chain, oldest first, and what the model reads of its hosted calls, by item id."""

    items: list[Item]
    outputs: dict[str, str]


_encode = msgspec.json.Encoder().encode
_decode_items = msgspec.json.Decoder(list[Item]).decode


def _items(rows: list[ItemRow]) -> list[Item]:
    return _decode_items(b"[" + b",".join([row.json for row in rows]) + b"]")


def _row(said: Said, extras: list[dict[str, Json]]) -> ItemRow:
    """An item as it is kept: as it was read, without secrets, with the keys that only the caller understands."""
    item, extra = without_secrets(said.item), without_secret_keys(extras[said.position])
    return ItemRow(id=item.id, json=_encode({**extra, **to_builtins(item)}) if extra else _encode(item))


def _turn(request: CreateResponse, offered: Offer, *, model: str, items: list[Item], outputs: dict[str, str]) -> Turn:
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
    )


def _refuse_what_is_missing(request: CreateResponse) -> None:
    """Refuse what cannot be left out without changing what the request means."""
    if request.background:
        raise unsupported_parameter("background")
    if request.conversation is not None:
        conversation = request.conversation
        raise conversation_not_found(conversation if isinstance(conversation, str) else conversation.id)
    for item in request.input:
        _refuse_files(item)
    if request.prompt is not None:
        raise prompt_not_found(request.prompt.id)


def _refuse_files(item: Item) -> None:
    """Refuse parts that name an uploaded file: none was ever uploaded to this server."""
    match item:
        case Message(content=parts) | FunctionCallOutput(output=list() as parts):
            for part in parts:
                if isinstance(part, InputImage | InputFile) and isinstance(part.file_id, str):
                    raise file_not_found(part.file_id)
        case _:
            pass


def _without_effect(request: CreateResponse) -> list[str]:
    """The parameters that were understood and have no effect here; hints that are only echoed are none of them."""
    return [
        name
        for name, is_asked in (
            ("context_management", request.context_management is not None),
            ("generate", request.generate is False),
            ("include[reasoning.encrypted_content]", "reasoning.encrypted_content" in request.include),
            ("moderation", request.moderation is not None),
            ("stream_id", request.stream_id is not None),
            ("truncation", request.truncation == "auto"),
            ("input[additional_tools]", any(isinstance(item, AdditionalTools) for item in request.input)),
            ("input[configuration_update]", any(isinstance(item, ConfigurationUpdate) for item in request.input)),
            ("input[tool_search_output]", any(isinstance(item, ToolSearchOutput) for item in request.input)),
        )
        if is_asked
    ]
