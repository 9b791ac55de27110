"""Two nodes and the official client: what one of them began is read on and cancelled at the other."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from openai import APIError, AsyncOpenAI

from tests.chaos.fleet import fleet
from tests.chaos.stage import LONG, calling, config
from tests.patient import STORY_SECONDS
from tests.servers import through

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from openai.types.responses import ResponseStreamEvent

    from tests.chaos.fleet import Fleet, Node
    from tests.servers import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture(params=["listen", "poll"])
def nodes(request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Fleet]:
    """Two servers on PostgreSQL: they hear each other, or look by themselves, as behind a pooler."""
    url = postgres_server.url
    if request.param == "poll":
        url = through(request.getfixturevalue("pgbouncer_port"), url)
    text = config(
        url, store=f'waker = "{request.param}"', turns=LONG, words=15, pace=50, background="lease_seconds = 1"
    )
    with fleet("serve", "serve", config=text, folder=tmp_path) as made:
        yield made


@asynccontextmanager
async def clients(nodes: Fleet) -> AsyncGenerator[tuple[AsyncOpenAI, AsyncOpenAI]]:
    """A client of each node, once both answer."""
    async with asyncio.timeout(STORY_SECONDS):
        async with calling(nodes, Random(0)):  # noqa: S311 - it chooses a node
            pass
        one, two = (AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) for url in nodes.urls)
        async with one, two:
            yield one, two


async def test_a_stream_goes_on_at_another_node(nodes: Fleet) -> None:
    """A node dies while it streams a run that it perhaps performs: the other one tells the rest, without a gap."""
    async with clients(nodes) as (one, two):
        heard = await read_until_it_dies(one, nodes.nodes[0])
        assert heard[0].type == "response.created"
        id, last = heard[0].response.id, heard[-1].sequence_number
        rest = [event async for event in await two.responses.retrieve(id, stream=True, starting_after=last)]
        numbers = [event.sequence_number for event in [*heard, *rest]]
        assert list(range(len(numbers))) == numbers
        assert rest[-1].type == "response.completed"
        assert rest[-1].response == await two.responses.retrieve(id)


async def read_until_it_dies(client: AsyncOpenAI, node: Node) -> list[ResponseStreamEvent]:
    """Ask a node for a run, and kill it once it tells of it; what it told until then."""
    heard: list[ResponseStreamEvent] = []
    stream = await client.responses.create(model="chaos", input="do it", background=True, stream=True)
    with suppress(httpx.HTTPError, APIError):
        async for event in stream:
            heard.append(event)
            if len(heard) == 8:
                node.send(signal.SIGKILL)
    return heard


async def test_a_run_is_cancelled_at_another_node_once(nodes: Fleet) -> None:
    """To cancel again changes nothing, wherever it is asked; whoever reads the run hears that it is over."""
    async with clients(nodes) as (one, two):
        stream = await one.responses.create(model="chaos", input="slow", background=True, stream=True)
        created = await anext(aiter(stream))
        assert created.type == "response.created"
        first = await two.responses.cancel(created.response.id)
        assert first.status == "cancelled"
        assert first == await two.responses.cancel(created.response.id)
        assert first == await one.responses.cancel(created.response.id)
        events = [event async for event in stream]
        assert events[-1].type == "response.failed"
        assert events[-1].response == first
