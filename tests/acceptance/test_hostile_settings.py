"""Settings beyond their limits, prompts that are not there, parameters that do not exist, efforts that are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from antiphon.config import Server
from antiphon.lifecycle.prompts import Config as Prompts
from tests import patient
from tests.acceptance.bad_bodies import Refused, empty, kind, long, missing, number, pattern, word
from tests.acceptance.hostile import (
    FUNCTION,
    NAMESPACE,
    Fault,
    Json,
    Stand,
    error,
    ids,
    refuses,
    standing,
)
from tests.acceptance.operating import configured, operating
from tests.http.talking import talking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2 as httpx

pytestmark = pytest.mark.slow

HI: Json = {"role": "user", "content": "hi"}
GREATEST = 2**31 - 1
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of templates, one of them broken, beside a file that is none of its."""
    place = tmp_path_factory.mktemp("templates")
    prompts = place / "prompts"
    (prompts / "greet").mkdir(parents=True)
    (prompts / "greet.toml").write_text('instructions = "You are {{who}}."')
    (prompts / "greet" / "2.toml").write_text('instructions = "Be {{who}}."')
    (prompts / "broken.toml").write_text("= nothing")
    (place / "outside.toml").write_text('instructions = "canary-77aa"')
    return prompts


@pytest.fixture(scope="module")
def stand(folder: Path) -> Iterator[Stand]:
    """A server with templates."""
    with standing(prompts=Prompts(folder=str(folder))) as made:
        yield made


@pytest.fixture(scope="module")
def strict() -> Iterator[Stand]:
    """A server that insists."""
    with standing(server=Server(strict_params=True)) as made:
        yield made


@pytest.fixture(autouse=True)
def silent(stand: Stand, strict: Stand) -> None:
    """What one test wanted to be said is not said in the next."""
    stand.model.will()
    strict.model.will()


# Numbers, words and lengths


def compacting(threshold: Json) -> Json:
    """A request that compacts from there on."""
    return {"context_management": [{"type": "compaction", "compact_threshold": threshold}]}


def reasoning(**settings: Json) -> Json:
    """A request that sets how is thought."""
    return {"reasoning": settings}


AT = "context_management[0].compact_threshold"
LIMITS = [
    number("integer", compacting(999), AT, 999, low=1000),
    number("integer", compacting(-1), AT, -1, low=1000),
    number("integer", {"max_tool_calls": 0}, "max_tool_calls", 0, low=1),
    number("integer", {"max_tool_calls": -5}, "max_tool_calls", -5, low=1),
    number("integer", {"max_tool_calls": GREATEST + 1}, "max_tool_calls", GREATEST + 1, high=GREATEST),
    number("integer", {"max_output_tokens": 15}, "max_output_tokens", 15, low=16),
    number("integer", {"max_output_tokens": 10**30}, "max_output_tokens", 10**30, high=GREATEST),
    number("integer", {"top_logprobs": 21}, "top_logprobs", 21, high=20),
    number("decimal", {"temperature": 2.5}, "temperature", 2.5, high=2),
    number("decimal", {"top_p": -1}, "top_p", -1),
    kind(compacting(1000.5), AT, "an integer", "a decimal number"),
    kind(compacting("1000"), AT, "an integer", "a string"),
    kind({"context_management": "compaction"}, "context_management", "an array of objects", "a string"),
    kind({"context_management": ["compaction"]}, "context_management[0]", "an object", "a string"),
    empty("array", {"context_management": []}, "context_management"),
    word({"context_management": [{"type": "truncation"}]}, "context_management[0].type", "truncation", "compaction"),
    kind(
        reasoning(effort=5), "reasoning.effort", f"one of {', '.join(map(repr, EFFORTS[:-1]))}, or 'max'", "an integer"
    ),
    word(reasoning(effort="heroic"), "reasoning.effort", "heroic", *EFFORTS),
    word(reasoning(summary="long"), "reasoning.summary", "long", "auto", "concise", "detailed"),
    word(reasoning(generate_summary="long"), "reasoning.generate_summary", "long", "auto", "concise", "detailed"),
    word(reasoning(context="all"), "reasoning.context", "all", "auto", "current_turn", "all_turns"),
    kind(reasoning(mode=5), "reasoning.mode", "a string", "an integer"),
    kind({"reasoning": "high"}, "reasoning", "an object", "a string"),
    kind({"generate": "no"}, "generate", "a boolean", "a string"),
    long({"stream_id": "x" * 257}, "stream_id", 256),
    long({"tools": [{**NAMESPACE, "name": "n" * 65}]}, "tools[0].name", 64),
    pattern({"tools": [{**NAMESPACE, "name": "a b"}]}, "tools[0].name", "^[a-zA-Z0-9_-]+$"),
    long({"metadata": {"k": "x" * 513}}, "metadata.k", 512),
    long({"prompt_cache_key": "x" * 65}, "prompt_cache_key", 64),
]


@ids(LIMITS)
def test_a_setting_beyond_its_limits_is_refused(stand: Stand, refused: Refused) -> None:
    """With the limit, and what was sent."""
    refuses(stand, refused)


@pytest.mark.parametrize(
    "body", [compacting(1000), compacting(None), {"max_tool_calls": 1}, {"max_tool_calls": GREATEST}, {"top_p": 0}]
)
def test_a_setting_at_its_limit_is_taken(stand: Stand, body: Json) -> None:
    """The limit itself is allowed."""
    assert 200 == stand.ask(**body).status_code


# Prompts


def prompting(id: Json, **more: Json) -> Json:
    """A request by a template."""
    return {"prompt": {"id": id, **more}}


def unknown(id: str, version: str | None = None) -> Refused:
    """A template that is not there."""
    more = {} if version is None else {"version": version}
    named = "" if version is None else f" and version '{version}'"
    body = prompting(id, **more, variables={"who": "a"})
    return Refused(body, "prompt", None, f"Prompt with id '{id}'{named} not found.", 404)


WITHIN = "The variable 'who' stands within a text: it must be a string or of the type 'input_text'."
PROMPTS = [
    *(unknown(id) for id in ("nobody", "../outside", "..", "greet/2", "/etc/passwd", "greet.toml", "greet\x00", "")),
    *(unknown("greet", version) for version in ("9", "../outside", "../../outside", "../greet", "", "2\n")),
    missing(prompting("greet"), "prompt.variables.who"),
    missing(prompting("greet", version="2", variables={}), "prompt.variables.who"),
    missing({"prompt": {"variables": {}}}, "prompt.id"),
    Refused(
        prompting("greet", variables={"who": "a", "x": "b"}),
        "prompt.variables.x",
        "unknown_parameter",
        "Unknown parameter: 'prompt.variables.x'.",
    ),
    Refused(
        prompting("greet", variables={"who": {"type": "input_image", "image_url": "https://a.example/x.png"}}),
        "prompt.variables.who",
        "invalid_value",
        WITHIN,
    ),
    kind(prompting("greet", variables={"who": 5}), "prompt.variables.who", "one of a string or object", "an integer"),
    kind(prompting("greet", variables=[]), "prompt.variables", "an object", "an array"),
    kind(prompting(5), "prompt.id", "a string", "an integer"),
    kind({"prompt": "greet"}, "prompt", "an object", "a string"),
]


@ids(PROMPTS)
def test_a_prompt_is_there_and_is_filled(stand: Stand, refused: Refused) -> None:
    """No name leads out of its folder, and every variable has a value."""
    refuses(stand, refused)


def test_a_broken_template_tells_callers_nothing(stand: Stand, folder: Path) -> None:
    """It is the operator's to mend: where it lies is said in the log alone."""
    before = len(stand.model.asked)
    answer = stand.ask(**prompting("broken"))
    found = error(answer)
    assert (500, "server_error", "server_error") == (answer.status_code, found["type"], found["code"])
    assert str(folder) not in answer.text
    assert before == len(stand.model.asked)


VALUES = ["{{who}}", "{{ who }}{{who}}", "x" * 100_000, "\\1", "%s{0}$who", "\x00", "a\nb"]
CONFIG = """
prompts = {{ folder = "{folder}" }}
[[deployments]]
name = "m"
backend = "chat_completions"
base_url = "{url}"
"""


def test_a_value_is_put_in_as_it_is(stand: Stand, folder: Path, tmp_path: Path) -> None:
    """Whatever it looks like; seen by a server in a process of its own."""
    config = configured(tmp_path, CONFIG.format(folder=folder, url=stand.model.url))
    with operating(config) as server:
        for value in VALUES:
            body = {"model": "m", "input": "hi", **prompting("greet", variables={"who": value})}
            answer = patient.post(f"{server.address}/v1/responses", json=body)
            assert 200 == answer.status_code, answer.text
            assert f"You are {value}." == stand.model.heard[0]["content"]


# Parameters that do not exist


@pytest.mark.parametrize("name", ["temprature", "x" * 5000, "a\nb", "é", "__class__", ""])
def test_a_parameter_that_does_not_exist_is_named_in_a_header(stand: Stand, name: str) -> None:
    """And has no other effect; the header is one line of ASCII."""
    answer = stand.ask(**{name: 1})
    assert 200 == answer.status_code
    header = answer.headers["x-ignored-params"]
    assert header.isascii()
    assert "\n" not in header
    assert name != "temprature" or name == header


ROUTES = {
    "/v1/responses": "a create",
    "/openai/v1/responses": "a create in Azure's words",
    "/v1/responses/input_tokens": "a count",
    "/v1/responses/compact": "a compaction",
}


@pytest.mark.parametrize("path", ROUTES)
def test_a_strict_server_refuses_a_parameter_that_does_not_exist(strict: Stand, path: str) -> None:
    """By its name, which is cut where it is long; no model is asked."""
    before = len(strict.model.asked)
    for name, named in (("temprature", "temprature"), ("x" * 5000, "x" * 100 + "...")):
        answer = strict.post({"model": "m", "input": "hi", name: 1}, path)
        found = error(answer)
        assert (400, "invalid_request_error") == (answer.status_code, found["type"])
        assert (named, "unknown_parameter") == (found["param"], found["code"])
        assert f"Unknown parameter: '{named}'." == found["message"]
    assert before == len(strict.model.asked)


def test_a_strict_server_refuses_it_over_a_websocket_too(strict: Stand) -> None:
    """In an error frame, and the connection goes on."""
    with talking(strict.address, api_key="key-a") as talk:
        refused = talk.turn(temprature=1)
        assert (400, "error") == (refused["status"], refused["type"])
        assert {
            "message": "Unknown parameter: 'temprature'.",
            "type": "invalid_request_error",
            "param": "temprature",
            "code": "unknown_parameter",
        } == refused["error"]
        assert "response.completed" == talk.turn()["type"]


@pytest.mark.parametrize("where", ["tools", "input"])
def test_a_strict_server_refuses_a_tool_that_cannot_run_here(strict: Stand, where: str) -> None:
    """Also one that an input brings."""
    web: Json = {"type": "web_search"}
    body = {"tools": [FUNCTION, web]}
    if where == "input":
        body = {"input": [{"type": "additional_tools", "role": "developer", "tools": [web]}, HI]}
    refuses(strict, Refused(body, "tools", "invalid_value", "Tool 'web_search' is not available on this server."))


# Efforts

UNSUPPORTED = "Unsupported value: 'minimal' is not supported with the 'm' model."
EFFORT_FAULTS: dict[str, tuple[Fault, str, str]] = {
    "the live service": (
        Fault(
            400,
            {
                "message": "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. "
                "Supported values are: 'low', 'medium', and 'high'.",
                "type": "invalid_request_error",
                "param": "reasoning_effort",
                "code": "unsupported_value",
            },
        ),
        "unsupported_value",
        f"{UNSUPPORTED} Supported values are: 'low', 'medium', and 'high'.",
    ),
    "a validator": (
        Fault(400, {"message": "Input should be 'low' or 'high'", "param": "reasoning_effort"}),
        "unsupported_value",
        f"{UNSUPPORTED} Supported values are: 'low' and 'high'.",
    ),
    "who knows none": (
        Fault(400, {"message": "Unrecognized request argument supplied: reasoning_effort"}),
        "unsupported_parameter",
        "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
    ),
}


def words(answer: httpx.Response) -> Json:
    """What a refusal says."""
    found = error(answer)
    return answer.status_code, found["param"], found["code"], found["message"]


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/v1/responses"])
@pytest.mark.parametrize("who", EFFORT_FAULTS)
def test_an_effort_that_a_model_refuses_is_the_callers_to_change(stand: Stand, who: str, path: str) -> None:
    """A 400, as a body and as a stream, with what it takes instead."""
    fault, code, message = EFFORT_FAULTS[who]
    for stream in (False, True):
        stand.model.will(*[fault] * 3)
        body = {"model": "m", "input": "hi", "reasoning": {"effort": "minimal"}, "stream": stream}
        assert (400, "reasoning.effort", code, message) == words(stand.post(body, path))


def test_an_effort_that_an_input_sets_is_refused_likewise(stand: Stand) -> None:
    """By a `configuration_update`, and in the background as a failure of the response."""
    fault, code, message = EFFORT_FAULTS["the live service"]
    update: Json = {"type": "configuration_update", "reasoning": {"effort": "minimal"}}
    stand.model.will(*[fault] * 3)
    assert (400, "reasoning.effort", code, message) == words(stand.ask(input=[update, HI]))
    stand.model.will(*[fault] * 3)
    answer = stand.ask(input=[update, HI], background=True, stream=True)
    last = json.loads(answer.text.rstrip().rpartition("\ndata: ")[2])
    assert ("response.failed", message) == (last["type"], last["response"]["error"]["message"])


def test_an_effort_is_refused_over_a_websocket_too(stand: Stand) -> None:
    """In an error frame, before any event of a response."""
    fault, code, message = EFFORT_FAULTS["the live service"]
    stand.model.will(*[fault] * 3)
    with talking(stand.address, api_key="key-a") as talk:
        refused = talk.turn(reasoning={"effort": "minimal"})
    assert ("error", 400, code, message) == (
        refused["type"],
        refused["status"],
        refused["error"]["code"],
        refused["error"]["message"],
    )
