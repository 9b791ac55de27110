"""Limits as the official clients meet them: refused before a model is asked, asked again, and told in headers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from msgspec.structs import replace
from openai import APIStatusError, AzureOpenAI, InternalServerError, OpenAI, RateLimitError
from openai.lib.responses_websocket import ResponsesWebSocketError

from antiphon.config import Config, Server, Storage
from antiphon.lifecycle.limiting import Rule
from tests import patient
from tests.acceptance.operating import operating
from tests.serving import MEMORY, scripted, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conducting import Model, Models
    from tests.servers import PostgresServer

pytestmark = [
    pytest.mark.whole,
    # The client opens its connections in a way that its own library is about to give up.
    pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"),
]

MILLION = 1_000_000
USED = 30
COUNTED = {"usage": {"input_tokens": 10, "output_tokens": 20}, "steps": [{"text": "one two three"}]}
BROKEN = {"when": "break", "steps": [{"text": "one two three"}, {"fail": {"fault": "server_error"}}]}
TWICE = 2
TRIES = 60
"""How often a client asks that is told to come again in a second."""


def conducted(models: Models, *rules: Rule, **server: Any) -> Config:  # settings are open
    """A server whose models are conducted."""
    return Config(store=MEMORY, deployments=[models.deployment], limits=list(rules), server=Server(**server))


def official(address: str, retries: int = 0) -> OpenAI:
    """The official client."""
    return OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=retries, timeout=patient.HANG_SECONDS)


def headers(error: APIStatusError) -> dict[str, str]:
    """The headers of a refusal that tell of limits."""
    return {
        key: value for key, value in error.response.headers.items() if key.startswith(("retry-after", "x-ratelimit"))
    }


def test_the_official_client_asks_again_and_is_served(models: Models, name: str, model: Model) -> None:
    """Refused while another response runs, it waits as long as it is told; nothing of that reaches the model."""
    with serving(conducted(models, Rule(concurrent=1))) as address, official(address) as client:
        model.say("one")
        stream = client.responses.create(model=name, input="first", stream=True)
        model.wait()
        assert "response.created" == next(iter(stream)).type
        with pytest.raises(RateLimitError) as refused:
            client.responses.create(model=name, input="second")
        assert ("requests", "rate_limit_exceeded", None) == (
            refused.value.type,
            refused.value.code,
            refused.value.param,
        )
        assert {"retry-after": "1", "retry-after-ms": "1000"} == headers(refused.value)
        threading.Timer(0.5, model.stop).start()
        with official(address, retries=TRIES) as patiently:
            seconds: list[str] = []
            asking = threading.Thread(
                target=lambda: seconds.append(patiently.responses.create(model=name, input="third").output_text)
            )
            asking.start()
            assert "completed" == [event.type for event in stream][-1].partition(".")[2]
            assert "third" == model.wait()["messages"][-1]["content"]
            model.say("served")
            model.stop()
            asking.join(patient.HANG_SECONDS)
    assert ["served"] == seconds
    assert model.asked.empty()


def test_headers_tell_what_is_left_and_a_refusal_when_to_come_again() -> None:
    """On every answer of a create, streamed or not, and on no other."""
    config = replace(scripted(COUNTED), limits=[Rule(requests_per_minute=2, tokens_per_minute=MILLION)])
    with serving(config) as address, official(address) as client:
        first = client.responses.with_raw_response.create(model="m", input="hi")
        assert ("2", "1", "1m1s") == _three(first.headers, "requests")
        limit, remaining, _reset = _three(first.headers, "tokens")
        assert ("1000000", True) == (limit, int(remaining) < MILLION)
        with client.responses.with_streaming_response.create(model="m", input="hi", stream=True) as second:
            assert ("2", "0", "1m1s") == _three(second.headers, "requests")
            assert str(MILLION - USED) > _three(second.headers, "tokens")[1]
            second.read()
        with pytest.raises(RateLimitError) as refused:
            client.responses.create(model="m", input="hi")
        told = headers(refused.value)
        assert 0 < int(told["retry-after-ms"]) <= 61_000
        assert ("2", "0") == _three(told, "requests")[:2]
        assert "Limit 2, Used 2, Requested 1." in refused.value.message
        read = client.responses.with_raw_response.retrieve(first.parse().id)
        assert [] == [key for key in read.headers if key.startswith("x-ratelimit")]


def _three(told: Any, what: str) -> tuple[str, str, str]:  # headers of a library
    return (
        told[f"x-ratelimit-limit-{what}"],
        told[f"x-ratelimit-remaining-{what}"],
        told[f"x-ratelimit-reset-{what}"],
    )


def test_azure_clients_are_told_in_their_own_form() -> None:
    """Seconds without a unit, the key of the limit, and Azure's error."""
    config = replace(scripted(COUNTED), limits=[Rule(deployment="*", requests_per_minute=1)])
    with serving(config) as address:
        client = AzureOpenAI(azure_endpoint=address, api_key="any", api_version="2025-04-01-preview", max_retries=0)
        with client:
            first = client.responses.with_raw_response.create(model="gpt-4o", input="hi")
            assert ("1", "0", "61") == _three(first.headers, "requests")
            assert ("gpt-4o", "60") == (
                first.headers["x-ratelimit-key"],
                first.headers["x-ratelimit-renewalperiod-requests"],
            )
            with pytest.raises(RateLimitError) as refused:
                client.responses.create(model="gpt-4o", input="hi")
            assert "429" == refused.value.code
            assert "gpt-4o" == refused.value.response.headers["x-ratelimit-key"]


def created(client: OpenAI) -> None:
    """A response as it is."""
    client.responses.create(model="m", input="hi")


def streamed(client: OpenAI) -> None:
    """A response as a stream."""
    assert (
        "response.completed" == [event.type for event in client.responses.create(model="m", input="a", stream=True)][-1]
    )


def unstored(client: OpenAI) -> None:
    """A response that is not kept."""
    client.responses.create(model="m", input="hi", store=False)


def in_the_background(client: OpenAI) -> None:
    """A response that nobody waits for."""
    id = client.responses.create(model="m", input="hi", background=True).id
    while client.responses.retrieve(id).status != "completed":
        pass


def over_a_socket(client: OpenAI) -> None:
    """A turn of a WebSocket."""
    with client.responses.connect() as connection:
        connection.response.create(model="m", input="hi")
        assert "response.completed" == [event.type for event in _until_the_end(connection)][-1]


def _until_the_end(connection: Any) -> Iterator[Any]:  # as the library has it
    for event in connection:
        yield event
        if event.type in {"response.completed", "error"}:
            return


def compacted(client: OpenAI) -> None:
    """A conversation that is summed up."""
    client.responses.compact(model="m", input="hi")


@pytest.mark.parametrize("ask", [created, streamed, unstored, in_the_background, over_a_socket, compacted])
def test_every_way_to_ask_is_settled_with_what_it_took(ask: Callable[[OpenAI], object]) -> None:
    """As the upstream counted it, whatever was reserved."""
    config = replace(scripted(COUNTED), limits=[Rule(tokens_per_minute=MILLION)])
    with serving(config) as address, official(address) as client:
        before = _left(client)
        ask(client)
        assert TWICE * USED == before - _left(client)


def test_a_response_that_fails_costs_what_it_came_to() -> None:
    """By estimate, as nobody counted: the input and what was said."""
    config = replace(scripted(BROKEN, COUNTED), limits=[Rule(tokens_per_minute=MILLION, concurrent=1)])
    with serving(config) as address, official(address) as client:
        before = _left(client)
        assert "failed" == client.responses.create(model="m", input="break").status
        assert USED + 3 < before - _left(client) < USED + 40


def _left(client: OpenAI) -> int:
    """What was left before and after a request that takes `USED` tokens in the end."""
    answer = client.responses.with_raw_response.create(model="m", input="hi", max_output_tokens=16)
    return int(answer.headers["x-ratelimit-remaining-tokens"])


def test_a_client_that_leaves_frees_its_place(models: Models, name: str, model: Model) -> None:
    """Its model is stopped, and another may ask."""
    with serving(conducted(models, Rule(concurrent=1, tokens_per_minute=MILLION))) as address:
        with official(address) as client:
            model.say("one")
            stream = client.responses.create(model=name, input="first", stream=True)
            model.wait()
            next(iter(stream))
            stream.close()
        model.gone()
        model.die()
        with official(address, retries=TRIES) as client:
            model.stop()
            assert "completed" == client.responses.create(model=name, input="second").status


def test_so_many_background_runs_wait_or_run(models: Models, name: str, model: Model) -> None:
    """Then no more are taken, until one has ended or is cancelled."""
    with serving(conducted(models, Rule(background=2))) as address, official(address) as client:
        first, second = (client.responses.create(model=name, input="hi", background=True).id for _ in range(2))
        with pytest.raises(RateLimitError) as refused:
            client.responses.create(model=name, input="hi", background=True)
        assert "background runs: Limit 2" in refused.value.message
        client.responses.cancel(first)
        third = client.responses.create(model=name, input="hi", background=True).id
        for id in (second, third):
            client.responses.cancel(id)


def test_a_turn_of_a_websocket_is_refused_in_a_frame() -> None:
    """With the status, the code and the headers; the connection goes on."""
    config = replace(
        scripted(COUNTED), limits=[Rule(deployment="m", requests_per_minute=1), Rule(requests_per_minute=5)]
    )
    with serving(config) as address, official(address) as client, client.responses.connect() as connection:
        connection.response.create(model="m", input="hi")
        assert "response.completed" == [event.type for event in _until_the_end(connection)][-1]
        connection.response.create(model="m", input="hi")
        try:
            error = list(_until_the_end(connection))[-1]
        except ResponsesWebSocketError as raised:
            error = raised
        assert "rate_limit_exceeded" in str(vars(error))
        connection.response.create(model="other", input="hi")
        assert "response.completed" == [event.type for event in _until_the_end(connection)][-1]


def test_a_server_with_enough_to_do_answers_at_once(models: Models, name: str, model: Model) -> None:
    """With 503 and when to try again; once it has room it serves again."""
    with serving(conducted(models, max_concurrent=1)) as address, official(address) as client:
        model.say("one")
        stream = client.responses.create(model=name, input="first", stream=True)
        model.wait()
        next(iter(stream))
        with pytest.raises(InternalServerError) as refused:
            client.responses.create(model=name, input="second")
        assert (503, "server_is_overloaded") == (refused.value.status_code, refused.value.code)
        assert {"retry-after": "1", "retry-after-ms": "1000"} == headers(refused.value)
        model.stop()
        list(stream)
        model.stop()
        with official(address, retries=TRIES) as patiently:
            assert "completed" == patiently.responses.create(model=name, input="third").status


def test_a_tenant_keeps_so_many_bytes() -> None:
    """Then a file is refused, for good, until another is deleted."""
    config = replace(scripted(COUNTED), limits=[Rule(storage_mib=1)])
    with serving(config) as address, official(address, retries=2) as client:
        kept = client.files.create(file=("a.txt", b"x" * 700_000), purpose="user_data")
        with pytest.raises(RateLimitError) as refused:
            client.files.create(file=("b.txt", b"x" * 700_000), purpose="user_data")
        assert ("insufficient_quota", "false") == (
            refused.value.code,
            refused.value.response.headers["x-should-retry"],
        )
        with pytest.raises(RateLimitError):
            client.uploads.create(bytes=700_000, filename="c.txt", mime_type="text/plain", purpose="user_data")
        client.files.delete(kept.id)
        client.files.create(file=("b.txt", b"x" * 700_000), purpose="user_data")


def test_nodes_on_postgresql_share_a_limit(postgres_server: PostgresServer) -> None:
    """Both together serve what one may, and not a request more."""
    limit = 40
    config = replace(
        scripted(COUNTED), limits=[Rule(requests_per_minute=limit)], store=Storage(url=postgres_server.url)
    )
    served = refused = 0
    with serving(config) as first, serving(config) as second, official(first) as one, official(second) as other:
        for turn in range(2 * limit):
            try:
                (one if turn % 2 else other).responses.create(model="m", input="hi", store=False)
                served += 1
            except RateLimitError:
                refused += 1
    assert limit * 3 // 4 <= served <= limit
    assert 2 * limit == served + refused


def test_what_runs_at_once_is_counted_on_all_nodes(
    postgres_server: PostgresServer, models: Models, name: str, model: Model
) -> None:
    """A stream on one keeps the other from another one; as soon as it has ended, or its node has, there is room."""
    config = replace(conducted(models, Rule(concurrent=1)), store=Storage(url=postgres_server.url))
    with serving(config) as second:
        with serving(config) as first, official(first) as one:
            model.say("one")
            stream = one.responses.create(model=name, input="first", stream=True)
            assert "first" == model.wait()["messages"][-1]["content"]
            assert "response.created" == next(iter(stream)).type
            with official(second) as other, pytest.raises(RateLimitError) as refused:
                other.responses.create(model=name, input="second")
            assert "on concurrent responses: Limit 1, Used 1" in refused.value.message
            model.stop()
            assert "response.completed" == [event.type for event in stream][-1]
            model.stop()
            with official(second, retries=TRIES) as other:
                assert "completed" == other.responses.create(model=name, input="third").status
            model.stop()
            with official(first, retries=TRIES) as one_again:
                assert "completed" == one_again.responses.create(model=name, input="fourth").status
        model.stop()
        with official(second, retries=TRIES) as other:
            assert "completed" == other.responses.create(model=name, input="fifth").status


NODE = """
[store]
url = "{url}"
[[limits]]
concurrent = 1
[[deployments]]
name = "m"
backend = "scripted"
[[deployments.replies]]
when = "long"
tokens_per_second = 1
steps = [{{ text = "{words}" }}]
[[deployments.replies]]
steps = [{{ text = "short" }}]
"""


def test_a_node_that_is_killed_keeps_nobody_from_its_places(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Until nobody can think that it still runs they are its own; then another node has them."""
    config = tmp_path / "antiphon.toml"
    config.write_text(NODE.format(url=postgres_server.database(), words="word " * 1000))
    with operating(config) as first, operating(config) as second, official(second.address) as other:
        with official(first.address) as one, one.responses.create(model="m", input="long", stream=True) as stream:
            assert "response.created" == next(iter(stream)).type
            with pytest.raises(RateLimitError):
                other.responses.create(model="m", input="short")
            first.kill()
        with pytest.raises(RateLimitError):
            other.responses.create(model="m", input="short")
        with official(second.address, retries=TRIES) as patiently:
            assert "short" == patiently.responses.create(model="m", input="short").output_text
