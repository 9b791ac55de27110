"""Run the benchmarks and print the table. See benchmarks/README.md for how to read it."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sys
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from benchmarks.contenders import contenders
from benchmarks.driver import BrokenAnswerError
from benchmarks.measures import MEASURES, Measure
from benchmarks.processes import NotReadyError
from benchmarks.samples import Samples
from benchmarks.stage import raised
from benchmarks.table import GOALS, Judged, judge, rows, verdicts

ROUNDS = 9
QUICK_ROUNDS = 5
LIMIT_SECONDS = 1_200.0
QUICK_SKIPS = frozenset({"event-unstored", "body-unstored", "short"})


class Report(Struct, frozen=True):
    """All that a run has measured."""

    machine: str
    load_average: tuple[float, float, float]
    rounds: int
    results: dict[str, Samples]
    absent: dict[str, str]
    goals: list[Judged]


class Asked(Struct, frozen=True):
    """What the command line asks for."""

    measures: list[Measure]
    rounds: int
    peers: bool
    json: Path | None


def say(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def measured(asked: Asked) -> Report:
    """Raise the stage, admit everybody, take all measures, and print each as it is done."""
    results: dict[str, Samples] = {}
    load = os.getloadavg()
    async with asyncio.timeout(LIMIT_SECONDS), raised() as stage:
        for contender in contenders():
            if asked.peers or contender.name in ("floor", "antiphon"):
                await stage.admit(contender)
        for measure in asked.measures:
            results[measure.name] = await measure.run(stage, asked.rounds)
            for row in rows(measure, results[measure.name]):
                say(row)
        absent = dict(stage.absent)
    for name, why in absent.items():
        say(f"left out: {name}: {why}")
    goals = [judge(goal, results) for goal in GOALS if goal.measure in results]
    return Report(machine(), load, asked.rounds, results, absent, goals)


def machine() -> str:
    """Name what the numbers were taken on."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


async def run(asked: Asked) -> None:
    """Measure until done, or until the process is asked to end; servers are stopped in both cases."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    say(f"{machine()}; load average {os.getloadavg()[0]:.1f}")
    say(f"{asked.rounds} rounds: median (min .. max), ratio to the first row")
    report = await measured(asked)
    say("goals")
    for line in verdicts(report.goals):
        say(line)
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


def ask() -> Asked:
    """Read the command line."""
    names = [measure.name for measure in MEASURES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="two minutes: fewer rounds, smaller loads, and no row without a goal"
    )
    parser.add_argument("--only", action="append", choices=names, default=[], help="one measure; may be repeated")
    parser.add_argument("--rounds", type=int, help="how many rounds are taken")
    parser.add_argument("--no-peers", action="store_true", help="leave out LiteLLM and responses.js")
    parser.add_argument("--json", type=Path, help="write every sample to this file")
    said = parser.parse_args()
    skipped = QUICK_SKIPS if said.quick else frozenset[str]()
    wanted = said.only or [name for name in names if name not in skipped]
    return Asked(
        measures=[measure for measure in MEASURES if measure.name in wanted],
        rounds=said.rounds or (QUICK_ROUNDS if said.quick else ROUNDS),
        peers=not said.no_peers,
        json=said.json,
    )


def main() -> None:
    """Run from the command line. A missed goal is a row of the table, not a failure; a broken answer is one."""
    try:
        uvloop.run(run(ask()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped")
    except (NotReadyError, BrokenAnswerError) as error:
        sys.exit(f"broken: {error}")


if __name__ == "__main__":
    main()
