"""Allowance: a tenant keeps as much as it may, whatever comes at the same time, and what it may not leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.lifecycle import Caller
from antiphon.lifecycle.allowance import Allowance
from antiphon.lifecycle.filing import Asked, Filing
from antiphon.lifecycle.limiting import Rule
from antiphon.lifecycle.uploading import Uploading
from antiphon.protocol.errors import ApiError
from antiphon.protocol.files import CreateUpload
from antiphon.store.blobs import MIB
from tests.filing import OWNER, SMALL, STRANGER, Cabinet, cabinet
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from antiphon.store.files import FileRow

pytestmark = pytest.mark.anyio

NOTE = Asked("a.txt", "user_data")


@pytest.fixture
async def made() -> AsyncIterator[Cabinet]:
    """A cabinet in which each tenant keeps one MiB, and the stranger two."""
    async with cabinet() as empty:
        rules = [Rule(storage_mib=1), Rule(tenant=STRANGER.tenant, storage_mib=2)]
        allowance = Allowance(rules, empty.files.bytes_kept)
        empty.filing = Filing(empty.files, empty.blobs, empty.erasing, terms=SMALL, now=empty.time, allowance=allowance)
        empty.uploading = Uploading(empty.uploads, empty.filing, empty.blobs, empty.erasing, now=empty.time)
        yield empty


async def chunks(size: int, *, gate: anyio.Event | None = None) -> AsyncGenerator[bytes, None]:
    """So many bytes, in pieces; with a gate the last of them wait there."""
    whole, rest = divmod(size, 65_536)
    for index in range(whole):
        if gate is not None and index == whole - 1:
            await gate.wait()
        yield b"x" * 65_536
    if rest:
        yield b"x" * rest


def announced(size: int) -> CreateUpload:
    """An upload of so many bytes."""
    return CreateUpload(filename="a", purpose="batch", bytes=size, mime_type="text/plain")


async def keep(made: Cabinet, size: int, caller: Caller = OWNER) -> FileRow:
    """Keep a file."""
    return await made.filing.receive(caller, chunks(size), asked=lambda: NOTE)


async def refused(made: Cabinet, size: int, caller: Caller = OWNER) -> ApiError:
    """Have a file refused."""
    with pytest.raises(ApiError) as error:
        await keep(made, size, caller)
    return error.value


async def test_a_tenant_keeps_as_much_as_it_may(made: Cabinet) -> None:
    """To the byte; another keeps its own, and what was deleted makes room."""
    first = await keep(made, MIB)
    assert (429, "insufficient_quota") == ((await refused(made, 1)).status, (await refused(made, 1)).code)
    await keep(made, 2 * MIB, STRANGER)
    await refused(made, 1, STRANGER)
    await made.filing.delete(first.id, OWNER)
    await keep(made, MIB)


async def test_what_is_too_much_is_refused_while_it_comes_and_leaves_nothing(made: Cabinet) -> None:
    """Neither a row nor a blob, nor a byte that would count."""
    await refused(made, MIB + 1)
    assert [] == await made.left()
    await keep(made, MIB)


async def test_what_comes_at_the_same_time_counts_together(made: Cabinet) -> None:
    """Of two files that fit one by one, one at most is kept where both do not."""
    gate = anyio.Event()
    kept: list[FileRow] = []

    async def send() -> None:
        try:
            kept.append(await made.filing.receive(OWNER, chunks(MIB * 3 // 4, gate=gate), asked=lambda: NOTE))
        except ApiError:
            return

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            gate.set()
    assert len(kept) <= 1
    await made.filing.allowance.check(OWNER, MIB - sum(row.size for row in kept))


async def test_parts_of_uploads_count_and_so_does_what_they_become(made: Cabinet) -> None:
    """An upload that cannot fit is not begun, and the parts count until they are a file, which counts as it is."""
    with pytest.raises(ApiError):
        await made.uploading.create(OWNER, announced(MIB + 1))
    begun = await made.uploading.create(OWNER, announced(MIB // 2))
    part = await made.uploading.add_part(begun.id, OWNER, chunks(MIB // 2))
    await refused(made, MIB // 2 + 1)
    with pytest.raises(ApiError):
        await made.uploading.add_part(begun.id, OWNER, chunks(MIB // 2 + 1))
    await made.uploading.complete(begun.id, OWNER, part_ids=[part.id], md5=None)
    assert MIB // 2 == await made.files.bytes_kept(OWNER.tenant)
    await keep(made, MIB // 2)
    await refused(made, 1)


async def test_without_a_rule_nothing_is_looked_up() -> None:
    """A tenant may keep anything."""

    async def unasked(_tenant: str) -> int:
        raise AssertionError("nobody needs to know")

    allowance = Allowance([Rule(concurrent=1)], unasked)
    await allowance.check(OWNER, 2**60)
    async with allowance.watching(OWNER) as watch:
        watch.count(2**60)
        await watch.confirm()
