"""The whole way to an upstream and back, against a server on loopback."""

from __future__ import annotations

import json
from contextlib import aclosing

import anyio
import msgspec
import pytest

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions import ChatCompletions, Config
from antiphon.core.deltas import Delta, Finish, Text, Thought
from antiphon.core.turn import Hints, Thinking, Turn
from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.items import Message, ReasoningItem
from antiphon.protocol.settings import Reasoning
from tests.backends.upstream.raw_server import CHUNKED, Peer, answering, raw_server
from tests.patient import HANG_SECONDS

pytestmark = pytest.mark.anyio

TURN = Turn([Message(role="user", content=[InputText(text="Hi")])])
END = b"0\r\n\r\n"


def chunk(block: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(block), block)


def event(**choice: object) -> bytes:
    """A chunk with one event with one choice."""
    return chunk(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")


HELLO = event(delta={"content": "Hello"})
STOP = event(delta={}, finish_reason="stop")
DONE = chunk(b"data: [DONE]\n\n")


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """A whole answer that is no stream."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def hear(backend: ChatCompletions, turn: Turn = TURN) -> list[Delta]:
    """Ask, and listen to the end."""
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(backend.stream(turn)) as lists:
            return [delta async for deltas in lists for delta in deltas]


async def test_a_model_is_asked_and_heard() -> None:
    """The request carries the key and the turn; the answer comes as deltas."""
    async with raw_server(answering(CHUNKED + HELLO + STOP + DONE + END)) as server:
        config = Config(base_url=f"{server.url}/v1", api_key="k-1", model="m", headers={"x-team": "a"})
        async with aclosing(ChatCompletions(config)) as backend:
            assert [Text("Hello"), Finish("stop")] == await hear(backend)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"authorization: Bearer k-1\r\n" in head + b"\r\n"
    assert b"x-team: a" in head
    assert json.loads(body)["messages"] == [{"role": "user", "content": "Hi"}]


async def test_azure_is_asked_in_its_own_way() -> None:
    """The version joins the URL and the key has a header of its own."""
    async with raw_server(answering(CHUNKED + STOP + DONE + END)) as server:
        url = f"{server.url}/openai/deployments/d"
        config = Config(base_url=url, api_key="k-1", api_version="2024-10-21")
        async with aclosing(ChatCompletions(config)) as backend:
            await hear(backend)
    head = server.requests[0].partition(b"\r\n\r\n")[0]
    assert head.startswith(b"POST /openai/deployments/d/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n")
    assert b"api-key: k-1" in head
    assert b"authorization" not in head.lower()


async def test_words_are_handed_on_as_they_come() -> None:
    """The first word does not wait for the second."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + HELLO)
        await peer.server.step()
        await peer.send(STOP + DONE + END)
        await peer.gone()

    async with raw_server(script) as server, aclosing(ChatCompletions(Config(base_url=server.url))) as backend:
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(backend.stream(TURN)) as lists:
                assert [Text("Hello")] == await anext(lists)
                server.go_on()
                assert [Finish("stop")] == [delta async for deltas in lists for delta in deltas]


async def test_a_connection_is_used_again() -> None:
    """An answer that was read to its end leaves its connection for the next."""
    stream = CHUNKED + HELLO + STOP + DONE + END
    async with (
        raw_server(answering(stream, stream)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        assert await hear(backend) == await hear(backend)
    assert (1, 2) == (len(server.peers), len(server.requests))


async def test_what_follows_the_end_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late word after ``[DONE]`` is not heard, and does not cost the connection."""
    monkeypatch.setattr("antiphon.backends.upstream.replies.DRAIN_SECONDS", HANG_SECONDS)

    async def script(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            await peer.send(CHUNKED + HELLO + DONE)
            await peer.server.step()
            await peer.send(HELLO + END)
        await peer.gone()

    async with raw_server(script) as server, aclosing(ChatCompletions(Config(base_url=server.url))) as backend:
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(backend.stream(TURN)) as lists:
                assert [Text("Hello"), Finish("stop")] == await anext(lists)
                server.go_on()
                assert [] == [deltas async for deltas in lists]
        server.go_on()
        assert [Text("Hello"), Finish("stop")] == await hear(backend)
    assert 1 == len(server.peers)


async def test_an_upstream_that_keeps_the_stream_open_is_not_waited_for() -> None:
    """After ``[DONE]`` there is nothing to hear."""
    async with (
        raw_server(answering(CHUNKED + HELLO + STOP + DONE)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        assert [Text("Hello"), Finish("stop")] == await hear(backend)
        with anyio.fail_after(HANG_SECONDS):
            await server.left.wait()


async def test_a_client_that_leaves_stops_the_model() -> None:
    """Closing the generator closes the connection, which is how an upstream learns that nobody listens."""
    async with (
        raw_server(answering(CHUNKED + HELLO)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(backend.stream(TURN)) as lists:
                assert [Text("Hello")] == await anext(lists)
            await server.left.wait()


async def test_a_plain_completion_is_understood() -> None:
    """An upstream that ignores ``stream`` answers with one JSON object."""
    body = b'{"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "length"}]}'
    async with (
        raw_server(answering(answer(200, body, "content-type: application/json"))) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        assert [Text("Hello"), Finish("max_output_tokens")] == await hear(backend)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (answer(429, b'{"error": {"message": "slow"}}', "retry-after: 7"), ("rate_limit_exceeded", 7.0)),
        (answer(401, b'{"error": {"message": "key"}}'), ("misconfigured", None)),
        (answer(400, b'{"error": {"code": "context_length_exceeded"}}'), ("context_length_exceeded", None)),
        (answer(500, b"<html>"), ("server_error", None)),
        (answer(503, b"", "retry-after: 60"), ("unavailable", 60.0)),
        (answer(200, b"<html>not what you think</html>"), ("server_error", None)),
        (CHUNKED + HELLO + END, ("server_error", None)),
        (CHUNKED + HELLO + chunk(b'data: {"error": {"code": 429}}\n\n'), ("rate_limit_exceeded", None)),
    ],
)
async def test_a_failing_upstream_raises(given: bytes, fault: tuple[str, float | None]) -> None:
    """Error answers, errors inside of the stream and streams that end early."""
    async with (
        raw_server(answering(given)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
        assert fault == (caught.value.fault, caught.value.retry_after)
    assert 1 == len(server.requests)


async def test_an_upstream_that_dies_in_the_middle_raises_after_what_it_said() -> None:
    """The words that came are handed on, and the turn is never asked again."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + HELLO)
        await peer.server.step()
        peer.reset()

    async with (
        raw_server(script) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
        aclosing(backend.stream(TURN)) as lists,
    ):
        with anyio.fail_after(HANG_SECONDS):
            assert [Text("Hello")] == await anext(lists)
            server.go_on()
            with pytest.raises(UpstreamError) as caught:
                await anext(lists)
    assert ("server_error", 1) == (caught.value.fault, len(server.requests))


async def test_an_upstream_that_is_not_there_is_unavailable() -> None:
    """A refused connection."""
    async with aclosing(ChatCompletions(Config(base_url="http://127.0.0.1:1"))) as backend:
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert caught.value.fault == "unavailable"


async def test_the_name_of_the_limit_is_learned() -> None:
    """An upstream that refuses one name is asked again with the other, and from then on with that alone."""
    refusal = answer(400, b'{"error": {"message": "Unrecognized request argument: max_completion_tokens"}}')
    stream = CHUNKED + HELLO + STOP + DONE + END
    async with (
        raw_server(answering(refusal, stream, stream), answering(stream, stream)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        turn = Turn(TURN.items, max_output_tokens=64)
        assert await hear(backend, turn) == await hear(backend, turn) == [Text("Hello"), Finish("stop")]
    limits = [
        [name for name in json.loads(request.partition(b"\r\n\r\n")[2]) if name.startswith("max")]
        for request in server.requests
    ]
    assert [["max_completion_tokens"], ["max_tokens"], ["max_tokens"]] == limits


async def test_a_second_refusal_is_final() -> None:
    """An upstream that knows neither name is asked twice, not for ever, and its last words count."""
    first = answer(422, b'{"message": "max_completion_tokens: extra inputs are not permitted"}')
    second = answer(400, b'{"error": {"message": "No limits here."}}')
    async with (
        raw_server(answering(first, second), answering(second)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError, match="No limits here") as caught:
            await hear(backend, Turn(TURN.items, max_output_tokens=64))
    assert ("invalid_request", 2) == (caught.value.fault, len(server.requests))


def read(request: bytes) -> dict[str, object]:
    """The body of a request."""
    body: dict[str, object] = json.loads(request.partition(b"\r\n\r\n")[2])
    return body


async def test_what_an_upstream_does_not_know_is_left_out_from_then_on() -> None:
    """Each hint costs one more request, once."""
    metadata = answer(400, b"""{"error": {"message": "'metadata' is only allowed when 'store' is enabled."}}""")
    tier = answer(422, b'{"error": {"message": "Extra inputs are not permitted", "param": "service_tier"}}')
    stream = CHUNKED + HELLO + STOP + DONE + END
    turn = Turn(TURN.items, hints=Hints(user="u", metadata={"a": "b"}, tier="flex"))
    async with (
        raw_server(answering(metadata, tier, stream, stream)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url, hints="all"))) as backend,
    ):
        assert await hear(backend, turn) == await hear(backend, turn) == [Text("Hello"), Finish("stop")]
    sent = [[name for name in ("user", "metadata", "service_tier") if name in read(each)] for each in server.requests]
    assert [["user", "metadata", "service_tier"], ["user", "service_tier"], ["user"], ["user"]] == sent


async def test_earlier_thoughts_that_an_upstream_refuses_are_not_sent_again() -> None:
    """Most take them or pass over them; some call them an unknown field."""
    refusal = answer(400, b'{"error": {"message": "Unknown field: messages[0].reasoning_content"}}')
    stream = CHUNKED + HELLO + STOP + DONE + END
    thought = ReasoningItem(id="rs_1", summary=[])
    said = Message(id="msg_2", role="assistant", content=[OutputText(text="So.")])
    turn = Turn([*TURN.items, thought, said], thoughts={"rs_1": Thinking(text="Hm.")})
    async with (
        raw_server(answering(refusal, stream, stream)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        assert await hear(backend, turn) == await hear(backend, turn) == [Text("Hello"), Finish("stop")]
    assert [True, False, False] == [b"reasoning_content" in request for request in server.requests]


LEVELS = (
    "Unsupported value: 'minimal' is not supported with the 'mine' model. "
    "Supported values are: 'low', 'medium', and 'high'."
)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            b"""{"error": {"message": "Input should be 'low', 'medium' or 'high'", "param": "reasoning_effort"}}""",
            LEVELS,
        ),
        (
            b'{"error": {"message": "Unrecognized request argument supplied: reasoning_effort"}}',
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
        ),
    ],
)
async def test_an_effort_that_the_upstream_refuses_is_named(refusal: bytes, message: str) -> None:
    """In the words of the API, whatever the upstream calls it."""
    turn = Turn(TURN.items, model="mine", reasoning=Reasoning(effort="minimal"))
    async with (
        raw_server(answering(answer(400, refusal))) as server,
        aclosing(ChatCompletions(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend, turn)
    assert (message, "reasoning.effort", 1) == (str(caught.value), caught.value.param, len(server.requests))


async def test_an_answer_may_begin_inside_of_a_thought() -> None:
    """The template has written the opening tag into the prompt."""
    stream = CHUNKED + event(delta={"content": "Hm.</think>Hello"}) + STOP + DONE + END
    async with (
        raw_server(answering(stream)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url, think_tags="open"))) as backend,
    ):
        assert [Thought("Hm."), Text("Hello"), Finish("stop")] == await hear(backend)


async def counted(backend: ChatCompletions, turn: Turn = TURN) -> int:
    """How many tokens a turn has."""
    with anyio.fail_after(HANG_SECONDS):
        return await backend.count(turn)


async def test_vllm_counts_tokens() -> None:
    """Its tokenizer is beside the API that others have as well."""
    async with (
        raw_server(answering(answer(200, b'{"count": 11, "max_model_len": 4096, "tokens": [1]}'))) as server,
        aclosing(
            ChatCompletions(Config(base_url=f"{server.url}/a/v1/", tokenizer="vllm", api_key="k-1", model="m"))
        ) as backend,
    ):
        assert 11 == await counted(backend)
    assert server.requests[0].startswith(b"POST /a/tokenize HTTP/1.1\r\n")
    assert b"authorization: Bearer k-1" in server.requests[0]
    assert {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "add_generation_prompt": True,
    } == read(server.requests[0])


async def test_llama_cpp_counts_tokens_of_what_its_template_makes() -> None:
    """Two questions, over one connection."""
    answers = answer(200, b'{"prompt": "<user>Hi"}'), answer(200, b'{"tokens": [5, 6, 7]}')
    async with (
        raw_server(answering(*answers)) as server,
        aclosing(ChatCompletions(Config(base_url=server.url, tokenizer="llama.cpp"))) as backend,
    ):
        assert 3 == await counted(backend)
    assert [b"POST /apply-template", b"POST /tokenize"] == [each.split(b" HTTP")[0] for each in server.requests]
    assert {"content": "<user>Hi", "add_special": True, "parse_special": True} == read(server.requests[1])
    assert 1 == len(server.peers)


async def test_without_a_tokenizer_nothing_is_asked() -> None:
    """Whoever wants to know may estimate."""
    async with aclosing(ChatCompletions(Config(base_url="http://127.0.0.1:1"))) as backend:
        with pytest.raises(UpstreamError) as caught:
            await counted(backend)
    assert caught.value.fault == "unavailable"


async def test_a_tokenizer_that_is_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count is not worth waiting for."""
    monkeypatch.setattr("antiphon.backends.upstream.replies.COUNT_SECONDS", 0.05)
    async with (
        raw_server(Peer.drained) as server,
        aclosing(ChatCompletions(Config(base_url=server.url, tokenizer="vllm"))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await counted(backend)
    assert caught.value.fault == "timeout"


def test_an_unknown_setting_is_refused() -> None:
    """A slip of the pen in a configuration is found at the start."""
    with pytest.raises(msgspec.ValidationError, match="max_token_field"):
        msgspec.convert({"base_url": "http://127.0.0.1:1", "max_token_field": "max_tokens"}, Config)
