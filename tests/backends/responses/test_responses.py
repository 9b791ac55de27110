"""The whole way to an upstream that speaks the Responses API and back, against a server on loopback."""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest
from msgspec import Raw

from antiphon.backends import UpstreamError
from antiphon.backends.responses import Config, Responses
from antiphon.core.deltas import Call, Delta, Finish, Keepsake, Summary, Text, Thought
from antiphon.core.turn import Function, Hints, Turn
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Message
from antiphon.protocol.settings import Reasoning
from antiphon.protocol.tools import LocalShellTool, McpTool
from tests.backends.responses.test_hearing import CASSETTES, SAID
from tests.backends.upstream.raw_server import CHUNKED, answering, raw_server
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from tests.backends.upstream.raw_server import Peer

pytestmark = pytest.mark.anyio

TURN = Turn([Message(role="user", content=[InputText(text="Hi")])])
END = b"0\r\n\r\n"


def chunk(block: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(block), block)


def event(type: str, **fields: object) -> bytes:
    """A chunk with one event."""
    return chunk(f"event: {type}\ndata: {json.dumps({'type': type, **fields})}\n\n".encode())


HELLO = event(
    "response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta="Hello", logprobs=[]
)
COMPLETED = event("response.completed", response={"status": "completed", "output": [], "usage": None})
STREAM = CHUNKED + HELLO + COMPLETED + END


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """A whole answer that is no stream."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def hear(backend: Responses, turn: Turn = TURN) -> list[Delta]:
    """Ask, and listen to the end."""
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(backend.stream(turn)) as lists:
            return [delta async for deltas in lists for delta in deltas]


def lines_of(request: bytes) -> set[str]:
    """The lines of a request's head."""
    return set(request.partition(b"\r\n\r\n")[0].decode().split("\r\n"))


async def test_a_model_is_asked_and_heard() -> None:
    """The request carries the key and the turn; the answer comes as deltas."""
    async with raw_server(answering(STREAM)) as server:
        config = Config(base_url=f"{server.url}/v1", api_key="k-1", model="m", headers={"x-team": "a"})
        async with aclosing(Responses(config)) as backend:
            assert [Text("Hello"), Finish("stop")] == await hear(backend)
    expected = {"POST /v1/responses HTTP/1.1", "authorization: Bearer k-1", "x-team: a"}
    assert expected <= lines_of(server.requests[0])
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert (True, False, "m") == (body["stream"], body["store"], body["model"])


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        (
            {"api_version": "2025-04-01-preview"},
            ["POST /responses?api-version=2025-04-01-preview HTTP/1.1", "api-key: k-1"],
        ),
        ({"api_key_header": "api-key"}, ["POST /responses HTTP/1.1", "api-key: k-1"]),
        ({"api_key_header": "Authorization"}, ["authorization: Bearer k-1"]),
        ({"headers": {"Authorization": "Basic eA=="}}, ["authorization: Basic eA=="]),
    ],
)
async def test_the_key_travels_as_the_upstream_wants_it(settings: dict[str, object], lines: list[str]) -> None:
    """Azure has a version in the URL and a header of its own for the key."""
    async with raw_server(answering(STREAM)) as server:
        config = msgspec.convert({"base_url": server.url, "api_key": "k-1", **settings}, Config)
        async with aclosing(Responses(config)) as backend:
            await hear(backend)
    assert {*lines} <= lines_of(server.requests[0])


async def test_the_query_of_the_base_url_is_kept() -> None:
    """Whatever a gateway wants to read there."""
    async with raw_server(answering(STREAM)) as server:
        config = Config(base_url=f"{server.url}/openai/v1?api-version=preview")
        async with aclosing(Responses(config)) as backend:
            await hear(backend)
    assert "POST /openai/v1/responses?api-version=preview HTTP/1.1" in lines_of(server.requests[0])


async def test_words_are_handed_on_as_they_come() -> None:
    """The first word does not wait for the second."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + HELLO)
        await peer.server.step()
        await peer.send(COMPLETED + END)
        await peer.gone()

    async with raw_server(script) as server, aclosing(Responses(Config(base_url=server.url))) as backend:
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(backend.stream(TURN)) as lists:
                assert [Text("Hello")] == await anext(lists)
                server.go_on()
                assert [Finish("stop")] == [delta async for deltas in lists for delta in deltas]


async def test_a_connection_is_used_again() -> None:
    """An answer that was read to its end leaves its connection for the next."""
    async with (
        raw_server(answering(STREAM, STREAM)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        assert await hear(backend) == await hear(backend)
    assert (1, 2) == (len(server.peers), len(server.requests))


async def test_a_client_that_leaves_stops_the_model() -> None:
    """Closing the generator closes the connection, which is how an upstream learns that nobody listens."""
    async with (
        raw_server(answering(CHUNKED + HELLO)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(backend.stream(TURN)) as lists:
                assert [Text("Hello")] == await anext(lists)
            await server.left.wait()


async def test_an_upstream_that_keeps_the_stream_open_is_not_waited_for() -> None:
    """After the last event there is nothing to hear."""
    async with (
        raw_server(answering(CHUNKED + HELLO + COMPLETED)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        assert [Text("Hello"), Finish("stop")] == await hear(backend)
        with anyio.fail_after(HANG_SECONDS):
            await server.left.wait()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (answer(429, b'{"error": {"message": "slow"}}', "retry-after: 7"), ("rate_limit_exceeded", 7.0)),
        (answer(401, b'{"error": {"message": "key"}}'), ("misconfigured", None)),
        (answer(404, b'{"error": {"code": "model_not_found"}}'), ("misconfigured", None)),
        (answer(400, b'{"error": {"code": "context_length_exceeded"}}'), ("context_length_exceeded", None)),
        (answer(400, b'{"error": {"code": "content_filter"}}'), ("content_filter", None)),
        (answer(400, b'{"error": {"message": "No."}}'), ("invalid_request", None)),
        (answer(500, b"<html>"), ("server_error", None)),
        (answer(503, b"", "retry-after: 60"), ("unavailable", 60.0)),
        (answer(504, b"", "retry-after: 60"), ("timeout", None)),
        (answer(200, b"<html>not what you think</html>"), ("server_error", None)),
        (CHUNKED + HELLO + event("error", error={"code": "rate_limit_exceeded"}) + END, ("rate_limit_exceeded", None)),
    ],
)
async def test_a_failing_upstream_raises(given: bytes, fault: tuple[str, float | None]) -> None:
    """Error answers and errors inside of the stream."""
    async with (
        raw_server(answering(given)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
        assert fault[0] == caught.value.fault
        assert fault[1] is None or fault[1] == caught.value.retry_after
    assert 1 == len(server.requests)


async def test_words_in_the_read_of_an_error_are_handed_on() -> None:
    """They were said, and then the upstream is not waited for."""
    failing = chunk(HELLO.split(b"\r\n")[1] + event("error", error={"code": "429"}).split(b"\r\n")[1])
    async with (
        raw_server(answering(CHUNKED + failing)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
        aclosing(backend.stream(TURN)) as lists,
    ):
        with anyio.fail_after(HANG_SECONDS):
            assert [Text("Hello")] == await anext(lists)
            with pytest.raises(UpstreamError) as caught:
                await anext(lists)
    assert caught.value.fault == "rate_limit_exceeded"


async def test_a_complaint_about_the_input_names_it_as_the_caller_does() -> None:
    """A place in the upstream's list is none in the caller's."""
    body = b'{"error": {"message": "Bad.", "param": "input[3].content", "type": "invalid_request_error"}}'
    async with (
        raw_server(answering(answer(400, body))) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert ("Bad.", "input") == (str(caught.value), caught.value.param)


async def test_a_stream_that_ends_early_has_no_finish() -> None:
    """What was said is handed on, and the engine sees that it was not all."""
    async with (
        raw_server(answering(CHUNKED + HELLO + END)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        assert [Text("Hello")] == await hear(backend)


async def test_the_last_event_counts_without_the_line_that_ends_it() -> None:
    """An upstream that forgets the empty line has said all."""
    whole = (CASSETTES / "openai-text.sse").read_bytes().removesuffix(b"\n")
    async with (
        raw_server(answering(CHUNKED + chunk(whole) + END)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        assert SAID["openai-text.sse"] == await hear(backend)


async def test_an_upstream_that_dies_in_the_middle_raises_after_what_it_said() -> None:
    """The words that came are handed on, and the turn is never asked again."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + HELLO)
        await peer.server.step()
        peer.reset()

    async with (
        raw_server(script) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
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
    async with aclosing(Responses(Config(base_url="http://127.0.0.1:1"))) as backend:
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert caught.value.fault == "unavailable"


async def test_a_secret_of_a_handed_over_tool_is_not_repeated() -> None:
    """An upstream that quotes what it was sent gives nothing away."""
    body = json.dumps({"error": {"message": "Refused token hush-hush and word open-sesame."}}).encode()
    tool = McpTool(
        server_label="wiki", server_url="https://x", authorization="hush-hush", headers={"x-word": "open-sesame"}
    )
    async with (
        raw_server(answering(answer(400, body))) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend, Turn(TURN.items, handed_over=[tool]))
    assert b"hush-hush" in server.requests[0]
    assert "hush" not in f"{caught.value} {caught.value.detail}"
    assert "sesame" not in f"{caught.value} {caught.value.detail}"


async def test_items_that_nobody_asked_for_are_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The operator learns of them, the caller hears the rest."""
    stream = CHUNKED + chunk((CASSETTES / "openai-mcp.sse").read_bytes()) + END
    with caplog.at_level(logging.WARNING):
        async with (
            raw_server(answering(stream)) as server,
            aclosing(Responses(Config(base_url=server.url))) as backend,
        ):
            assert Text("Deep.") == (await hear(backend))[-2]
    [line] = [record for record in caplog.records if record.name == "antiphon.backends.responses"]
    assert ("upstream_ignored", ["mcp_call", "mcp_list_tools"]) == (line.__dict__["action"], line.__dict__["types"])


def read(request: bytes) -> dict[str, object]:
    """The body of a request."""
    body: dict[str, object] = json.loads(request.partition(b"\r\n\r\n")[2])
    return body


async def test_what_an_upstream_does_not_know_is_left_out_from_then_on() -> None:
    """It is asked once more for each, and the next turn is asked as the last answer was."""
    sealed = answer(400, b'{"error": {"message": "Encrypted content is not supported with this model."}}')
    metadata = answer(400, b'{"error": {"message": "Unknown parameter: metadata.", "param": "metadata"}}')
    turn = Turn(TURN.items, reasoning=Reasoning(effort="low"), hints=Hints(user="u", metadata={"a": "b"}))
    async with (
        raw_server(answering(sealed, metadata, STREAM, STREAM)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        assert await hear(backend, turn) == await hear(backend, turn) == [Text("Hello"), Finish("stop")]
    sent = [[name for name in ("include", "metadata", "user") if name in read(each)] for each in server.requests]
    assert [["include", "metadata", "user"], ["metadata", "user"], ["user"], ["user"]] == sent


PART: dict[str, object] = {"item_id": "rs", "output_index": 0}
RAW = event("response.reasoning_text.delta", delta="Hm.", **PART)
SHORT = event("response.reasoning_summary_text.delta", delta="Short.", **PART)
OVER = event("response.output_item.done", output_index=0, item={"type": "reasoning", "id": "rs", "summary": []})
SUMMED = CHUNKED + RAW + SHORT + OVER + COMPLETED + END
KEPT = Keepsake("encrypted", "")


@pytest.mark.parametrize(
    ("reasoning", "is_private"),
    [
        (None, False),
        (Reasoning(effort="low"), False),
        (Reasoning(summary="auto"), True),
        (Reasoning(generate_summary="concise"), True),
    ],
)
async def test_raw_thoughts_are_private_beside_a_summary_that_was_asked_for(
    reasoning: Reasoning | None,
    is_private: bool,  # noqa: FBT001 - given
) -> None:
    """Where none was, nothing of a summary is shown that they could get into."""
    async with (
        raw_server(answering(SUMMED)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        said = await hear(backend, Turn(TURN.items, reasoning=reasoning))
    assert [Thought("Hm.", is_private=is_private), Summary("Short.", 0), KEPT, Finish("stop")] == said


async def test_an_upstream_is_remembered_to_summarize_or_not() -> None:
    """From one turn to the next."""
    raw = CHUNKED + RAW + OVER + COMPLETED + END
    turn = Turn(TURN.items, reasoning=Reasoning(summary="auto"))
    async with (
        raw_server(answering(raw, SUMMED, SUMMED)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        thoughts = [(await hear(backend, turn))[0] for _ in range(3)]
    assert [Thought("Hm."), Thought("Hm."), Thought("Hm.", is_private=True)] == thoughts


async def test_an_effort_that_the_upstream_refuses_is_named() -> None:
    """With those that it takes, in the words of the API."""
    message = (
        "Unsupported value: 'minimal' is not supported with the 'o4' model. Supported values are: 'low' and 'high'."
    )
    refusal = answer(400, json.dumps({"error": {"message": message, "param": "reasoning.effort"}}).encode())
    turn = Turn(TURN.items, model="mine", reasoning=Reasoning(effort="minimal"))
    async with (
        raw_server(answering(refusal)) as server,
        aclosing(Responses(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend, turn)
    expected = (
        "Unsupported value: 'minimal' is not supported with the 'mine' model. Supported values are: 'low' and 'high'."
    )
    assert (expected, "reasoning.effort") == (str(caught.value), caught.value.param)


async def test_a_native_tool_is_heard_by_its_functions_name() -> None:
    """Whatever it is called in the turn."""
    stream = CHUNKED + chunk((CASSETTES / "openai-local-shell.sse").read_bytes()) + END
    function = Function("sh", Raw(b"{}"), tool=LocalShellTool())
    async with (
        raw_server(answering(stream)) as server,
        aclosing(Responses(Config(base_url=server.url, native_tools=["local_shell"]))) as backend,
    ):
        assert Call("0", "sh") == (await hear(backend, Turn(TURN.items, functions=[function])))[0]


async def test_the_upstream_counts_tokens() -> None:
    """By a route of its own, the version and the key with it."""
    counted = answer(200, b'{"object": "response.input_tokens", "input_tokens": 11}')
    async with (
        raw_server(answering(counted)) as server,
        aclosing(Responses(Config(base_url=f"{server.url}/openai", api_version="v1", api_key="k-1"))) as backend,
    ):
        with anyio.fail_after(HANG_SECONDS):
            assert 11 == await backend.count(TURN)
    assert {"POST /openai/responses/input_tokens?api-version=v1 HTTP/1.1", "api-key: k-1"} <= lines_of(
        server.requests[0]
    )
    assert {"input"} == read(server.requests[0]).keys()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (answer(404, b""), "unavailable"),
        (answer(405, b"{}"), "unavailable"),
        (answer(200, b'{"count": 7}'), "unavailable"),
        (answer(200, b"<html>"), "unavailable"),
        (answer(429, b'{"error": {"message": "slow"}}'), "rate_limit_exceeded"),
        (answer(401, b'{"error": {"message": "secret-key"}}'), "misconfigured"),
    ],
)
async def test_an_upstream_that_cannot_count_says_so(given: bytes, fault: str) -> None:
    """Whoever asked may estimate."""
    async with (
        raw_server(answering(given)) as server,
        aclosing(Responses(Config(base_url=server.url, api_key="secret-key"))) as backend,
    ):
        with anyio.fail_after(HANG_SECONDS), pytest.raises(UpstreamError) as caught:
            await backend.count(TURN)
    assert fault == caught.value.fault
    assert "secret-key" not in f"{caught.value} {caught.value.detail}"


def test_an_unknown_setting_is_refused() -> None:
    """A slip of the pen in a configuration is found at the start."""
    with pytest.raises(msgspec.ValidationError, match="api_versoin"):
        msgspec.convert({"base_url": "http://127.0.0.1:1", "api_versoin": "v1"}, Config)
