"""A model uses a browser: the example as a user runs it, a real server, a real browser, and a model that looks."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from examples.computer_use import film, shop
from tests.command import serving
from tests.computer_browser import EXAMPLE, program, run_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.whole]

ORDER = {
    "title": "Moby-Dick",
    "reader": "Ada Lovelace",
    "address": "12 Quay Street",
    "neighbour": "yes",
    "card": "4711",
}
COLOURS = ("blue", "orange", "purple", "teal", "pink")
WISHES = ", ".join(f'{colour} is "{text}"' for colour, text in zip(COLOURS, ORDER.values(), strict=True))
TASK = f"Order a book: {WISHES}. What is its number?"
SHOWN = "The number is {number}."
ASKS = "Go on? (y/N)"
SENSITIVE = 'sensitive = ["*/checkout"]'
NATIVE = """
[[deployments]]
name = "*"
backend = "responses"
base_url = "{url}/v1"
native_tools = ["computer", "computer_use_preview"]
"""


@pytest.fixture(scope="module")
def library() -> Iterator[str]:
    """The pages that a book is ordered on."""
    with program("shop.py") as url:
        yield url


@pytest.fixture(scope="module")
def seeing() -> Iterator[str]:
    """A model that knows nothing but what it sees."""
    with program("seeing.py") as url:
        yield url


@contextmanager
def guarded(folder: Path, seeing: str, *, rules: str = SENSITIVE, deployment: str = "") -> Iterator[str]:
    """A server as the example configures it, with these rules about pages, before the model that sees."""
    text = (EXAMPLE / "seeing.toml").read_text().replace("http://127.0.0.1:8002", seeing)
    assert SENSITIVE in text
    config = folder / "antiphon.toml"
    config.write_text(f"{text.replace(SENSITIVE, rules)}{deployment}\n")
    with serving(config, folder) as url:
        yield url


def frames(strip: Path) -> int:
    """How many frames a film strip has: the pages of the library are bright at their lower left, and paper is dark."""
    width, height = film.WIDTH + film.GAP, film.WIDTH * 3 // 4 + film.LINES * film.LINE + film.GAP // 2 + film.GAP
    with Image.open(strip) as opened:
        grey = opened.convert("L")
    columns, rows = (grey.width - film.GAP) // width, (grey.height - film.GAP) // height
    assert (columns * width + film.GAP, rows * height + film.GAP) == grey.size
    spots = [
        (film.GAP + 9 + column * width, height - 90 + row * height) for row in range(rows) for column in range(columns)
    ]
    return sum(grey.crop((x, y, x + 1, y + 1)).tobytes() > b"\x80" for x, y in spots)


def test_a_model_that_only_sees_orders_a_book_in_batches(library: str, seeing: str, tmp_path: Path) -> None:
    """It fills in three forms, a person allows what is done on the page that takes payment, and the number is right."""
    strip = tmp_path / "strip.png"
    with guarded(tmp_path, seeing) as url:
        ran = run_agent(url, TASK, "--url", library, "--allow", "127.0.0.1", "--record", str(strip), said="y\ny\n")
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert SHOWN.format(number=shop.order_number(ORDER)) in ran.stdout
    assert 2 == ran.stdout.count(ASKS)
    assert ran.stdout.count("sensitive_domain") == ran.stdout.count(ASKS)
    before, _, after = ran.stdout.partition(ASKS)
    assert 'type "12 Quay Street"' in before
    assert "click" not in after.partition("turn")[0]
    assert 'type "4711"' in before.rpartition("sensitive_domain")[0], "a person sees what it is asked about"
    assert "I see a pink field that is empty, a green button." in ran.stdout
    assert len(re.findall(r"\bturn \d", ran.stdout)) - 1 == frames(strip), "nothing is seen before the first look"


def test_a_model_orders_a_book_one_action_at_a_time_in_the_background(
    library: str, seeing: str, tmp_path: Path
) -> None:
    """It sees the screen in half its size, and points in thousandths of it; what it fills in is the same."""
    deployment = 'image_side = 512\nscreenshots = 2\ncoordinates = "thousandths"'
    flags = ["--tool", "computer_use_preview", "--background"]
    with guarded(tmp_path, seeing, deployment=deployment) as url:
        ran = run_agent(url, TASK, "--url", library, *flags, said="y\ny\ny\n")
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert SHOWN.format(number=shop.order_number(ORDER)) in ran.stdout
    assert 3 == ran.stdout.count(ASKS)
    assert [] == re.findall("^> .*; ", ran.stdout, flags=re.MULTILINE), "one action a turn"


@pytest.mark.parametrize("tool", ["computer", "computer_use_preview"])
def test_a_book_is_ordered_through_an_upstream_that_knows_the_tools(
    library: str, seeing: str, tmp_path: Path, tool: str
) -> None:
    """Items are passed on both ways, and a person allows what the upstream asks about."""
    upstream, own = tmp_path / "upstream", tmp_path / "own"
    upstream.mkdir()
    own.mkdir()
    with guarded(upstream, seeing) as known:
        config = own / "antiphon.toml"
        config.write_text(NATIVE.format(url=known))
        with serving(config, own) as url:
            ran = run_agent(url, TASK, "--url", library, "--tool", tool, said="y\n" * 3)
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert SHOWN.format(number=shop.order_number(ORDER)) in ran.stdout
    assert {"computer": 2, "computer_use_preview": 3}[tool] == ran.stdout.count(ASKS)


def test_nothing_is_done_without_a_yes(library: str, seeing: str, tmp_path: Path) -> None:
    """Pages that were not allowed are only looked at where nobody is there to ask."""
    with guarded(tmp_path, seeing, rules='allow = ["intranet.example.com"]') as url:
        ran = run_agent(url, TASK, "--url", library, "--record", str(tmp_path / "strip.png"))
    assert 1 == ran.returncode
    assert "irrelevant_domain" in ran.stdout
    assert ran.stdout.rstrip().endswith("Stopped: You did not say yes, and it was not done.")
    assert 1 == frames(tmp_path / "strip.png"), "where it would have clicked is shown"


def test_a_server_that_is_not_there_is_told_of(library: str) -> None:
    """The person reads what went wrong, and no traceback."""
    ran = run_agent("http://127.0.0.1:9", TASK, "--url", library)
    assert (1, "") == (ran.returncode, ran.stderr)
    assert "Stopped: Connection error." in ran.stdout
