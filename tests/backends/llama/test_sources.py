"""Where the parts of a model come from."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.backends.llama.errors import SourceError
from antiphon.backends.llama.sources import Official, Packages, pip_command
from tests.backends.llama.fakes import BYTES, MODEL, PARTS, wheel
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


def heard(_arrived: int) -> None:
    """Nothing is made of it."""


@contextmanager
def serving(status: int, *, cut: int | None = None) -> Generator[str]:
    """A server on loopback that gives ranges of the model with this status, up to ``cut`` bytes of each."""

    class Ranges(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first, last = (int(end) for end in self.headers["Range"].removeprefix("bytes=").split("-"))
            body = BYTES[first : last + 1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tiny.gguf"
    finally:
        server.shutdown()
        thread.join(HANG_SECONDS)
        server.server_close()


def test_the_makers_address_is_asked_for_ranges() -> None:
    """Each part is a range of the one file."""
    with serving(206) as address:
        source = Official(replace(MODEL, address=address))
        assert [b"".join(source.read(part, heard)) for part in range(3)] == PARTS


@pytest.mark.parametrize("status", [200, 403, 500])
def test_an_address_that_gives_no_range_is_a_failed_source(status: int) -> None:
    """A login page is no model."""
    with serving(status) as address, pytest.raises(SourceError, match=str(status)):
        list(Official(replace(MODEL, address=address)).read(0, heard))


def test_an_answer_that_breaks_off_is_a_failed_source() -> None:
    """Half a part is none."""
    with serving(206, cut=10) as address:
        pieces = Official(replace(MODEL, address=address)).read(0, heard)
        try:
            got = b"".join(pieces)
        except SourceError:
            got = b""
    assert got != PARTS[0]


def test_an_address_that_cannot_be_reached_is_a_failed_source() -> None:
    """One try, and the reason."""
    with pytest.raises(SourceError, match="cannot be reached"):
        list(Official(replace(MODEL, address="http://127.0.0.1:1/x")).read(0, heard))


def from_shelf(folder: Path, pin: str) -> bytes:
    """Read part 0 from the packages in a folder."""
    arguments = ["--no-index", "--find-links", str(folder)]
    return b"".join(Packages([pin], folder, member=".bin", pip_arguments=arguments).read(0, heard))


def test_a_package_with_another_hash_is_refused(tmp_path: Path) -> None:
    """The comparison is made before anything is read."""
    pin = wheel(tmp_path, 1, {"a.bin": b"x"})
    with pytest.raises(SourceError, match="pip says"):
        from_shelf(tmp_path, pin[:-64] + "0" * 64)


def test_a_package_that_is_not_there_is_told_in_pips_words(tmp_path: Path) -> None:
    """The operator knows pip's words."""
    with pytest.raises(SourceError, match="pip says: Could not find a version"):
        from_shelf(tmp_path, "tiny-model-part9==1.0 --hash=sha256:" + "0" * 64)


@pytest.mark.parametrize("members", [{}, {"a.bin": b"x", "b.bin": b"y"}])
def test_a_package_without_the_one_member_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    """There is no guessing which file is meant."""
    pin = wheel(tmp_path, 1, members)
    with pytest.raises(SourceError, match=f"{len(members)} members"):
        from_shelf(tmp_path, pin)


def test_pip_of_the_standard_library_serves_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments made by other tools have no pip."""
    found = find_spec
    path = "antiphon.backends.llama.sources.find_spec"
    monkeypatch.setattr(path, lambda name: None if name == "pip" else found(name))
    assert pip_command()[1].endswith(".whl/pip")


def test_a_python_without_any_pip_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems cut it out of the standard library."""
    monkeypatch.setattr("antiphon.backends.llama.sources.find_spec", lambda _name: None)
    with pytest.raises(SourceError, match="ensurepip"):
        pip_command()
