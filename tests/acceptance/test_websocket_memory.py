"""The command over WebSockets: what strangers send costs it no memory, and it says goodbye when it is stopped."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.operating import configured, operating
from tests.acceptance.test_images_memory import MIB, resident
from tests.http.talking import CONTINUATION, TEXT, talking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.operating import Operated

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
]

SCRIPTED = '[[deployments]]\nname = "*"\nbackend = "scripted"\n[server]\nmax_body_mib = 8\n'
ABUSE, TOO_BIG, RESTARTING = 1008, 1009, 1012
LENGTH = 100 * MIB


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Operated]:
    """A server that has answered a turn over a WebSocket."""
    with operating(configured(tmp_path, SCRIPTED)) as started:
        with talking(started.address) as talk:
            talk.turn()
        yield started


def test_a_frame_of_100_megabytes_costs_none(server: Operated) -> None:
    """It is refused by its header, and what the client sends all the same is thrown away."""
    before = resident(server.pid)
    with talking(server.address) as talk:
        talk.connection.sendall(bytes([0x81, 0xFF]) + LENGTH.to_bytes(8) + b"mask")
        for _ in range(LENGTH // 4 // MIB):
            talk.connection.sendall(bytes(MIB))
        assert TOO_BIG == talk.closed()
    assert resident(server.pid) - before < 4 * MIB


def test_fragments_without_an_end_cost_no_more_than_a_message(server: Operated) -> None:
    """Three hundred thousand empty ones are nothing that a client sends, and cost no memory."""
    before = resident(server.pid)
    with talking(server.address) as talk:
        talk.frame(TEXT, b"{", fin=False)
        with suppress(ConnectionError):
            for _ in range(30):
                talk.connection.sendall(bytes([CONTINUATION, 0x80, 0, 0, 0, 0]) * 10_000)
        assert ABUSE == talk.closed()
    with talking(server.address) as talk:
        talk.frame(TEXT, b"{", fin=False)
        for _ in range(9):
            talk.frame(CONTINUATION, bytes(MIB), fin=False)
        assert TOO_BIG == talk.closed()
    assert resident(server.pid) - before < 24 * MIB


def test_a_server_that_is_stopped_says_goodbye_to_all(server: Operated) -> None:
    """Fifty idle connections are closed with the code of a restart, and the process ends well and soon."""
    with ExitStack() as stack:
        talks = [stack.enter_context(talking(server.address)) for _ in range(50)]
        for talk in talks:
            talk.turn()
        status = server.stop()
        codes = {talk.closed() for talk in talks}
    assert (0, {RESTARTING}) == (status, codes)
    assert b"Traceback" not in server.written
