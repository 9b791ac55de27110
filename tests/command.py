"""The command ``antiphon serve`` as a process of its own, for tests of what a user runs."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patient import HANG_SECONDS, STORY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
ADDRESS = re.compile(r"http://[^/\s]+")


@contextmanager
def serving(config: Path, folder: Path) -> Iterator[str]:
    """Run the server with a configuration, its state in ``folder``; gives its address, such as http://127.0.0.1:40123.

    The address is read from the first line of stderr, as any program would.
    """
    server = subprocess.Popen(
        [sys.executable, "-m", "antiphon", "serve", "--config", str(config), "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "XDG_DATA_HOME": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_drain, args=(server, lines))
    reader.start()
    try:
        found = ADDRESS.search(lines.get(timeout=HANG_SECONDS))
        assert found, "the first line on stderr names no address"
        yield found[0]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(HANG_SECONDS)
        reader.join(HANG_SECONDS)
        if server.stderr:
            server.stderr.close()


def _drain(server: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    """Read all that the server writes, so that it never waits for a reader."""
    for line in server.stderr or ():
        lines.put(line)
    lines.put("")


def run_python(*arguments: str, url: str, folder: Path) -> str:
    """Run a program against the server and give what it prints; one that fails fails the test with what it said."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "ANTIPHON_URL": url, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
        timeout=STORY_SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
