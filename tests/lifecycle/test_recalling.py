"""What requests go on from: kept items and what only the model reads of them, and what a conversation is held for."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any  # JSON

import anyio
import pytest

from antiphon.backends import UpstreamError
from antiphon.core.turn import Thinking
from antiphon.lifecycle import DAY_SECONDS, Asker, Caller, History, Policy, encode
from antiphon.lifecycle.conversing import Conversing
from antiphon.lifecycle.lifecycle import Lifecycle
from antiphon.lifecycle.tokens import Tokens
from antiphon.protocol.content import InputText
from antiphon.protocol.conversations import Brought
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message, ReasoningItem
from antiphon.protocol.reading import read_request
from antiphon.protocol.response import InputTransformation
from antiphon.sealing import Seal
from antiphon.store.conversations import Conversations
from tests.lifecycle.stories import Scribe
from tests.patient import HANG_SECONDS
from tests.playing import NOW
from tests.working import CALLER, Process, working

if TYPE_CHECKING:
    from antiphon.lifecycle import Prepared
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.response import Response
    from antiphon.store import Database

pytestmark = pytest.mark.anyio

THINKS = {"steps": [{"thought": "Hm, hm."}, {"keepsake": {"form": "signature", "token": "sig"}}, {"text": "So."}]}
LOST = {"when": "break", "steps": [{"text": "So"}, {"fail": {"fault": "server_error"}}]}
SEALED = ["reasoning.encrypted_content"]


class Place:
    """A process with a model that thinks, and what its clients do."""

    def __init__(self, database: Database) -> None:
        self.scribe = Scribe(LOST, THINKS)
        self.process = Process(database, self.scribe)
        self.lifecycle = Lifecycle(
            self.process.preparing, self.process.store, self.process.shelves.keeping, self.process.book
        )
        shelf = self.process.shelves.keeping.shelf
        tokens = Tokens(Seal(["secret"]), Policy(), now=lambda: NOW)
        self.conversing = Conversing(Conversations(database), self.process.store, shelf, tokens=tokens, now=lambda: NOW)

    async def conversation(self, *items: Any) -> str:  # items
        """A conversation with these items in it."""
        brought = Brought(items=[*items], extras=[{} for _ in items], ignored=[])
        return (await self.conversing.create(brought, CALLER)).id

    async def prepare(
        self,
        *,
        caller: Caller = CALLER,
        memory: dict[str, History] | None = None,
        **body: Any,  # JSON
    ) -> Prepared:
        """Prepare a request."""
        whole = {"model": "m", "input": "Well?", **body}
        asker = Asker(caller, memory=memory)
        return await self.process.preparing.prepare(read_request(json.dumps(whole).encode()), asker)

    async def make(self, **body: Any) -> Response:  # JSON
        """Make a response."""

        async def emit(events: list[StreamEvent]) -> None:
            """Nobody listens."""

        return await self.lifecycle.perform(await self.prepare(**body), emit)

    async def is_free(self, conversation: str) -> bool:
        """Whether nobody holds a conversation."""
        try:
            prepared = await self.prepare(conversation=conversation)
        except ApiError as error:
            if error.code != "conversation_locked":
                raise
            return False
        await prepared.held.aclose()
        return True


@pytest.fixture
def place(database: Database) -> Place:
    """The process."""
    return Place(database)


def thought_of(response: Response) -> str:
    """The id of its reasoning item."""
    (item,) = [each for each in response.output if isinstance(each, ReasoningItem)]
    return item.id


SAID = {"type": "message", "role": "assistant", "content": "So."}


def sealed(token: str, id: str = "rs_1") -> dict[str, Any]:  # JSON
    """A reasoning item as clients send it back."""
    return {"type": "reasoning", "id": id, "summary": [], "encrypted_content": token}


KEPT = Thinking(text="Hm, hm.", form="signature", token="sig", model="m")


async def test_what_was_thought_is_kept_with_its_response_and_nowhere_in_it(place: Place) -> None:
    """The next response is given it, the client never."""
    first = await place.make()
    prepared = await place.prepare(previous_response_id=first.id)
    assert {thought_of(first): KEPT} == prepared.context.thoughts
    assert {} == prepared.task.turn.thoughts  # of a turn that is over
    again = await place.prepare(previous_response_id=first.id, reasoning={"context": "all_turns"})
    assert {thought_of(first): KEPT} == again.task.turn.thoughts
    found = await place.process.background.find(first.id, CALLER)
    assert b"Hm" not in found.response


async def test_references_bring_thoughts_along(place: Place) -> None:
    """From any response of the same tenant."""
    first = await place.make()
    references = [{"type": "item_reference", "id": item.id} for item in first.output]
    prepared = await place.prepare(input=references)
    assert {thought_of(first): KEPT} == prepared.task.turn.thoughts
    second = await place.make(input=references)
    later = await place.prepare(previous_response_id=second.id, reasoning={"context": "all_turns"})
    assert later.task.turn.thoughts[thought_of(first)] == KEPT
    with pytest.raises(ApiError):
        await place.prepare(input=references, caller=Caller("another"))


async def test_a_connection_remembers_thoughts_of_what_is_not_stored(place: Place) -> None:
    """And nobody else does."""
    remembered: dict[str, History] = {}

    async def emit(events: list[StreamEvent]) -> None:
        """Nobody listens."""

    prepared = await place.prepare(store=False)
    first = await place.lifecycle.perform(
        prepared, emit, remember=lambda response, history: remembered.update({response.id: history})
    )
    prepared = await place.prepare(
        previous_response_id=first.id, memory=remembered, input=[], instructions="Go on.", store=False
    )
    assert {thought_of(first): KEPT} == prepared.task.turn.thoughts
    with pytest.raises(ApiError, match="not found"):
        await place.prepare(previous_response_id=first.id)


async def test_a_sealed_thought_is_opened_and_counts_less_than_a_kept_one(place: Place) -> None:
    """A plain item shows what it shows; one of which nothing is known is left as it is."""
    first = await place.make(include=SEALED)
    (item,) = [each for each in first.output if isinstance(each, ReasoningItem)]
    assert isinstance(item.encrypted_content, str)
    sent = {"type": "reasoning", "id": "rs_own", "summary": [], "encrypted_content": item.encrypted_content}
    plain = {
        "type": "reasoning",
        "id": "rs_plain",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Ho."}],
    }
    empty = {"type": "reasoning", "id": "rs_empty", "summary": []}
    said = {"type": "message", "role": "assistant", "content": "So."}
    prepared = await place.prepare(input=[sent, plain, empty, said])
    assert {"rs_own": KEPT, "rs_plain": Thinking(text="Ho.", model="m")} == prepared.task.turn.thoughts
    nameless = await place.prepare(input=[{key: value for key, value in sent.items() if key != "id"}, said])
    assert [KEPT] == list(nameless.task.turn.thoughts.values())


async def test_a_token_that_holds_no_thought_is_refused(place: Place) -> None:
    """Though it was sealed here, for this tenant, as a thought."""
    token = Tokens(Seal(["secret"]), Policy(), now=lambda: NOW).seal("thought", b"[]", CALLER.tenant)
    with pytest.raises(ApiError) as caught:
        await place.prepare(input=[sealed(token), SAID])
    assert "invalid_encrypted_content" == caught.value.code


async def test_what_another_model_thought_is_left_out_and_named(place: Place) -> None:
    """Whether it was sent or is kept; of what is kept, only what would have been in sight."""
    token = Tokens(Seal(["secret"]), Policy(), now=lambda: NOW).seal(
        "thought", b'{"text":"Ha.","model":"other"}', CALLER.tenant
    )
    sent = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": token}
    user, said = {"role": "user", "content": "Hi."}, {"role": "assistant", "content": "So."}
    named = [InputTransformation(id="rs_1", reason="model_mismatch")]
    first = await place.prepare(input=[user, sent, said])
    assert (named, {}) == (first.task.response.input_transformations, first.task.turn.thoughts)
    made = await place.make(input=[user, sent, said])
    going_on = await place.prepare(previous_response_id=made.id, input=[], instructions="Go on.")
    assert named == going_on.task.response.input_transformations
    assert {thought_of(made)} == set(going_on.task.turn.thoughts)
    later = await place.prepare(previous_response_id=made.id)
    assert not later.task.response.input_transformations
    every = await place.prepare(previous_response_id=made.id, reasoning={"context": "all_turns"})
    assert named == every.task.response.input_transformations


async def test_a_conversation_gives_back_what_was_added_to_it_sealed(place: Place) -> None:
    """What cannot be opened is not added."""
    tokens = Tokens(Seal(["secret"]), Policy(), now=lambda: NOW)
    token, foreign = (tokens.seal("thought", b'{"text":"Ha.","model":"m"}', tenant) for tenant in (CALLER.tenant, "b"))
    said = Message(id="msg_1", role="assistant", content=[InputText(text="So.")])
    conversation = await place.conversation(ReasoningItem(id="rs_1", summary=[], encrypted_content=token), said)
    prepared = await place.prepare(conversation=conversation, input=[], instructions="Go on.")
    assert {"rs_1": Thinking(text="Ha.", model="m")} == prepared.task.turn.thoughts
    await prepared.held.aclose()
    with pytest.raises(ApiError) as caught:
        await place.conversation(ReasoningItem(id="rs_2", summary=[], encrypted_content=foreign), said)
    assert "invalid_encrypted_content" == caught.value.code


async def test_a_summary_that_is_sent_is_looked_at_before_anything_is_done(place: Place) -> None:
    """One that is too old is refused as a thought would be, and names its item."""
    old = Tokens(Seal(["secret"]), Policy(), now=lambda: NOW - 31 * DAY_SECONDS)
    summary = old.seal("summary", b'{"version":1,"summary":{"text":"All."}}', CALLER.tenant)
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": summary}
    with pytest.raises(ApiError, match="cmp_1"):
        await place.prepare(input=[item, {"role": "user", "content": "Well?"}])


# Who holds a conversation lets it go


async def test_a_conversation_is_held_from_preparation_to_the_end(place: Place) -> None:
    """And free afterwards, with what was said in it."""
    conversation = await place.conversation()
    prepared = await place.prepare(conversation=conversation)
    assert not await place.is_free(conversation)

    async def emit(events: list[StreamEvent]) -> None:
        """Nobody listens."""

    await place.lifecycle.perform(prepared, emit)
    assert await place.is_free(conversation)


@pytest.mark.parametrize(
    "fault",
    [
        {"input": [{"type": "item_reference", "id": "msg_nowhere"}]},
        {"input": [sealed("no"), SAID]},
        {"input": [{"type": "function_call_output", "call_id": "call_nobody", "output": "1"}]},
        {"tools": [], "tool_choice": "required"},
        {"tool_choice": {"type": "function", "name": "nobody"}},
        {"input": []},
    ],
    ids=["reference", "token", "output", "choice", "name", "nothing"],
)
async def test_what_is_refused_holds_nothing(place: Place, fault: dict[str, Any]) -> None:
    """Whatever is wrong, and however late that is seen."""
    conversation = await place.conversation()
    with pytest.raises(ApiError):
        await place.prepare(conversation=conversation, **fault)
    assert await place.is_free(conversation)


async def test_who_leaves_what_was_prepared_lets_go(place: Place) -> None:
    """As a client that leaves before its run begins."""
    conversation = await place.conversation()
    async with (await place.prepare(conversation=conversation)).held:
        assert not await place.is_free(conversation)
    assert await place.is_free(conversation)


async def test_a_survey_holds_nothing(place: Place) -> None:
    """It only counts."""
    conversation = await place.conversation()
    body = {"model": "m", "input": "Well?", "conversation": conversation}
    survey = await place.process.preparing.survey(read_request(json.dumps(body).encode()), Asker(CALLER))
    assert survey.hold is None
    assert await place.is_free(conversation)


async def test_a_response_that_is_not_stored_lets_go(place: Place) -> None:
    """Nothing is kept of it, in the conversation neither."""
    conversation = await place.conversation()
    await place.make(conversation=conversation, store=False)
    assert await place.is_free(conversation)
    assert [] == await place.conversing.history(conversation, CALLER)


async def test_a_run_that_fails_or_is_cancelled_lets_go(place: Place) -> None:
    """In its midst; before the model was heard; and before it began."""
    conversation = await place.conversation()
    await place.make(conversation=conversation, input="break")
    assert await place.is_free(conversation)

    async def deaf(events: list[StreamEvent]) -> None:
        raise UpstreamError("server_error", "No.")

    with pytest.raises((UpstreamError, ApiError)):
        await place.lifecycle.perform(await place.prepare(conversation=conversation, model="nobody"), deaf)
    assert await place.is_free(conversation)
    prepared = await place.prepare(conversation=conversation)
    told = anyio.Event()

    async def slow(events: list[StreamEvent]) -> None:
        if not told.is_set():
            told.set()
            await anyio.sleep_forever()

    with anyio.fail_after(HANG_SECONDS):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(place.lifecycle.perform(prepared, slow))
            await told.wait()
            task.cancel()
    assert await place.is_free(conversation)


async def test_a_background_run_keeps_what_was_thought(place: Place) -> None:
    """Through its log; its conversation is held by its job until it ends."""
    conversation = await place.conversation()
    queued = await place.process.background.enqueue(await place.prepare(conversation=conversation, background=True))
    assert not await place.is_free(conversation)
    async with working(place.process):
        with anyio.fail_after(HANG_SECONDS):
            response = await place.process.ended(queued)
    assert ["reasoning", "message"] == [str(item.__struct_config__.tag) for item in response.output]
    prepared = await place.prepare(conversation=conversation, reasoning={"context": "all_turns"})
    assert {thought_of(response): KEPT} == prepared.task.turn.thoughts
    assert all(b"Hm" not in encode(event) for event in await place.process.events(queued))
    await prepared.held.aclose()


async def test_a_background_run_is_given_what_its_input_brought(place: Place) -> None:
    """Its job is begun by a process that has the rows alone."""
    first = await place.make(include=SEALED)
    (item,) = [each for each in first.output if isinstance(each, ReasoningItem)]
    sent = sealed(item.encrypted_content or "", "rs_own")
    said = {"type": "message", "role": "assistant", "content": "So."}
    queued = await place.process.background.enqueue(await place.prepare(input=[sent, said], background=True))
    async with working(place.process):
        with anyio.fail_after(HANG_SECONDS):
            await place.process.ended(queued)
    assert {"rs_own": KEPT} == place.scribe.turns[-1].thoughts
