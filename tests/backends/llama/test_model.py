"""The real engine with the small model, spoken to by the real chat completions backend. Fetches 98 MB once."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions import ChatCompletions
from antiphon.backends.chat_completions import Config as ChatConfig
from antiphon.backends.llama import Config, Llama
from antiphon.backends.llama.asking import asked
from antiphon.backends.llama.catalog import CATALOG, SMALL, default_folder, verify
from antiphon.backends.llama.fetching import fetch
from antiphon.core.deltas import Call, Delta, Finish, Text
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Item, Message
from antiphon.protocol.settings import FormatJsonSchema, TextConfig
from antiphon.protocol.tool_settings import CustomGrammar
from tests.backends.llama.schemas import SELF, WORST
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.model, pytest.mark.slow]

SECONDS = 2 * HANG_SECONDS
WEATHER = Function(
    "weather",
    Raw(
        b'{"type":"object","properties":{"city":{"enum":["Oslo","Rome"]},"days":{"type":"integer","minimum":1,"maximum":3}},'
        b'"required":["city","days"],"additionalProperties":false}'
    ),
    "The weather of a city",
)
TREE: dict[str, object] = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "pattern": r"^\d{3}$"},
        "rest": {"anyOf": [{"$ref": "#/$defs/none"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 0}]},
    },
    "$defs": {"none": {"type": "null"}},
    "required": ["code", "rest"],
    "additionalProperties": False,
}


def connect(base_url: str, key: str) -> ChatCompletions:
    """What wiring passes in."""
    return ChatCompletions(ChatConfig(base_url=base_url, api_key=key, tokenizer="llama.cpp"))


def user(text: str) -> list[Item]:
    """One message."""
    return [Message(role="user", content=[InputText(text=text)])]


@pytest.fixture
async def backend() -> AsyncGenerator[Llama, None]:
    """The small model, in one thread."""
    fetch(CATALOG[SMALL])
    llama = Llama(Config(model=SMALL, context=1024, parallel=2, threads=1), connect)
    yield llama
    await llama.aclose()


async def hear(llama: Llama, turn: Turn) -> list[Delta]:
    """All deltas of a turn."""
    with anyio.fail_after(SECONDS):
        async with aclosing(llama.stream(turn)) as lists:
            return [delta async for deltas in lists for delta in deltas]


def text(deltas: list[Delta]) -> str:
    """The text of the deltas."""
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


def cached(deltas: list[Delta]) -> int:
    """How many tokens of the prompt were in the cache."""
    (usage,) = [delta.usage for delta in deltas if isinstance(delta, Finish)]
    return -1 if usage is None else usage.input_tokens_details.cached_tokens


async def test_the_small_model_is_its_makers_file(backend: Llama) -> None:
    """The fetched file has the published SHA-256."""
    assert verify(CATALOG[SMALL], default_folder()).is_file()


async def test_a_second_turn_finds_its_prompt_in_the_cache(backend: Llama) -> None:
    """The usage says how much of it."""
    turn = Turn(user("Say hello to everybody in the room."), temperature=0.0, max_output_tokens=8)
    first = await hear(backend, turn)
    assert text(first)
    assert cached(first) < 10
    second = await hear(backend, turn)
    assert text(second) == text(first)
    assert cached(second) > 20


@pytest.mark.parametrize("question", ["Is it cold in Oslo?", "Say hello."])
async def test_a_forced_call_is_valid_whatever_the_model(backend: Llama, question: str) -> None:
    """Even the smallest model calls, with arguments that fit the schema and stream."""
    turn = Turn(user(question), functions=[WEATHER], choice=Choice("required"), temperature=0.0, max_output_tokens=80)
    first, *rest = await hear(backend, turn)
    assert first == Call("0", "weather")
    pieces = [delta.arguments for delta in rest if isinstance(delta, Call)]
    arguments = msgspec.json.decode("".join(pieces))
    assert arguments["city"] in ("Oslo", "Rome")
    assert arguments["days"] in (1, 2, 3)
    assert len(pieces) > 2


async def test_json_fits_its_schema(backend: Llama) -> None:
    """With a pattern and a reference to the root, which llama.cpp alone would refuse."""
    form = FormatJsonSchema(name="tree", schema_=TREE, strict=True)
    turn = Turn(user("Give any tree."), text=TextConfig(format=form), temperature=0.0, max_output_tokens=200)
    tree = msgspec.json.decode(text(await hear(backend, turn)))
    assert re.fullmatch(r"\d{3}", tree["code"]) is not None
    assert tree["rest"] in (None, [])


async def test_a_schema_that_the_grammar_refuses_is_the_callers_fault(backend: Llama) -> None:
    """And the engine lives on."""
    form = FormatJsonSchema(name="bad", schema_={"type": "bogus"})
    with pytest.raises(UpstreamError) as caught:
        await hear(backend, Turn(user("x"), text=TextConfig(format=form)))
    assert (caught.value.fault, caught.value.param) == ("invalid_request", "text.format.schema")
    assert text(await hear(backend, Turn(user("Hello"), max_output_tokens=4)))


async def test_the_engine_survives_the_worst_schemas(backend: Llama) -> None:
    """It follows what was made of each within seconds, and answers afterwards, in the same process."""
    assert text(await hear(backend, Turn(user("Hello"), max_output_tokens=4)))
    pid = backend.pid
    for schema in WORST:
        function = Function("act", Raw(msgspec.json.encode(schema)))
        turn = Turn(
            user("Act."), functions=[function], choice=Choice("required"), temperature=0.0, max_output_tokens=16
        )
        brief = replace(asked(turn).turn, instructions="Act.")  # the grammar is what counts, not how long the prompt is
        begun = time.monotonic()
        with anyio.fail_after(SECONDS):
            async with aclosing((await backend._backend()).stream(brief)) as lists:
                assert [deltas async for deltas in lists]
        assert time.monotonic() - begun < 300 * await greeted(backend)
    loop = Function("act", Raw(msgspec.json.encode(SELF)))
    assert await hear(backend, Turn(user("Say hello."), functions=[loop], temperature=0.0, max_output_tokens=8))
    assert text(await hear(backend, Turn(user("Hello"), max_output_tokens=4)))
    assert backend.pid == pid


async def test_a_prompt_that_is_too_long_is_told_as_such(backend: Llama) -> None:
    """Before anything is generated."""
    with pytest.raises(UpstreamError) as caught:
        await hear(backend, Turn(user("word " * 2000)))
    assert caught.value.fault == "context_length_exceeded"


async def test_turns_at_once_are_all_answered(backend: Llama) -> None:
    """More than there are slots: the others wait."""
    answers: list[str] = []

    async def ask(number: int) -> None:
        turn = Turn(user(f"Count to {number}."), temperature=0.0, max_output_tokens=12)
        answers.append(text(await hear(backend, turn)))

    async with anyio.create_task_group() as group:
        for number in range(3, 6):
            group.start_soon(ask, number)
    assert len(answers) == 3
    assert all(answers)


async def greeted(backend: Llama) -> float:
    """Seconds that a short answer takes."""
    begun = time.monotonic()
    assert text(await hear(backend, Turn(user("Hello"), max_output_tokens=4)))
    return time.monotonic() - begun


async def test_a_client_that_leaves_frees_its_slot(backend: Llama) -> None:
    """With all slots taken by stories without an end, the next turn is answered at once, not after them."""
    story = Turn(user("Tell a story that never ends."), max_output_tokens=900)
    streams = [backend.stream(story) for _ in range(2)]
    alone = await greeted(backend)
    with anyio.fail_after(SECONDS):
        for stream in streams:
            await anext(stream)
        for stream in streams:
            await stream.aclose()
    assert await greeted(backend) < 8 + 20 * alone  # the stories would take a minute, longer where all takes longer


async def test_a_killed_engine_is_back_at_the_next_turn(backend: Llama) -> None:
    """The turn that it died in ends with an error, the next one is answered."""
    story = Turn(user("Tell a long story."), max_output_tokens=900)
    with anyio.fail_after(SECONDS):
        async with aclosing(backend.stream(story)) as lists:
            await anext(lists)
            os.kill(backend.pid or 0, signal.SIGKILL)
            with pytest.raises(UpstreamError, match="stopped unexpectedly"):
                _ = [deltas async for deltas in lists]
    assert text(await hear(backend, Turn(user("Hello"), max_output_tokens=4)))


async def test_a_file_that_is_no_model_is_told_and_the_server_lives(tmp_path: Path) -> None:
    """The engine's own words are for the operator."""
    junk = tmp_path / "junk.gguf"
    junk.write_bytes(b"junk" * 100)
    llama = Llama(Config(model=str(junk)), connect)
    with pytest.raises(UpstreamError, match=r"cannot load junk\.gguf") as caught:
        await hear(llama, Turn(user("x")))
    await llama.aclose()
    assert caught.value.fault == "misconfigured"
    assert "failed to load model" in (caught.value.detail or "")


PARENT = """
import asyncio
from antiphon.backends.llama.catalog import CATALOG, SMALL, default_folder, locate
from antiphon.backends.llama.spawn import Child
from antiphon.backends.llama.wire import Load

async def main():
    path = str(locate(SMALL, default_folder()))
    child = Child(Load(path=path, context=256, parallel=1, threads=1), name="x")
    await child.access()
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_the_engine_dies_with_its_server() -> None:
    """Also where the server is killed and says nothing."""
    fetch(CATALOG[SMALL])
    with anyio.fail_after(SECONDS):
        async with await anyio.open_process([sys.executable, "-c", PARENT], stderr=None) as parent:
            assert parent.stdout is not None
            watched = os.pidfd_open(int(await parent.stdout.receive()))
            parent.kill()
            await anyio.wait_readable(watched)  # it has ended
            os.close(watched)


@pytest.mark.parametrize("functions", [[], [WEATHER]])
async def test_tokens_are_counted_as_the_model_reads_them(backend: Llama, functions: list[Function]) -> None:
    """The count is the usage of the same turn."""
    turn = Turn(user("Grüße, 世界 👋"), instructions="Be brief.", functions=functions, max_output_tokens=1)
    finish = (await hear(backend, turn))[-1]
    assert isinstance(finish, Finish)
    assert finish.usage is not None
    assert finish.usage.input_tokens == await backend.count(turn)


async def test_a_forced_call_of_a_custom_tool_fits_its_grammar(backend: Llama) -> None:
    """The grammar is a pattern of its input."""
    parameters = b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'
    grammar = CustomGrammar(syntax="regex", definition="[A-Z]{3}-[0-9]{2}")
    function = Function("ticket", Raw(parameters), "Books a ticket", grammar=grammar)
    turn = Turn(user("Book ABC-12."), functions=[function], choice=Choice("required"), max_output_tokens=60)
    arguments = "".join(delta.arguments for delta in await hear(backend, turn) if isinstance(delta, Call))
    assert re.fullmatch("[A-Z]{3}-[0-9]{2}", msgspec.json.decode(arguments)["input"])
