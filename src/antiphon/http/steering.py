"""Steering: what users say into responses that are being made, until a successor has taken it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct
from msgspec.structs import replace

from antiphon.engine.reins import Reins
from antiphon.http.apart import read_apart
from antiphon.ids import random_hex
from antiphon.protocol import frames
from antiphon.protocol.calls import (
    ApplyPatchCall,
    LocalShellCall,
    McpApprovalRequest,
    ShellCall,
    ToolSearchCall,
)
from antiphon.protocol.computer import ComputerCall
from antiphon.protocol.errors import shown
from antiphon.protocol.frames import InvalidSteer, RequiredInput, SteerFrame, SteerRef, Unsteered, read_steered
from antiphon.protocol.items import CustomToolCall, FunctionCall
from antiphon.protocol.reading import Received

if TYPE_CHECKING:
    from antiphon.http.memory import Memory
    from antiphon.protocol.frames import ServerFrame, SteerCode
    from antiphon.protocol.items import OutputItem
    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.response import Response

MOST_STEERS = 8
WORDS: dict[SteerCode, str] = {
    "response_not_found": "Response with id '{id}' not found on this connection.",
    "steering_not_supported": "Response '{id}' cannot be steered: it generates nothing, or its context is managed.",
    "too_many_pending_steers": "Too much waits for response '{id}' already. Send this with the next response.create.",
    "response_already_completed": "Response '{id}' has ended. Send this with the next response.create.",
    "response_not_active": "Response '{id}' is not the last of its stream any more.",
    "successor_creation_failed": "The response after '{id}' could not be made.",
}


class Steer(Struct, frozen=True):
    """What a user said into a response: its id, the frame as it was sent, and the messages of it."""

    id: str
    frame: SteerFrame
    said: Received

    @property
    def size(self) -> int:
        """The bytes of what was said."""
        return len(memoryview(self.frame.input))

    @property
    def ref(self) -> SteerRef:
        """How it is named to the client."""
        return SteerRef(id=self.id, previous_response_id=self.frame.previous_response_id)


class Run:
    """A response in flight: its lane, the settings that a successor inherits, its reins, and what waits for its end.

    ``emissions`` counts how often something was told of it.
    """

    def __init__(self, id: str, lane: str | None, request: CreateResponse) -> None:
        self.id = id
        self.lane = lane
        self.reins = Reins()
        self.emissions = 0
        self._heard = 0
        self.steers: list[Steer] = []
        self._settings = replace(request, input=[], generate=None)
        self.can_be_steered = (
            request.conversation is None and request.context_management is None and request.generate is not False
        )

    def is_silent(self) -> bool:
        """Whether nothing was told since this was asked before."""
        heard, self._heard = self._heard, self.emissions
        return heard == self.emissions

    def successor(self) -> Received:
        """The request that goes on with what was said."""
        return with_steers(Received(request=self._successive(), ignored=[], extras=[]), self.steers)

    def _successive(self) -> CreateResponse:
        return replace(self._settings, previous_response_id=self.id)


class Steering:
    """What waits on one connection, as far as there is room in its memory. ``sequence_number`` counts what is told."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._numbers = 0
        self._runs: dict[str, Run] = {}
        self._pending: dict[str, Run] = {}

    def begin(self, run: Run) -> None:
        """A response is in flight, and can be steered from now on."""
        self._runs[run.id] = run

    def end(self, run: Run) -> None:
        """It has ended: nothing can be said into it any more."""
        del self._runs[run.id]

    def silent(self) -> list[Run]:
        """The responses in flight of which nothing was told since this was asked before."""
        return [run for run in self._runs.values() if run.is_silent()]

    async def take(self, frame: SteerFrame) -> ServerFrame:
        """Take a steer, or refuse it; give what the client is told. The run is not steered yet: see `pull`."""
        id = frame.previous_response_id
        run = self._runs.get(id)
        if run is None:
            has_ended = self._memory.has_ended(id)
            return self.failed(frame, "response_already_completed" if has_ended else "response_not_found")
        size = len(memoryview(frame.input))
        try:
            said = await read_apart(read_steered, frame, size=size)
        except InvalidSteer as fault:
            return self.failed(frame, "invalid_input", str(fault), lane=run.lane)
        if id not in self._runs:  # meanwhile
            return self.failed(frame, "response_already_completed", lane=run.lane)
        if not run.can_be_steered:
            return self.failed(frame, "steering_not_supported", lane=run.lane)
        if len(run.steers) == MOST_STEERS or not self._memory.hold(size):
            return self.failed(frame, "too_many_pending_steers", lane=run.lane)
        steer = Steer(f"steer_{random_hex(12)}", frame, said)
        run.steers.append(steer)
        return frames.SteerAccepted(sequence_number=self.number(), steer=steer.ref, stream_id=run.lane or UNSET)

    def pull(self, id: str) -> None:
        """End a response that has been steered, as soon as its model says anything."""
        run = self._runs.get(id)
        if run is not None and run.steers:
            run.reins.steer()

    def wait(self, run: Run, stubs: list[RequiredInput]) -> list[ServerFrame]:
        """A steered response waits for outputs of the client's, and its steers with it."""
        self._pending[run.id] = run
        return [
            frames.SteerPending(
                sequence_number=self.number(), steer=steer.ref, required_input=stubs, stream_id=run.lane or UNSET
            )
            for steer in run.steers
        ]

    def waiting(self, id: str | None, lane: str | None) -> list[Steer]:
        """What waits for the request that goes on from a response, on the lane of that response."""
        run = self._pending.get(id or "")
        return run.steers if run is not None and run.lane == lane else []

    def commit(self, id: str | None, steers: list[Steer]) -> None:
        """What was said is part of a response that has begun."""
        if steers:
            self._pending.pop(id or "", None)
            self._memory.let_go(sum(steer.size for steer in steers))

    def give_up_waiting(self, id: str | None, lane: str | None) -> list[ServerFrame]:
        """What waited with a response that nobody goes on from goes back to the client."""
        return self.give_up(self.waiting(id, lane), "response_not_active", lane)

    def give_up(self, steers: list[Steer], code: SteerCode, lane: str | None) -> list[ServerFrame]:
        """What was said is part of nothing, and goes back to the client."""
        for steer in steers:
            self._pending.pop(steer.frame.previous_response_id, None)
            self._memory.let_go(steer.size)
        return [self.failed(steer.frame, code, id=steer.id, lane=lane) for steer in steers]

    def failed(
        self, frame: SteerFrame, code: SteerCode, message: str = "", *, id: str = "", lane: str | None = None
    ) -> ServerFrame:
        """Tell that a steer does not count."""
        target = frame.previous_response_id
        words = message or WORDS[code].format(id=shown(target))
        return frames.SteerFailed(
            sequence_number=self.number(),
            error=frames.SteerError(code=code, message=words),
            steer=Unsteered(input=frame.input, previous_response_id=target, id=id or UNSET),
            stream_id=lane or UNSET,
        )

    def number(self) -> int:
        """The number of the next frame that is no event of a response."""
        self._numbers += 1
        return self._numbers - 1


def with_steers(received: Received, steers: list[Steer]) -> Received:
    """A request with what was said before its own input."""
    said = [item for steer in steers for item in steer.said.request.input]
    extras = [extra for steer in steers for extra in steer.said.extras]
    request = replace(received.request, input=[*said, *received.request.input])
    return Received(request=request, ignored=received.ignored, extras=[*extras, *received.extras])


def required(response: Response) -> list[RequiredInput]:
    """What a response waits for: an output for each whole call of the client's, a decision for each request of ours."""
    return [stub for item in response.output if (stub := _stub(item)) is not None]


def _stub(item: OutputItem) -> RequiredInput | None:
    match item:
        case FunctionCall(status="completed"):
            return RequiredInput(type="function_call_output", call_id=item.call_id, name=item.name)
        case CustomToolCall(status="completed"):
            return RequiredInput(type="custom_tool_call_output", call_id=item.call_id)
        case ComputerCall(status="completed") | ShellCall(status="completed") | ApplyPatchCall(status="completed"):
            kind = str(item.__struct_config__.tag)
            return RequiredInput(type=f"{kind}_output", call_id=item.call_id)
        case LocalShellCall(status="completed"):
            return RequiredInput(type="local_shell_call_output", call_id=item.call_id)
        case ToolSearchCall(status="completed", execution="client"):
            return RequiredInput(type="tool_search_output", call_id=item.call_id or UNSET, execution="client")
        case McpApprovalRequest():
            return RequiredInput(type="mcp_approval_response", approval_request_id=item.id)
        case _:
            return None
