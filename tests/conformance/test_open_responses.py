"""The cases of the public Open Responses suite, as far as they go over HTTP, and the types that it checks."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pytest
from fpdf import FPDF

from tests.conformance.open_responses import FunctionCall, OutputText, Response, Snapshot, read_event, read_response
from tests.conformance.script import REPLIES
from tests.conformance.streams import FRAME, post
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = Any  # requests are told as plain JSON here

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}


def page() -> str:
    """A document of one page, in base64."""
    document = FPDF()
    document.add_page()
    document.set_font("helvetica")
    document.cell(text="An invoice.")
    return b64encode(bytes(document.output())).decode()


def message(content: Json, role: str = "user", **more: str) -> Json:
    """An item of the input."""
    return {"type": "message", "role": role, "content": content, **more}


CASES: dict[str, list[Json]] = {
    "basic-response": [message("Say hello.")],
    "assistant-phase": [
        message("Is it open?"),
        message("I look it up.", "assistant", phase="commentary"),
        message("It is open.", "assistant", phase="final_answer"),
        message("Thanks."),
    ],
    "system-prompt": [message("You are a pirate.", "system"), message("Say hello.")],
    "image-input": [
        message([
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
        ])
    ],
    "file-input": [
        message([
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{page()}"},
        ])
    ],
    "multi-turn": [message("I am Ada."), message("Hello Ada.", "assistant"), message("Who am I?")],
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that speaks from the script of these tests."""
    with serving(scripted(*REPLIES)) as address:
        yield address


def created(url: str, **body: Json) -> Response:
    """The response to a request, as the suite reads it."""
    answer = post(url, **body)
    assert 200 == answer.status_code, answer.text
    return read_response(answer.content)


def streamed(url: str, **body: Json) -> tuple[list[str], Response]:
    """The names of the events of a stream, all of which the suite accepts, and the response that the last one holds."""
    frames = list(FRAME.finditer(post(url, stream=True, **body).content))
    events = [read_event(frame["name"].decode(), frame["body"]) for frame in frames]
    last = events[-1]
    assert isinstance(last, Snapshot)
    return [frame["name"].decode() for frame in frames], last.response


def said(response: Response) -> str:
    """The text of the first item."""
    part = msgspec.to_builtins(response.output[0])["content"][0]
    return str(part["text"])


@pytest.mark.parametrize("case", CASES)
def test_an_input_is_answered(url: str, case: str) -> None:
    """basic-response, assistant-phase, system-prompt, image-input, file-input, multi-turn: a completed response."""
    response = created(url, input=CASES[case])
    last = CASES[case][-1]["content"]
    asked = last if isinstance(last, str) else last[0]["text"]
    assert "completed" == response.status
    assert said(response).startswith(f"You said: {asked}")  # and what a document says


@pytest.mark.parametrize("case", CASES)
def test_an_input_is_answered_in_a_stream(url: str, case: str) -> None:
    """streaming-response, for every input: all events are known, and the last one holds the completed response."""
    names, response = streamed(url, input=CASES[case])
    assert ("response.created", "response.completed") == (names[0], names[-1])
    assert ("completed", said(created(url, input=CASES[case]))) == (response.status, said(response))


def test_a_function_is_called(url: str) -> None:
    """tool-calling: a function that does not say whether it is strict."""
    response = created(url, input=[message("the weather?")], tools=[WEATHER])
    assert [("get_weather", '{"city":"Paris"}')] == [
        (item.name, item.arguments) for item in response.output if isinstance(item, FunctionCall)
    ]
    assert ["get_weather"] == [tool.name for tool in response.tools]


def test_a_function_is_called_in_a_stream(url: str) -> None:
    """tool-calling-streaming: the item, its arguments in pieces and as a whole, and the item again."""
    names, response = streamed(url, input=[message("the weather?")], tools=[WEATHER])
    assert [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ] == list(dict.fromkeys(names[2:-1]))
    assert "completed" == response.status


@pytest.mark.parametrize("choice", [{"type": "function", "name": "get_weather"}, "required"])
def test_the_output_of_a_call_is_heard(url: str, choice: Json) -> None:
    """function-call-roundtrip: a call that is demanded, its output by the id of the response, and an answer."""
    first = created(url, input=[message("Go on.")], tools=[WEATHER], tool_choice=choice)
    call = first.output[0]
    assert isinstance(call, FunctionCall)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = created(url, input=[output], previous_response_id=first.id, tools=[WEATHER])
    assert ("completed", "The tool said: sunny") == (second.status, said(second))


def test_a_response_continues_another(url: str) -> None:
    """previous-response-id: the second response names the first."""
    first = created(url, input=[message("I am Ada.")])
    second = created(url, input=[message("Who am I?")], previous_response_id=first.id)
    assert ("completed", first.id) == (second.status, second.previous_response_id)


@pytest.mark.parametrize("said", ["refuse", "think", "long", "break", "both cities", "talk and call"])
def test_all_that_a_model_does_is_known_to_the_suite(url: str, said: str) -> None:
    """Refusals, thoughts, calls and early ends are made of its events, items and parts."""
    body = {"input": said, "tools": [WEATHER], "reasoning": {"summary": "auto"}}
    names, response = streamed(url, **body)
    assert names[-1] == f"response.{response.status}"
    assert [type(item) for item in response.output] == [type(item) for item in created(url, **body).output]


def test_what_a_request_sets_is_echoed_in_known_words(url: str) -> None:
    """Instructions, a format, a choice among functions and limits are echoed as the suite reads them."""
    response = created(
        url,
        input="hello",
        instructions="be brief",
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": False}},
        tools=[WEATHER],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]},
        reasoning={"effort": "low"},
        max_output_tokens=100,
        safety_identifier="s",
        prompt_cache_key="k",
        store=False,
    )
    assert ("be brief", 100, "s", "k", False) == (
        response.instructions,
        response.max_output_tokens,
        response.safety_identifier,
        response.prompt_cache_key,
        response.store,
    )


REFUSED: dict[str, Json] = {
    "a time that is no integer": {"created_at": 1.5},
    "a temperature that is null": {"temperature": None},
    "a penalty that is null": {"presence_penalty": None},
    "a phase that is null": {"output": [{**message([], "assistant"), "id": "m", "status": "completed", "phase": None}]},
    "a thought's content that is null": {"output": [{"type": "reasoning", "id": "r", "summary": [], "content": None}]},
    "an item that it does not know": {"output": [{"type": "web_search_call", "id": "w", "status": "completed"}]},
    "a tool that it does not know": {"tools": [{"type": "web_search"}]},
    "a function without strict": {
        "tools": [{"type": "function", "name": "f", "description": None, "parameters": None}]
    },
    "a choice that it does not know": {"tool_choice": {"type": "web_search"}},
    "instructions that are a list": {"instructions": []},
    "an effort that it does not know": {"reasoning": {"effort": "minimal", "summary": None}},
    "a usage without details": {"usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}},
}


@pytest.mark.parametrize("fault", REFUSED)
def test_the_suite_refuses_what_it_does_not_know(url: str, fault: str) -> None:
    """The types of these tests are as narrow as the suite's."""
    response = post(url, input="hello").json()
    read_response(json.dumps(response).encode())
    with pytest.raises(msgspec.ValidationError):
        read_response(json.dumps({**response, **REFUSED[fault]}).encode())


def test_the_suite_refuses_a_response_that_lacks_a_key(url: str) -> None:
    """Each key of its type is required."""
    response = post(url, input="hello").json()
    for name in Response.__struct_fields__:
        with pytest.raises(msgspec.ValidationError, match=name):
            read_response(json.dumps({key: value for key, value in response.items() if key != name}).encode())


@pytest.mark.parametrize("logprobs", [None, {}])
def test_the_suite_refuses_log_probabilities_that_are_no_list(logprobs: Json) -> None:
    """They are a list or left out."""
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": logprobs}
    with pytest.raises(msgspec.ValidationError, match="logprobs"):
        msgspec.convert(part, OutputText)


def test_the_suite_refuses_events_that_it_does_not_know() -> None:
    """Among them a flat error, and the events of raw thoughts under their other name."""
    for event in (
        {"type": "error", "sequence_number": 1, "code": "c", "message": "m"},
        {"type": "response.reasoning_text.delta", "sequence_number": 1, "item_id": "r", "output_index": 0, "delta": ""},
    ):
        with pytest.raises(msgspec.ValidationError):
            read_event(str(event["type"]), json.dumps(event).encode())
