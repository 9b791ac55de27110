"""The check of a configuration: what is wrong with it, how to mend that, and what answers when it is tried.

Whatever is tried has a deadline, and nothing is left behind: a probe among the blobs is deleted, and a model is asked
for a few tokens. Only an empty PostgreSQL gets its tables, as from a server that starts.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import anyio
from msgspec import Struct

from antiphon.config import Config, ConfigError, refuse_open_server, shown_blobs_url, shown_store_url
from antiphon.lifecycle.prompts import Prompts
from antiphon.wiring import (
    deployment_readers,
    filtering,
    keys,
    read_deployments,
    read_routers,
    routers_and_faults,
    tables,
)
from antiphon.wiring.showing import checks, painters
from antiphon.wiring.trying import Trial, tried

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import TextIO

    from antiphon.lifecycle import Deployment

HEADINGS = ("tried", "place", "", "what came of it")
MARKS: dict[str, str] = {"ok": "ok", "wrong": "WRONG", "note": "note"}


class Finding(Struct, frozen=True):
    """What is wrong, or may be, and how to mend it: one line."""

    kind: Literal["wrong", "note"]
    line: str


async def check(config: Config, *, is_offline: bool, out: TextIO, err: TextIO) -> bool:
    """Write what was found and, if anybody may be asked, what answered. Whether all is well."""
    deployments, findings = await anyio.to_thread.run_sync(read, config)
    trials: list[Trial] = []
    if not is_offline:
        trials = await tried(config, deployments)
        news = [each for each in trials if each.is_wrong and not any(each.said in other.line for other in findings)]
        findings += [Finding("wrong", f"{each.part}: {each.said} {each.mend}".rstrip()) for each in news]
        findings += [Finding("note", f"{each.part}: {each.said}") for each in trials if each.outcome == "note"]
        findings += [Finding("note", note) for note in [await keys.warning(config)] if note]
    for finding in findings:
        print(f"antiphon: {'' if finding.kind == 'wrong' else 'note: '}{finding.line}", file=err)
    if trials:
        rows = ((trial.part, trial.place, MARKS[trial.outcome], trial.said) for trial in trials)
        tables.write(tables.table(HEADINGS, rows), out)
    is_sound = not any(finding.kind == "wrong" for finding in findings)
    if is_sound:
        print("\n".join(_summary(config, deployments)), file=out)
    return is_sound


def read(config: Config) -> tuple[dict[str, Deployment], list[Finding]]:
    """The deployments that can be asked, and what can be seen without asking anybody."""
    findings: list[Finding] = []
    deployments: dict[str, Deployment] = {}
    if not config.deployments:
        deployments = {each.name: each for each in read_deployments(config)}
    stand_ins: dict[str, Deployment] = {}
    for name, reader in deployment_readers(config).items():
        stand_ins[name] = _stand_in(name)
        with _noting(findings):
            deployments[name] = reader()
    for step in _steps(config, {**stand_ins, **deployments}):
        with _noting(findings):
            step()
    findings += [Finding("wrong", f"In [prompts]: {fault}") for fault in Prompts(config.prompts).check()]
    findings += [Finding("wrong", line) for line in _wrong(config, deployments)]
    findings += [Finding("note", line) for line in _notes(config, deployments)]
    return deployments, findings


@contextmanager
def _noting(findings: list[Finding]) -> Generator[None]:
    """Turns a `ConfigError` into a finding, so that one fault does not hide the next."""
    try:
        yield
    except ConfigError as error:
        findings.append(Finding("wrong", str(error)))


def _stand_in(name: str) -> Deployment:
    """Stands for a deployment that cannot be read, so that who names it is not told that there is none."""
    [made] = read_deployments(Config(deployments=[{"name": name, "backend": "scripted"}]))
    return made


def _steps(config: Config, deployments: dict[str, Deployment]) -> Iterator[Callable[[], object]]:
    yield lambda: refuse_open_server(config)
    yield from checks(config, deployments)
    yield lambda: filtering(config, deployments)


def _wrong(config: Config, deployments: dict[str, Deployment]) -> Iterator[str]:
    yield from routers_and_faults(config)[1]
    default = config.server.default_deployment
    known = {*deployments, *(str(raw.get("name")) for raw in config.deployments)}
    if default is not None and known.isdisjoint({default, "*"}):
        there = ", ".join(sorted(known))
        yield f"[server] default_deployment names {default!r}, and there is none. There are: {there}."


def _notes(config: Config, deployments: dict[str, Deployment]) -> Iterator[str]:
    if not config.store.is_lone_file and config.store.blobs is None:
        yield (
            "files and pictures lie on this machine alone, which other nodes do not see. Name a place that all share "
            "in [store] blobs."
        )
    if not config.encryption.keys and not config.store.is_lone_file:
        yield "secrets of queued runs are sealed with a key that lies in the database. Name one in [encryption] keys."
    known = {*deployments, *(raw.get("name") for raw in config.deployments)}
    for price in config.prices:
        if price.deployment not in known and "*" not in known:
            yield f"[[prices]] names the deployment {price.deployment!r}, and there is none: it is never used."
    if config.content_filter is not None and config.content_filter.on_error == "pass":
        yield 'what the content filter cannot judge passes unseen. Leave out on_error, or say "block".'


def _summary(config: Config, deployments: dict[str, Deployment]) -> Iterator[str]:
    names = ", ".join([*deployments, *read_routers(config)])
    yield f"The configuration is sound. It serves {names}"
    yield f"on {config.server.host}:{config.server.port}, and keeps responses in {shown_store_url(config)}."
    yield f"Pictures are drawn by {', '.join(painters(config))}; files are kept in {shown_blobs_url(config)}."
