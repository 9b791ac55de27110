"""Responses in the background while what they stand on breaks: the server, the database, the disk, the model."""

from __future__ import annotations

import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests import servers
from tests.acceptance.operating import configured, operating
from tests.conducting import conducting
from tests.http.following import (
    DONE,
    created,
    ended,
    eventually,
    followed,
    numbers,
    retrieved,
    text,
    told,
    types,
)
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any  # JSON

    from tests.acceptance.operating import Operated
    from tests.conducting import Models

pytestmark = pytest.mark.slow

NO_LIMIT = resource.RLIM_INFINITY
KEY_LOST = "The server no longer has the key with which this request was sealed."


@pytest.fixture
def models() -> Iterator[Models]:
    """The models of a test."""
    with conducting() as made:
        yield made


def served_by(models: Models, *, more: str = "", **settings: float) -> str:
    """A configuration without its store: conducted models, and settings of background runs."""
    background = "".join(f"{name} = {value}\n" for name, value in settings.items())
    return f"{more}\n[background]\n{background}" + deployment(models)


def deployment(models: Models, **settings: float) -> str:
    """A deployment of conducted models."""
    more = "".join(f"{name} = {value}\n" for name, value in settings.items())
    return f'[[deployments]]\nname = "*"\nbackend = "chat_completions"\nbase_url = "{models.url}"\n{more}'


def test_a_server_that_stops_lets_readers_go_and_runs_go_on_after_it(tmp_path: Path, models: Models) -> None:
    """The stream ends without a terminal event and without an end mark; the next process finishes the response."""
    config = configured(tmp_path, served_by(models, more="server = { done_marker = true }", drain_seconds=1))
    model = models["m"]
    with operating(config) as server:
        id = created(server.address, "m")["id"]
        model.say("Hel")
        with followed(server.address, id) as stream:
            known = stream.until("output_text.delta")
            assert 0 == server.stop()
            assert known == stream.rest()
        assert DONE not in stream.read
        model.gone()
    with operating(config) as server:
        model.wait()
        with followed(server.address, id, after=known[-1]["sequence_number"]) as rest:
            model.wait()
            model.say("data: event: x")
            model.stop()
            heard = known + rest.rest()
        assert rest.read.endswith(b"}\n\n" + DONE + b"\n\n")
    assert list(range(len(heard))) == numbers(heard)
    assert ("completed", ["incomplete", "completed"]) == (
        heard[-1]["response"]["status"],
        [item["status"] for item in heard[-1]["response"]["output"]],
    )


def test_runs_that_end_while_a_server_drains_are_whole(tmp_path: Path, models: Models) -> None:
    """A run has its time to end before the process does, and nothing of it is lost."""
    config = configured(tmp_path, served_by(models, drain_seconds=int(HANG_SECONDS)))
    model = models["m"]
    with operating(config) as server:
        id = created(server.address, "m")["id"]
        model.wait()
        stopped = threading.Thread(target=server.stop)
        stopped.start()
        model.say("Hello")
        model.stop()
        stopped.join(HANG_SECONDS)
        assert not stopped.is_alive()
    with operating(config) as server:
        response = retrieved(server.address, id)
    assert ("completed", "Hello", True) == (response["status"], text(response), model.asked.empty())


def test_a_run_whose_key_is_gone_fails_with_a_reason(tmp_path: Path, models: Models) -> None:
    """It was sealed with a key that is not in the configuration any more."""
    keys = 'encryption = {{ keys = ["{}-key-of-thirty-two-characters-or-more"] }}'
    with operating(configured(tmp_path, served_by(models, more=keys.format("old"), workers=1))) as server:
        ids = [created(server.address, "m")["id"] for _ in range(2)]
        models["m"].wait()
        server.kill()
    with operating(configured(tmp_path, served_by(models, more=keys.format("new"), workers=1))) as server:
        for id in ids:
            response = ended(server.address, id)
            assert ("failed", KEY_LOST) == (response["status"], response["error"]["message"])
            assert "failed" == types(told_events(server.address, id))[-1]
        assert len(ids) == len(server.logged("job_cannot_run", len(ids)))
    assert models["m"].asked.empty()


def told_events(url: str, id: str) -> list[Any]:  # JSON
    """All events of a response that has ended."""
    with followed(url, id) as stream:
        return stream.rest()


def test_a_key_that_was_replaced_still_opens(tmp_path: Path, models: Models) -> None:
    """The first key seals and all of them open, so that a key can be changed while runs wait."""
    old, new = "an-old-key-of-thirty-two-characters", "a-new-key-of-thirty-two-characters!"
    with operating(configured(tmp_path, served_by(models, more=f'encryption = {{ keys = ["{old}"] }}'))) as server:
        id = created(server.address, "m")["id"]
        models["m"].wait()
        server.kill()
    both = f'encryption = {{ keys = ["{new}", "{old}"] }}'
    with operating(configured(tmp_path, served_by(models, more=both))) as server:
        models["m"].wait()
        models["m"].stop()
        assert "completed" == ended(server.address, id)["status"]


def test_a_silent_model_fails_the_response(tmp_path: Path, models: Models) -> None:
    """A run does not wait for ever: its model has a time to be silent, before its first word and after it."""
    config = configured(tmp_path, deployment(models, idle_timeout=1))
    models["two"].say("So far")
    with operating(config) as server:
        first, second = created(server.address, "one")["id"], created(server.address, "two")["id"]
        for id, said in ((first, ""), (second, "So far")):
            response = ended(server.address, id)
            assert ("failed", "server_error", said) == (response["status"], response["error"]["code"], text(response))
            assert "did not answer in time" in response["error"]["message"]


def test_a_full_disk_holds_runs_back_and_loses_nothing(tmp_path: Path, models: Models) -> None:
    """New requests are refused, the run pauses, and goes on where there is room again; no number is missing."""
    model = models["m"]
    with operating(configured(tmp_path, deployment(models))) as server:
        id = created(server.address, "m")["id"]
        model.say("one")
        with followed(server.address, id) as stream:
            known = stream.until("output_text.delta")
            with full(server, tmp_path):
                model.say(" two")
                refused(server)
                server.logged("logs_not_written")
                assert (503, {"status": "store unavailable"}) == health(server, 503)
            assert (200, {"status": "ok"}) == health(server, 200)
            model.say(" three")
            model.stop()
            heard = stream.rest()
        assert stream.read == told(server.address, id)
        assert "queued" == created(server.address, "again")["status"]
    last = heard[-1]["response"]
    assert (known, list(range(len(heard)))) == (heard[: len(known)], numbers(heard))
    assert ("completed", "one two three") == (last["status"], text(last))


@contextmanager
def full(server: Operated, folder: Path) -> Iterator[None]:
    """Let no file of a server's grow beyond its log of changes, which everything is written to first."""
    size = (folder / "antiphon.db-wal").stat().st_size
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, NO_LIMIT))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (NO_LIMIT, NO_LIMIT))


def refused(server: Operated) -> None:
    """See that a new request cannot be taken, in the words of the wire."""
    for is_streamed in (False, True):
        body = {"model": "m", "input": "hi", "background": True, "stream": is_streamed}
        answer = httpx.post(f"{server.address}/v1/responses", json=body, timeout=HANG_SECONDS)
        assert 503 == answer.status_code, answer.text
        assert {"message", "type", "param", "code"} == answer.json()["error"].keys()


def health(server: Operated, status: int) -> tuple[int, Any]:  # JSON
    """What the server says of its health once it has this status."""
    end = time.monotonic() + HANG_SECONDS
    while (answer := httpx.get(f"{server.address}/health", timeout=HANG_SECONDS)).status_code != status:
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)  # as whoever watches it
    return answer.status_code, answer.json()


AWAY_SECONDS = {"shorter than a lease": 2, "longer than a lease": 7}
"""How long a database is away; the lease is one of four seconds."""


def test_a_database_that_goes_away_holds_runs_back(tmp_path: Path) -> None:
    """Requests are refused, polling is, and streams wait; once it is back all goes on, and the response ends.

    Each has a database and a server of its own, side by side: most of it is waiting.
    """
    with ThreadPoolExecutor(len(AWAY_SECONDS)) as threads:
        ends = {how: threads.submit(outlived, tmp_path / how, seconds) for how, seconds in AWAY_SECONDS.items()}
    for how, end in ends.items():
        assert "completed" == end.result(), how


def outlived(folder: Path, seconds: int) -> str:
    """The status with which a response ends whose database was away for a while."""
    folder.mkdir()
    config = folder / "antiphon.toml"
    with servers.postgres() as database, conducting() as models:
        model = models["m"]
        config.write_text(f'store = {{ url = "{database.url}" }}\n' + served_by(models, lease_seconds=4))
        with operating(config) as server, ExitStack() as opened:
            id = created(server.address, "m")["id"]
            model.say("one")
            stream = opened.enter_context(followed(server.address, id))
            known = stream.until("output_text.delta")
            database.stop()
            model.say(" two")
            refused(server)
            unanswered(server, id)
            time.sleep(seconds)  # the time that it is away is what is tested
            assert (503, {"status": "store unavailable"}) == health(server, 503)
            database.start()
            assert (200, {"status": "ok"}) == health(server, 200)
            finish(models, server, id)
            heard = stream.rest()
            assert retrieved(server.address, id) == heard[-1]["response"]
    assert (known, list(range(len(heard)))) == (heard[: len(known)], numbers(heard))
    status: str = heard[-1]["response"]["status"]
    return status


def unanswered(server: Operated, id: str) -> None:
    """See that nothing is said of a response that cannot be read."""
    for method, path in (("GET", ""), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", "")):
        answer = httpx.request(method, f"{server.address}/v1/responses/{id}{path}", timeout=HANG_SECONDS)
        assert (503, "server_error") == (answer.status_code, answer.json()["error"]["code"])


def finish(models: Models, server: Operated, id: str) -> None:
    """Let the model of a run come to its end, by whichever attempt."""
    eventually(server.address, id, lambda response: bool(response["output"]))
    models["m"].say(" three")
    models["m"].stop()
