"""The command ``antiphon serve`` as an operator runs it: one folder with its state, its log, and a process to kill."""

from __future__ import annotations

import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2 as httpx
import msgspec

from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any  # what a log line holds is open

ADDRESS = re.compile(rb"http://[^/\s]+")


class Operated:
    """A running server: its address, and the end that its operator or a crash makes of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._written: list[bytes] = []
        self._first: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.address = ""

    def wait(self) -> None:
        """Wait until it says where it is, or that it is not."""
        found = ADDRESS.search(self._first.get(timeout=HANG_SECONDS))
        self.address = found[0].decode() if found else ""

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def kill(self) -> None:
        """End the process as a crash does: nothing of it runs any more."""
        self._process.kill()
        self.ended()

    def stop(self) -> int:
        """Ask the process to end, as an operator does; gives its status."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    @property
    def written(self) -> bytes:
        """All that the process has written to stderr."""
        return b"".join(self._written)

    def log(self, action: str) -> list[dict[str, Any]]:
        """The lines of the log with this action, so far."""
        lines = [msgspec.json.decode(line) for line in self._written if line.startswith(b"{")]
        return [line for line in lines if line.get("action") == action]

    def logged(self, action: str, times: int = 1) -> list[dict[str, Any]]:
        """The same, once there are so many: a line may be heard later than what it tells of."""
        end = time.monotonic() + HANG_SECONDS
        while len(lines := self.log(action)) < times:
            assert time.monotonic() < end, self.written.decode()
            time.sleep(0.01)  # a log tells nobody that it has grown
        return lines

    def gone(self) -> None:
        """Wait until nobody listens at its address any more."""
        address = httpx.URL(self.address)
        end = time.monotonic() + HANG_SECONDS
        while time.monotonic() < end:
            try:
                socket.create_connection((address.host, address.port or 80)).close()
            except ConnectionError:
                return
        raise TimeoutError(self.address)

    def ended(self) -> int:
        """Wait until the process has ended; gives its status."""
        status = self._process.wait(HANG_SECONDS)
        self._reader.join(HANG_SECONDS)
        return status

    def _read(self) -> None:
        for line in self._process.stderr or ():
            self._written.append(line)
            self._first.put(line)
        self._first.put(b"")


def configured(folder: Path, text: str) -> Path:
    """Write a configuration whose state lies in ``folder``, and give its path."""
    path = folder / "antiphon.toml"
    path.write_text(f'store = {{ url = "sqlite://{folder}/antiphon.db" }}\n{text}')
    return path


@contextmanager
def operating(config: Path, *options: str) -> Iterator[Operated]:
    """Run the server on a free port; it is dead after the block, however that ends."""
    command = [sys.executable, "-m", "antiphon", "serve", "--config", str(config), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        server = Operated(process)
        try:
            server.wait()
            assert server.address, server.written.decode()
            yield server
        finally:
            server.kill()  # and nobody reads what it writes when that is closed


@contextmanager
def working(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker of its own; it is dead after the block, however that ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "antiphon", "worker", "--config", str(config)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()
