"""A crowd: tenants that ask in every way at a steady pace, whatever is answered, and every answer that they got."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any  # JSON

import aiohttp
import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

WAYS = ("json", "unstored", "stream", "background")
END = b"response.completed"
PATIENCE = 60.0
POLL_SECONDS = 0.2


class Tenant(Struct, frozen=True):
    """Who asks: by which key, and how many times a second."""

    name: str
    key: str
    rate: float


class Turn(Struct, frozen=True):
    """Who asks, in which way, and how many seconds after the beginning."""

    at: float
    tenant: Tenant
    way: str


class Heard(Struct, frozen=True):
    """An answer: after how many seconds it was whole, and what it was.

    ``status`` is 0 where there was none, or no whole one. ``waits``: it told when to come again.
    """

    turn: Turn
    seconds: float
    status: int
    waits: bool = False


def steady(tenants: Sequence[Tenant], seconds: float) -> list[Turn]:
    """Each tenant asks at its own steady pace, in one way after the other."""
    turns = [
        Turn(number / tenant.rate, tenant, WAYS[number % len(WAYS)])
        for tenant in tenants
        for number in range(round(seconds * tenant.rate))
    ]
    return sorted(turns, key=lambda turn: turn.at)


async def crowd(address: str, turns: Sequence[Turn]) -> list[Heard]:
    """Let them ask, each at its time: a slow answer delays no other request; give all answers."""
    heard: list[Heard] = []
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(
            address, timeout=timeout, connector=aiohttp.TCPConnector(limit=0), json_serialize=_text
        ) as session,
        asyncio.TaskGroup() as group,
    ):
        began = time.perf_counter()
        for turn in turns:
            await asyncio.sleep(max(0.0, began + turn.at - time.perf_counter()))
            group.create_task(_ask(session, turn, heard))
    return heard


async def _ask(session: aiohttp.ClientSession, turn: Turn, heard: list[Heard]) -> None:
    way = turn.way
    asked = time.perf_counter()
    body: dict[str, Any] = {"model": "m", "input": "hello", "max_output_tokens": 64}
    body |= {"unstored": {"store": False}, "stream": {"stream": True}, "background": {"background": True}}.get(way, {})
    headers = {"authorization": f"Bearer {turn.tenant.key}"}
    status, waits = 0, False
    try:
        async with session.post("/v1/responses", json=body, headers=headers) as answer:
            content = await answer.read()
            waits = "retry-after-ms" in answer.headers
            status = answer.status if answer.status != 200 or way != "stream" or END in content else 0
        seconds = time.perf_counter() - asked
        if way == "background" and status == 200:
            status = await _ended(session, msgspec.json.decode(content)["id"], headers)
    except (aiohttp.ClientError, TimeoutError):
        seconds, status = time.perf_counter() - asked, 0
    heard.append(Heard(turn, seconds, status, waits))


async def _ended(session: aiohttp.ClientSession, id: str, headers: dict[str, str]) -> int:
    """Poll a background run until it is over: 200 where it is complete, else 0."""
    until = time.perf_counter() + PATIENCE
    while time.perf_counter() < until:
        async with session.get(f"/v1/responses/{id}", headers=headers) as answer:
            status = msgspec.json.decode(await answer.read()).get("status")
        if status not in {"queued", "in_progress"}:
            return 200 if status == "completed" else 0
        await asyncio.sleep(POLL_SECONDS)
    return 0


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
