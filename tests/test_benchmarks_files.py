"""The benchmarks of files, pictures and documents: they see what is lost, and measure what they say."""

from __future__ import annotations

import asyncio
import os
from io import BytesIO

import anyio
import pytest
from msgspec.structs import fields, replace
from PIL import Image

from antiphon.documents import pdf as reading
from antiphon.documents.pictures import picture
from antiphon.documents.wire import ReadDocument
from antiphon.lifecycle import Deployment
from benchmarks import pictures
from benchmarks.background import Taken
from benchmarks.contenders import Contender, antiphon
from benchmarks.driver import BrokenAnswerError
from benchmarks.files import BACK, UPLOAD, Watched, blocks, height, lowered, read_back, transferred, uploaded
from benchmarks.pictures import ECHO, LARGE_ROWS, LAST_WORDS, LINES, PLAIN, SHOWN, WAYS, Crowd, Shown
from benchmarks.stage import raised
from benchmarks.table import GOALS
from tests.patient import HANG_SECONDS

SIZE = 2_500_000
MEGABYTE = 1_000_000
SMALL_JPEG = pictures.jpeg(160, 120)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def rows_of_goals(measure: str) -> set[str]:
    """The rows of a measure to which a goal holds."""
    return {goal.of for goal in GOALS if goal.measure == measure}


async def test_a_file_is_taken_in_and_given_back_whole() -> None:
    """Each row that a goal names is there; other bytes than were sent would be raised."""
    taken: Taken = {"memory": {UPLOAD: [], BACK: []}, "rate": {UPLOAD: [], BACK: []}}
    async with raised() as stage:
        await transferred(stage, SIZE, taken)
    assert rows_of_goals("file-memory") == set(taken["memory"])
    assert all(rate > 0 for [rate] in taken["rate"].values())


async def test_a_file_that_comes_back_otherwise_breaks_the_benchmark() -> None:
    """Its content is compared, and a file that is not there is none."""
    async with raised() as stage, stage.play(Contender("antiphon", antiphon)) as running:
        sent = await uploaded(running.port, SIZE)
        await read_back(running.port, sent)
        with pytest.raises(BrokenAnswerError, match="other bytes were given back"):
            await read_back(running.port, replace(sent, digest="0" * 64))
        with pytest.raises(BrokenAnswerError, match="404"):
            await read_back(running.port, replace(sent, id="file-none"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"id":"file-1","bytes":9}', "9 bytes were taken in of 10"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "no file object"),
        (b"HTTP/1.1 413 No\r\n\r\n{}", "the answer begins with"),
        (b"", "the answer begins with"),
    ],
)
async def test_a_file_that_is_not_taken_in_breaks_the_benchmark(answer: bytes, words: str) -> None:
    """A success with another size, no file object, an error, and no answer at all."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"--\r\n")
        writer.write(answer)
        writer.close()

    with anyio.fail_after(HANG_SECONDS):
        async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
            port: int = server.sockets[0].getsockname()[1]
            with pytest.raises(BrokenAnswerError, match=words):
                await uploaded(port, 10)


async def test_nobody_there_breaks_the_benchmark() -> None:
    """A connection that is refused is told as what it is."""
    async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
    with pytest.raises(BrokenAnswerError, match="not taken in"):
        await uploaded(port, 10)


def test_no_block_of_a_file_is_like_another() -> None:
    """A file of equal blocks could be given back in any order."""
    content = list(blocks(SIZE))
    assert SIZE == sum(map(len, content))
    assert len(content) == len(set(content))


def test_memory_that_was_given_back_before_anybody_looked_is_seen() -> None:
    """The height is the kernel's own mark; it is set anew by `lowered`."""
    before = lowered(os.getpid())
    room = bytearray(b"x") * (256 * MEGABYTE)
    del room
    most = 200 * MEGABYTE  # the rest is left to what other tests' threads take and give back meanwhile
    assert height(os.getpid()) - before > most
    assert lowered(os.getpid()) - before < most


async def test_a_child_that_came_later_is_watched_too() -> None:
    """A server without pictures has no children; what the first one reads is charged to them."""
    async with raised() as stage, stage.play(Contender("antiphon", antiphon)) as running:
        watched = Watched(running.server)
        await pictures.ask(stage, running, store=False)
        assert 0 == watched.rise().children
        await pictures.ask(stage, running, Shown(pictures.SMALL), store=False)
        assert watched.rise().children > 5 * MEGABYTE
        assert watched.cpu_seconds()[1] > 0


def test_the_large_picture_is_handed_on_as_it_is() -> None:
    """Its data URL has 20 million characters, and no model's limit makes another picture of it."""
    content = pictures.png(LARGE_ROWS)
    assert 20.0 == pytest.approx(len(pictures.data_url("image/png", content)) / MEGABYTE, abs=0.05)
    [side] = [field.default for field in fields(Deployment) if field.name == "image_side"]
    assert content is picture(content, side=side).content


async def test_a_picture_is_sent_in_each_way_that_a_goal_names() -> None:
    """Scripted and to an upstream, kept and not kept; a response that is not completed would be raised."""
    url = pictures.data_url("image/png", pictures.png(600))
    async with raised() as stage:
        rises = {way.name: await pictures.risen(stage, way, url) for way in WAYS}
    assert rows_of_goals("picture-memory") == set(rises)
    assert all(rise.server > len(url) for rise in rises.values())


def test_many_pictures_are_as_many_files_and_look_alike() -> None:
    """What was seen once is remembered: each has to be looked at."""
    first, second = pictures.another(SMALL_JPEG, 1), pictures.another(SMALL_JPEG, 2)
    assert first != second
    plain = Image.open(BytesIO(SMALL_JPEG)).tobytes()
    assert [plain, plain] == [Image.open(BytesIO(each)).tobytes() for each in (first, second)]


def test_a_photograph_has_a_megabyte() -> None:
    """The measure's title says so."""
    assert 1.0 == pytest.approx(len(pictures.jpeg()) / MEGABYTE, abs=0.05)


async def test_responses_at_once_are_measured_with_pictures_and_without() -> None:
    """Children cost nothing where there is no picture, and something where there is one."""
    async with raised() as stage:
        taken = await pictures.crowds(stage, Crowd(3), SMALL_JPEG, rounds=1)
    cpu = taken["cpu"]
    assert [0.0] == cpu[f"{PLAIN}: children"]
    assert cpu[f"{SHOWN}: children"] > [0.0]
    assert {f"{name} {part}" for name in (PLAIN, SHOWN) for part in ("p50", "p99")} == set(taken["late"])
    assert {f"{name}: {part}" for name in (PLAIN, SHOWN) for part in ("server", "children")} == set(taken["memory"])


async def test_a_picture_that_is_refused_breaks_the_benchmark() -> None:
    """One of many is enough."""
    broken = [[], [Shown(pictures.data_url("image/png", b"no picture"))]]
    async with raised() as stage, pictures.warm(stage, "", Shown(pictures.SMALL)) as running:
        with pytest.raises(BrokenAnswerError, match="status 400"):
            await pictures.at_once(stage, running, broken)


def test_only_a_completed_response_counts() -> None:
    """One that failed costs less, and what is none is none."""
    assert b'{"status":"completed"}' == pictures.completed(b'{"status":"completed"}')
    for broken in (b'{"status":"failed"}', b"{}", b"<html>"):
        with pytest.raises(BrokenAnswerError):
            pictures.completed(broken)


def test_the_document_has_text_on_every_page() -> None:
    """Each page has all its lines, the last one its last words, and a number makes it another file."""
    job = ReadDocument(text_kind="text", picture_side=None, max_pages=9, page_pictures=0, seconds=30)
    texts = [page.text.splitlines() for page in reading.pages(pictures.pdf(3), job)]
    assert [LINES, LINES, LINES + 1] == [len(lines) for lines in texts]
    assert [f"in line {LINES} of page {page}." in texts[page - 1][LINES - 1] for page in (1, 2, 3)] == [True] * 3
    assert LAST_WORDS == texts[-1][-1]
    assert pictures.pdf(3) != pictures.pdf(3, 1)


async def test_a_document_is_read_to_its_last_page() -> None:
    """By the clock and by CPU; a model that did not read the last words would be told."""
    async with raised() as stage:
        samples = await pictures.pages_read(stage, 3, rounds=2)
    assert 3 == len(samples)
    assert all(rate > 0 for rates in samples.values() for rate in rates)


async def test_a_document_that_does_not_reach_the_model_breaks_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that says anything else has not read to the end."""
    monkeypatch.setattr(pictures, "READER", f"{ECHO}vision = false\n")
    monkeypatch.setattr(pictures, "SEEN", "Never said.")
    async with raised() as stage:
        with pytest.raises(BrokenAnswerError, match="the last page did not reach the model"):
            await pictures.pages_read(stage, 3, rounds=1)
