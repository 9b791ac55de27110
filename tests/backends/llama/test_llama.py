"""The embedded backend around its child process and the backend that speaks to it."""

from __future__ import annotations

import os
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec import Raw

from antiphon.backends import UpstreamError
from antiphon.backends.llama import Config, Llama
from antiphon.backends.llama.catalog import CATALOG, DEFAULT, SMALL
from antiphon.backends.llama.errors import UnknownModelError
from antiphon.core.deltas import Call, Delta, Finish, Text, Thought
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Item, Message
from tests.backends.llama.fakes import BYTES, FAKE_CHILD, MODEL, Asked, Speaker, spoken
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

ITEMS: list[Item] = [Message(role="user", content=[InputText(text="hi")])]
MAIL = Function("mail", Raw(b'{"type":"object"}'))
FORCED = Turn(ITEMS, functions=[MAIL], choice=Choice("required"))


class House:
    """An embedded backend over a fake child, and what its connections were asked."""

    def __init__(self, folder: Path, words: list[list[Delta] | UpstreamError]) -> None:
        self.path = folder / "mine.gguf"
        self.path.write_bytes(b"GGUF")
        self.connected: list[tuple[str, str]] = []
        self.asked = Asked()
        self.words = words
        self.backend = Llama(Config(model=str(self.path)), self.connect, command=[*FAKE_CHILD, "ok"])

    def connect(self, base_url: str, key: str) -> Speaker:
        """Make a connection that says the words."""
        self.connected.append((base_url, key))
        return Speaker(self.words, self.asked)

    async def hear(self, turn: Turn) -> list[list[Delta]]:
        """All that is said on a turn."""
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(self.backend.stream(turn)) as lists:
                return [deltas async for deltas in lists]


async def test_text_passes_as_it_comes(tmp_path: Path) -> None:
    """One list for each read."""
    house = House(tmp_path, spoken("Hel", "lo"))
    assert await house.hear(Turn(ITEMS)) == [[Text("Hel")], [Text("lo")], [Finish()]]
    await house.backend.aclose()


async def test_the_inner_backend_is_given_the_childs_address_and_key(tmp_path: Path) -> None:
    """One connection serves all turns."""
    house = House(tmp_path, spoken("x"))
    await house.hear(Turn(ITEMS))
    await house.hear(Turn(ITEMS))
    ((address, key),) = house.connected
    assert address == f"http://127.0.0.1:9/{key}/v1"
    assert len(key) > 30
    await house.backend.aclose()
    assert house.asked.closed == 1


async def test_a_forced_call_is_said_as_a_call(tmp_path: Path) -> None:
    """Thoughts and the end pass, JSON becomes a call, and lists of nothing are not said."""
    words: list[list[Delta] | UpstreamError] = [
        [Thought("hm")],
        [Text('{"name": "ma')],
        [Text('il", "arguments": {"a')],
        [Text('": 1}}')],
        [Finish()],
    ]
    house = House(tmp_path, words)
    assert await house.hear(FORCED) == [
        [Thought("hm")],
        [Call("0", "mail"), Call("0", arguments='{"a')],
        [Call("0", arguments='":1}')],
        [Finish()],
    ]
    assert house.asked.turns[0].functions == []
    await house.backend.aclose()


async def test_a_forced_call_that_was_not_made_is_an_error(tmp_path: Path) -> None:
    """An engine that ignores the schema does not make a response without the call."""
    house = House(tmp_path, spoken("I would rather not."))
    with pytest.raises(UpstreamError, match="did not make the call"):
        await house.hear(FORCED)
    await house.backend.aclose()


async def test_a_forced_call_may_be_cut_short_by_the_limit(tmp_path: Path) -> None:
    """The response is incomplete then, which is no error."""
    house = House(tmp_path, [[Text('{"na')], [Finish("max_output_tokens")]])
    assert await house.hear(FORCED) == [[Finish("max_output_tokens")]]
    await house.backend.aclose()


async def test_leaving_the_stream_closes_the_inner_stream(tmp_path: Path) -> None:
    """A client that leaves stops the model."""
    house = House(tmp_path, spoken("a", "b", "c"))
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(house.backend.stream(Turn(ITEMS))) as lists:
            assert await anext(lists) == [Text("a")]
    assert house.asked.finished == 1
    await house.backend.aclose()


async def test_after_a_crash_the_next_turn_is_answered(tmp_path: Path) -> None:
    """The turn that met the crash says so; the next one has a new process and a new connection."""
    house = House(tmp_path, spoken("x"))
    await house.hear(Turn(ITEMS))
    os.kill(house.backend.pid or 0, signal.SIGKILL)
    await house.backend._child.ended(HANG_SECONDS)
    assert await house.hear(Turn(ITEMS)) == [[Text("x")], [Finish()]]
    assert len(house.connected) == 2
    assert house.asked.closed == 1
    await house.backend.aclose()


async def test_a_broken_connection_to_a_dead_process_is_explained(tmp_path: Path) -> None:
    """The caller reads that the model stopped, not that a connection was refused."""
    house = House(tmp_path, [[Text("x")], UpstreamError("server_error", "The answer broke off.")])
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(house.backend.stream(Turn(ITEMS))) as lists:
            await anext(lists)
            os.kill(house.backend.pid or 0, signal.SIGKILL)
            with pytest.raises(UpstreamError, match="stopped unexpectedly") as caught:
                await anext(lists)
    assert caught.value.fault == "unavailable"
    await house.backend.aclose()


async def test_a_missing_file_is_told_before_anything_is_started(tmp_path: Path) -> None:
    """The message says what to run."""
    asked = Asked()
    backend = Llama(Config(), lambda _url, _key: Speaker([], asked), folder=tmp_path)
    with pytest.raises(UpstreamError, match="antiphon models fetch qwen") as caught:
        await anext(backend.stream(Turn(ITEMS)))
    assert caught.value.fault == "misconfigured"
    assert backend.pid is None


async def test_the_small_model_answers_where_only_it_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator is told when the server starts."""
    monkeypatch.setitem(CATALOG, SMALL, MODEL)
    (tmp_path / MODEL.file).write_bytes(BYTES)
    command = [*FAKE_CHILD, "ok"]
    backend = Llama(Config(), lambda _url, _key: Speaker(spoken("x"), Asked()), folder=tmp_path, command=command)
    assert [record.message for record in caplog.records] == [f"{DEFAULT} was not fetched, {SMALL} answers"]
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(backend.stream(Turn(ITEMS))) as lists:
            assert await anext(lists) == [Text("x")]
    await backend.aclose()


class CountingSpeaker(Speaker):
    """A backend that counts, too."""

    async def count(self, turn: Turn) -> int:
        """One for each function and each item; a turn that nobody can count is an error."""
        self.asked.turns.append(turn)
        if turn.instructions == "break":
            raise UpstreamError("server_error", "Failed to parse grammar.")
        return len(turn.functions) + len(turn.items)


async def test_tokens_are_counted_of_what_the_model_would_be_asked(tmp_path: Path) -> None:
    """A forced call is told in words, and so it is counted."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    asked = Asked()
    command = [*FAKE_CHILD, "ok"]
    backend = Llama(Config(model=str(path)), lambda _url, _key: CountingSpeaker([], asked), command=command)
    with anyio.fail_after(HANG_SECONDS):
        assert [2, 1] == [await backend.count(Turn(ITEMS, functions=[MAIL])), await backend.count(FORCED)]
        with pytest.raises(UpstreamError, match="cannot follow this JSON Schema"):
            await backend.count(Turn(ITEMS, instructions="break", functions=[MAIL]))
        with pytest.raises(UpstreamError, match="no input"):
            await backend.count(Turn([]))
    assert 3 == len(asked.turns)
    await backend.aclose()


async def test_a_connection_that_cannot_count_says_so(tmp_path: Path) -> None:
    """Whoever asked may estimate."""
    house = House(tmp_path, spoken("x"))
    with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError) as caught:
        await house.backend.count(Turn(ITEMS))
    assert caught.value.fault == "unavailable"
    await house.backend.aclose()


async def test_an_unknown_model_is_told_at_once() -> None:
    """A wrong configuration does not wait for the first request."""
    with pytest.raises(UnknownModelError, match="qwen9"):
        Llama(Config(model="qwen9"), lambda _url, _key: Speaker([], Asked()))
