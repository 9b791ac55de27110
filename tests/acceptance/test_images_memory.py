"""Bombs, one after the other, cost a server neither memory nor children."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests.acceptance.operating import Operated, configured, operating
from tests.acceptance.showing import Json, data_url, looking, picture, shown
from tests.acceptance.test_images_refused import BAD_DOCUMENTS, BAD_PICTURES
from tests.documents.files import noise, saved
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.showing import Model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
]

MIB = 1_048_576
BOMBS = ("too many pixels", "a text that inflates", "many pixels of WebP")
FILES = ("10,000 pages", "a bomb of a Word document", "a bomb of a workbook")
CONFIG = """
[documents]
workers = 2
[[deployments]]
name = "*"
backend = "chat_completions"
base_url = "{model}"
"""


@pytest.fixture
def model() -> Iterator[Model]:
    """A model."""
    with looking() as made:
        yield made


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}


def resident(pid: int) -> int:
    """The resident memory of a process in bytes."""
    return 1024 * int(status(pid)["VmRSS"].split()[0])


def children(pid: int) -> list[str]:
    """The states of a process's children, a letter each."""
    found: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [status(int(child))["State"][0] for child in (task / "children").read_text().split()]
    return found


def parts() -> list[Json]:
    """Twenty bombs."""
    pictures = [picture(data_url(BAD_PICTURES[name][0])) for name in BOMBS]
    files: list[Json] = [
        {"type": "input_file", "filename": "a.pdf", "file_data": data_url(BAD_DOCUMENTS[name][0])} for name in FILES
    ]
    return [*(pictures + files) * 3, *pictures[:2]]


def test_twenty_bombs_leave_memory_flat_and_no_zombies(model: Model, tmp_path: Path) -> None:
    """What a first round has loaded stays; a second round adds nothing, and a sound picture is seen after it."""
    with (
        operating(configured(tmp_path, CONFIG.format(model=model.url))) as server,
        httpx.Client(base_url=f"{server.address}/v1", timeout=HANG_SECONDS) as client,
    ):
        explode(client)
        before = resident(server.pid)
        explode(client)
        grown = resident(server.pid) - before
        assert 0 == len(model.asked)
        sound = shown(picture(data_url(saved(noise(64, 64), "PNG"))))
        assert 200 == client.post("/responses", json={"model": "m", "input": sound}).status_code
        states = children(server.pid)
    assert grown < 16 * MIB
    assert "Z" not in states
    assert 1 <= len(states) <= 2, states
    assert not_logged(server)


def explode(client: httpx.Client) -> None:
    """Send them."""
    for part in parts():
        assert 400 == client.post("/responses", json={"model": "m", "input": shown(part)}).status_code


def not_logged(server: Operated) -> bool:
    """Whether nothing of the kind of a crash was logged."""
    return b"Traceback" not in server.written
