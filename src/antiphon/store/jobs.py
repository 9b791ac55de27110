"""Background jobs and their logs: claim, append, end, reclaim, read. All times are the database's own.

A job is held by one claim at a time, known by its epoch. Whoever holds it writes its log; a write under an older epoch,
or one that is not the next, writes nothing. A terminal state never changes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, convert
from msgspec.json import encode

from antiphon.core.log import Chunk
from antiphon.store import Final, Statement
from antiphon.store.approvals import Spending, spend
from antiphon.store.queries import queries
from antiphon.store.saving import finish, save
from antiphon.store.usage import Charge, charge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from antiphon.store import Database, Dialogue, ItemRow, Params, ResponseRow, Row

JobState = Literal["queued", "running", "ended"]

PAGE = 500
"""Rows of a log that are read at once: bounds what a slow reader makes the server hold."""

RECLAIMED = 100
"""Jobs that one transaction takes from processes that are gone."""

SWEPT_JOBS = 20
SWEPT_EVENTS = 2000
"""Rows that one transaction of the sweep erases: bounds how long a save waits behind it."""

NODE_MEMORY = 3_600_000
"""Milliseconds after which a process that gave no sign of life is forgotten."""


class Found(Struct, frozen=True):
    """A response that is kept. ``state`` is that of its job; None where it has none, or none any more."""

    seq: int
    response: bytes
    state: JobState | None


class Claim(Struct, frozen=True):
    """A job that this process holds: ``epoch`` is what its writes are known by, ``parts`` the rows of its log."""

    seq: int
    epoch: int
    attempt: int
    parts: int
    sealed: str | None


class Entry(Struct, frozen=True):
    """What a run writes in one go: the next part of its log, and with the last one its end."""

    seq: int
    epoch: int
    part: int
    chunk: Chunk
    final: Final | None = None


class Ended(Struct, frozen=True):
    """What a job came to that was ended from outside: the last part of its log, its status, and whom it had asked."""

    chunk: Chunk
    status: str
    deployment: str


class Lost(Struct, frozen=True):
    """Jobs whose worker is gone: queued again, and begun too often for that."""

    queued: list[int]
    worn_out: list[int]


class Kept(Struct, frozen=True):
    """A response as its worker finds it: whose it is, as it was told first, and its log so far."""

    tenant: str
    id: str
    response: bytes
    log: list[Chunk]


class Jobs:
    """Jobs of all tenants. Every verb raises `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    # For whoever asks

    async def find(self, id: str, *, tenant: str) -> Found | None:
        """The response of this id; None where there is none."""
        rows = await self._database.fetch(self._sql["find"], {"tenant": tenant, "id": id})
        for seq, response, state in convert(rows, list[tuple[int, str, JobState | None]]):
            return Found(seq, response.encode(), state)
        return None

    async def enqueue(
        self,
        row: ResponseRow,
        *,
        inputs: list[ItemRow],
        opening: Chunk,
        sealed: str,
        spending: Spending | None = None,
    ) -> int:
        """Keep a response that shall run, with its input and the first part of its log; return the job's number.

        The answers that it uses up are used up with it: raises `AlreadySpent` where one was used before. It holds its
        conversation until it ends; raises `ConversationHeld` where it does not.
        """
        enqueueing = partial(_enqueue, self._sql, row, inputs, opening=opening, sealed=sealed, spending=spending)
        return await self._database.transaction(enqueueing)

    async def end(self, seq: int, make: Callable[[list[Chunk]], tuple[Chunk, Final]]) -> Ended | None:
        """End a job whoever holds it: ``make`` gives the last part of its log and the final response.

        Returns None where the job has ended already. ``make`` is pure and may run on any thread.
        """
        return await self._database.transaction(partial(_end, self._sql, seq, make))

    async def read(self, seq: int, *, after: int) -> list[Chunk]:
        """The parts of a log with events behind number ``after``, in order, `PAGE` at most."""
        rows = await self._database.fetch(self._sql["log_after"], {"response": seq, "after": after, "limit": PAGE})
        return _chunks(rows)

    async def read_many(self, wanted: Mapping[int, int]) -> list[tuple[int, Chunk]]:
        """The parts behind a number in each of several logs, by job."""
        pairs = encode(list(wanted.items())).decode()
        rows = await self._database.fetch(self._sql["logs_after"], {"wanted": pairs, "limit": PAGE})
        found = convert(rows, list[tuple[int, int, int, str]])
        return [(seq, Chunk(first, last, text)) for seq, first, last, text in found]

    async def whole_log(self, seq: int) -> list[Chunk]:
        """All parts of a log."""
        return _chunks(await self._database.fetch(self._sql["log"], {"response": seq}))

    async def counts(self) -> dict[str, int]:
        """How many jobs wait and run, of all processes."""
        rows = await self._database.fetch(self._sql["count_jobs"], {})
        return {"queued": 0, "running": 0, **dict(convert(rows, list[tuple[str, int]]))}

    async def state(self, seq: int) -> JobState | None:
        """The state of a job; None where it is erased, and its log with it."""
        rows = await self._database.fetch(self._sql["state"], {"response": seq})
        return convert(rows[0][0], JobState) if rows else None

    # For whoever works

    async def claim(self, boot: str, *, limit: int) -> list[Claim]:
        """Take queued jobs, the oldest first, ``limit`` at most."""
        claim = Statement(self._sql["claim"], {"boot": boot, "limit": limit})
        rows = await self._database.transaction(partial(_run, claim))
        claims = [Claim(*row) for row in convert(rows, list[tuple[int, int, int, int, str | None]])]
        return sorted(claims, key=lambda claim: claim.seq)

    async def kept(self, seq: int) -> Kept | None:
        """What a worker needs of a job; None where its response is gone."""
        rows = await self._database.fetch(self._sql["row"], {"response": seq})
        for tenant, id, response in convert(rows, list[tuple[str, str, str]]):
            return Kept(tenant, id, response.encode(), await self.whole_log(seq))
        return None

    async def append(self, entries: list[Entry]) -> set[int]:
        """Write parts of several logs, one each, and return the jobs whose part is written; the others are lost.

        Writing the same again, where it is not known whether it was committed, changes nothing.
        """
        return await self._database.transaction(partial(_append, self._sql, entries))

    async def release(self, claims: Mapping[int, int]) -> None:
        """Give jobs, with their epochs, back to the queue as if they had not been claimed."""
        await self._database.transaction(partial(_release, self._sql["release"], claims))

    async def beat(self, boot: str) -> dict[int, int]:
        """Give a sign of life, and return the jobs that this process holds, with their epochs."""
        return await self._database.transaction(partial(_beat, self._sql, boot))

    async def reclaim(self, *, lease: int, attempts: int) -> Lost:
        """Queue the jobs of processes that were silent for ``lease`` milliseconds.

        Those that were begun ``attempts`` times are worn out, and somebody has to end them.
        """
        return await self._database.transaction(partial(_reclaim, self._sql, lease, attempts))

    async def retire(self, boot: str) -> None:
        """This process works no more: what it still holds is free at once."""
        await self._database.transaction(partial(_run, Statement(self._sql["retire"], {"boot": boot})))

    async def retire_all(self) -> None:
        """No process works: what any of them holds, a chore too, is free at once."""
        await self._database.transaction(partial(_retire_all, self._sql))

    # For the sweep

    async def take_chore(self, name: str, boot: str, *, period: int) -> bool:
        """Whether this process may do a chore now, for ``period`` milliseconds; one process at a time may."""
        chore = Statement(self._sql["take_chore"], {"name": name, "boot": boot, "period": period})
        return bool(await self._database.transaction(partial(_run, chore)))

    async def leave_chore(self, name: str, boot: str) -> None:
        """A chore is done, and another may do it."""
        await self._database.transaction(
            partial(_run, Statement(self._sql["leave_chore"], {"name": name, "boot": boot}))
        )

    async def sweep(self, *, age: int) -> int:
        """Erase the logs of jobs that ended ``age`` milliseconds ago, and return of how many."""
        await self._database.transaction(partial(_run, Statement(self._sql["outdate_buried"])))
        outdated: Params = {"age": age, "limit": SWEPT_JOBS}
        erased = 0
        while rows := await self._database.fetch(self._sql["outdated"], outdated):
            for (seq,) in convert(rows, list[tuple[int]]):
                while await self._database.transaction(partial(_erase, self._sql, seq)):
                    pass
                erased += 1
        await self._database.transaction(partial(_forget, self._sql))
        return erased

    # The key that seals

    async def sealing_key(self, name: str, *, otherwise: str) -> str:
        """The key that is kept under this name; where there is none, keep this one."""
        await self._database.transaction(
            partial(_run, Statement(self._sql["add_sealing_key"], {"name": name, "secret": otherwise}))
        )
        rows = await self._database.fetch(self._sql["sealing_key"], {"name": name})
        [(secret,)] = convert(rows, list[tuple[str]])
        return secret


def _chunks(rows: list[Row]) -> list[Chunk]:
    return [Chunk(*row) for row in convert(rows, list[tuple[int, int, str]])]


def _run(statement: Statement) -> Dialogue[list[Row]]:
    """One statement and its rows."""
    return (yield statement)


def _enqueue(
    sql: Mapping[str, str],
    row: ResponseRow,
    inputs: list[ItemRow],
    *,
    opening: Chunk,
    sealed: str,
    spending: Spending | None,
) -> Dialogue[int]:
    if spending is not None:
        yield from spend(sql, spending)
    seq = yield from save(sql, row, inputs, [], goes_on=True)
    yield Statement(sql["add_job"], {"response": seq, "sealed": sealed, **_counted_under(row)})
    yield Statement(sql["add_events"], _columns(seq, 0, opening))
    return seq


def _counted_under(row: ResponseRow) -> Params:
    cost = row.cost
    return {
        "tenant": row.tenant,
        "deployment": None if cost is None else cost.deployment,
        "asked": 0 if cost is None else cost.asked,
        "quota": None if cost is None else cost.quota,
    }


def _charges(under: tuple[str | None, str | None, int], final: Final) -> list[Charge]:
    """What a job took that has ended; nothing of one of an older version."""
    tenant, deployment, asked = under
    if tenant is None or deployment is None or final.tally is None:
        return []
    return [Charge(tenant, deployment, final.tally.reading(asked))]


def _columns(seq: int, part: int, chunk: Chunk) -> Params:
    return {"response": seq, "part": part, "first": chunk.first, "last": chunk.last, "data": chunk.text}


def _end(
    sql: Mapping[str, str], seq: int, make: Callable[[list[Chunk]], tuple[Chunk, Final]]
) -> Dialogue[Ended | None]:
    rows = yield Statement(sql["lock_job"], {"response": seq})
    for state, parts, tenant, deployment, asked in convert(
        rows, list[tuple[JobState, int, str | None, str | None, int]]
    ):
        if state != "ended":
            chunk, final = make(_chunks((yield Statement(sql["log"], {"response": seq}))))
            yield Statement(sql["end_job"], {"response": seq})
            yield Statement(sql["add_events"], _columns(seq, parts, chunk))
            yield from finish(sql, seq, final)
            yield from charge(sql, _charges((tenant, deployment, asked), final))
            return Ended(chunk, final.status, deployment or "")
    return None


def _append(sql: Mapping[str, str], entries: list[Entry]) -> Dialogue[set[int]]:
    """Two statements, however many logs; what ends a response takes its own."""
    rows = {
        entry.seq: (entry.seq, entry.epoch, entry.part, entry.chunk.first, entry.chunk.last, entry.chunk.text)
        for entry in entries
    }
    places = encode([row[:3] for row in rows.values()]).decode()
    held = {seq for (seq,) in convert((yield Statement(sql["hold"], {"rows": places})), list[tuple[int]])}
    if held:
        yield Statement(sql["append"], {"rows": encode([rows[seq] for seq in held]).decode()})
    charges: list[Charge] = []
    for entry in entries:
        if entry.final is not None and entry.seq in held:
            ended = yield Statement(sql["end_own_job"], {"response": entry.seq})
            yield from finish(sql, entry.seq, entry.final)
            for under in convert(ended, list[tuple[str | None, str | None, int]]):
                charges += _charges(under, entry.final)
    yield from charge(sql, charges)
    missed = [entry for entry in entries if entry.seq not in held]
    return held | (yield from _written(sql, missed)) if missed else held


def _written(sql: Mapping[str, str], entries: list[Entry]) -> Dialogue[set[int]]:
    """Of what could not be written, the jobs where it stands there already, as a commit went through unheard."""
    wanted = encode([entry.seq for entry in entries]).decode()
    rows = convert((yield Statement(sql["written"], {"responses": wanted})), list[tuple[int, int, int, JobState]])
    places = {(seq, epoch, parts, state) for seq, epoch, parts, state in rows}
    return {
        entry.seq
        for entry in entries
        if (entry.seq, entry.epoch, entry.part + 1, "ended" if entry.final else "running") in places
    }


def _release(sql: str, claims: Mapping[int, int]) -> Dialogue[None]:
    for seq, epoch in claims.items():
        yield Statement(sql, {"response": seq, "epoch": epoch})


def _beat(sql: Mapping[str, str], boot: str) -> Dialogue[dict[int, int]]:
    yield Statement(sql["beat"], {"boot": boot})
    return dict(convert((yield Statement(sql["held"], {"boot": boot})), list[tuple[int, int]]))


def _retire_all(sql: Mapping[str, str]) -> Dialogue[None]:
    yield Statement(sql["retire_all"])
    yield Statement(sql["leave_chores"])


def _forget(sql: Mapping[str, str]) -> Dialogue[None]:
    """Erase what is left of processes that are long gone."""
    yield Statement(sql["erase_silent_nodes"], {"age": NODE_MEMORY})
    yield Statement(sql["erase_old_chores"], {"age": NODE_MEMORY})
    yield Statement(sql["erase_old_batches"], {"age": NODE_MEMORY})


def _reclaim(sql: Mapping[str, str], lease: int, attempts: int) -> Dialogue[Lost]:
    gone: Params = {"lease": lease, "attempts": attempts, "limit": RECLAIMED}
    queued = convert((yield Statement(sql["reclaim"], gone)), list[tuple[int]])
    worn_out = convert((yield Statement(sql["worn_out"], gone)), list[tuple[int]])
    return Lost([seq for (seq,) in queued], [seq for (seq,) in worn_out])


def _erase(sql: Mapping[str, str], seq: int) -> Dialogue[bool]:
    """Erase a part of a log, and the job with the last of it; False where nothing is left."""
    if (yield Statement(sql["erase_events"], {"response": seq, "limit": SWEPT_EVENTS})):
        return True
    yield Statement(sql["erase_job"], {"response": seq})
    return False
