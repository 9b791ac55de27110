"""What goes over the wire is what the live services were recorded to send: order, fields, ids, padding, heads."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from msgspec.structs import replace

from antiphon.http.auth import Config as Keys
from antiphon.http.auth import Key
from tests import patient
from tests.conformance.grammar import findings, spelled
from tests.conformance.script import REPLIES
from tests.conformance.streams import MODEL, create, events, named, post, stream
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = Any  # bodies are told as plain JSON here

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}

ENDS = {
    "hello": "completed",
    "say nothing": "completed",
    "refuse": "completed",
    "weather": "completed",
    "both cities": "completed",
    "talk and call": "completed",
    "think": "completed",
    "long": "incomplete",
    "many words": "incomplete",
    "many arguments": "incomplete",
    "filter": "incomplete",
    "break": "failed",
}
"""What is said to the model, and how its answer ends."""

DEFAULTS = {
    "object": "response",
    "background": False,
    "error": None,
    "frequency_penalty": 0.0,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "moderation": None,
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": "in_memory",
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tool_usage": {
        "image_gen": {
            "input_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
            "total_tokens": 0,
        },
        "web_search": {"num_requests": 0},
    },
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response echoes when its request says nothing (section 3)."""

HEX = "(?P<partition>[0-9a-f]{16})0[01](?P<time>[0-9a-f]{8})[0-9a-f]{24}"
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that speaks from the script of these tests."""
    with serving(scripted(*REPLIES)) as address:
        yield address


@pytest.fixture(params=ENDS)
def said(request: pytest.FixtureRequest) -> str:
    """Each of the things that are said to the model."""
    text: str = request.param
    return text


def body(said: str) -> dict[str, Json]:
    """A request that says it."""
    limit = {"max_output_tokens": 16} if "many" in said else {}
    return {"input": said, "tools": [WEATHER], "reasoning": {"summary": "auto"}, **limit}


def test_events_come_in_the_recorded_order(url: str, said: str) -> None:
    """Every stream is a sentence of the grammar, with numbers without gaps and items one after the other."""
    told = stream(url, **body(said))
    assert [] == findings(told)
    assert f"response.{ENDS[said]}" == told[-1]["type"]


def test_the_grammar_finds_what_is_out_of_order(url: str) -> None:
    """A stream that lacks any one of its events, or has two of them swapped, is not of the grammar; deltas may vary."""
    told = stream(url, **body("talk and call"))
    pairs = zip(range(len(told)), told, [*told[1:], {"type": None}], strict=True)
    broken = []
    for index, event, following in pairs:
        if not event["type"].endswith(".delta"):
            broken.append(told[:index] + told[index + 1 :])
        if following["type"] not in {None, event["type"]}:
            broken.append([*told[:index], following, event, *told[index + 2 :]])
    assert len(broken) > len(told)
    assert [] == [spelled(each) for each in broken if not findings(renumbered(each))]


def renumbered(events: list[Json]) -> list[Json]:
    """The events, numbered as they stand."""
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def test_the_pieces_add_up(url: str, said: str) -> None:
    """Deltas, the end of a part, the end of an item and the final output say the same."""
    told = stream(url, **body(said))
    output = told[-1]["response"]["output"]
    assert output == [event["item"] for event in named(told, "output_item.done")]
    for index, item in enumerate(output):
        own = [event for event in told if event.get("output_index") == index]
        deltas = "".join(event["delta"] for event in own if event["type"].endswith(".delta"))
        assert {content(item)} == {deltas, *(ended(event) for event in own if event["type"].endswith(".done"))}


def content(item: Json) -> str:
    """All the text of an item."""
    match item["type"]:
        case "message":
            return "".join(part.get("text", part.get("refusal")) for part in item["content"])
        case "reasoning":
            return "".join(part["text"] for part in item["summary"])
        case _:
            return str(item["arguments"])


def ended(event: Json) -> str:
    """The text that an event says is whole."""
    for key in ("text", "refusal", "arguments"):
        if key in event:
            return str(event[key])
    part = event.get("part", {})
    return content(event["item"]) if "item" in event else str(part.get("text", part.get("refusal")))


def test_a_response_shows_its_end_only_at_its_end(url: str, said: str) -> None:
    """The two snapshots at the start are the same, and the last one differs in what only its end can know."""
    told = stream(url, **body(said))
    first, second, last = told[0]["response"], told[1]["response"], told[-1]["response"]
    assert first == second
    assert {"output": [], "usage": None, "completed_at": None, "service_tier": "auto", "status": "in_progress"} == {
        key: first[key] for key in ("output", "usage", "completed_at", "service_tier", "status")
    }
    learned = {
        "completed": {"completed_at", "usage"},
        "incomplete": {"incomplete_details", "usage"},
        "failed": {"error"},
    }
    assert {"status", "service_tier", "output"} | learned[ENDS[said]] == {
        key for key in last if last[key] != first[key]
    }


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("long", "max_output_tokens"),
        ("many words", "max_output_tokens"),
        ("many arguments", "max_output_tokens"),
        ("filter", "content_filter"),
    ],
)
def test_what_was_cut_short_is_told_as_far_as_it_came(url: str, said: str, reason: str) -> None:
    """The open item ends incomplete, the response says why, and its cost is known."""
    told = stream(url, **body(said))
    last = told[-1]["response"]
    assert ({"reason": reason}, "incomplete") == (last["incomplete_details"], last["output"][-1]["status"])
    assert last["usage"]["total_tokens"] > 0
    assert "" != content(last["output"][-1])


def test_a_failure_names_its_code(url: str) -> None:
    """It comes without an ``error`` event, which would make clients lose what was said before."""
    last = stream(url, **body("break"))[-1]["response"]
    assert ("server_error", "It broke.") == (last["error"]["code"], last["error"]["message"])
    assert ("So far", "incomplete", None) == (content(last["output"][0]), last["output"][0]["status"], last["usage"])


def test_the_model_that_failed_is_not_asked_for_more(url: str) -> None:
    """After its terminal event a stream is over."""
    for said in ENDS:
        types = [event["type"] for event in stream(url, **body(said))]
        assert [types[-1]] == [type for type in types if type in TERMINAL]


def test_a_body_is_what_its_stream_would_have_ended_with(url: str, said: str) -> None:
    """A body and the last event of a stream differ in ids and times only."""
    ended = stream(url, **body(said))[-1]["response"]
    assert timeless(ended) == timeless(create(url, **body(said)))


def timeless(response: Json) -> str:
    """A response without its ids and times."""
    text = re.sub(r"((?:resp|msg|rs|fc)_)[0-9a-f]{50}|(call_)[A-Za-z0-9]{24}", r"\1\2", json.dumps(response))
    return re.sub(r'("(?:created|completed)_at": )\d+', r"\1", text)


def test_a_request_that_says_nothing_is_echoed_in_full(url: str) -> None:
    """Every field is there, with what the live service takes for granted."""
    response = create(url, input="hello")
    changing = {"id", "created_at", "completed_at", "model", "output", "usage", "status", "service_tier"}
    assert DEFAULTS == {key: value for key, value in response.items() if key not in changing}
    assert (MODEL, "completed", "default") == (response["model"], response["status"], response["service_tier"])


def test_numbers_are_written_as_they_were_recorded(url: str) -> None:
    """Settings are floats even where they are whole, times and counts are integers."""
    text = post(url, input="hello", temperature=0, top_p=1).text
    floats = ('"temperature":0.0,', '"top_p":1.0,', '"presence_penalty":0.0,', '"frequency_penalty":0.0,')
    assert [True] * 4 == [written in text for written in floats]
    assert re.search(r'"created_at":\d{10},.*"completed_at":\d{10},.*"input_tokens":9,', text)


def test_a_usage_has_all_its_details(url: str) -> None:
    """Those of a script that counts its own cost."""
    assert {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 13,
    } == create(url, input="hello")["usage"]


def test_deltas_are_padded_to_sixteen(url: str, said: str) -> None:
    """A delta of text and its padding are a multiple of 16 characters; a refusal has none."""
    deltas = [event for event in stream(url, **body(said)) if event["type"].endswith(".delta")]
    padded = [event for event in deltas if event["type"] != "response.refusal.delta"]
    assert {0} >= {(len(event["delta"]) + len(event["obfuscation"])) % 16 for event in padded}
    assert all(re.fullmatch("[A-Za-z0-9]{0,15}", event["obfuscation"]) for event in padded)
    assert padded == [event for event in deltas if "obfuscation" in event]


def test_padding_can_be_left_out(url: str, said: str) -> None:
    """With include_obfuscation false no delta has any."""
    told = stream(url, stream_options={"include_obfuscation": False}, **body(said))
    assert [] == [event for event in told if "obfuscation" in event]


def test_ids_have_the_recorded_form(url: str, said: str) -> None:
    """A prefix by kind and 50 digits: the partition, which a response shares with its items, the time, and chance."""
    told = stream(url, **body(said))
    response = told[-1]["response"]
    match = re.fullmatch(f"resp_{HEX}", response["id"])
    assert match
    assert response["created_at"] == int(match["time"], 16)
    for item in response["output"]:
        own = re.fullmatch(f"{PREFIXES[item['type']]}_{HEX}", item["id"])
        assert own
        assert (match["partition"], True) == (own["partition"], int(own["time"], 16) >= response["created_at"])
    calls = [item["call_id"] for item in response["output"] if "call_id" in item]
    assert [call for call in calls if re.fullmatch("call_[A-Za-z0-9]{24}", call)] == calls
    assert len(set(calls)) == len(calls)


def test_a_chain_shares_its_partition(url: str) -> None:
    """The ids of a continued response begin like those of the first; those of a stranger do not."""
    first = create(url, input="hello")
    second = create(url, input="hello", previous_response_id=first["id"])
    stranger = create(url, input="hello")
    partitions = [response["id"][5:21] for response in (first, second, stranger)]
    assert partitions[0] == partitions[1] != partitions[2]


def test_a_stream_is_frames_and_nothing_else(url: str, said: str) -> None:
    """``event``, one line of compact JSON and an empty line, with no comment, no id and no marker at the end."""
    told = post(url, stream=True, **body(said)).content
    assert b"\r" not in told
    lines = told.split(b"\n")
    assert {b"event", b"data", b""} == {line.partition(b": ")[0] for line in lines}
    bodies = [line.removeprefix(b"data: ").decode() for line in lines[1::3]]
    assert bodies == [json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False) for line in bodies]
    assert len(events(told)) == len(bodies)


def test_logprobs_come_where_they_are_asked_for(url: str) -> None:
    """In deltas, at the end of the text and in the item; the other way around they are empty lists."""
    asked = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    for extra, tokens in (({}, []), (asked, ["Hello", " there."])):
        told = stream(url, input="hello", **extra)
        pieces = [entry["token"] for event in named(told, "output_text.delta") for entry in event["logprobs"]]
        done = [entry["token"] for entry in named(told, "output_text.done")[0]["logprobs"]]
        kept = [entry["token"] for entry in told[-1]["response"]["output"][0]["content"][0]["logprobs"]]
        assert (tokens, tokens, tokens) == (pieces, done, kept)


@pytest.mark.parametrize(
    ("path", "form"), [("/v1", "req_[0-9a-f]{32}"), ("/openai/v1", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")]
)
def test_every_answer_has_the_recorded_head(url: str, path: str, form: str) -> None:
    """Bodies, streams and errors name the request, in the form of the path, and the version."""
    target = f"{url}{path}/responses"
    question = {"model": MODEL, "input": "hello"}
    answers = {
        "application/json": patient.post(target, json=question),
        "text/event-stream; charset=utf-8": patient.post(target, json={**question, "stream": True}),
    }
    refused = patient.post(target, json={"model": MODEL, "input": 3})
    for media_type, answer in [*answers.items(), ("application/json", refused)]:
        assert media_type == answer.headers["content-type"]
        assert re.fullmatch(form, answer.headers["x-request-id"])
        assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.headers["apim-request-id"])
        assert "2020-10-01" == answer.headers["openai-version"]
        assert answer.headers["openai-processing-ms"].isdigit()
    assert len({answer.headers["x-request-id"] for answer in [*answers.values(), refused]}) == 3


def test_a_stranger_is_told_how_to_come_in() -> None:
    """A 401 carries the challenge, and a request id to ask about."""
    keys = Keys(keys=[Key(key="right", tenant="a")])
    with serving(replace(scripted(), auth=keys)) as address:
        refused = patient.post(f"{address}/v1/responses", json={}, headers={"api-key": "wrong"})
    assert 401 == refused.status_code
    assert refused.headers["www-authenticate"].startswith('Bearer realm="')
    assert refused.headers["x-request-id"].startswith("req_")
