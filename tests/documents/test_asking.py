"""What the server remembers of files that were not read, and whose files it has read first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from antiphon.documents import Config, asking
from antiphon.documents.sketches import SketchOrder
from tests.documents.crews import refused, rogues
from tests.documents.files import quarters, saved
from tests.documents.test_crew import gate, opened

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.documents import Documents

pytestmark = pytest.mark.anyio

PNG, JPEG = saved(quarters(), "PNG"), saved(quarters(), "JPEG")
STOPPED = ("busy", "The server is stopping.")


async def without_children(documents: Documents) -> None:
    """From now on nothing is read: what is still known is remembered."""
    await documents._crew.aclose()


async def test_a_file_that_cannot_be_read_is_tried_once() -> None:
    """By what was asked: another question is asked of a child again."""
    async with rogues() as documents:
        first = await refused(documents.picture(b"x", side=9))
        assert "not_an_image" == first[0]
        broken = await refused(documents.document(b"\0", filename=None, picture_side=None))
        await without_children(documents)
        assert first == await refused(documents.picture(b"x", side=9))
        assert broken == await refused(documents.document(b"\0", filename=None, picture_side=None))
        assert STOPPED == await refused(documents.picture(b"x", side=8))
        assert STOPPED == await refused(documents.picture(b"y", side=9))


async def test_a_screenshot_is_seen_without_a_child() -> None:
    """It is given back as it is; a child is asked where it has to be made smaller, and for all other pictures."""
    async with rogues() as documents:
        await without_children(documents)
        for _ in range(2):
            seen = await documents.picture(PNG, side=160)
            assert seen.content is PNG
            assert ("image/png", 160, 80) == (seen.media_type, seen.width, seen.height)
        assert STOPPED == await refused(documents.picture(PNG, side=159))
        assert STOPPED == await refused(documents.picture(JPEG, side=160))
        assert STOPPED == await refused(documents.picture(PNG[:-1], side=160))


async def test_a_crash_is_not_remembered() -> None:
    """It may have been the machine's fault."""
    async with rogues() as documents:
        assert "crashed" == (await refused(documents.description(b"die")))[0]
        await without_children(documents)
        assert STOPPED == await refused(documents.description(b"die"))
        assert STOPPED == await refused(documents.description(b"die"))


async def test_a_file_that_took_too_long_is_tried_again_after_minutes() -> None:
    """Until then nobody waits for it."""
    now = [0.0]
    async with rogues(Config(workers=1, seconds=1), now=lambda: now[0]) as documents:
        first = await refused(documents.description(b"spin"))
        assert "timeout" == first[0]
        await without_children(documents)
        now[0] = asking.TIMEOUT_SECONDS - 1
        assert first == await refused(documents.description(b"spin"))
        now[0] = asking.TIMEOUT_SECONDS
        assert STOPPED == await refused(documents.description(b"spin"))


async def test_refusals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As all that is remembered."""
    monkeypatch.setattr(asking, "REMEMBERED", 2048)
    async with rogues() as documents:
        for number in range(5):
            await refused(documents.picture(b"x%d" % number, side=9))
        await without_children(documents)
        reasons = [(await refused(documents.picture(b"x%d" % number, side=9)))[0] for number in range(5)]
    assert ["busy", "not_an_image", "not_an_image", "not_an_image", "not_an_image"] == reasons


async def test_one_party_does_not_keep_others_from_their_turn(tmp_path: Path) -> None:
    """However many files it brings, and whatever others ask."""
    fifo = gate(tmp_path)
    order: list[str] = []
    async with rogues(Config(workers=1)) as documents, anyio.create_task_group() as group:
        svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
        asked = [
            *(("a", documents.description(b"see:%d" % number, party="a")) for number in range(4)),
            ("b", documents.picture(JPEG, side=200, party="b")),
            ("c", documents.document(b"text", filename=None, picture_side=None, party="c")),
            ("d", documents.sketch(SketchOrder(svg, 9, 9), party="d")),
        ]

        async def ask(number: int) -> None:
            party, question = asked[number]
            await question
            order.append(party)

        async def hang(scope: anyio.CancelScope) -> None:
            with scope:
                await documents.description(b"hang:" + fifo, party="a")

        hanging = anyio.CancelScope()
        group.start_soon(hang, hanging)
        await opened(fifo)
        for number in range(len(asked)):
            group.start_soon(ask, number)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
        hanging.cancel()
    assert ["a", "b", "c", "d", "a", "a", "a"] == order
