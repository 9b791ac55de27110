"""Every type of tool that a client runs, over a model that knows functions alone."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import OpenAI

from antiphon.config import Config
from tests import patient
from tests.acceptance.calling import calling, told
from tests.documents.files import quarters, saved
from tests.oracle import check_event, check_response
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.calling import Caller

pytestmark = pytest.mark.slow

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
F: dict[str, Any] = {"type": "function", "name": "f", "parameters": SCHEMA}
LATE: dict[str, Any] = {**F, "name": "late", "description": "Comes late.", "defer_loading": True}
NOTE: dict[str, Any] = {"type": "custom", "name": "note", "description": "Notes."}
CRM: dict[str, Any] = {"type": "namespace", "name": "crm", "description": "Customers.", "tools": [F, NOTE]}
FIND: dict[str, Any] = {"type": "tool_search", "execution": "client"}
SEARCH: dict[str, Any] = {"type": "tool_search"}
ADDED, DONE = "output_item.added", "output_item.done"


class Case:
    """A tool, the call of its function, the item that a client is to see of it, its events, and its output."""

    def __init__(
        self,
        tool: dict[str, Any],
        call: tuple[str, dict[str, Any]],
        item: dict[str, Any],
        events: list[str],
        *,
        output: dict[str, Any],
        read: str,
    ) -> None:
        self.tool, self.call, self.item, self.events = tool, call, item, events
        self.output, self.read = output, read

    def answered(self, item: dict[str, Any]) -> dict[str, Any]:
        """The output of a call, as its client sends it."""
        return {**self.output, "call_id": item["call_id"]}


PATCH = {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b"}
SCREENSHOT = {
    "type": "computer_screenshot",
    "image_url": f"data:image/png;base64,{b64encode(saved(quarters(), 'PNG')).decode()}",
}
EXIT = {"stdout": "one\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
CASES = {
    "function": Case(
        F,
        ("f", {"a": 1}),
        {"type": "function_call", "name": "f", "arguments": '{"a": 1}'},
        [ADDED, "function_call_arguments.delta", "function_call_arguments.done", DONE],
        output={"type": "function_call_output", "output": "Fine."},
        read="Fine.",
    ),
    "custom": Case(
        NOTE,
        ("note", {"input": "a\nb"}),
        {"type": "custom_tool_call", "name": "note", "input": "a\nb"},
        [ADDED, "custom_tool_call_input.delta", "custom_tool_call_input.done", DONE],
        output={"type": "custom_tool_call_output", "output": "Noted."},
        read="Noted.",
    ),
    "member": Case(
        CRM,
        ("crm__f", {"a": 1}),
        {"type": "function_call", "name": "f", "namespace": "crm", "arguments": '{"a": 1}'},
        [ADDED, "function_call_arguments.delta", "function_call_arguments.done", DONE],
        output={"type": "function_call_output", "output": "Fine."},
        read="Fine.",
    ),
    "custom member": Case(
        CRM,
        ("crm__note", {"input": "a"}),
        {"type": "custom_tool_call", "name": "note", "namespace": "crm", "input": "a"},
        [ADDED, "custom_tool_call_input.delta", "custom_tool_call_input.done", DONE],
        output={"type": "custom_tool_call_output", "output": "Noted."},
        read="Noted.",
    ),
    "shell": Case(
        {"type": "shell"},
        ("shell", {"commands": ["echo one"], "timeout_ms": 900}),
        {"type": "shell_call", "action": {"commands": ["echo one"], "timeout_ms": 900, "max_output_length": None}},
        [ADDED, *("shell_call_command." + each for each in ("added", "delta", "done")), DONE],
        output={"type": "shell_call_output", "output": [EXIT]},
        read="one",
    ),
    "local_shell": Case(
        {"type": "local_shell"},
        ("local_shell", {"command": ["echo", "one"], "working_directory": "/tmp"}),  # noqa: S108 - a word in JSON
        {"type": "local_shell_call"},
        [ADDED, DONE],
        output={"type": "local_shell_call_output", "output": "one"},
        read="one",
    ),
    "apply_patch": Case(
        {"type": "apply_patch"},
        ("apply_patch", PATCH),
        {"type": "apply_patch_call", "operation": PATCH},
        [ADDED, "apply_patch_call_operation_diff.delta", "apply_patch_call_operation_diff.done", DONE],
        output={"type": "apply_patch_call_output", "status": "completed", "output": "Patched."},
        read="Patched.",
    ),
    "computer": Case(
        {"type": "computer"},
        ("computer", {"actions": [{"type": "screenshot"}, {"type": "wait"}]}),
        {
            "type": "computer_call",
            "actions": [{"type": "screenshot"}, {"type": "wait"}],
            "pending_safety_checks": [],
        },
        [ADDED, DONE],
        output={"type": "computer_call_output", "output": SCREENSHOT},
        read="The screen is shown",
    ),
    "computer_use_preview": Case(
        {"type": "computer_use_preview", "display_width": 800, "display_height": 600, "environment": "browser"},
        ("computer", {"actions": [{"type": "click", "button": "left", "x": 799, "y": 0}]}),
        {"type": "computer_call", "action": {"type": "click", "button": "left", "x": 799, "y": 0}},
        [ADDED, DONE],
        output={"type": "computer_call_output", "output": SCREENSHOT},
        read="The screen is shown",
    ),
    "tool_search": Case(
        FIND,
        ("tool_search", {"query": "a"}),
        {"type": "tool_search_call", "execution": "client", "arguments": {"query": "a"}},
        [ADDED, DONE],
        output={"type": "tool_search_output", "execution": "client", "tools": [LATE]},
        read="late",
    ),
}


@pytest.fixture(scope="module")
def model() -> Iterator[Caller]:
    """A model that calls what it is told to call."""
    with calling() as made:
        yield made


@pytest.fixture(scope="module")
def address(model: Caller) -> Iterator[str]:
    """A server before it."""
    deployment = {"name": "*", "backend": "chat_completions", "base_url": model.url}
    with serving(Config(store=MEMORY, deployments=[deployment])) as url:
        yield url


@pytest.fixture
def official(address: str, name: str) -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent, and tries nothing again.

    Its types lack the events of a patch: there it takes what comes.
    """
    with OpenAI(
        base_url=f"{address}/v1",
        api_key="any",
        max_retries=0,
        timeout=HANG_SECONDS,
        _strict_response_validation=name != "apply_patch",
    ) as made:
        yield made


def posted(address: str, **body: Any) -> Any:  # JSON
    """The answer to a request."""
    answer = patient.post(f"{address}/v1/responses", json={"model": "m", **body})
    return answer.json() if answer.status_code != 200 else checked(answer.content)


def checked(body: bytes) -> Any:  # JSON
    """A response that the official types know."""
    check_response(body)
    return json.loads(body)


def streamed(address: str, **body: Any) -> list[Any]:  # JSON
    """The events of an answer, each of which the official types know."""
    body = {"model": "m", "stream": True, "stream_options": {"include_obfuscation": False}, **body}
    answer = patient.post(f"{address}/v1/responses", json=body)
    assert 200 == answer.status_code, answer.text
    said = [frame.partition(b"data: ")[2] for frame in answer.content.split(b"\n\n") if b"data: " in frame]
    for event in said:
        check_event(event)
    return [json.loads(event) for event in said]


def names(events: list[Any]) -> list[str]:
    """The types of the events of the first item, repeated deltas once."""
    found = [each["type"].removeprefix("response.") for each in events if each.get("output_index") == 0]
    return [name for at, name in enumerate(found) if not (name.endswith("delta") and found[at - 1] == name)]


@pytest.mark.parametrize("store", [True, False], ids=["stored", "unstored"])
@pytest.mark.parametrize("is_streamed", [True, False], ids=["stream", "body"])
@pytest.mark.parametrize("name", CASES)
def test_a_tool_is_called_answered_and_the_model_goes_on(
    address: str, model: Caller, name: str, *, is_streamed: bool, store: bool
) -> None:
    """The client sees an item of the tool's own type, whatever the model was shown, and the model reads its output."""
    case = CASES[name]
    user = {"role": "user", "content": told(case.call)}
    body: dict[str, Any] = {"tools": [case.tool], "store": store}
    if is_streamed:
        events = streamed(address, input=[user], **body)
        assert case.events == names(events)
        assert list(range(len(events))) == [event["sequence_number"] for event in events]
        response = events[-1]["response"]
    else:
        response = posted(address, input=[user], **body)
    assert case.call[0] in model.tools
    (item,) = response["output"]
    assert case.item == {key: item[key] for key in case.item}
    assert item["status"] == "completed"
    answered = case.answered(item)
    if store:
        more = posted(address, previous_response_id=response["id"], input=[answered], **body)
    else:
        more = posted(address, input=[user, item, answered], **body)
    assert "Done." == more["output"][0]["content"][0]["text"]
    assert any(case.read in output for output in model.outputs)


@pytest.mark.parametrize("name", CASES)
def test_the_official_client_takes_every_call(official: OpenAI, name: str) -> None:
    """In a stream, which it adds up, and in what is stored; what it sends back word for word is understood."""
    case = CASES[name]
    body: dict[str, Any] = {"model": "m", "tools": [case.tool]}
    user = {"role": "user", "content": told(case.call)}
    events: Any = official.responses.create(input=[user], stream=True, **body)  # type: ignore[list-item]  # as clients send it
    *_, last = events
    assert last.type == "response.completed"
    (item,) = last.response.output
    assert last.response.output == official.responses.retrieve(last.response.id).output
    said = item.model_dump(exclude_unset=True)
    history: Any = [user, said, case.answered(said)]
    assert "Done." == official.responses.create(input=history, **body).output_text


def test_tools_of_all_types_stand_side_by_side(address: str, model: Caller) -> None:
    """Each call is shown as what it is, in order, and all are answered at once."""
    cases = [CASES[name] for name in CASES if name not in {"tool_search", "computer_use_preview"}]
    tools = [F, NOTE, CRM, *({"type": name} for name in ("shell", "local_shell", "apply_patch", "computer"))]
    user = {"role": "user", "content": told(*(case.call for case in cases))}
    response = streamed(address, input=[user], tools=tools)[-1]["response"]
    assert [case.item["type"] for case in cases] == [item["type"] for item in response["output"]]
    answers = [case.answered(item) for case, item in zip(cases, response["output"], strict=True)]
    more = posted(address, previous_response_id=response["id"], input=answers, tools=tools)
    assert "completed" == more["status"]
    assert len(cases) == len(model.outputs)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "custom", "name": "note"}, ["note"]),
        ({"type": "function", "name": "f"}, ["f"]),
        ({"type": "shell"}, ["shell"]),
        ({"type": "apply_patch"}, ["apply_patch"]),
        ({"type": "computer"}, ["computer"]),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "shell"}, {"type": "custom", "name": "note"}, {"type": "local_shell"}],
            },
            ["shell", "note", "local_shell"],
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_choice_holds_for_every_type(address: str, choice: dict[str, Any], expected: list[str]) -> None:
    """What is not chosen is not heard, though the model calls it."""
    plain = ("shell", "local_shell", "apply_patch", "computer")
    tools = [F, NOTE, *({"type": name} for name in plain)]
    calls = [CASES[name].call for name in ("function", "custom", *plain)]
    response = posted(address, input=told(*calls), tools=tools, tool_choice=choice)
    kinds = {"f": "function_call", "note": "custom_tool_call"}
    called = [item["type"] for item in response["output"] if item["type"] != "message"]
    assert set(called) <= {kinds.get(name, f"{name}_call") for name in expected}
    assert called
    assert choice == response["tool_choice"]


def test_what_a_search_of_the_servers_finds_can_be_called(address: str, model: Caller) -> None:
    """In the same response; the items are those of the live service, and the next response knows the tool too."""
    tools = [LATE, CRM, SEARCH]
    calls = told(("tool_search", {"paths": ["late"]}))
    events = streamed(address, input=calls, tools=tools)
    response = events[-1]["response"]
    search, output, message = response["output"]
    assert ("tool_search_call", "server", None, {"paths": ["late"]}) == tuple(
        search[key] for key in ("type", "execution", "call_id", "arguments")
    )
    assert ("tool_search_output", "server", None, ["late"]) == (
        *(output[key] for key in ("type", "execution", "call_id")),
        [tool["name"] for tool in output["tools"]],
    )
    assert "message" == message["type"]
    assert "late" in model.tools
    assert "tool_search" not in model.tools
    more = posted(address, previous_response_id=response["id"], input=told(("late", {"a": 1})), tools=tools)
    (call,) = more["output"]
    assert ("function_call", "late", "late") == (call["type"], call["name"], call["namespace"])
    done = posted(
        address,
        previous_response_id=more["id"],
        input=[{"type": "function_call_output", "call_id": call["call_id"], "output": "Fine."}],
        tools=tools,
    )
    assert "completed" == done["status"]
    assert ["Fine."] == model.outputs[-1:]


def test_what_a_client_found_can_be_called(address: str, model: Caller) -> None:
    """The tools that come back with the output of its search, in this response and in the next."""
    case = CASES["tool_search"]
    first = posted(address, input=told(case.call), tools=[FIND])
    output = case.answered(first["output"][0])
    user = {"role": "user", "content": told(("late", {"a": 1}))}
    second = posted(address, previous_response_id=first["id"], input=[output, user], tools=[FIND])
    (call,) = second["output"]
    assert ("function_call", "late") == (call["type"], call["name"])
    answered = {"type": "function_call_output", "call_id": call["call_id"], "output": "Fine."}
    posted(address, previous_response_id=second["id"], input=[answered, user], tools=[FIND])
    assert "late" in model.tools


def test_tools_that_an_item_brings_stay_in_the_conversation(address: str, model: Caller) -> None:
    """The request itself names none; a choice may name them, then and later."""
    brought = {"type": "additional_tools", "role": "developer", "tools": [F, NOTE]}
    first = posted(address, input=[brought, {"role": "user", "content": "Hi."}])
    assert ["f", "note"] == model.tools
    assert [] == first["tools"]
    choice = {"type": "function", "name": "f"}
    second = posted(address, previous_response_id=first["id"], input=told(("f", {"a": 1})), tool_choice=choice)
    assert ["function_call"] == [item["type"] for item in second["output"]]
    nobody = posted(address, input="Hi.", tool_choice=choice)
    assert "tool_choice" == nobody["error"]["param"]


def test_settings_that_an_item_brings_stay_in_the_conversation(address: str, model: Caller) -> None:
    """Until a request or another item says otherwise."""
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    user = {"role": "user", "content": "Hi."}
    first = posted(address, input=[update, user], reasoning={"effort": "low"})
    assert "high" == model.asked[-1]["reasoning_effort"]
    second = posted(address, previous_response_id=first["id"], input=[user])
    assert "high" == model.asked[-1]["reasoning_effort"]
    posted(address, previous_response_id=second["id"], input=[user], reasoning={"effort": "low"})
    assert "low" == model.asked[-1]["reasoning_effort"]
    assert ("high", "high") == (first["reasoning"]["effort"], second["reasoning"]["effort"])
