"""Models that misbehave: whatever they write, a response ends, and the conversation can go on from it.

Every event is held against the official types on the way.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.hostile import (
    CALLED,
    CUSTOM,
    FUNCTION,
    NAMESPACE,
    PATCH,
    SHELL,
    TOOLS,
    Json,
    call,
    calls,
    kinds,
    outputs,
    standing,
    turn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.hostile import Stand

pytestmark = pytest.mark.slow

NEXT: Json = {"role": "user", "content": "And now?"}
MOST_CALLS = 20
"""Of the server that is tested."""
LONG = 1_000_000
DEEP = 100_000
LATER: Json = {**FUNCTION, "name": "later", "description": "Comes later.", "defer_loading": True}
SEARCHING: list[Json] = [{"type": "tool_search"}, LATER]


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A server that makes few calls itself."""
    with standing() as made:
        yield made


def said(stand: Stand, *turns: bytes, **body: Json) -> Json:
    """What comes of what a model says; the conversation goes on from it, kept and resent."""
    stand.model.will(*turns)
    response = stand.made(**body)
    stand.model.will()
    tools = {name: body[name] for name in ("tools",) if name in body}
    last = [*outputs(response), NEXT]
    assert "completed" == stand.made(previous_response_id=response["id"], input=last, **tools)["status"]
    stand.model.will()
    assert "completed" == stand.made(input=[*response["output"], *last], **tools)["status"]
    return response


def streamed(stand: Stand, *turns: bytes, **body: Json) -> Json:
    """The response at the end of a stream."""
    stand.model.will(*turns)
    answer = stand.ask(stream=True, **body)
    last = json.loads(answer.text.rstrip().rpartition("\ndata: ")[2])
    assert answer.text.count("event: response.completed") + answer.text.count("event: response.incomplete") == 1
    return last["response"]


def shown(response: Json) -> Json:
    """A response without its ids."""
    items = [
        {name: value for name, value in item.items() if name not in {"id", "call_id"}} for item in response["output"]
    ]
    return response["status"], items


# Arguments

BROKEN: dict[str, str] = {
    "nothing": "",
    "words": "not JSON",
    "a list": "[1, 2]",
    "null": "null",
    "a number": "5",
    "no end": '{"a":',
    "no number": '{"input": NaN, "a": NaN}',
    "two objects": '{"a": 1}{"a": 2}',
    "other types": '{"input": 5, "commands": 5, "command": 5, "type": 5, "path": 5, "diff": 5}',
    "nulls": '{"input": null, "commands": null, "command": null, "type": null, "path": null, "diff": null}',
    "a wrong escape": '{"q": "\\x"}',
    "a control character": '{"q": "a\nb"}',
    "a byte order mark": '\ufeff{"q": "a"}',
    "a fence": '```json\n{"q": "a"}\n```',
    "deep lists": "[" * DEEP,
    "deep objects": '{"a":' * DEEP,
    "deep and whole": '{"a":' * 200 + "1" + "}" * 200,
    "half a surrogate pair": '{"q": "\\ud800"}',
}
RUNS_NOTHING = {"shell_call", "local_shell_call", "apply_patch_call"}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("kind", CALLED)
def test_arguments_that_are_none_are_told_as_they_are_and_run_nothing(stand: Stand, kind: str, how: str) -> None:
    """Free text is taken as it comes; a command or a patch that nobody meant is never told as completed."""
    turn_ = calls(CALLED[kind][0], BROKEN[how])
    response = said(stand, turn_, tools=[TOOLS[kind]])
    [item] = response["output"]
    assert (kind, "completed") == (item["type"], response["status"])
    if kind in RUNS_NOTHING:
        assert item["status"] in {"incomplete", "in_progress"}
    if kind == "function_call":
        assert BROKEN[how] in {item["arguments"], ""}
    assert shown(response) == shown(streamed(stand, turn_, tools=[TOOLS[kind]]))


@pytest.mark.parametrize("kind", CALLED)
def test_arguments_that_are_cut_by_a_limit_are_incomplete(stand: Stand, kind: str) -> None:
    """At any byte. The client need not answer such a call, and may."""
    name, arguments = CALLED[kind]
    text = json.dumps(arguments)
    for end in range(len(text)):
        stand.model.will(turn(*call(name, text[:end]), finish="length"))
        response = stand.made(tools=[TOOLS[kind]])
        [item] = response["output"]
        assert ("incomplete", "max_output_tokens") == (response["status"], response["incomplete_details"]["reason"])
        assert (kind, "in_progress" if kind == "apply_patch_call" else "incomplete") == (item["type"], item["status"])
        stand.model.will()
        for items in ([NEXT], [*outputs(response), NEXT]):
            stand.made(previous_response_id=response["id"], input=items)


@pytest.mark.parametrize("kind", CALLED)
def test_arguments_that_are_cut_and_called_whole_run_nothing(stand: Stand, kind: str) -> None:
    """At any byte. What is told of a command or a patch is not told as completed before its last brace."""
    name, arguments = CALLED[kind]
    text = json.dumps(arguments)
    for end in range(len(text) + 1):
        stand.model.will(calls(name, text[:end]))
        response = stand.made(tools=[TOOLS[kind]])
        [item] = response["output"]
        assert kind == item["type"]
        if kind in RUNS_NOTHING:
            assert (end == len(text)) is (item["status"] == "completed"), text[:end]
        stand.model.will()
        stand.made(previous_response_id=response["id"], input=outputs(response))


OPENED = {
    "function_call": '{"a": "',
    "custom_tool_call": '{"input": "',
    "shell_call": '{"commands": ["',
    "local_shell_call": '{"command": ["',
    "apply_patch_call": '{"type": "create_file", "path": "a", "diff": "',
    "tool_search_call": '{"query": "',
}


@pytest.mark.parametrize("kind", CALLED)
def test_arguments_without_an_end_are_kept_as_far_as_they_came(stand: Stand, kind: str) -> None:
    """A megabyte of them; with its end it is whole."""
    name = CALLED[kind][0]
    open_ = said(stand, calls(name, OPENED[kind] + "x" * LONG), tools=[TOOLS[kind]])
    assert kind in RUNS_NOTHING | {"tool_search_call"} or len(json.dumps(open_["output"])) > LONG
    end = '"]}' if "[" in OPENED[kind] else '"}'
    whole = said(stand, calls(name, OPENED[kind] + "x" * LONG + end), tools=[TOOLS[kind]])
    assert "completed" == whole["output"][0]["status"]
    assert len(json.dumps(whole["output"])) > LONG


# Names and ids


@pytest.mark.parametrize("name", ["nobody", "a b/../é", "x" * 10_000])
def test_a_function_that_nobody_offered_is_the_clients_to_refuse(stand: Stand, name: str) -> None:
    """Where only plain functions are offered, a call is handed on as it was said."""
    response = said(stand, calls(name, {}), tools=[FUNCTION])
    assert [("function_call", name)] == [(item["type"], item["name"]) for item in response["output"]]


def test_a_function_without_a_name_is_no_call(stand: Stand) -> None:
    """The upstream is at fault."""
    stand.model.will(calls("", {}))
    answer = stand.ask(tools=[FUNCTION])
    assert (502, "server_error") == (answer.status_code, answer.json()["error"]["code"])


UNSAID: dict[str, tuple[str, Json]] = {
    "is nobody's, beside a custom tool": ("nobody", {"tools": [FUNCTION, CUSTOM]}),
    "is chosen against": ("f", {"tools": [FUNCTION], "tool_choice": "none"}),
    "is not the chosen one": (
        "f",
        {"tools": [FUNCTION, {**FUNCTION, "name": "g"}], "tool_choice": {"type": "function", "name": "g"}},
    ),
    "is not allowed": (
        "f",
        {
            "tools": [FUNCTION, SHELL],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "shell"}]},
        },
    ),
    "is a shell that is not allowed": (
        "shell",
        {
            "tools": [FUNCTION, SHELL],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        },
    ),
    "is not loaded": ("later", {"tools": SEARCHING}),
    "is not loaded, in a namespace": (
        "n__later",
        {"tools": [{"type": "tool_search"}, {**NAMESPACE, "tools": [LATER]}]},
    ),
    "is in a namespace, named without it": ("f", {"tools": [NAMESPACE]}),
    "is hidden behind a custom tool": ("apply_patch", {"tools": [CUSTOM, SHELL]}),
}


@pytest.mark.parametrize("how", UNSAID)
def test_a_call_of_what_may_not_be_called_is_not_made(stand: Stand, how: str) -> None:
    """Nor told as a function of the client's."""
    name, body = UNSAID[how]
    response = said(stand, calls(name, {"commands": ["rm -rf /"], "input": "x"}), **body)
    assert ["message"] == kinds(response)


def test_a_call_id_that_is_said_twice_is_two_calls(stand: Stand) -> None:
    """Each has an id of its own, in one turn and over two; one that is too long is shortened."""
    twice = turn(*call("f", {}, "same", 0), *call("f", {"a": 1}, "same", 1))
    for turns, tools in (
        ([twice], [FUNCTION]),
        ([calls("tool_search", {"paths": ["later"]}, "same"), calls("later", {}, "same")], SEARCHING),
        ([calls("f", {}, "x" * 5000)], [FUNCTION]),
        ([turn({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]})], [FUNCTION]),
    ):
        response = said(stand, *turns, tools=tools)
        found = [item["call_id"] for item in response["output"] if item["type"] == "function_call"]
        assert found
        assert len(set(found)) == len(found)
        assert all(1 <= len(id) <= 64 for id in found)


def test_many_calls_at_once_are_all_told(stand: Stand) -> None:
    """And where only one may be made, one."""
    many = turn(*(delta for number in range(1000) for delta in call("f", {"n": number}, str(number), number)))
    assert 1000 == len(said(stand, many, tools=[FUNCTION])["output"])
    assert 1 == len(said(stand, many, tools=[FUNCTION], parallel_tool_calls=False)["output"])


# Thoughts

THOUGHTS: dict[str, list[Json]] = {
    "in pieces": [*[{"reasoning_content": "x" * 4000}] * (LONG // 4000), {"content": "Yes."}],
    "at once": [{"reasoning_content": "x" * LONG}, {"content": "Yes."}],
    "in a tag": [{"content": "<think>"}, {"content": "x" * LONG}, {"content": "</think>Yes."}],
    "in paragraphs": [*[{"reasoning_content": "x\n\n"}] * 5000, {"content": "Yes."}],
}


@pytest.mark.parametrize("summary", [None, "concise", "detailed"])
@pytest.mark.parametrize("how", THOUGHTS)
def test_a_long_thought_is_one_thought(stand: Stand, how: str, summary: str | None) -> None:
    """However it is shown and kept; sealed it comes back whole."""
    body = {"reasoning": {"summary": summary}, "include": ["reasoning.encrypted_content"]}
    response = said(stand, turn(*THOUGHTS[how]), **body)
    assert ["reasoning", "message"] == kinds(response)
    assert bool(summary) is bool(response["output"][0]["summary"])
    heard = stand.heard(
        input=[{"role": "user", "content": "hi"}, *response["output"], NEXT], reasoning={"context": "all_turns"}
    )
    assert "Yes." == heard[1]["content"]
    thought = "".join(delta.get("reasoning_content", "") for delta in THOUGHTS[how]) or "x" * LONG
    assert thought.strip() == heard[1]["reasoning_content"].strip()


@pytest.mark.parametrize("content", [["<think>", "hm"], ["<think>" * 1000], ["<think>", "x" * LONG], ["<think>"]])
def test_a_thought_that_never_ends_is_no_answer(stand: Stand, content: list[str]) -> None:
    """It is told as a thought, and the response ends all the same."""
    response = said(stand, turn(*({"content": piece} for piece in content)))
    assert {"reasoning", "message"} >= set(kinds(response))
    texts = [part["text"] for item in response["output"] for part in item.get("content") or []]
    assert "" == "".join(texts)


def test_a_thought_that_is_cut_by_a_limit_is_gone_on_from(stand: Stand) -> None:
    """The response is incomplete, and the thought led to nothing."""
    response = said(stand, turn({"reasoning_content": "hm"}, finish="length"))
    assert ("incomplete", ["reasoning"]) == (response["status"], kinds(response))


# Searches for tools

NOWHERE = calls("tool_search", {"paths": ["nowhere", "../later", ""]})


@pytest.mark.parametrize(("limit", "made"), [(None, MOST_CALLS), (3, 3), (1000, MOST_CALLS)])
def test_searches_for_what_is_not_there_have_an_end(stand: Stand, limit: int | None, made: int) -> None:
    """By the request's limit or by the operator's, whichever is less; the model is told what there is."""
    response = said(stand, *[NOWHERE] * 50, tools=SEARCHING, max_tool_calls=limit)
    assert made == kinds(response).count("tool_search_call")
    assert [[]] * made == [item["tools"] for item in response["output"] if item["type"] == "tool_search_output"]


@pytest.mark.parametrize(
    "arguments", ["not JSON", "[]", '{"paths": 5}', '{"paths": "later"}', {"paths": [f"{n}" for n in range(10_000)]}]
)
def test_a_search_in_other_words_finds_what_it_means_or_nothing(stand: Stand, arguments: Json) -> None:
    """One path where a list is wanted is understood."""
    response = said(stand, calls("tool_search", arguments), tools=SEARCHING)
    assert ["tool_search_call", "tool_search_output", "message"] == kinds(response)
    found = [tool["name"] for tool in response["output"][1]["tools"]]
    assert (["later"] if "later" in arguments else []) == found


def test_what_was_found_is_not_found_again(stand: Stand) -> None:
    """There is nothing left to look for, and no such function any more."""
    response = said(stand, *[calls("tool_search", {"paths": ["later"]})] * 3, tools=SEARCHING)
    assert 1 == kinds(response).count("tool_search_call")


# Patches

PATHS = ["../../etc/passwd", "/etc/passwd", "C:\\x", "~/.ssh/id_rsa", "a\x00b", "a\nb", "x" * 10_000, "file:///etc"]


class Doorman:
    """Notes the files that this process opens, makes or removes, while somebody asks for it."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.is_there = False
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.is_there and event in {"open", "os.remove", "os.rename", "os.mkdir"}:
            self.files.append(str(arguments[0]))


@pytest.fixture(scope="module")
def doorman() -> Iterator[Doorman]:
    """One of the server, which runs in this process."""
    made = Doorman()
    made.is_there = True
    yield made
    made.is_there = False  # such a hook cannot be taken back


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("type_", ["create_file", "update_file", "delete_file"])
def test_a_patch_of_any_path_is_the_clients_to_judge(stand: Stand, doorman: Doorman, type_: str, path: str) -> None:
    """It is handed on as it is, and nothing of ours opens it."""
    operation = {"type": type_, "path": path} | ({} if type_ == "delete_file" else {"diff": "+a"})
    response = said(stand, calls("apply_patch", operation), tools=[PATCH])
    [item] = response["output"]
    assert ("completed", operation) == (item["status"], item["operation"])
    name = path.rsplit("/", maxsplit=1)[-1]
    assert [] == [file for file in doorman.files if name in file]
