"""Tests of the command, as a person runs it: in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests import patient
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import PostgresServer

pytestmark = pytest.mark.whole

SCRIPTED = """
[store]
url = "sqlite:///{folder}/antiphon.db"
[[deployments]]
name = "*"
backend = "scripted"
"""


def antiphon(*arguments: str, home: Path) -> subprocess.Popen[str]:
    """The command, in a home of its own."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    return subprocess.Popen(
        [sys.executable, "-m", "antiphon", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(*arguments: str, home: Path) -> tuple[int, str, str]:
    """How the command ended, and what it said."""
    process = antiphon(*arguments, home=home)
    out, err = process.communicate(timeout=HANG_SECONDS)
    return process.returncode, out, err


def written(folder: Path) -> str:
    """The path of a configuration that needs nothing."""
    path = folder / "antiphon.toml"
    path.write_text(SCRIPTED.format(folder=folder))
    return str(path)


def test_the_first_line_says_where_the_server_is(tmp_path: Path) -> None:
    """Once it is said, requests are answered; a signal ends the server cleanly."""
    with antiphon("serve", "--config", written(tmp_path), "--port", "0", home=tmp_path) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            url = line.split()[3].removesuffix("/v1")
            health = patient.get(f"{url}/health")
        finally:
            process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(HANG_SECONDS)
    assert line.startswith("Antiphon answers at http://127.0.0.1:")
    assert (200, {"status": "ok"}) == (health.status_code, health.json())


def test_without_configuration_it_serves_the_embedded_model_from_the_users_folders(tmp_path: Path) -> None:
    """State lies under the data folder of the user; the embedded model answers every name, here that it is missing."""
    with antiphon("serve", "--port", "0", home=tmp_path) as process:
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split()[3]
            answer = httpx.post(f"{url}/responses", json={"model": "any", "input": "hi"}, timeout=HANG_SECONDS)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(HANG_SECONDS)
    assert (tmp_path / ".local/share/antiphon/antiphon.db").exists()
    assert answer.status_code in {502, 503}
    assert "antiphon models fetch" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--host", "0.0.0.0"], "there are no keys"),  # noqa: S104 - it is refused
        (["serve", "--config", "/no/such.toml"], "/no/such.toml cannot be read"),
        (["models", "fetch", "gpt-9"], "There is no model called 'gpt-9'"),
        (["check", "--config", "/no/such.toml"], "cannot be read"),
        (["worker"], "SQLite serves one process, and `antiphon serve` performs background runs itself."),
        (["serve", "--no-worker"], "SQLite serves one process, and `antiphon serve` performs background runs itself."),
    ],
)
def test_what_a_person_can_mend_is_said_in_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    """No traceback, one line on stderr, and a status that says failure."""
    status, out, err = said(*arguments, home=tmp_path)
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("antiphon: ")
    assert message in err


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """The second server says what to do instead of a traceback."""
    with antiphon("serve", "--config", written(tmp_path), "--port", "0", home=tmp_path) as process:
        try:
            assert process.stderr is not None
            port = process.stderr.readline().split()[3].removesuffix("/v1").rpartition(":")[2]
            status, _, err = said("serve", "--config", written(tmp_path), "--port", port, home=tmp_path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(HANG_SECONDS)
    assert 1 == status
    assert f"Cannot listen on 127.0.0.1:{port}" in err


def test_a_database_that_is_in_use_is_said(tmp_path: Path) -> None:
    """A second server on the same file says who holds it, and so does a migration."""
    with antiphon("serve", "--config", written(tmp_path), "--port", "0", home=tmp_path) as process:
        try:
            assert process.stderr is not None
            process.stderr.readline()
            ended = [
                said(*command, "--config", written(tmp_path), home=tmp_path)
                for command in (["serve", "--port", "0"], ["migrate"])
            ]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(HANG_SECONDS)
    assert [(1, "")] * 2 == [(status, out) for status, out, _ in ended]
    for _, _, err in ended:
        assert err.startswith("antiphon: ")
        assert f"{tmp_path}/antiphon.db" in err
        assert 1 == err.count("\n")


def test_a_database_is_migrated_once(tmp_path: Path) -> None:
    """The first time its steps are named; after that there is nothing to do."""
    first = said("migrate", "--config", written(tmp_path), home=tmp_path)
    again = said("migrate", "--post", "--config", written(tmp_path), home=tmp_path)
    assert (0, "responses\nbackground\nmcp\nfiles\nconversations\nkeys\nquotas\nusage\nseats\n", "") == first
    assert (0, "The database is up to date.\n", "") == again


@pytest.mark.slow
def test_servers_and_workers_share_a_database_once_it_is_migrated(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """A server that performs nothing queues, a worker performs; either says what it is, and ends when it is told."""
    url = postgres_server.url
    config = tmp_path / "antiphon.toml"
    config.write_text(f'store = {{ url = "{url}" }}\n[[deployments]]\nname = "*"\nbackend = "scripted"\n')
    arguments = ("--config", str(config))
    assert 0 == said("migrate", *arguments, home=tmp_path)[0]
    with (
        antiphon("serve", "--no-worker", "--port", "0", *arguments, home=tmp_path) as server,
        antiphon("worker", *arguments, home=tmp_path) as worker,
    ):
        try:
            assert server.stderr is not None
            assert worker.stderr is not None
            base = server.stderr.readline().split()[3]
            assert "Antiphon works on background runs of" in worker.stderr.readline()
            body = {"model": "m", "input": "hi", "background": True, "stream": True}
            answer = httpx.post(f"{base}/responses", json=body, timeout=HANG_SECONDS)
        finally:
            for process in (server, worker):
                process.send_signal(signal.SIGTERM)
            ended = [process.wait(HANG_SECONDS) for process in (server, worker)]
    assert "event: response.completed" in answer.text
    assert [0, 0] == ended


def test_check_reads_what_background_runs_need(tmp_path: Path) -> None:
    """The keys of [background], [encryption] and [store] are known, and a wrong one is named with its place."""
    path = tmp_path / "antiphon.toml"
    keys = {"workers": 2, "lease_seconds": 30, "max_attempts": 5, "drain_seconds": 0, "event_ttl_seconds": 60}
    background = "".join(f"{key} = {value}\n" for key, value in keys.items())
    store = 'store = { url = "postgresql://me:secret@db.example/antiphon?sslmode=require", waker = "poll" }\n'
    path.write_text(f'{store}encryption = {{ keys = ["a key that is long enough"] }}\n[background]\n{background}')
    status, out, err = said("check", "--offline", "--config", str(path), home=tmp_path)
    assert 0 == status
    assert "note: files and pictures lie on this machine alone" in err
    assert "keeps responses in postgresql://db.example/antiphon." in out
    path.write_text("[background]\nworker = 2\n")
    status, out, err = said("check", "--config", str(path), home=tmp_path)
    assert (1, "") == (status, out)
    assert "unknown key 'background.worker'. Did you mean 'workers'?" in err


def test_check_says_that_a_configuration_is_sound(tmp_path: Path) -> None:
    """It names what would be served, where, and where responses are kept."""
    status, out, err = said("check", "--config", written(tmp_path), home=tmp_path)
    assert (0, "") == (status, err)
    assert "The configuration is sound. It serves *\non 127.0.0.1:8080" in out


def test_models_are_listed(tmp_path: Path) -> None:
    """The list says what can be fetched, how large it is, under which licence, and whether it is here."""
    status, out, _ = said("models", "list", home=tmp_path)
    assert 0 == status
    assert ["qwen2.5-coder-1.5b", "smollm2-135m"] == [line.split()[0] for line in out.splitlines()]
    assert 2 == out.count("not fetched")


def test_the_help_teaches(tmp_path: Path) -> None:
    """Every command is named with what it does."""
    status, out, _ = said("--help", home=tmp_path)
    assert 0 == status
    for command in ("serve", "worker", "migrate", "check", "audit", "models"):
        assert command in out
