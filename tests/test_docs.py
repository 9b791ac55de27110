"""The documentation says what is: generated pages are fresh, everything is named, and what it shows works."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from antiphon import wiring
from antiphon.backends.scripted.script import read_script
from antiphon.cli import app
from antiphon.config import read_config
from antiphon.documents import Documents
from antiphon.http import openapi
from antiphon.store.blob_places import read_place
from antiphon.wiring import read_deployments
from examples import picture, report
from scripts.reference import DOCS, PAGES, logs, settings
from scripts.reference.tables import MEANINGS
from tests.command import ROOT, run_python, serving
from tests.images_api import images_api
from tests.pages import PROSE, blocks, python_blocks, run_page
from tests.patient import HANG_SECONDS
from tests.seeing import seeing

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LINK = re.compile(r"\]\((?P<target>[^)#:\s]+)(#[^)]*)?\)")
FILE = re.compile(r"`(?P<file>tests/[\w/]+\.py)`")
TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<test>\w+)`")
HEADER = re.compile(r'b?"((?:x|apim|openai|retry|www|cache)-[a-z-]+)"')
TOUR = """Loire
One, two, three, four, five.
Atlantic Ocean
get_weather {"city": "Paris"}
The weather in Paris is clear with a temperature of 21 degrees Celsius.
name='Lyon' country='France'
message
function_call
function_call_output
In month 17, we sold 2329 umbrellas.
1024x1024
A PNG of 32 by 32 pixels.
"""


@cache
def everything() -> str:
    """All of the documentation."""
    return "\n".join(path.read_text(encoding="utf-8") for path in PROSE)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    """What is written from the code is what the code says now; `python -m scripts.reference` mends it."""
    assert PAGES[name]() == (DOCS / name).read_text(encoding="utf-8")


def test_every_part_is_named() -> None:
    """Backends, databases, sections and commands are named in what a user reads."""
    names = [
        *wiring.backends(),
        *wiring.DATABASES,
        *settings.SECTIONS,
        *(f"`{scheme}`" for scheme in settings.PLACES),
        *(f'backend = "{name}"' for name in settings.PAINTERS),
        *(f"antiphon {name}" for name in app if name[0] != "-"),
    ]
    assert [] == [name for name in names if name not in everything()]


def test_every_header_is_named() -> None:
    """A header that the code knows is on the page of HTTP."""
    source = ROOT / "src" / "antiphon"
    files = [*(source / "http").rglob("*.py"), *(source / "protocol").glob("errors.py")]
    known = {name for file in files for name in HEADER.findall(file.read_text(encoding="utf-8"))}
    assert set() == known - {*MEANINGS.answer_headers, *MEANINGS.request_headers, openapi.EXTENSION}


def test_every_line_of_the_log_is_named() -> None:
    """All that is called an action anywhere in the code is on the page of logs."""
    source = ROOT / "src" / "antiphon"
    texts = [file.read_text(encoding="utf-8") for file in source.rglob("*.py")]
    actions = {action for text in texts for action in re.findall(r'"action": "(\w+)"', text)}
    assert set() == actions - {line.action for line in logs.found()}


def test_every_code_of_a_drawing_that_fails_is_named() -> None:
    """Why nothing was drawn is on the page of images."""
    source = ROOT / "src" / "antiphon" / "tools" / "image_generation"
    texts = [file.read_text(encoding="utf-8") for file in source.rglob("*.py")]
    codes = {code for text in texts for code in re.findall(r'DrawingError\(\s*"(\w+)"', text)}
    page = (DOCS / "how-to" / "images.md").read_text(encoding="utf-8")
    assert len(codes) > 5
    assert [] == sorted(code for code in codes if f"`{code}`" not in page)


@pytest.mark.parametrize(("place", "code"), blocks("toml"), ids=lambda value: value if ":" in value[:60] else "")
def test_a_configuration_that_is_shown_is_sound(
    place: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block of TOML is a configuration, or a script, that the server takes: none of its parts refuses it."""
    if "wire_api" in code:  # the configuration of a client
        return
    file = tmp_path / "block.toml"
    for name in re.findall(r'"env:(\w+)"', code):
        monkeypatch.setenv(name, "key")
    (tmp_path / "secret").write_text("secret")
    file.write_text(code.replace("/run/secrets/team-b", str(tmp_path / "secret")))
    if code.lstrip().startswith("[[replies]]"):
        assert read_script(str(file)), place
        return
    (tmp_path / "replies.toml").write_text("replies = []")
    monkeypatch.chdir(tmp_path)
    config = read_config(file)
    documents = Documents(config.documents)
    deployments = {deployment.name: deployment for deployment in read_deployments(config)}
    assert deployments, place
    wiring.studio(config, documents)
    wiring.describing(config, deployments, documents)
    read_place(config.store.blob_place)


@pytest.mark.parametrize(("place", "code"), blocks("sh"), ids=lambda value: value if ":" in value[:60] else "")
def test_a_command_that_is_shown_is_understood(place: str, code: str) -> None:
    """Every line that runs the command has commands and options that there are."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix(".venv/bin/"), comments=True)
        if words[:1] == ["antiphon"] and not {"COMMAND", "[OPTIONS]", "[ARGS]", "NAME"} & set(words):
            app.parse_args(words[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(path: Path) -> None:
    """Relative links lead to files that are there."""
    targets = {found["target"] for found in LINK.finditer(path.read_text(encoding="utf-8"))}
    assert [] == sorted(target for target in targets if not (path.parent / target).exists())


def test_a_test_that_is_named_is_there() -> None:
    """A promise names the tests that hold it."""
    named = [(found["file"], found["test"]) for found in TEST.finditer(everything())]
    assert len(named) > 10
    assert [] == [
        f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]


def test_a_file_of_tests_that_is_named_is_there() -> None:
    """What is said to be tested names files."""
    assert [] == [name for name in FILE.findall(everything()) if not (ROOT / name).exists()]


def test_the_quick_start_is_the_example() -> None:
    """What README.md shows first is the file that it names."""
    example = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")
    assert python_blocks()[0] == example.partition("from __future__ import annotations\n\n")[2]


def test_the_tour_shows_what_it_prints() -> None:
    """Every line that the embedded model gave stands beside the line that prints it."""
    shown = "\n".join(python_blocks())
    assert [] == [line for line in TOUR.splitlines()[:-1] if line not in shown]


@pytest.mark.slow
@pytest.mark.clients
def test_the_tour_works_as_it_is_written(tmp_path: Path) -> None:
    """All blocks of the tour, one after the other, against the command; a script gives the answers that are shown."""
    config = tmp_path / "antiphon.toml"
    (tmp_path / "square.png").write_bytes(picture.png())
    (tmp_path / "report.pdf").write_bytes(report.pdf())
    with seeing() as upstream:
        config.write_text(
            f'[[deployments]]\nname = "*"\nbackend = "scripted"\nscript = "{ROOT}/examples/scripts/tour.toml"\n'
            f'[[deployments]]\nname = "vision"\nbackend = "chat_completions"\nbase_url = "{upstream}"\n'
        )
        with serving(config, tmp_path) as url:
            tour = tmp_path / "tour.py"
            tour.write_text("\n".join(python_blocks()[1:]).replace("http://127.0.0.1:8080", url))
            assert run_python(str(tour), url=url, folder=tmp_path) == TOUR


@pytest.mark.slow
@pytest.mark.clients
def test_the_page_of_images_works_as_it_is_written(tmp_path: Path) -> None:
    """All of its Python, one block after the other; each picture that it saves opens."""
    (tmp_path / "square.png").write_bytes(picture.png())
    with seeing() as upstream, images_api() as painter:
        config = configured(tmp_path, upstream, painter.url)
        with serving(config, tmp_path) as url:
            told = run_page("docs/how-to/images.md", url, tmp_path)
    assert ["A PNG of 32 by 32 pixels.", "256x256 A lighthouse, revised", "edit"] == told.splitlines()
    saved = ["blue.png", "composed.png", "lighthouse.png", "square.png", "winter0.png", "winter1.png"]
    assert saved == sorted(path.name for path in tmp_path.glob("*.png"))
    for name in saved:
        Image.open(tmp_path / name).load()


@pytest.mark.slow
@pytest.mark.clients
def test_the_page_of_files_works_as_it_is_written(tmp_path: Path) -> None:
    """All of its Python, one block after the other: it deletes a file, lets one expire, and makes one of parts."""
    (tmp_path / "report.pdf").write_bytes(report.pdf())
    with seeing() as upstream, images_api() as painter:
        config = configured(tmp_path, upstream, painter.url)
        with serving(config, tmp_path) as url:
            first, listed, joined, answer = run_page("docs/how-to/files.md", url, tmp_path).splitlines()
    assert first == f"{first.split()[0]} {len(report.pdf())} report.pdf"
    assert listed == f"{first.split()[0]} report.pdf"
    assert joined.startswith("completed file-")
    assert "Page 17." == answer


def configured(folder: Path, upstream: str, painter: str) -> Path:
    """A configuration in which whoever is asked draws, reads or sees."""
    config = folder / "antiphon.toml"
    config.write_text(f"""
[[deployments]]
name = "vision"
backend = "chat_completions"
base_url = "{upstream}"

[[image_deployments]]
name = "gpt-image-1"
backend = "images"
base_url = "{painter}"

[[deployments]]
name = "*"
backend = "scripted"

[[deployments.replies]]
after_output = true
steps = [{{ text = "Here it is." }}]

[[deployments.replies]]
when = "page 17"
steps = [{{ text = "Page 17." }}]

[[deployments.replies]]
steps = [{{ call = {{ name = "image_generation", arguments = {{ prompt = "A lighthouse" }} }} }}]
""")
    return config


@pytest.mark.slow
def test_the_tour_outlives_its_server(tmp_path: Path) -> None:
    """The shell blocks of the tour as they are written: a story, a kill, a new server, and the rest of the story."""
    story, kill, rest = [code for _, code in blocks("sh") if "story.txt" in code or "kill -9" in code]
    config = tmp_path / "antiphon.toml"
    config.write_text(
        '[[deployments]]\nname = "*"\nbackend = "scripted"\ntokens_per_second = 40\n'
        f'replies = [{{ steps = [{{ text = "{"Once upon a time. " * 30}" }}] }}]\n'
    )
    with serving(config, tmp_path) as url, reading(story, url, tmp_path) as reader:
        while b"output_text.delta" not in (tmp_path / "story.txt").read_bytes():
            assert reader.poll() is None
            time.sleep(0.02)  # a file tells nobody that it grows
        shell(kill, url, tmp_path)
    with serving(config, tmp_path) as url:
        shell(rest, url, tmp_path)
    told = (tmp_path / "story.txt").read_text()
    numbers = [int(number) for number in re.findall(r'"sequence_number":(\d+)', told)]
    assert list(range(len(numbers))) == numbers
    assert ["response.completed"] == re.findall(
        r"^event: (response\.(?:completed|failed|incomplete))$", told, re.MULTILINE
    )


@contextmanager
def reading(code: str, url: str, folder: Path) -> Generator[subprocess.Popen[bytes], None, None]:
    """A block that reads a stream, until its end."""
    (folder / "story.txt").touch()
    reader = subprocess.Popen(["sh", "-c", at(code, url, folder)], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield reader
    finally:
        reader.wait(HANG_SECONDS)


def shell(code: str, url: str, folder: Path) -> None:
    """Run a block."""
    subprocess.run(
        ["sh", "-c", at(code, url, folder)], cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=HANG_SECONDS
    )


def at(code: str, url: str, folder: Path) -> str:
    """A block as it is for this server and its folder."""
    return code.replace("http://127.0.0.1:8080", url).replace("~/.local/share", str(folder))
