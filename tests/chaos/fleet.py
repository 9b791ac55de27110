"""Processes that are kept alive: whichever ends, however it ends, is started again on its port at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

from tests.chaos.crashing import FOLDER, KILLED, Points
from tests.chaos.tools import Book
from tests.command import ROOT
from tests.patient import HANG_SECONDS
from tests.servers import reserved_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RESTART_SECONDS = 0.2
"""The pause after a process that could not start: its database may be away."""

EXPECTED = {0, -signal.SIGKILL, KILLED}
"""How a process may end here. One that finds no database when it starts ends with 1."""


class Node:
    """A process, and the thread that starts it again. ``url`` is where it answers; a worker does not."""

    def __init__(
        self, kind: Literal["serve", "api", "worker"], *, config: Path, folder: Path, number: int, port: int
    ) -> None:
        self.kind = kind
        self.name = f"{kind}{number}"
        self.codes: list[int] = []
        self.log = folder / f"{self.name}.log"
        self.url = "" if kind == "worker" else f"http://127.0.0.1:{port}"
        where = ["worker"] if kind == "worker" else ["serve", "--port", str(port)]
        only = ["--no-worker"] if kind == "api" else []
        self._command = [sys.executable, "-m", "tests.chaos.node", *where, *only, "--config", str(config)]
        # Whoever is killed tells of no lines that it ran: to count them only makes each start slower.
        told = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self._environment = {**told, FOLDER: str(folder)}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_kept = True
        self._changed = threading.Condition()
        self._starts = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep)

    def start(self) -> None:
        """Start it, and keep it alive from now on."""
        self._thread.start()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that there is now."""
        with self._changed:
            if self._process is not None:
                self._process.send_signal(number)

    def restart(self, number: signal.Signals) -> None:
        """End it with a signal, and return once it is started again; not once it answers."""
        with self._changed:
            before = self._starts
            self.send(number)
            assert self._changed.wait_for(lambda: self._starts > before, HANG_SECONDS), f"{self.name} stays away"

    def close(self) -> None:
        """End it for good."""
        with self._changed:
            self._is_kept = False
            self._closing.set()
            if self._process is not None:
                self._process.send_signal(signal.SIGCONT)
                self._process.kill()
        self._thread.join(HANG_SECONDS)

    def _keep(self) -> None:
        while True:
            with self._changed, self.log.open("ab") as log:
                if not self._is_kept:
                    return
                self._process = subprocess.Popen(
                    self._command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
                self._starts += 1
                self._changed.notify_all()
            code = self._process.wait()
            self.codes.append(code)
            if code == 1:
                self._closing.wait(RESTART_SECONDS)


class Fleet:
    """Nodes on one database."""

    def __init__(self, nodes: list[Node], folder: Path) -> None:
        self.nodes = nodes
        self.folder = folder
        self.points = Points(folder)
        self.book = Book(folder / "book")

    @property
    def urls(self) -> list[str]:
        """Where clients may ask."""
        return [node.url for node in self.nodes if node.url]

    def of(self, *kinds: str) -> list[Node]:
        """The nodes of some kinds."""
        return [node for node in self.nodes if node.kind in kinds]

    def logs(self, action: str) -> list[str]:
        """What all processes have logged under an action."""
        marked = f'"action":"{action}"'
        return [line for node in self.nodes for line in node.log.read_text().splitlines() if marked in line]


@contextmanager
def fleet(*kinds: Literal["serve", "api", "worker"], config: str, folder: Path) -> Iterator[Fleet]:
    """Processes of these kinds with a configuration, kept alive until the end."""
    file = folder / "antiphon.toml"
    file.write_text(config)
    with ExitStack() as kept:
        ports = [kept.enter_context(reserved_port()) for _ in kinds]  # of each, also while it is away
        nodes = [
            Node(kind, config=file, folder=folder, number=number, port=port)
            for number, (kind, port) in enumerate(zip(kinds, ports, strict=True))
        ]
        for node in nodes:
            kept.callback(node.close)
            node.start()
        yield Fleet(nodes, folder)
