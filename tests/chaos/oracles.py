"""What must be true of every response, whatever was killed while it ran."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.core.fold import fold
from antiphon.core.log import entries
from antiphon.protocol.calls import McpCall, WebSearchCall
from antiphon.protocol.events import Event, ItemAdded, ItemDone, Snapshot, StreamEvent
from antiphon.protocol.response import Response
from tests.chaos.clients import TERMINAL
from tests.chaos.tools import UNKNOWN
from tests.oracle import check_event, check_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.clients import Caller
    from tests.chaos.tools import Book


class Told(Struct, frozen=True):
    """One response as it is told at last: its JSON, and all its events in bytes."""

    json: bytes
    stream: bytes

    @property
    def response(self) -> Response:
        """The response."""
        return msgspec.json.decode(self.json, type=Response)


async def tell(caller: Caller, id: str) -> Told:
    """A response that is over, and the same from every node."""
    told: set[tuple[bytes, bytes]] = set()
    for url in caller.urls:
        _, body = await caller.ask("GET", f"/v1/responses/{id}", url=url)
        told.add((body, (await caller.reader(id=id).read(url=url)).stream))
    assert len(told) == 1, f"{id}: nodes differ"
    return Told(*told.pop())


def check_told(told: Told) -> None:
    """Hold one response against the protocol and against its own events."""
    check_response(told.json)
    events = _events(told.stream)
    assert list(range(len(events))) == [event.sequence_number for event in events]
    ends = [number for number, event in enumerate(events) if isinstance(event, Snapshot) and event.type in TERMINAL]
    assert [len(events) - 1] == ends, "there is one terminal event, and it is the last"
    added = [event for event in events if isinstance(event, ItemAdded)]
    finished = [event for event in events if isinstance(event, ItemDone)]
    output = told.response.output
    assert list(range(len(output))) == [event.output_index for event in added], "each index is added once, in order"
    assert list(range(len(output))) == sorted(event.output_index for event in finished), "and done once"
    assert [item.id for item in output] == [event.item.id for event in added]
    assert output == [event.item for event in sorted(finished, key=lambda event: event.output_index)]
    assert len(output) == len({item.id for item in output})
    folded = fold(events[:-1])
    assert folded is not None
    assert output == folded.output, "the items are the sum of the events before the last"
    assert told.response == fold(events)


def check_effects(book: Book, responses: Iterable[Response]) -> None:
    """No effect that must not happen twice did, and what these responses tell of did happen."""
    effects = Counter(book.read())
    for (tool, call), times in effects.items():
        assert tool != "count" or times == 1, f"{call} happened {times} times"
    for item in chain.from_iterable(response.output for response in responses):
        match item:
            case McpCall(status="completed"):
                assert effects["count", item.id] == 1, f"{item.id} did not happen"
            case McpCall(status="failed"):
                assert item.error == UNKNOWN
            case WebSearchCall(status="completed"):
                assert effects["look", item.id] >= 1, f"{item.id} did not happen"
            case _:
                pass


def check_all_told(book: Book, responses: Iterable[Response]) -> None:
    """What must not happen twice is told of in one of these responses, which are all that there are."""
    items = {item.id for item in chain.from_iterable(response.output for response in responses)}
    untold = {call for tool, call in book.read() if tool == "count"} - items
    assert not untold, f"{untold} happened, and nobody was told"


def _events(stream: bytes) -> list[StreamEvent]:
    bodies = [block.partition(b"\ndata: ")[2] for block in stream.split(b"\n\n")[:-1]]
    for body in bodies:
        check_event(body)
    read = entries((b"[%b]" % b",".join(bodies)).decode(), 0)
    return [event for event in read if isinstance(event, Event)]
