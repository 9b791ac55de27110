"""The children: whatever one does, the server is whole, nothing is left of it, and the next job works."""

from __future__ import annotations

import logging
import os
import signal
import socket
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from antiphon.documents import Config, Document, Documents, Page, Unreadable
from antiphon.documents.crew import Crew
from antiphon.documents.sketches import SketchOrder
from antiphon.documents.wire import CheckPicture, Describe, Unchanged
from tests.documents.crews import ROGUE, children, refused, rogues
from tests.documents.files import pdf, quarters, saved
from tests.patient import HANG_SECONDS

pytestmark = pytest.mark.anyio

PNG, JPEG = saved(quarters(), "PNG"), saved(quarters(), "JPEG")
LOGGER = "antiphon.documents.crew"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops that a server may run on."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


async def expect_the_next_works(documents: Documents) -> None:
    """A sound picture is read, of a kind for which a child is needed."""
    assert JPEG is (await documents.picture(JPEG, side=200)).content


async def started(documents: Documents) -> None:
    """Wait until there is a child: what it takes to start one counts for its first job."""
    await documents.description(b"see")


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of children."""
    return [vars(record)["action"] for record in caplog.records if record.name == LOGGER]


def gate(tmp_path: Path, name: str = "gate") -> bytes:
    """A fifo into which a hanging job writes."""
    path = tmp_path / name
    os.mkfifo(path)
    return os.fsencode(path)


async def opened(path: bytes) -> None:
    """Wait until a job hangs."""
    await anyio.to_thread.run_sync(Path(os.fsdecode(path)).read_bytes, abandon_on_cancel=True)


async def test_nothing_is_started_before_the_first_file() -> None:
    """A server that reads no files has no children."""
    before = children()
    async with rogues():
        assert children() <= before


async def test_jobs_share_a_child() -> None:
    """One after another, they need no more than one."""
    async with rogues() as documents:
        pids = {msgspec.json.decode(await documents.description(b"see:%d" % n))["pid"] for n in range(5)}
        assert 1 == len(pids)


async def test_a_job_that_kills_its_process_is_crashed(caplog: pytest.LogCaptureFixture) -> None:
    """And the operator hears of it, without a word of the file."""
    caplog.set_level(logging.INFO, "antiphon.documents")
    async with rogues() as documents:
        assert "crashed" == (await refused(documents.description(b"die")))[0]
        await expect_the_next_works(documents)
    assert 2 * ["document_child_lost"] == actions(caplog)


async def test_a_job_whose_child_dies_is_tried_by_another(tmp_path: Path) -> None:
    """It may have been the fault of what that child did before."""
    async with rogues(Config(workers=1)) as documents:
        assert "survived" == await documents.description(b"once:" + os.fsencode(tmp_path / "died"))


async def test_a_job_that_hangs_ends_at_its_deadline() -> None:
    """Its process is killed."""
    before = children()
    async with rogues(Config(workers=1, seconds=1)) as documents:
        assert ("timeout", "The file was not read within 1 seconds.") == await refused(documents.description(b"spin"))
        assert children() <= before


async def test_a_job_that_eats_memory_is_refused() -> None:
    """Its child says so itself, and another comes in its place."""
    async with rogues(Config(memory_mib=128)) as documents:
        eater = await refused(documents.description(b"eat"))
        assert ("image_too_large", "The file takes more memory than there is for one.") == eater
        assert "too_large" == (await refused(documents.document(b"eat", filename=None, picture_side=None)))[0]
        await expect_the_next_works(documents)


@pytest.mark.parametrize("filth", [b"\x00", b"\xff", b"\x00\x00\x00\x01", b"\x00\x10\x00\x00"])
async def test_a_job_that_floods_its_pipe_is_crashed(filth: bytes) -> None:
    """Frames that are empty, too long, no messages: none is believed."""
    async with rogues() as documents:
        assert "crashed" == (await refused(documents.description(b"flood:" + filth)))[0]
        await expect_the_next_works(documents)


@pytest.mark.parametrize("lie", [b"foreign", b"stray:0"])
async def test_a_report_of_another_job_is_not_taken(lie: bytes) -> None:
    """Nor one that is followed by a second, which the next job would be given."""
    async with rogues() as documents:
        assert "crashed" == (await refused(documents.description(lie)))[0]
        await expect_the_next_works(documents)


async def test_an_answer_to_another_question_is_not_taken() -> None:
    """Whatever was asked."""
    async with rogues() as documents:
        assert "crashed" == (await refused(documents.description(b"astray")))[0]
        assert "crashed" == (await refused(documents.picture(b"astray", side=10)))[0]
        assert "crashed" == (await refused(documents.document(b"astray", filename="a", picture_side=None)))[0]
        assert "crashed" == (await refused(documents.sketch(SketchOrder("<svg/>", 9, 9), under=b"astray")))[0]


async def test_what_breaks_a_parser_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """The words of an exception may hold what the file says; the log has the place."""
    caplog.set_level(logging.INFO, "antiphon.documents")
    async with rogues() as documents:
        reason, words = await refused(documents.description(b"fall"))
        assert ("image_parse_error", "The image cannot be read: it is damaged.") == (reason, words)
        assert "broken" == (await refused(documents.document(b"fall", filename=None, picture_side=None)))[0]
        await expect_the_next_works(documents)
    faults = [str(vars(record)["fault"]) for record in caplog.records if record.name == LOGGER]
    assert 2 == len(faults)
    assert all(fault.startswith("KeyError at __main__:") for fault in faults)


async def test_a_request_that_goes_away_frees_its_child(tmp_path: Path) -> None:
    """The one child there is: the next job does not wait for a job that nobody wants."""
    fifo = gate(tmp_path)
    async with rogues(Config(workers=1)) as documents:
        before = children()
        async with anyio.create_task_group() as group:
            group.start_soon(documents.description, b"hang:" + fifo)
            await opened(fifo)
            group.cancel_scope.cancel()
        assert children() <= before
        await expect_the_next_works(documents)


@pytest.mark.slow
async def test_a_job_waits_for_its_turn_no_longer_than_for_its_file(tmp_path: Path) -> None:
    """While another holds the only child."""
    fifo = gate(tmp_path)
    async with rogues(Config(workers=1, seconds=2)) as documents, anyio.create_task_group() as group:
        await started(documents)

        async def hang() -> None:
            assert "timeout" == (await refused(documents.description(b"hang:" + fifo)))[0]

        group.start_soon(hang)
        await opened(fifo)
        crew = documents._crew
        with anyio.fail_after(HANG_SECONDS), pytest.raises(Unreadable) as caught:
            async with crew.turn(), crew.turn():
                raise AssertionError
        assert "busy" == caught.value.reason


async def test_the_job_of_another_is_not_touched(tmp_path: Path) -> None:
    """While one child dies, its neighbour reads on."""
    async with rogues(Config(workers=2)) as documents, anyio.create_task_group() as group:

        async def read() -> None:
            for number in range(5):
                content = pdf(20) + b"%%%d" % number
                document = await documents.document(content, filename=None, picture_side=None)
                assert 20 == len(document.pages)

        group.start_soon(read)
        for number in range(5):
            assert "crashed" == (await refused(documents.description(b"die:%d" % number)))[0]


async def test_fifty_jobs_at_once_are_all_done() -> None:
    """By two children, with some that kill theirs among them."""
    pictures = [saved(quarters(100 + number, 80), "JPEG") for number in range(50)]
    async with rogues() as documents:
        before = children()
        widths = set[int]()
        peak = set[int]()

        async def read(content: bytes) -> None:
            widths.add((await documents.picture(content, side=200)).width)
            peak.add(len(children() - before))

        async def die(number: int) -> None:
            assert "crashed" == (await refused(documents.description(b"die:%d" % number)))[0]

        async with anyio.create_task_group() as group:
            for content in pictures:
                group.start_soon(read, content)
            for number in range(5):
                group.start_soon(die, number)
        assert set(range(100, 150)) == widths
        assert max(peak) <= 2


async def test_a_child_that_died_at_rest_is_replaced() -> None:
    """Nobody's job is lost by it."""
    async with rogues(Config(workers=1)) as documents:
        pid = msgspec.json.decode(await documents.description(b"see"))["pid"]
        os.kill(pid, signal.SIGKILL)
        with anyio.fail_after(HANG_SECONDS):
            while pid in children():
                await anyio.lowlevel.checkpoint()
        await expect_the_next_works(documents)


async def test_an_idle_child_ends_of_itself() -> None:
    """And leaves nothing, though nobody asks after it."""
    before = children()
    async with rogues(idle_seconds=0.2) as documents:
        await expect_the_next_works(documents)
        with anyio.fail_after(HANG_SECONDS):
            while not children() <= before:
                await anyio.lowlevel.checkpoint()
        await expect_the_next_works(documents)


async def test_a_child_ends_after_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What parsers leak does not add up for ever."""
    monkeypatch.setattr("antiphon.documents.crew.MOST_JOBS", 3)
    async with rogues(Config(workers=1)) as documents:
        pids = [msgspec.json.decode(await documents.description(b"see:%d" % n))["pid"] for n in range(6)]
        assert [1, 1, 1, 0, 0, 0] == [int(pid == pids[0]) for pid in pids]
        assert 2 == len(set(pids))


async def test_a_child_sees_nothing_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of its environment, no socket, no terminal; and it is confined."""
    monkeypatch.setenv("TEAM_A_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.set_inheritable(True)
        listening = f"socket:[{os.fstat(server.fileno()).st_ino}]"
        async with rogues(Config(seconds=20, memory_mib=256)) as documents:
            seen = msgspec.json.decode(await documents.description(b"see"))
    assert {"PYTHONPATH", "LC_ALL"} <= set(seen["environment"])
    assert not {"TEAM_A_KEY", "PATH", "HOME"} & set(seen["environment"])
    assert listening not in seen["open"]
    assert ["/dev/null"] * 3 == seen["standard"]
    assert 6 >= len(seen["open"])
    assert seen["leads"]
    limits = seen["limits"]
    assert (0, 0, 64) == (limits["CORE"], limits["FSIZE"], limits["NOFILE"])
    assert 40 < limits["CPU"] < 50
    assert 0 < limits["AS"] < 1 << 31


async def test_a_child_can_write_no_file(tmp_path: Path) -> None:
    """It may make one, and put nothing into it."""
    path = tmp_path / "file"
    async with rogues() as documents:
        await refused(documents.description(b"write:" + os.fsencode(path)))
    assert b"" == path.read_bytes()


async def test_a_program_that_is_gone_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A Python that cannot be started is no crash of the server."""
    documents = Documents(Config(), command=["/nowhere/python"])
    with anyio.fail_after(HANG_SECONDS):
        assert ("busy", "The file cannot be read now.") == await refused(documents.picture(PNG, side=9))
    await documents.aclose()
    assert ["document_child_missing"] == actions(caplog)


async def test_after_the_end_there_are_no_children(tmp_path: Path) -> None:
    """The job under way is lost, and none comes after."""
    fifo = gate(tmp_path)
    before = children()
    async with rogues() as documents, anyio.create_task_group() as group:

        async def hang() -> None:
            assert "busy" == (await refused(documents.description(b"hang:" + fifo)))[0]

        group.start_soon(hang)
        await opened(fifo)
        await documents.aclose()
        assert children() <= before
        assert ("busy", "The server is stopping.") == await refused(documents.picture(PNG, side=9))


async def test_a_second_try_that_the_end_of_the_server_breaks_off_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """Though the first was lost by itself."""
    fifo = gate(tmp_path)
    async with rogues() as documents, anyio.create_task_group() as group:

        async def fade() -> None:
            stopping = await refused(documents.description(b"fade:" + fifo))
            assert ("busy", "The server is stopping.") == stopping

        group.start_soon(fade)
        await opened(fifo)
        await documents.aclose()


async def test_a_picture_is_read_once() -> None:
    """A chain that shows it in each turn, and requests that show it at once, ask a child once."""
    async with rogues(Config(workers=2)) as documents:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(expect_the_next_works, documents)
        await documents._crew.aclose()
        await expect_the_next_works(documents)  # though there is no child any more


async def test_a_picture_that_changes_is_read_once() -> None:
    """It comes out the same; another size is another question."""
    async with rogues() as documents:
        small = await documents.picture(PNG, side=80)
        assert ("image/png", 80, 40) == (small.media_type, small.width, small.height)
        assert small is await documents.picture(PNG, side=80)
        assert 40 == (await documents.picture(PNG, side=40)).width


async def test_documents_are_remembered_by_what_was_asked() -> None:
    """The same bytes under another kind of name, or with pictures, are another question."""
    async with rogues() as documents:
        csv = await documents.document(b"a,b", filename="x.csv", picture_side=None)
        text = await documents.document(b"a,b", filename=None, picture_side=None)
        markdown = await documents.document(b"a,b", filename="y.MD", picture_side=9)
        kinds = [Document(kind, [Page("a,b")], is_paged=False) for kind in ("csv", "text", "markdown")]
        assert kinds == [csv, text, markdown]
        assert csv is await documents.document(b"a,b", filename="other.csv", picture_side=None)


async def test_a_large_file_reaches_its_child_whole() -> None:
    """Longer than any pipe."""
    content = PNG + bytes(20_000_000)
    async with rogues() as documents:
        assert content is (await documents.picture(content, side=200)).content


async def test_a_crew_answers_what_a_child_says() -> None:
    """Within a turn."""
    crew = Crew(Config(), command=ROGUE)
    with anyio.fail_after(HANG_SECONDS):
        async with crew.turn():
            assert Unchanged("image/png", 160, 80) == await crew.ask(CheckPicture(200), [PNG])
        async with crew.turn():
            with pytest.raises(Unreadable, match="not a PNG"):
                await crew.ask(Describe(), [b"x"])
        await crew.aclose()
