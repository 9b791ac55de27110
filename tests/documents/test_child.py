"""The program of a child, from within."""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import Raw
from PIL import Image

from antiphon import documents
from antiphon.documents import Config, Documents, Picture, child
from antiphon.documents.nouns import Unreadable
from antiphon.documents.sketches import SketchOrder
from antiphon.documents.wire import (
    LENGTH,
    CheckPicture,
    Describe,
    Described,
    Draw,
    Errand,
    Job,
    Outcome,
    ReadDocument,
    Redrawn,
    Refused,
    Report,
    Terms,
    Told,
    Unchanged,
    decode_report,
    framed,
)
from tests.documents.crews import run
from tests.documents.files import quarters, saved

if TYPE_CHECKING:
    from collections.abc import Callable

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="9" height="9" fill="red"/></svg>'
PNG = saved(quarters(), "PNG")
TERMS = Terms(parent=0, memory_mib=1 << 20, seconds=3600, idle_seconds=0.1, most_jobs=2)


def served(*spoken: bytes, carry_out: Callable[[Job, list[bytes]], Outcome] = child.perform) -> list[Report]:
    """What a child answers to what it is told, with confinement that does not confine this process."""
    jobs, reports = os.pipe(), os.pipe()
    os.write(jobs[1], b"".join(spoken))
    os.close(jobs[1])
    with open(jobs[0], "rb") as heard, open(reports[1], "wb") as said:  # noqa: PTH123 - descriptors
        child.serve(heard, said, TERMS, carry_out)
    with open(reports[0], "rb") as said:  # noqa: PTH123 - a descriptor
        answer = said.read()
    found: list[Report] = []
    while answer:
        (length,) = LENGTH.unpack(answer[:4])
        found.append(decode_report(answer[4 : 4 + length]))
        answer = answer[4 + length :]
    return found


def errand(job: Job, *contents: bytes, number: int = 7) -> bytes:
    """A job as it is sent."""
    return framed(Errand(number, job, [len(content) for content in contents])) + b"".join(contents)


def test_jobs_are_done_one_after_another() -> None:
    """The last of them is told to be the last."""
    first = errand(CheckPicture(200), PNG)
    second = errand(ReadDocument("text", None, 9, page_pictures=0, seconds=9), b"x", number=8)
    one, two = served(first, second, first)
    assert Report(7, is_fit=True, outcome=Unchanged("image/png", 160, 80)) == one
    assert (8, False, True) == (two.number, two.is_fit, isinstance(two.outcome, Told))


@pytest.mark.parametrize(
    "spoken", [b"", b"\0\0", LENGTH.pack(10) + b"x", LENGTH.pack(1 << 31), errand(CheckPicture(9), PNG)[:-5]]
)
def test_a_stream_that_ends_ends_the_child(spoken: bytes) -> None:
    """Wherever it ends."""
    assert [] == served(spoken)


def test_an_idle_child_ends() -> None:
    """After its time."""
    jobs = os.pipe()
    with open(jobs[0], "rb") as heard, open(os.devnull, "wb") as said:  # noqa: PTH123 - descriptors
        child.serve(heard, said, TERMS, child.perform)
    os.close(jobs[1])


def test_each_job_is_done_by_its_part() -> None:
    """Pictures that change, descriptions, drawings over others."""
    assert isinstance(child.perform(CheckPicture(50), [PNG]), Redrawn)
    order = Raw(msgspec.msgpack.encode(SketchOrder(SVG, 20, 10)))
    plain = child.perform(Draw(order, has_under=False, has_mask=False), [])
    assert isinstance(plain, Redrawn)
    assert ("image/png", 20, 10) == (plain.picture.media_type, plain.picture.width, plain.picture.height)
    over = child.perform(Draw(order, has_under=True, has_mask=True), [PNG, saved(Image.new("RGBA", (160, 80)), "PNG")])
    assert isinstance(over, Redrawn)
    assert plain != over


def test_a_drawing_that_cannot_be_made_is_told() -> None:
    """In the words of what draws."""
    order = Raw(msgspec.msgpack.encode(SketchOrder(SVG, 4096, 4096)))
    with pytest.raises(Unreadable, match="pixels") as caught:
        child.perform(Draw(order, has_under=False, has_mask=False), [])
    assert "broken" == caught.value.reason


@pytest.mark.parametrize(
    ("job", "error", "reason", "is_fit"),
    [
        (CheckPicture(9), MemoryError(), "image_too_large", False),
        (Draw(Raw(msgspec.msgpack.encode(None)), has_under=False, has_mask=False), MemoryError(), "too_large", False),
        (Describe(), KeyError("secret"), "image_parse_error", True),
        (ReadDocument("text", None, 9, page_pictures=0, seconds=9), KeyError("secret"), "broken", True),
    ],
)
def test_what_a_job_raises_is_told(job: Job, error: Exception, reason: str, is_fit: bool) -> None:  # noqa: FBT001 - a case
    """Without its words; where memory has run out, the child ends."""

    def fail(_job: Job, _contents: list[bytes]) -> Outcome:
        raise error

    (report,) = served(errand(job), carry_out=fail)
    assert isinstance(report.outcome, Refused)
    assert (reason, is_fit, False) == (report.outcome.reason, report.is_fit, "secret" in repr(report.outcome))


def test_a_fault_has_a_place() -> None:
    """That of the innermost frame, where there is one."""
    assert "KeyError" == child.fault(KeyError("secret"))
    with pytest.raises(Unreadable) as caught:
        child.perform(Describe(), [b"x"])
    assert child.fault(caught.value).startswith("Unreadable at antiphon.documents.pictures:")


def test_a_description_comes_from_perform(monkeypatch: pytest.MonkeyPatch) -> None:
    """As words."""
    monkeypatch.setattr("antiphon.documents.seeing._PARTS", ("nothing_of_that_name",))
    outcome = child.perform(Describe(), [PNG])
    assert isinstance(outcome, Described)
    assert "160x80" in outcome.text


@pytest.mark.anyio
async def test_a_sketch_is_drawn_by_a_child() -> None:
    """As large as it was ordered, over what lies beneath."""
    async with aclosing(Documents(Config())) as server:
        assert Picture is type(await server.sketch(SketchOrder(SVG, 20, 10, format="jpeg")))
        drawn = await server.sketch(SketchOrder(SVG, 20, 10), under=PNG)
        assert ("image/png", 20, 10) == (drawn.media_type, drawn.width, drawn.height)


def test_the_server_imports_no_parser() -> None:
    """Starting it costs nothing of what children need; nor does a child load what the server needs."""
    code = "import sys, antiphon.documents.asking, antiphon.documents.telling; print(*sys.modules)"
    loaded = set(run("-c", code).stdout.split())
    assert not {"PIL", "pypdfium2", "mammoth", "openpyxl", "pptx", "bs4", "lxml", "numpy", "rapidocr"} & loaded
    code = "import sys, antiphon.documents.child; print(*sys.modules)"
    loaded = set(run("-c", code).stdout.split())
    assert not {"PIL", "anyio", "asyncio", "pypdfium2", "aiohttp"} & loaded


def test_a_package_has_no_other_names() -> None:
    """What is not there is an error like any other."""
    assert Documents is documents.Documents
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        documents.Nothing  # noqa: B018 - asking is the act


@pytest.mark.parametrize("enclose", ["cage.enclose", "lambda **_: None"])
def test_the_program_ends_with_its_parent_and_its_stdin(enclose: str) -> None:
    """As nobody's child, and at the end of what is said to it."""
    terms = msgspec.json.encode(TERMS).decode()
    code = (
        f"import runpy; from antiphon.documents import cage; cage.enclose = {enclose}; "
        "runpy.run_module('antiphon.documents.child', run_name='__main__')"
    )
    done = run("-c", code, terms)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
