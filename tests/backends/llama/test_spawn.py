"""The process that runs a model, from the server's side."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.llama.spawn import Access, Child
from antiphon.backends.llama.wire import Load
from tests.backends.llama.fakes import FAKE_CHILD
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

LOAD = Load(path="x.gguf", context=256, parallel=1, threads=1)


def child(mode: str, *, path: str = "x.gguf", load_seconds: float = HANG_SECONDS) -> Child:
    """A child in that mode."""
    keys = iter("abcdef")
    load = replace(LOAD, path=path)
    return Child(load, name="x", command=[*FAKE_CHILD, mode], load_seconds=load_seconds, new_key=lambda: next(keys))


async def test_nothing_is_started_before_the_first_request() -> None:
    """A server with an embedded model is ready at once."""
    assert child("ok").pid is None


async def test_requests_at_once_share_one_process() -> None:
    """Whoever comes while the model is loading waits for the same process."""
    one, seen = child("ok"), set[str]()

    async def ask() -> None:
        seen.add((await one.access()).address)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
    assert seen == {"http://127.0.0.1:9/a"}
    await one.aclose()


async def test_loading_and_readiness_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The operator sees why the first answer takes its time."""
    caplog.set_level(logging.INFO, "antiphon.backends.llama")
    one = child("ok")
    with anyio.fail_after(HANG_SECONDS):
        await one.access()
        await one.aclose()
    assert [record.message.split(" in ")[0] for record in caplog.records] == ["loading model x", "model ready"]


async def test_a_killed_process_is_started_again_with_a_new_key(caplog: pytest.LogCaptureFixture) -> None:
    """The request after a crash finds a fresh process, and the log says what happened."""
    one = child("ok")
    with anyio.fail_after(HANG_SECONDS):
        assert await one.access() == Access("http://127.0.0.1:9/a", "a")
        os.kill(one.pid or 0, signal.SIGKILL)
        assert await one.ended(HANG_SECONDS) == -signal.SIGKILL
        assert await one.access() == Access("http://127.0.0.1:9/b", "b")
        await one.aclose()
    assert ["model process ended"] == [record.message for record in caplog.records if record.levelno == logging.WARNING]


async def test_a_caller_that_leaves_does_not_stop_the_loading(tmp_path: Path) -> None:
    """The next caller gets what the first one had begun."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    one = child("gate", path=str(gate))
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(one.access)
            writing = await anyio.to_thread.run_sync(gate.open, "w")  # the child has opened it: the model is loading
            group.cancel_scope.cancel()
        begun = one.pid
        with writing:
            writing.write("open")
        await one.access()
    assert begun is not None
    assert begun == one.pid
    await one.aclose()


async def test_a_process_that_dies_before_it_is_ready_says_why_to_the_operator() -> None:
    """Its last words are for the log, not for the caller."""
    one = child("crash")
    with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError, match="could not be started") as caught:
        await one.access()
    assert caught.value.fault == "misconfigured"
    assert caught.value.detail == "exit code 3: out of memory"
    await one.aclose()


async def test_a_failed_greeting_is_passed_on() -> None:
    """The child knows how to mend it."""
    one = child("failed")
    with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError, match="No engine: install one") as caught:
        await one.access()
    assert caught.value.fault == "misconfigured"
    await one.aclose()


async def test_a_model_that_takes_too_long_is_stopped() -> None:
    """There is a deadline for the loading; the next request tries again."""
    one = child("mute", load_seconds=0.2)
    with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError, match=r"not ready within 0\.2 s") as caught:
        await one.access()
    assert caught.value.fault == "timeout"
    assert one.pid is None


async def test_a_command_that_cannot_be_started_is_the_operators_fault() -> None:
    """A Python that is gone is no crash of the server."""
    one = Child(LOAD, name="x", command=["/nowhere/python"])
    with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError, match="could not be started") as caught:
        await one.access()
    assert caught.value.fault == "misconfigured"


async def test_a_stopped_child_stays_stopped() -> None:
    """After the server has begun to stop, no model is loaded any more."""
    one = child("ok")
    with anyio.fail_after(HANG_SECONDS):
        await one.access()
        pid = one.pid
        await one.aclose()
        with pytest.raises(UpstreamError, match="stopping"):
            await one.access()
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("libgomp.so.1: cannot open shared object file: No such file or directory", "apt-get install libgomp1"),
        ("libstdc++.so.6: version `GLIBCXX_3.4.99' not found", "pip install --force-reinstall xllamacpp"),
    ],
)
async def test_a_broken_engine_says_how_to_mend_it(
    error: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real child, with an engine that cannot be imported, names the command to run."""
    (tmp_path / "xllamacpp.py").write_text(f"raise ImportError({error!r})\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    one = Child(LOAD, name="x")
    with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError, match=words):
        await one.access()
    await one.aclose()


async def test_a_missing_engine_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the engine is told from a broken one."""
    missing = "raise ModuleNotFoundError(\"No module named 'xllamacpp'\", name='xllamacpp')\n"
    (tmp_path / "xllamacpp.py").write_text(missing, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    one = Child(LOAD, name="x", command=(sys.executable, "-m", "antiphon.backends.llama.child"))
    with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError, match="`pip install xllamacpp`"):
        await one.access()
    await one.aclose()
