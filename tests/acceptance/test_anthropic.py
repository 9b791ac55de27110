"""A server whose model speaks the Messages API, as the official client meets it."""

from __future__ import annotations

import threading
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING

import openai
import pytest
from msgspec import Struct
from openai import OpenAI
from pydantic import BaseModel

from antiphon.config import Config
from antiphon.outbound import Config as Outbound
from tests.acceptance.gallery import PNG
from tests.acceptance.upstreams import asked, upstream
from tests.backends.upstream.raw_server import RawServer, answering
from tests.documents.files import pdf
from tests.mcp_servers import library
from tests.messages_api import HEAD, LAST, begun, called, chunk, event, plain, refused, said, thought, whole
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any  # JSON

    from tests.backends.upstream.raw_server import Peer, Script

pytestmark = pytest.mark.slow

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
LOOK = whole(thought("I must look.", "c2lnbmVk"), called("weather", '{"city":"Oslo"}', index=1), reason="tool_use")
FINE = whole(said("It is", " fine."))


class Met(Struct, frozen=True):
    """A client of the server, and the upstream behind it."""

    client: OpenAI
    upstream: RawServer

    def ask(self, input: Any = "Hi", **more: Any) -> Any:  # JSON
        """Ask for a body."""
        return self.client.responses.create(model="m", input=input, **more)

    def bodies(self) -> list[Any]:  # JSON
        """What the upstream was asked so far."""
        return [asked(request) for request in self.upstream.requests]


@contextmanager
def met(*scripts: Script | bytes, **settings: Any) -> Iterator[Met]:  # of a deployment
    """A server over an upstream that gives these answers, or follows a script."""
    answers = [each for each in scripts if isinstance(each, bytes)]
    script = next((each for each in scripts if not isinstance(each, bytes)), answering(*answers))
    with upstream(script) as model:
        deployment = {"name": "m", "backend": "anthropic", "base_url": model.url, "api_key": "sk-ant-0123456789"}
        config = Config(store=MEMORY, outbound=Outbound(["127.0.0.1"]), deployments=[deployment | settings])
        with (
            serving(config) as address,
            OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0, timeout=HANG_SECONDS) as client,
        ):
            yield Met(client, model)


def test_an_answer_as_a_body_and_as_a_stream() -> None:
    """Words and usage are the same."""
    with met(FINE, FINE) as m:
        body = m.ask(instructions="Be brief.")
        with m.client.responses.stream(model="m", input="Hi", instructions="Be brief.") as stream:
            words = [each.delta for each in stream if each.type == "response.output_text.delta"]
            streamed = stream.get_final_response()
    assert ["It is", " fine."] == words
    assert ("completed", "It is fine.") == (body.status, body.output_text) == (streamed.status, streamed.output_text)
    assert (10, 5, 15) == (body.usage.input_tokens, body.usage.output_tokens, body.usage.total_tokens)
    first, second = m.bodies()
    assert first == second
    assert [{"type": "text", "text": "Be brief."}] == first["system"]


def test_a_function_is_called_and_its_output_read_with_the_thought_before_it() -> None:
    """Where the server keeps the conversation, the signed thought goes back with the call."""
    with met(LOOK, FINE) as m:
        first = m.ask("Oslo?", tools=[WEATHER])
        [call] = [item for item in first.output if item.type == "function_call"]
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "5 degrees"}
        second = m.ask([output], previous_response_id=first.id, tools=[WEATHER])
    assert ("weather", '{"city":"Oslo"}') == (call.name, call.arguments)
    assert "It is fine." == second.output_text
    expect_loop(m.bodies()[1], call.call_id)


def test_a_client_that_keeps_the_conversation_itself_brings_the_thought_back_sealed() -> None:
    """Nothing is stored here, and the upstream sees the same."""
    sealed: Any = {"store": False, "include": ["reasoning.encrypted_content"], "tools": [WEATHER]}
    with met(LOOK, FINE) as m:
        first = m.ask("Oslo?", **sealed)
        items = [item.to_dict() for item in first.output]
        [call] = [item for item in items if item["type"] == "function_call"]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "5 degrees"}
        second = m.ask([{"role": "user", "content": "Oslo?"}, *items, output], **sealed)
    assert "c2lnbmVk" not in str(items)
    assert "It is fine." == second.output_text
    expect_loop(m.bodies()[1], call["call_id"])


def expect_loop(body: Any, call_id: str) -> None:  # JSON
    """The second turn of a loop is told as the upstream wants it."""
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Oslo?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I must look.", "signature": "c2lnbmVk"},
                {"type": "tool_use", "id": call_id, "name": "weather", "input": {"city": "Oslo"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": "5 degrees"}]},
    ]


def test_a_thought_that_nobody_may_read_goes_back_as_it_came() -> None:
    """It is an item without words, and no client sees what is in it."""
    redacted = event("content_block_start", index=0, content_block={"type": "redacted_thinking", "data": "c2VjcmV0"})
    look = whole(redacted, called("weather", "{}", index=1), reason="tool_use")
    with met(look, FINE) as m:
        first = m.ask("Oslo?", tools=[WEATHER])
        [reasoning, call] = first.output
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "5 degrees"}
        m.ask([output], previous_response_id=first.id, tools=[WEATHER])
    assert ("reasoning", []) == (reasoning.type, reasoning.summary)
    assert "c2VjcmV0" not in first.to_json()
    assert {"type": "redacted_thinking", "data": "c2VjcmV0"} == m.bodies()[1]["messages"][1]["content"][0]


def test_a_tool_of_the_server_is_called_in_the_middle_of_a_thought() -> None:
    """Within one response the model reads its own thought again, and then what the tool answered."""
    add = whole(thought("I must add.", "c2lnbmVk"), called("shelf__add", '{"a":2,"b":3}', index=1), reason="tool_use")
    with library() as shelf, met(add, FINE) as m:
        tool = {"type": "mcp", "server_label": "shelf", "server_url": shelf.url, "require_approval": "never"}
        response = m.ask("2 + 3?", tools=[tool])
    assert ["mcp_list_tools", "reasoning", "mcp_call", "message"] == [item.type for item in response.output]
    _, said_before, read = m.bodies()[1]["messages"]
    assert ["thinking", "tool_use"] == [each["type"] for each in said_before["content"]]
    [result] = read["content"]
    assert said_before["content"][1]["id"] == result["tool_use_id"]
    assert "5" in str(result["content"])


@pytest.mark.parametrize("show", ["summary", "text"])
def test_what_a_model_thinks_is_shown_as_the_operator_says(show: str) -> None:
    """As a summary, or as it is."""
    with met(whole(thought("Hm.", "c2ln"), said("Yes.", index=1)), show_reasoning=show) as m:
        response = m.ask(reasoning={"effort": "high", "summary": "auto"})
    reasoning, message = (item.to_dict() for item in response.output)
    shown = reasoning["summary"] if show == "summary" else reasoning["content"]
    assert ("reasoning", "message", ["Hm."]) == (reasoning["type"], message["type"], [part["text"] for part in shown])
    [body] = m.bodies()
    assert ({"type": "adaptive", "display": "summarized"}, {"effort": "high"}) == (
        body["thinking"],
        body["output_config"],
    )


def test_an_image_and_a_document_are_read_by_the_model() -> None:
    """Where the operator says so, documents are the model's to read."""
    document = b64encode(pdf()).decode()
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{b64encode(PNG).decode()}"},
        {"type": "input_file", "file_data": f"data:application/pdf;base64,{document}", "filename": "a.pdf"},
    ]
    with met(FINE, read_files=False) as m:
        assert "It is fine." == m.ask([{"role": "user", "content": parts}]).output_text
    text, image, file = m.bodies()[0]["messages"][0]["content"]
    assert "What is this?" == text["text"]
    assert {"type": "base64", "media_type": "image/png", "data": b64encode(PNG).decode()} == image["source"]
    assert {"type": "base64", "media_type": "application/pdf", "data": document} == file["source"]
    assert "a.pdf" == file["title"]


class Weather(BaseModel):
    """The form of an answer."""

    city: str
    degrees: int


def test_an_answer_has_the_form_that_was_asked_for() -> None:
    """The upstream is asked for it by its own form."""
    with met(whole(said('{"city":"Oslo",', '"degrees":5}'))) as m:
        parsed = m.client.responses.parse(model="m", input="Oslo?", text_format=Weather).output_parsed
    assert Weather(city="Oslo", degrees=5) == parsed
    form = m.bodies()[0]["output_config"]["format"]
    assert ("json_schema", False) == (form["type"], form["schema"]["additionalProperties"])


def test_the_length_of_an_input_is_counted_by_the_upstream() -> None:
    """By its own tokenizer."""
    with met(plain(200, {"input_tokens": 42})) as m:
        assert 42 == m.client.responses.input_tokens.count(model="m", input="Hi").input_tokens
    assert m.upstream.requests[0].startswith(b"POST /messages/count_tokens ")


def test_a_model_that_declines_says_so() -> None:
    """The response is incomplete, and the refusal is its last word."""
    details = {"type": "refusal", "explanation": "It could harm."}
    ended = event(
        "message_delta", delta={"stop_reason": "refusal", "stop_details": details}, usage={"output_tokens": 1}
    )
    with met(HEAD + chunk(begun() + ended + event("message_stop")) + LAST) as m:
        response = m.ask()
    assert ("incomplete", "content_filter") == (response.status, response.incomplete_details.reason)
    assert "It could harm." == response.output[0].content[0].refusal


SECRET = "the account of Jane"


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (refused(429, "rate_limit_error", SECRET, "retry-after: 7"), openai.RateLimitError, "rate_limit_exceeded"),
        (
            refused(400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (refused(529, "overloaded_error", SECRET), openai.InternalServerError, None),
        (refused(401, "authentication_error", SECRET), openai.InternalServerError, None),
        (refused(400, "invalid_request_error", f"credit balance: {SECRET}"), openai.InternalServerError, None),
    ],
)
def test_an_error_of_the_upstream_is_the_clients_own_sort(
    answer: bytes, error: type[openai.APIStatusError], code: str | None
) -> None:
    """Nothing of what the upstream said reaches the client."""
    with met(*[answer] * 3) as m, pytest.raises(error) as caught:
        m.ask()
    assert SECRET not in caught.value.response.text
    assert code is None or code == caught.value.code


@pytest.mark.parametrize("end", [LAST, chunk(event("error", error={"type": "overloaded_error"})) + LAST])
def test_a_stream_that_breaks_off_is_a_failed_response(end: bytes) -> None:
    """What was said until then is told, and the end of it."""
    with met(HEAD + chunk(begun() + said("It is")) + end) as m:
        events = [*m.client.responses.create(model="m", input="Hi", stream=True)]
    assert "response.failed" == events[-1].type
    assert "It is" == "".join(each.delta for each in events if each.type == "response.output_text.delta")


def test_a_background_response_is_answered_by_the_model() -> None:
    """Whoever follows it hears its end."""
    with met(FINE) as m:
        begun_response = m.ask(background=True)
        *_, last = m.client.responses.retrieve(begun_response.id, stream=True)
        assert "response.completed" == last.type
        assert "It is fine." == m.client.responses.retrieve(begun_response.id).output_text


def test_a_cancelled_response_stops_the_upstream() -> None:
    """Its connection is closed, which is how it learns that nobody listens."""
    left = threading.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + chunk(begun() + said("It is")))
        await peer.gone()
        left.set()

    with met(script) as m:
        response = m.ask(background=True)
        with m.client.responses.retrieve(response.id, stream=True) as events:
            next(each for each in events if each.type == "response.output_text.delta")
            assert "cancelled" == m.client.responses.cancel(response.id).status
        assert left.wait(HANG_SECONDS)
