"""The whole way to an upstream and back, against a server on loopback."""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from antiphon.backends import Counting, UpstreamError
from antiphon.backends.anthropic import Anthropic, Config
from antiphon.core.deltas import Delta, Finish, Keepsake, Text, Thought
from antiphon.core.turn import Choice, Thinking, Turn
from antiphon.protocol.content import InputImage
from antiphon.protocol.items import Message, ReasoningItem
from antiphon.protocol.response import Usage
from tests.backends.anthropic.asked import F, assistant, user
from tests.backends.upstream.raw_server import answering, raw_server
from tests.messages_api import HEAD, LAST, begun, block, chunk, event, over, plain, refused, said, thought, whole
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from typing import Any  # JSON

    from tests.backends.upstream.raw_server import Peer, RawServer

pytestmark = pytest.mark.anyio

TURN = Turn([user("Hi")])
HELLO = whole(said("Hello"))
FINISH = Finish("stop", Usage(input_tokens=10, output_tokens=5, total_tokens=15))


async def hear(backend: Anthropic, turn: Turn = TURN) -> list[Delta]:
    """Ask, and listen to the end."""
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(backend.stream(turn)) as lists:
            return [delta async for deltas in lists for delta in deltas]


def bodies(server: RawServer) -> list[Any]:  # JSON
    """The bodies of the requests so far."""
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests]


async def test_a_model_is_asked_and_heard() -> None:
    """The request carries the key, the version and the turn; the answer comes as deltas."""
    answer = whole(thought("Hm.", "c2ln"), said("Hello", index=1))
    async with raw_server(answering(answer)) as server:
        config = Config(base_url=f"{server.url}/v1", api_key="k-1", model="m", headers={"anthropic-beta": "b-1,b-2"})
        async with aclosing(Anthropic(config)) as backend:
            heard = await hear(backend)
    assert [Thought("Hm."), Keepsake("signature", "c2ln"), Text("Hello")] == heard[:3]
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\n")
    lines = head.split(b"\r\n")
    assert {b"x-api-key: k-1", b"anthropic-version: 2023-06-01", b"anthropic-beta: b-1,b-2"} <= {*lines}
    assert "Hi" == json.loads(body)["messages"][0]["content"][0]["text"]


@pytest.mark.parametrize(
    ("name", "key", "line"),
    [
        ("Authorization", "k-12345678", b"authorization: Bearer k-12345678"),
        ("api-key", "k-12345678", b"api-key: k-12345678"),
        ("x-api-key", None, b""),
    ],
)
async def test_the_key_travels_as_a_proxy_wants_it(name: str, key: str | None, line: bytes) -> None:
    """As a Bearer token, in a header of the proxy's own, or not at all."""
    async with raw_server(answering(HELLO)) as server:
        config = Config(base_url=server.url, api_key=key, api_key_header=name)
        async with aclosing(Anthropic(config)) as backend:
            await hear(backend)
    lines = server.requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line] if line else [] == [each for each in lines if b"key" in each or b"authorization" in each]


async def test_words_are_handed_on_as_they_come() -> None:
    """The first word does not wait for the second, nor for a ping."""
    start = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    first, second = (
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": each}) for each in ("a", "b")
    )

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + chunk(begun() + start + first))
        await peer.server.step()
        await peer.send(chunk(event("ping")) + chunk(second) + chunk(over()) + LAST)
        await peer.gone()

    async with raw_server(script) as server, aclosing(Anthropic(Config(base_url=server.url))) as backend:
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(backend.stream(TURN)) as lists:
                assert [Text("a")] == await anext(lists)
                server.go_on()
                assert [Text("b"), FINISH] == [delta async for deltas in lists for delta in deltas]


async def test_a_connection_is_used_again() -> None:
    """An answer that was read to its end leaves its connection for the next."""
    async with (
        raw_server(answering(HELLO, HELLO)) as server,
        aclosing(Anthropic(Config(base_url=server.url))) as backend,
    ):
        assert await hear(backend) == await hear(backend) == [Text("Hello"), FINISH]
    assert (1, 2) == (len(server.peers), len(server.requests))


async def test_an_upstream_that_keeps_the_stream_open_is_not_waited_for() -> None:
    """After the end of the message there is nothing to hear."""
    async with (
        raw_server(answering(HELLO.removesuffix(LAST))) as server,
        aclosing(Anthropic(Config(base_url=server.url))) as backend,
    ):
        assert [Text("Hello"), FINISH] == await hear(backend)
        with anyio.fail_after(HANG_SECONDS):
            await server.left.wait()


async def test_a_client_that_leaves_stops_the_model() -> None:
    """Closing the generator closes the connection, which is how an upstream learns that nobody listens."""
    async with (
        raw_server(answering(HEAD + chunk(begun() + said("Hello")))) as server,
        aclosing(Anthropic(Config(base_url=server.url))) as backend,
    ):
        with anyio.fail_after(HANG_SECONDS):
            async with aclosing(backend.stream(TURN)) as lists:
                assert [Text("Hello")] == await anext(lists)
            await server.left.wait()


async def test_a_stream_that_ends_early_ends_without_finish() -> None:
    """The engine makes an error of it; after the model has said why it ended, nothing is missing."""
    early = HEAD + chunk(begun() + said("Hello")) + LAST
    spoken = HEAD + chunk(begun() + said("Hello") + over().partition(b"event: message_stop")[0])
    async with raw_server(answering(early)) as server, aclosing(Anthropic(Config(base_url=server.url))) as backend:
        assert [Text("Hello")] == await hear(backend)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(spoken)

    async with raw_server(script) as server, aclosing(Anthropic(Config(base_url=server.url))) as backend:
        assert [Text("Hello"), FINISH] == await hear(backend)


async def test_an_upstream_that_falls_silent_is_given_up() -> None:
    """The idle deadline is the operator's."""
    async with (
        raw_server(answering(HEAD + chunk(begun() + said("Hello")))) as server,
        aclosing(Anthropic(Config(base_url=server.url, idle_timeout=0.1))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert "timeout" == caught.value.fault


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (refused(429, "rate_limit_error", "slow", "retry-after: 7"), ("rate_limit_exceeded", 7.0)),
        (refused(529, "overloaded_error", "Overloaded"), ("unavailable", None)),
        (refused(401, "authentication_error", "invalid x-api-key"), ("misconfigured", None)),
        (refused(404, "not_found_error", "model: m"), ("misconfigured", None)),
        (refused(413, "request_too_large", "Request exceeds the maximum size"), ("invalid_request", None)),
        (
            refused(400, "invalid_request_error", "prompt is too long: 210001 tokens > 200000 maximum"),
            ("context_length_exceeded", None),
        ),
        (
            refused(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
            ("context_length_exceeded", None),
        ),
        (refused(400, "invalid_request_error", "Your credit balance is too low to access."), ("misconfigured", None)),
        (refused(400, "invalid_request_error", "tools.0: bad"), ("invalid_request", None)),
        (refused(500, "api_error", "Internal server error"), ("server_error", None)),
        (plain(200, "what"), ("server_error", None)),
        (HEAD + chunk(begun() + event("error", error={"type": "overloaded_error"})) + LAST, ("unavailable", None)),
        (
            HEAD + chunk(begun() + said("Hello") + event("error", error={"type": "rate_limit_error"})) + LAST,
            ("rate_limit_exceeded", None),
        ),
    ],
)
async def test_a_failing_upstream_raises(given: bytes, fault: tuple[str, float | None]) -> None:
    """Error answers and errors inside of the stream; the turn is not asked again."""
    async with raw_server(answering(given)) as server, aclosing(Anthropic(Config(base_url=server.url))) as backend:
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert fault == (caught.value.fault, caught.value.retry_after)
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("messages.1.content.0.text: too odd", "input"),
        ("output_config.effort: Input should be low", "reasoning.effort"),
        ("`max_tokens` is too large", "max_output_tokens"),
        ("tools.0.name: bad", "tools"),
        ("tool_choice: bad", "tool_choice"),
        ("Something else: bad", None),
        ("", None),
    ],
)
async def test_what_the_upstream_complains_about_has_the_callers_name(message: str, param: str | None) -> None:
    """Its messages open with the place."""
    refusal = refused(400, "invalid_request_error", message)
    async with raw_server(answering(refusal)) as server, aclosing(Anthropic(Config(base_url=server.url))) as backend:
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert ("invalid_request", param) == (caught.value.fault, caught.value.param)


async def test_the_key_is_in_no_error() -> None:
    """An upstream repeats it in all innocence."""
    key = "sk-ant-0123456789"
    refusal = refused(400, "invalid_request_error", f"the key {key} is odd")
    async with (
        raw_server(answering(refusal)) as server,
        aclosing(Anthropic(Config(base_url=server.url, api_key=key))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert key not in f"{caught.value} {caught.value.detail}"


NO_ADAPTIVE = refused(400, "invalid_request_error", "adaptive thinking is not supported on this model")
NO_HEAT = refused(400, "invalid_request_error", "`temperature` is deprecated for this model.")
NO_FORCE = refused(400, "invalid_request_error", 'tool_choice: type "tool" and "any" are not supported for this model.')


async def test_what_a_model_refuses_is_learned() -> None:
    """It is asked anew until it answers, and from then on at once as it wants it; each model for itself."""
    warm = Turn([user("Hi")], model="a", temperature=0.5)
    async with (
        raw_server(answering(NO_ADAPTIVE, NO_HEAT, HELLO, HELLO, HELLO)) as server,
        aclosing(Anthropic(Config(base_url=server.url))) as backend,
    ):
        for turn in (warm, warm, Turn([user("Hi")], model="b")):
            assert [Text("Hello"), FINISH] == await hear(backend, turn)
    keys = [{"thinking", "temperature"} & body.keys() for body in bodies(server)]
    assert [{"thinking"}, {"temperature"}, set(), set(), {"thinking"}] == keys


async def test_a_demand_that_a_model_does_not_obey_is_put_in_words() -> None:
    """Newer models refuse it."""
    turn = Turn([user("Hi")], functions=[F], choice=Choice("required"))
    async with (
        raw_server(answering(NO_FORCE, HELLO)) as server,
        aclosing(Anthropic(Config(base_url=server.url))) as backend,
    ):
        await hear(backend, turn)
    first, second = bodies(server)
    assert {"type": "any"} == first["tool_choice"]
    assert "tool_choice" not in second
    assert "Answer by a call" in second["messages"][-1]["content"][-1]["text"]


async def test_thoughts_that_an_upstream_does_not_take_back_are_left_out_of_that_turn_alone() -> None:
    """They belong to another conversation of its, and the next may be its own again."""
    signed = {"rs_1": Thinking(text="Hm.", form="signature", token="c2ln")}
    turn = Turn([user("?"), ReasoningItem(id="rs_1", summary=[]), assistant("."), user("!")], thoughts=signed)
    foreign = refused(400, "invalid_request_error", "messages.1: The block is bound to a different conversation.")
    async with (
        raw_server(answering(foreign, HELLO, HELLO)) as server,
        aclosing(Anthropic(Config(base_url=server.url))) as backend,
    ):
        assert await hear(backend, turn) == await hear(backend, turn)
    told = [[each["type"] for each in body["messages"][1]["content"]] for body in bodies(server)]
    assert [["thinking", "text"], ["text"], ["thinking", "text"]] == told


async def test_a_refusal_that_comes_again_is_final() -> None:
    """An upstream that refuses both ways is asked twice, not for ever."""
    no_budget = refused(400, "invalid_request_error", '"thinking.type.enabled" is not supported for this model.')
    async with (
        raw_server(answering(NO_ADAPTIVE, no_budget, NO_ADAPTIVE)) as server,
        aclosing(Anthropic(Config(base_url=server.url))) as backend,
    ):
        with pytest.raises(UpstreamError) as caught:
            await hear(backend)
    assert ("invalid_request", 2) == (caught.value.fault, len(server.requests))


async def test_what_the_upstream_made_itself_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is left out in silence."""
    made = block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})
    with caplog.at_level(logging.WARNING):
        async with (
            raw_server(answering(whole(made, said("Hello", index=1)))) as server,
            aclosing(Anthropic(Config(base_url=server.url))) as backend,
        ):
            assert [Text("Hello"), FINISH] == await hear(backend)
    [record] = [each for each in caplog.records if getattr(each, "action", "") == "upstream_ignored"]
    assert ["server_tool_use"] == record.__dict__["types"]


async def test_the_length_of_a_turn_is_counted_by_the_upstream() -> None:
    """At a place of its own, and with what was learned."""
    async with (
        raw_server(answering(NO_ADAPTIVE, plain(200, {"input_tokens": 42}), plain(200, {}))) as server,
        aclosing(Anthropic(Config(base_url=f"{server.url}/v1", api_key="k-1"))) as backend,
    ):
        with anyio.fail_after(HANG_SECONDS):
            assert 42 == await backend.count(TURN)
            with pytest.raises(UpstreamError, match="did not say how long") as caught:
                await backend.count(TURN)
    assert "server_error" == caught.value.fault
    assert isinstance(backend, Counting)
    assert all(each.startswith(b"POST /v1/messages/count_tokens HTTP/1.1\r\n") for each in server.requests)
    assert {"messages"} == bodies(server)[-1].keys()


async def test_a_length_that_the_upstream_refuses_to_count_is_an_error() -> None:
    """As for an answer."""
    refusal = refused(529, "overloaded_error", "Overloaded")
    async with raw_server(answering(refusal)) as server, aclosing(Anthropic(Config(base_url=server.url))) as backend:
        with pytest.raises(UpstreamError) as caught:
            await backend.count(TURN)
    assert "unavailable" == caught.value.fault


async def test_a_turn_that_cannot_be_told_is_not_sent() -> None:
    """It is refused here."""
    async with raw_server(answering()) as server, aclosing(Anthropic(Config(base_url=server.url))) as backend:
        with pytest.raises(UpstreamError):
            await hear(backend, Turn([Message(role="user", content=[InputImage(file_id="file-1")])]))
    assert [] == server.requests


def test_an_unknown_setting_is_refused() -> None:
    """A slip of the pen in a configuration is found at the start."""
    with pytest.raises(msgspec.ValidationError, match="max_token"):
        msgspec.convert({"base_url": "http://127.0.0.1:1", "max_token": 5}, Config)
