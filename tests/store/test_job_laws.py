"""The laws of jobs: whatever happens to processes, in whatever order, a job is what a plain model says."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    multiple,
    rule,
    run_state_machine_as_test,
)

from antiphon.store import Final, Statement, sqlite
from antiphon.store.jobs import Claim, Entry, Jobs, JobState, Lost
from antiphon.store.store import Store
from tests.store.rows import OPENING, chunk, context, enqueue, final

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from antiphon.core.log import Chunk
    from antiphon.store import Dialogue
    from tests.store.conftest import Open, Urls

T = TypeVar("T")
ATTEMPTS = 3
LEASE = 3_600_000
BOOTS = st.sampled_from(["x", "y", "z"])


class Job:
    """What the model knows of a job."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.state: JobState = "queued"
        self.owner: str | None = None
        self.epoch = 0
        self.attempt = 0
        self.log: list[Chunk] = [OPENING]
        self.final: Final | None = None
        self.is_swept = False

    def free(self) -> None:
        """Queue it again."""
        self.state, self.owner = "queued", None
        self.epoch += 1

    def end(self, part: Chunk, end: Final) -> None:
        """It has ended."""
        self.state, self.owner = "ended", None
        self.log.append(part)
        self.final = end

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is the next of its log, from whoever holds it."""
        return (self.state, self.epoch, len(self.log)) == ("running", entry.epoch, entry.part)

    def has(self, entry: Entry) -> bool:
        """Whether an entry is the last that was written, by whoever held it last."""
        state = "running" if entry.final is None else "ended"
        return not self.is_swept and (self.state, self.epoch, len(self.log)) == (state, entry.epoch, entry.part + 1)


class Working(RuleBasedStateMachine):
    """Jobs that are queued, claimed, written to, given back, cancelled, and taken from processes that are silent."""

    claims: Bundle[Claim] = Bundle("claims")
    entries: Bundle[Entry] = Bundle("entries")

    def __init__(self, open_empty: Open) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = self.run(open_empty())
        self.store, self.jobs = Store(self.database), Jobs(self.database)
        self.model: dict[int, Job] = {}
        self.alive: set[str] = set()
        self.count = 0

    def run(self, asked: Coroutine[object, None, T]) -> T:
        """Wait for the store."""
        return self.runner.run(asked)

    @rule()
    def enqueue(self) -> None:
        """Queue a response."""
        self.count += 1
        job = Job(f"r{self.count}")
        self.model[self.run(enqueue(self.jobs, job.id))] = job

    @rule(target=claims, boot=BOOTS, limit=st.integers(1, 3))
    def claim(self, boot: str, limit: int) -> MultipleResults[Claim]:
        """The oldest that are queued are this process's."""
        expected: list[Claim] = []
        for seq, job in sorted(self.model.items()):
            if job.state == "queued" and len(expected) < limit:
                job.state, job.owner = "running", boot
                job.epoch += 1
                job.attempt += 1
                expected.append(Claim(seq, job.epoch, job.attempt, len(job.log), f"sealed {job.id}"))
        assert expected == self.run(self.jobs.claim(boot, limit=limit))
        return multiple(*expected)

    @rule(
        target=entries,
        claim=claims,
        offset=st.sampled_from([0, 0, 0, -1, 1]),
        size=st.integers(0, 3),
        is_last=st.booleans(),
    )
    def append(self, claim: Claim, offset: int, size: int, is_last: bool) -> Entry:  # noqa: FBT001 - the rule names it
        """Write under a claim, old or new, what is next or is not."""
        job = self.model[claim.seq]
        end = final(job.id, f"{job.id}.{self.count}") if is_last else None
        part = chunk(job.log[-1].last + 1, max(size, int(is_last)))
        entry = Entry(claim.seq, claim.epoch, max(0, len(job.log) + offset), part, end)
        self.send(entry)
        return entry

    @rule(entry=entries)
    def append_again(self, entry: Entry) -> None:
        """Send what was sent before."""
        self.send(entry)

    @rule(chosen=st.lists(entries, min_size=2, max_size=4, unique_by=lambda entry: entry.seq))
    def append_many(self, chosen: list[Entry]) -> None:
        """Send several together: each is judged by itself."""
        self.send(*chosen)

    def send(self, *entries: Entry) -> None:
        """Write, and see who is told what."""
        expected = set()
        for entry in entries:
            job = self.model[entry.seq]
            if job.takes(entry):
                if entry.final is None:
                    job.log.append(entry.chunk)
                else:
                    job.end(entry.chunk, entry.final)
                expected.add(entry.seq)
            elif job.has(entry):
                expected.add(entry.seq)
        assert expected == self.run(self.jobs.append([*entries]))

    @rule(claim=claims)
    def end(self, claim: Claim) -> None:
        """End a job whoever holds it: the first does, for ever."""
        job = self.model[claim.seq]
        part = chunk(job.log[-1].last + 1)
        end = final(job.id, f"{job.id}.cut", status="cancelled")
        ended = self.run(self.jobs.end(claim.seq, lambda _: (part, end)))
        assert (None if job.state == "ended" else (part, "cancelled")) == (ended and (ended.chunk, ended.status))
        if ended is not None:
            job.end(part, end)
            job.epoch += 1

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        """Give a job back that may be another's by now."""
        job = self.model[claim.seq]
        if (job.state, job.epoch) == ("running", claim.epoch):
            job.free()
            job.attempt -= 1
        self.run(self.jobs.release({claim.seq: claim.epoch}))

    @rule(boot=BOOTS)
    def beat(self, boot: str) -> None:
        """A process is alive, and learns what it holds."""
        self.alive.add(boot)
        held = {seq: job.epoch for seq, job in self.model.items() if (job.state, job.owner) == ("running", boot)}
        assert held == self.run(self.jobs.beat(boot))

    @rule(boot=BOOTS)
    def fall_silent(self, boot: str) -> None:
        """A process has given no sign of life for a long time."""

        def silence() -> Dialogue[None]:
            yield Statement("UPDATE nodes SET beat = 0 WHERE boot = :boot", {"boot": boot})

        self.run(self.database.transaction(silence))
        self.alive.discard(boot)

    @rule(boot=BOOTS)
    def retire(self, boot: str) -> None:
        """A process says that it works no more."""
        self.run(self.jobs.retire(boot))
        self.alive.discard(boot)

    @rule()
    def restart(self) -> None:
        """No process works."""
        self.run(self.jobs.retire_all())
        self.alive.clear()

    @rule()
    def reclaim(self) -> None:
        """What the silent ones held is queued; what was begun too often is told."""
        lost = [
            seq for seq, job in sorted(self.model.items()) if job.state == "running" and job.owner not in self.alive
        ]
        worn_out = [seq for seq in lost if self.model[seq].attempt >= ATTEMPTS]
        queued = [seq for seq in lost if self.model[seq].attempt < ATTEMPTS]
        found = self.run(self.jobs.reclaim(lease=LEASE, attempts=ATTEMPTS))
        assert Lost(queued, worn_out) == Lost(sorted(found.queued), found.worn_out)
        for seq in queued:
            self.model[seq].free()

    @rule()
    def sweep(self) -> None:
        """Logs of what has ended are erased; the model forgets them."""
        ended = [job for job in self.model.values() if job.state == "ended" and not job.is_swept]
        assert len(ended) == self.run(self.jobs.sweep(age=0))
        for job in ended:
            job.is_swept = True

    @rule()
    def check(self) -> None:
        """States and logs are as the model has them, and what has ended stays as it ended."""
        for seq, job in self.model.items():
            assert ([] if job.is_swept else job.log) == self.run(self.jobs.whole_log(seq))
            assert (None if job.is_swept else job.state) == self.run(self.jobs.state(seq))
            if job.final is not None:
                found = self.run(self.jobs.find(job.id, tenant="a"))
                assert found is not None
                assert job.final.response == found.response
                expected = [f"{job.id}.in", *(item.id for item in job.final.outputs)]
                assert expected == self.run(context(self.store, job.id))

    def teardown(self) -> None:
        """Let go of the database."""
        self.check()
        self.run(self.store.aclose())
        self.runner.close()


def work_as_the_model_does(open_empty: Open, *, examples: int) -> None:
    """Run the machine on empty databases."""

    class WorkingHere(Working):
        """The machine on these databases."""

        def __init__(self) -> None:
            super().__init__(open_empty)

    run_state_machine_as_test(
        WorkingHere, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None)
    )


def test_a_job_is_what_a_plain_model_says() -> None:
    """Whoever claims it, writes to it, loses it, ends it, in whatever order."""
    work_as_the_model_does(partial(sqlite.connect, "sqlite://"), examples=40)


@pytest.mark.slow
def test_on_postgres_a_job_is_what_the_model_says(urls: Urls) -> None:
    """The same, over a network."""
    work_as_the_model_does(urls.open, examples=10)
