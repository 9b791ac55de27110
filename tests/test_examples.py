"""The examples, each run as a user runs it: as a program of its own, against the command ``antiphon serve``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from antiphon.backends.llama import catalog
from tests.acceptance.showing import looking
from tests.command import ROOT, run_python, serving
from tests.patient import STORY_SECONDS, get
from tests.seeing import seeing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.clients]

EXAMPLES = ROOT / "examples"

ANSWERS = {
    "chaining.py": "You cram for history, and the algebra of last week is gone.",
    "function_calling.py": "It is 70 degrees in San Francisco.",
    "manual_chaining.py": "You cram for history, and the algebra of last week is gone.",
    "retrieve.py": "And this is an answer.",
    "text.py": "And this is an answer.",
}
"""What the last response says that an example prints as JSON."""

STORY = "Once upon a time a server fell, and the story went on where it had stopped."

PRINTED = {
    "background_stream.py": f"{STORY}\n",
    "cancel.py": "cancelled\ncancelled\n",
    "compaction.py": "as many tokens as in a page: 400\nmessage message compaction\nAnd this is an answer.\n",
    "custom_tool.py": '*** Begin Patch\n*** Add File: hello.py\n+print("Hello, world!")\n*** End Patch\n\n',
    "conversations.py": (
        "developer: Answer in one sentence.\n"
        "user: Define and explain the concept of catastrophic forgetting?\n"
        "assistant: A network that learns a new task loses what it knew of an old one.\n"
        "user: Explain this at a level that could be understood by a college freshman\n"
        "assistant: You cram for history, and the algebra of last week is gone.\n"
        "True\n"
    ),
    "image_base64.py": "A red square on white.\n",
    "image_url.py": "A red square on white.\n",
    "pdf.py": "It says that 2329 umbrellas were sold in month 17 (report.pdf, page 17).\n",
    "quickstart.py": "Air scatters short waves of light more than long ones.\n",
    "reasoning.py": (
        "Thought: It is odd, and so is 7: I try that.\nThought: Nothing is left.\nNo: 1001 is 7 times 143.\n"
    ),
    "streaming.py": "And this is an answer.",
    "token_provider.py": "And this is an answer.\n",
}
"""All that an example prints."""

DRAWN = {
    "image_edit.py": {"gift-basket.png": (32, 32), "gift-basket-blue.png": (32, 32)},
    "image_generation.py": {"otter.png": (1024, 1024)},
    "image_streaming.py": {"river0.png": (1024, 1024), "river1.png": (1024, 1024)},
}
"""The files that an example writes and names: pictures of so many pixels."""

OTHERS = {"background.py", "delete.py", "input_items.py", "picture.py", "report.py", "websocket.py"}
"""Looked at by tests of their own; `picture.py` and `report.py` are no examples."""

MODEL = catalog.SMALL
TALKS = 4
"""How often an example is run whose model does not come to an end."""


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the configuration that stands beside the examples."""
    with serving(EXAMPLES / "scripted.toml", tmp_path_factory.mktemp("scripted")) as url:
        yield url


@pytest.fixture(scope="module")
def sighted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose model sees: an upstream that tells the size of what it is shown."""
    folder = tmp_path_factory.mktemp("sighted")
    config = folder / "antiphon.toml"
    with seeing() as upstream:
        config.write_text(
            'outbound = { allow_private = ["127.0.0.1"] }\n'
            f'[[deployments]]\nname = "*"\nbackend = "chat_completions"\nbase_url = "{upstream}"\nfetch_images = true\n'
        )
        with serving(config, folder) as url:
            yield url


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the small embedded model."""
    subprocess.run([sys.executable, "-m", "antiphon", "models", "fetch", MODEL], check=True, timeout=STORY_SECONDS)
    folder = tmp_path_factory.mktemp("embedded")
    config = folder / "antiphon.toml"
    config.write_text(f'[embedded]\nmodel = "{MODEL}"\ncontext = 1024\nparallel = 1\n')
    with serving(config, folder) as url:
        yield url


def run_example(name: str, url: str, folder: Path) -> str:
    """Run an example and give what it prints."""
    return run_python(str(EXAMPLES / name), url=url, folder=folder)


def last_object(printed: str) -> dict[str, object]:
    """Read the last of the JSON objects that stand one after the other, each indented."""
    found: dict[str, object] = json.loads(re.split(r"^(?=\{)", printed, flags=re.MULTILINE)[-1])
    return found


def said(printed: str) -> str:
    """Give the text of the last response that was printed."""
    match last_object(printed):
        case {"output": [*_, {"content": [{"text": str(text)}, *_]}]}:
            return text
        case other:
            pytest.fail(f"no message: {other}")


def test_every_example_is_run() -> None:
    """A new example cannot be forgotten here."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*ANSWERS, *PRINTED, *DRAWN, *OTHERS}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_example_prints_the_response_that_it_was_given(name: str, scripted: str, tmp_path: Path) -> None:
    """The samples of the API's documentation work as they stand there."""
    assert ANSWERS[name] == said(run_example(name, scripted, tmp_path))


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_what_was_said(name: str, scripted: str, tmp_path: Path) -> None:
    """Streams, tokens and images work as in the samples."""
    assert PRINTED[name] == run_example(name, scripted, tmp_path)


def test_a_chained_response_knows_what_was_said_before(scripted: str, tmp_path: Path) -> None:
    """The scripted model counts the words that it reads: all turns are there, whoever remembered them."""
    words = {
        name: last_object(run_example(name, scripted, tmp_path))["usage"]
        for name in ("chaining.py", "manual_chaining.py")
    }
    assert words["chaining.py"] == words["manual_chaining.py"]
    match words["chaining.py"]:
        case {"input_tokens": counted}:
            assert 8 + 15 + 13 == counted
        case other:
            pytest.fail(f"no usage: {other}")


def test_the_example_of_the_background_sees_its_response_end(scripted: str, tmp_path: Path) -> None:
    """It is looked at until it has ended, and then it is whole."""
    *looks, status, output, story = run_example("background.py", scripted, tmp_path).splitlines()
    assert {"Current status: queued", "Current status: in_progress"} >= set(looks) != set()
    assert ["Final status: completed", "Output:", STORY] == [status, output, story]


def test_the_example_of_deleting_finds_nothing_afterwards(scripted: str, tmp_path: Path) -> None:
    """What was deleted is gone, and the client is told so in the words of the live service."""
    returned, refused = run_example("delete.py", scripted, tmp_path).splitlines()
    assert "None" == returned  # the client has no type for what a deletion returns
    assert re.fullmatch(r"Error code: 404 - Response with id 'resp_[0-9a-f]+' not found\.", refused)


def test_the_example_of_input_items_lists_what_was_asked(scripted: str, tmp_path: Path) -> None:
    """The list has the shape of the documentation: one message, and its id as the first and the last one."""
    listed = last_object(run_example("input_items.py", scripted, tmp_path))
    match listed:
        case {"data": [{"id": id, "content": [{"text": text}], "role": role}], "object": kind, "has_more": more}:
            assert ("This is a test.", "user", "list", False) == (text, role, kind, more)
            assert (id, id) == (listed["first_id"], listed["last_id"])
        case other:
            pytest.fail(f"another shape: {other}")


def test_the_example_of_a_websocket_goes_on_and_side_by_side(scripted: str, tmp_path: Path) -> None:
    """A turn goes on from one of which nothing is stored; which of two lanes ends first is open."""
    *said, one, other = run_example("websocket.py", scripted, tmp_path).splitlines()
    assert ["Air scatters short waves of light more than long ones.", "A longer way takes the blue, too."] == said
    assert {"one: response.completed", "two: response.completed"} == {one, other}


@pytest.mark.parametrize("name", ["image_base64.py", "image_url.py"])
def test_an_example_shows_its_picture_to_the_model(name: str, sighted: str, tmp_path: Path) -> None:
    """The bytes of the picture reach a model that sees, whether they were sent or had to be fetched."""
    assert run_example(name, sighted, tmp_path) == "A PNG of 32 by 32 pixels.\n"


@pytest.mark.parametrize("name", DRAWN)
def test_an_example_writes_the_pictures_that_it_names(name: str, scripted: str, tmp_path: Path) -> None:
    """Each opens, and no two are the same."""
    assert list(DRAWN[name]) == run_example(name, scripted, tmp_path).splitlines()
    assert set(DRAWN[name]) == {path.name for path in tmp_path.iterdir()}
    pictures = {file: Image.open(tmp_path / file) for file in DRAWN[name]}
    assert {file: ("PNG", size) for file, size in DRAWN[name].items()} == {
        file: (picture.format, picture.size) for file, picture in pictures.items()
    }
    assert len(pictures) == len({picture.convert("RGB").tobytes() for picture in pictures.values()})


def test_the_example_of_an_edit_changes_what_it_is_asked_to(scripted: str, tmp_path: Path) -> None:
    """The ribbon, and nothing else: the picture that was uploaded still lies beneath."""
    run_example("image_edit.py", scripted, tmp_path)
    red, blue = (Image.open(tmp_path / file).convert("RGB") for file in DRAWN["image_edit.py"])
    assert [(0xD9, 0x26, 0x1C), (0x1C, 0x4F, 0xD9)] == [picture.getpixel((16, 27)) for picture in (red, blue)]
    assert [(0xD0, 0x20, 0x20)] * 2 == [picture.getpixel((16, 12)) for picture in (red, blue)]
    assert [(0xFF, 0xFF, 0xFF)] * 2 == [picture.getpixel((2, 2)) for picture in (red, blue)]


def test_the_example_of_a_pdf_shows_every_page_to_the_model(tmp_path: Path) -> None:
    """Its text stands behind the mark of its page, and the file is deleted in the end."""
    config = tmp_path / "antiphon.toml"
    with looking() as model:
        config.write_text(
            f'[[deployments]]\nname = "*"\nbackend = "chat_completions"\nvision = true\nbase_url = "{model.url}"\n'
        )
        with serving(config, tmp_path) as url:
            assert "I see 20 pictures.\n" == run_example("pdf.py", url, tmp_path)
            assert [] == get(f"{url}/v1/files").json()["data"]
    words = model.words()
    for number in (1, 17, 30):
        text = f"In month {number} we sold {number * 137} umbrellas."
        assert text in words.partition(f"[report.pdf, page {number} of 30]")[2].partition("[")[0]
    assert "What does page 17 say?" in words


@pytest.mark.model
@pytest.mark.parametrize("name", ["chaining.py", "manual_chaining.py", "retrieve.py", "text.py"])
def test_an_example_is_answered_by_the_embedded_model(name: str, embedded: str, tmp_path: Path) -> None:
    """With a real model there is a text, whatever it says."""
    assert said(run_until_it_ends(name, embedded, tmp_path)).strip()


def run_until_it_ends(name: str, url: str, folder: Path) -> str:
    """Run an example with a model so small that it may talk until its window is full: then no turn can follow."""
    for _ in range(TALKS):
        try:
            return run_example(name, url, folder)
        except AssertionError as error:
            if "exceeds the context window" not in str(error):
                raise
    pytest.fail("The model never came to an end.")


@pytest.mark.model
@pytest.mark.parametrize("name", ["quickstart.py", "streaming.py"])
def test_an_example_streams_what_the_embedded_model_says(name: str, embedded: str, tmp_path: Path) -> None:
    """With a real model there is a stream of text."""
    assert run_example(name, embedded, tmp_path).strip()
