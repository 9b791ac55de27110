"""A program that saves turns until it is killed, and prints the id of each one when it was acknowledged."""

from __future__ import annotations

import sys

import anyio

from antiphon.store import ItemRow, ResponseRow
from antiphon.store.sqlite import connect
from antiphon.store.store import Store

WRITERS = 4


async def save_for_ever(store: Store, name: str) -> None:
    """Save one chain, turn after turn."""
    previous: str | None = None
    number = 0
    while True:
        number += 1
        row = ResponseRow(
            id=f"{name}-{number}",
            tenant="a",
            status="completed",
            model="scripted",
            created_at=0,
            expires_at=1000,
            response=b"{}" * 500,
            previous_id=previous,
        )
        await store.save(row, inputs=[ItemRow(id=f"{row.id}.in", json=b"{}")], outputs=[])
        sys.stdout.write(f"{row.id}\n")
        sys.stdout.flush()
        previous = row.id


async def main(url: str, name: str) -> None:
    """Save several chains at once."""
    store = Store(await connect(url))
    async with anyio.create_task_group() as group:
        for writer in range(WRITERS):
            group.start_soon(save_for_ever, store, f"{name}-{writer}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
