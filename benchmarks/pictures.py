"""Pictures and documents in requests: how often a large one lies in memory, what many cost at once, pages a second."""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from base64 import b64encode
from contextlib import asynccontextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmarks.background import FULL, Together, sized
from benchmarks.contenders import CONFIGURATION, Contender, antiphon
from benchmarks.driver import BrokenAnswerError
from benchmarks.files import MB, Watched
from benchmarks.upstream import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from benchmarks.background import Taken
    from benchmarks.contenders import Place
    from benchmarks.files import Rise
    from benchmarks.processes import Command
    from benchmarks.samples import Samples
    from benchmarks.stage import Running, Stage

LARGE_ROWS = 1_831
"""Rows of a picture whose data URL has 20 million characters."""
WIDTH = 2_048
"""As many pixels as a deployment's model takes, if nothing else is said: no picture is drawn anew."""
GRAIN = 8
QUALITY = 90
"""With these a JPEG of noise has a megabyte."""
PLAIN = "text alone"
SHOWN = "with pictures"
TOKENS = 64
ANSWER_SECONDS = 120.0
PAGES = 300
LINES = 45
SENTENCE = "The quick brown fox number %d jumps over the lazy dog in line %d of page %d."
LAST_WORDS = "The last page ends here."
SEEN = "It was read to its end."
ECHO = '[[deployments]]\nname = "bench"\nbackend = "scripted"\n'
READER = f"""{ECHO}vision = false
[[deployments.replies]]
when = "{LAST_WORDS}"
steps = [{{ text = "{SEEN}" }}]
"""


class Text(Struct, frozen=True):
    """A text in an input."""

    text: str
    type: str = "input_text"


class Shown(Struct, frozen=True):
    """A picture in an input."""

    image_url: str
    type: str = "input_image"


class Attached(Struct, frozen=True):
    """A document in an input."""

    filename: str
    file_data: str
    type: str = "input_file"


class Message(Struct, frozen=True):
    """A message of the user's."""

    content: list[Text | Shown | Attached]
    role: str = "user"


class Body(Struct, frozen=True):
    """A request of the Responses API."""

    input: list[Message]
    store: bool = True
    model: str = "bench"


class Answer(Struct, frozen=True):
    """The part of a response that is looked at here."""

    status: str


class Crowd(Struct, frozen=True):
    """Responses that are asked for at once."""

    responses: int = 100


class Large(Struct, frozen=True):
    """How a large picture is sent: to a scripted model or to a chat completions upstream, and whether it is kept."""

    name: str
    scripted: bool
    store: bool


WAYS = [
    Large("scripted, stored", scripted=True, store=True),
    Large("scripted, store: false", scripted=True, store=False),
    Large("chat, stored", scripted=False, store=True),
    Large("chat, store: false", scripted=False, store=False),
]


def scripted(place: Place, script: str) -> Command:
    """Antiphon as an operator starts it, but that its only model speaks from a script."""
    command = antiphon(place)
    config = place.folder / CONFIGURATION
    config.write_text(config.read_text().partition("[[deployments]]")[0] + script)
    return command


@asynccontextmanager
async def warm(stage: Stage, script: str, *parts: Shown | Attached) -> AsyncGenerator[Running]:
    """Run a new Antiphon that has answered to something small of the same kind; ``script`` may be empty."""

    def command(place: Place) -> Command:
        return scripted(place, script) if script else antiphon(place)

    async with stage.play(Contender("antiphon", command)) as running:
        await ask(stage, running, *parts, store=True)
        yield running


async def ask(stage: Stage, running: Running, *parts: Shown | Attached, store: bool) -> bytes:
    """Ask for one response and give its body. Raises `BrokenAnswerError` where it is not completed, or not in time."""
    speech = stage.upstream.prepare(tokens=TOKENS, stride=EVERYTHING)
    body = msgspec.json.encode(Body([Message([*parts, Text(speech.prompt)])], store))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            heard = await running.caller.ask(speech, body, stream=False)
    except TimeoutError as error:
        raise BrokenAnswerError(f"no answer came in {ANSWER_SECONDS} s") from error
    return completed(heard.body)


def completed(body: bytes) -> bytes:
    """Give the same body. Raises `BrokenAnswerError` for all but a response that is completed."""
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except msgspec.MsgspecError as error:
        raise BrokenAnswerError(f"no response: {body[:200]!r}") from error
    if answer.status != "completed":
        raise BrokenAnswerError(f"a response is {answer.status}: {body[:400]!r}")
    return body


# Pictures


def png(rows: int) -> bytes:
    """A PNG of so many rows that nothing makes smaller, 8,193 bytes a row; a word in it has a child look at it."""
    noise = hashlib.shake_128(b"a large picture").digest(4 * WIDTH * rows)
    room = BytesIO()
    said = PngInfo()
    said.add_text("Comment", "noise")
    Image.frombytes("RGBA", (WIDTH, rows), noise).save(room, "PNG", compress_level=0, pnginfo=said)
    return room.getvalue()


def jpeg(width: int = WIDTH, height: int = WIDTH * 3 // 4) -> bytes:
    """A JPEG like a photograph."""
    size = (width // GRAIN, height // GRAIN)
    small = Image.frombytes("RGB", size, hashlib.shake_128(b"a photograph").digest(3 * size[0] * size[1]))
    room = BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(room, "JPEG", quality=QUALITY)
    return room.getvalue()


def another(jpeg: bytes, number: int) -> bytes:
    """The same picture as another file: its comment is a number."""
    comment = b"%d" % number
    return jpeg[:2] + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + jpeg[2:]


def data_url(media_type: str, content: bytes) -> str:
    """Content as a data URL."""
    return f"data:{media_type};base64,{b64encode(content).decode()}"


SMALL = data_url("image/png", png(8))


async def large_picture(stage: Stage, rounds: int) -> Samples:
    """Measure how often a large picture lies in the memory of a server while its response is made.

    In data URLs: the height of the server's resident memory over that of one that has seen a small picture, by the
    length of the data URL. The children, which decode it, have a row of their own.
    """
    url = data_url("image/png", await asyncio.to_thread(png, LARGE_ROWS))
    samples: Samples = {way.name: [] for way in WAYS}
    children: list[float] = []
    for _ in range(max(1, rounds // 3)):
        rises = [await risen(stage, way, url) for way in WAYS]
        for way, rise in zip(WAYS, rises, strict=True):
            samples[way.name].append(rise.server / len(url))
        children.append(max(rise.children for rise in rises) / len(url))
    return samples | {"children, at most": children}


async def risen(stage: Stage, way: Large, url: str) -> Rise:
    """Give the rise of a new server's memory over one picture."""
    async with warm(stage, ECHO if way.scripted else "", Shown(SMALL)) as running:
        watched = Watched(running.server)
        await ask(stage, running, Shown(url), store=way.store)
        return watched.rise()


async def many_pictures(stage: Stage, rounds: int) -> Taken:
    """Ask for many responses at once, without pictures and with one in each, on new servers."""
    size = Crowd() if sized(rounds) is FULL else Crowd(50)
    photograph = await asyncio.to_thread(jpeg)
    return await crowds(stage, size, photograph, rounds=max(1, rounds // 2))


async def crowds(stage: Stage, size: Crowd, photograph: bytes, *, rounds: int) -> Taken:
    """Take the samples of so many rounds."""
    taken: Taken = {"cpu": {}, "late": {}, "memory": {}}
    urls = [data_url("image/jpeg", another(photograph, number)) for number in range(size.responses)]
    for _ in range(rounds):
        await crowd(stage, taken, PLAIN, [[] for _ in urls])
        await crowd(stage, taken, SHOWN, [[Shown(url)] for url in urls])
    return taken


async def crowd(stage: Stage, taken: Taken, name: str, contents: Sequence[list[Shown]]) -> None:
    """Ask for all responses at once and note what they came to: CPU and lateness in milliseconds, memory in MB."""
    async with warm(stage, "", Shown(SMALL)) as running:
        watched = Watched(running.server)
        late = await at_once(stage, running, contents)
        server, children = (1e3 * seconds / len(contents) for seconds in watched.cpu_seconds())
        rise = watched.rise()
    figures = {
        "cpu": {name: server + children, f"{name}: server": server, f"{name}: children": children},
        "late": {f"{name} p50": late[len(late) // 2], f"{name} p99": late[len(late) * 99 // 100]},
        "memory": {f"{name}: server": rise.server / MB, f"{name}: children": rise.children / MB},
    }
    for measure, rows in figures.items():
        for row, figure in rows.items():
            taken[measure].setdefault(row, []).append(figure)


async def at_once(stage: Stage, running: Running, contents: Sequence[list[Shown]]) -> list[float]:
    """Ask for all responses at once and give the milliseconds that each took, in order."""
    late: list[float] = []

    async def one(parts: list[Shown]) -> None:
        began = time.perf_counter()
        await ask(stage, running, *parts, store=True)
        late.append((time.perf_counter() - began) * 1e3)

    try:
        async with asyncio.TaskGroup() as group:
            for parts in contents:
                group.create_task(one(parts))
    except ExceptionGroup as broken:
        raise BrokenAnswerError(str(broken.exceptions[0])) from broken
    stage.upstream.forget()
    return sorted(late)


# Documents


def pdf(pages: int, number: int = 0) -> bytes:
    """A PDF of so many pages of text, with a number that makes it another file."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * page) for page in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%b]>>" % (pages, kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for page in range(pages):
        text = zlib.compress(page_text(page, is_last=page == pages - 1))
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
            % (5 + 2 * page),
            b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(text), text),
        ]
    return whole_pdf(b"%%PDF-1.7\n%%%d\n" % number, objects)


def whole_pdf(head: bytes, objects: list[bytes]) -> bytes:
    """The file of these objects, with the table of where they stand."""
    file, places = bytearray(head), bytearray(b"0000000000 65535 f \n")
    for number, content in enumerate(objects, 1):
        places += b"%010d 00000 n \n" % len(file)
        file += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    size, table = len(objects) + 1, len(file)
    file += b"xref\n0 %d\n%btrailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        bytes(places),
        size,
        table,
    )
    return bytes(file)


def page_text(page: int, *, is_last: bool) -> bytes:
    """What draws the text of a page."""
    lines = [SENTENCE % (page * LINES + line, line + 1, page + 1) for line in range(LINES)]
    lines += [LAST_WORDS] * is_last
    shown = "".join(f"({line}) Tj T*\n" for line in lines)
    return f"BT /F 11 Tf 16 TL 50 800 Td\n{shown}ET".encode()


def attached(document: bytes) -> Attached:
    """A document as a request brings it."""
    return Attached("paper.pdf", data_url("application/pdf", document))


async def document(stage: Stage, rounds: int) -> Samples:
    """Measure how many pages of a long PDF are read in a second, by the clock and by the CPU of the child."""
    return await pages_read(stage, PAGES, rounds=max(1, rounds // 2))


async def pages_read(stage: Stage, pages: int, *, rounds: int) -> Samples:
    """Take the samples of so many rounds, each of another file of so many pages."""
    samples: Samples = {"by the clock": [], "by the child's CPU": [], "by all CPU": []}
    async with warm(stage, READER, attached(pdf(1))) as running:
        for turn in range(rounds):
            asked = attached(await asyncio.to_thread(pdf, pages, turn + 1))
            watched = Watched(running.server)
            began = time.perf_counter()
            body = await ask(stage, running, asked, store=False)
            seconds = time.perf_counter() - began
            if SEEN.encode() not in body:
                raise BrokenAnswerError("the last page did not reach the model")
            server, child = watched.cpu_seconds()
            for rates, spent in zip(samples.values(), (seconds, child, server + child), strict=True):
                rates.append(pages / spent)
    stage.upstream.forget()
    return samples


MANY_PICTURES = Together(many_pictures)
