"""Tools that are none: grammars, schemas, names and choices, wherever a request may hold them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.bad_bodies import Refused, empty, long, many, missing, pattern, word
from tests.acceptance.hostile import (
    CUSTOM,
    FUNCTION,
    LOCAL_SHELL,
    NAMESPACE,
    SEARCH,
    SHELL,
    Json,
    calls,
    error,
    ids,
    refuses,
    standing,
    written,
)
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.hostile import Stand

pytestmark = pytest.mark.slow

HI: Json = {"role": "user", "content": "hi"}
OPEN: Json = {"type": "object", "properties": {}}
LATER: Json = {**FUNCTION, "name": "later", "defer_loading": True}


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A server."""
    with standing() as made:
        yield made


@pytest.fixture(autouse=True)
def silent(stand: Stand) -> None:
    """What one test wanted to be said is not said in the next."""
    stand.model.will()


# Grammars


def grammar(syntax: str, definition: Json) -> Json:
    """A custom tool with a grammar."""
    return {**CUSTOM, "format": {"type": "grammar", "syntax": syntax, "definition": definition}}


PLACES: dict[str, tuple[str, Json]] = {
    "tools": ("tools[0]", lambda tool: {"tools": [tool]}),
    "a namespace": ("tools[0].tools[0]", lambda tool: {"tools": [{**NAMESPACE, "tools": [tool]}]}),
    "additional tools": (
        "input[0].tools[0]",
        lambda tool: {"input": [{"type": "additional_tools", "role": "developer", "tools": [tool]}, HI]},
    ),
    "a namespace of additional tools": (
        "input[0].tools[1].tools[0]",
        lambda tool: {
            "input": [
                {"type": "additional_tools", "role": "developer", "tools": [SHELL, {**NAMESPACE, "tools": [tool]}]},
                HI,
            ]
        },
    ),
    "what a client's search found": (
        "input[2].tools[0]",
        lambda tool: {
            "input": [
                HI,
                written("tool_search_call"),
                {"type": "tool_search_output", "execution": "client", "call_id": "call_1", "tools": [tool]},
            ]
        },
    ),
}
NO_GRAMMARS: dict[str, tuple[str, str, str]] = {
    "lark without an end": ("lark", "start: (", "Invalid lark grammar at line 1, column 9: "),
    "lark without a start": ("lark", 'a: "x"', "Invalid lark grammar: no start rule found"),
    "empty lark": ("lark", "", "Invalid lark grammar: Empty grammar"),
    "lark with an unknown rule": (
        "lark",
        "start: foo",
        'Invalid lark grammar at line 1, column 8: unknown name: "foo"',
    ),
    "lark that reads a file": ("lark", "%import .passwd (A)\nstart: A", "Invalid lark grammar at line 1, column 1: "),
    "lark that imports code": ("lark", "%import os\nstart: OS", "Invalid lark grammar at line 1, column 1: "),
    "lark that looks ahead": ("lark", "start: /(?=a)b/", "Invalid lark grammar at line 1, column 8: "),
    "long lark": ("lark", 'start: "' + "a" * 100_000 + '"', "The grammar is too long: at most 100000 characters"),
    "regex without an end": ("regex", "(", "Invalid regex grammar: unclosed group"),
    "regex that looks ahead": ("regex", "(?=a)", "Invalid regex grammar: look-around"),
    "regex that looks back": ("regex", r"(a)\1", "Invalid regex grammar: backreferences are not supported"),
    "regex of an unknown class": ("regex", r"\p{Foo}", "Invalid regex grammar: Unicode property not found"),
    "long regex": ("regex", "a" * 100_001, "The grammar is too long: at most 100000 characters"),
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("what", NO_GRAMMARS)
def test_a_grammar_that_is_none_is_named_by_its_place(stand: Stand, what: str, where: str) -> None:
    """With what is wrong in it, in one line, before a model is asked."""
    before = len(stand.model.asked)
    syntax, definition, reason = NO_GRAMMARS[what]
    at, body = PLACES[where]
    param = f"{at}.format.definition"
    for path in ("/v1/responses", "/openai/v1/responses"):
        answer = stand.post({"model": "m", "input": "hi", **body(grammar(syntax, definition))}, path)
        found = error(answer)
        assert (400, "invalid_request_error") == (answer.status_code, found["type"])
        assert (param, "invalid_value") == (found["param"], found["code"])
        assert found["message"].startswith(f"Invalid '{param}': {reason}"), found
        assert len(found["message"]) < 500
        assert "\n" not in found["message"]
    assert before == len(stand.model.asked)


@pytest.mark.parametrize("where", PLACES)
def test_a_tool_is_as_its_type_says(stand: Stand, where: str) -> None:
    """In every place."""
    at, body = PLACES[where]
    for refused in (
        word(body(grammar("ebnf", "x")), f"{at}.format.syntax", "ebnf", "lark", "regex"),
        word(body({**CUSTOM, "format": {"type": "json"}}), f"{at}.format.type", "json", "text", "grammar"),
        missing(body({**CUSTOM, "format": {"type": "grammar", "syntax": "lark"}}), f"{at}.format.definition"),
        missing(body({"type": "custom"}), f"{at}.name"),
        empty("string", body({**CUSTOM, "name": ""}), f"{at}.name"),
        long(body({**FUNCTION, "name": "x" * 129}), f"{at}.name", 128),
        pattern(body({**FUNCTION, "name": "a.b"}), f"{at}.name", "^[a-zA-Z0-9_-]+$"),
        Refused(
            body({**FUNCTION, "strict": True, "parameters": OPEN}),
            f"{at}.parameters",
            "invalid_function_parameters",
            "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied and to "
            "be false.",
        ),
    ):
        refuses(stand, refused)


HEAVY: dict[str, tuple[str, str]] = {
    "nested repeats": ("regex", "((((a{1000}){1000}){1000}){1000})"),
    "nested stars": ("regex", "(((a*)*)*)*" * 2000),
    "a long repeat": ("regex", "a{1,1000000000}"),
    "many classes": ("regex", r"\w\W\p{L}\P{L}." * 5000),
    "deep groups": ("regex", "(" * 40_000 + ")" * 40_000),
    "lark of itself": ("lark", "start: start"),
    "lark of much": ("lark", 'start: "a"~1..1000000000'),
    "ambiguous lark": ("lark", f"start: {'a ' * 1000}\na: x*\nx: y*\ny: 'x'*".replace("'", '"')),
    "many rules": (
        "lark",
        "start: r0\n" + "\n".join(f'r{n}: r{n + 1} r{n + 1} | "a"' for n in range(2000)) + '\nr2000: "b"',
    ),
    "deep lark": ("lark", "start: " + "(" * 40_000 + '"a"' + ")" * 40_000),
}


@pytest.mark.parametrize("what", HEAVY)
def test_a_heavy_grammar_is_judged_or_refused_soon(stand: Stand, what: str) -> None:
    """And a second time at once; the server goes on."""
    syntax, definition = HEAVY[what]
    statuses = []
    for _ in range(2):
        answer = stand.ask(tools=[grammar(syntax, definition)])
        statuses.append(answer.status_code)
        if answer.status_code == 400:
            assert ("tools[0].format.definition", "invalid_value") == (error(answer)["param"], error(answer)["code"])
    assert statuses[0] == statuses[1]
    assert statuses[0] in {200, 400}


def test_others_do_not_wait_for_heavy_grammars(stand: Stand) -> None:
    """A plain request of another tenant is answered meanwhile, and one with a plain grammar too."""
    heavy = [grammar("regex", f"((((a{{1000}}){{1000}}){{1000}}){{{number}}})") for number in range(900, 916)]
    with ThreadPoolExecutor(len(heavy)) as pool:
        asked = [pool.submit(stand.ask, tools=[tool]) for tool in heavy]
        for tools in ([], [grammar("regex", "[a-z]+")]):
            answer = stand.post({"model": "m", "input": "hi", "tools": tools}, key="key-b")
            assert 200 == answer.status_code, answer.text
        assert {each.result(HANG_SECONDS).status_code for each in asked} <= {200, 400}


TEXTS: dict[str, tuple[str, str, str]] = {
    "that could be matched in many ways": ("regex", "(a+)+(a|aa)+$", "a" * 50_000 + "!"),
    "that is long": ("lark", 'start: "a"*', "a" * 500_000 + "b"),
    "that is ambiguous": ("lark", 'start: a+\na: "x" | "x" "x" | a a', "x" * 2_000 + "y"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_text_that_does_not_fit_is_asked_for_once_more(stand: Stand, what: str) -> None:
    """However heavy it is to judge; then it is handed on, whatever it is."""
    syntax, definition, text = TEXTS[what]
    before = len(stand.model.asked)
    stand.model.will(*[calls("c", {"input": text})] * 3)
    response = stand.made(tools=[grammar(syntax, definition)])
    assert [text] == [item["input"] for item in response["output"]]
    assert len(stand.model.asked) - before in {1, 2}


# Choices

KINDS = (
    *("function", "custom", "mcp", "allowed_tools", "file_search", "web_search", "web_search_2025_08_26"),
    *("web_search_preview", "web_search_preview_2025_03_11", "code_interpreter", "image_generation", "computer"),
    *("computer_use", "computer_use_preview", "shell", "apply_patch", "programmatic_tool_calling"),
)
NAMED = {"function": {"name": "g"}, "custom": {"name": "g"}, "mcp": {"server_label": "s", "name": "t"}}
HOSTED = [kind for kind in KINDS if kind not in {*NAMED, "allowed_tools"}]


def choosing(choice: Json, *tools: Json) -> Json:
    """A request with a choice."""
    return {"tools": [*(tools or (FUNCTION, CUSTOM))], "tool_choice": choice}


def allowing(*tools: Json, mode: str = "auto") -> Json:
    """A choice of some tools."""
    return {"type": "allowed_tools", "mode": mode, "tools": [*tools]}


def not_found(choice: Json, kind: str, *tools: Json) -> Refused:
    """A choice of what is not there."""
    return Refused(
        choosing(choice, *tools), "tool_choice", None, f"Tool choice '{kind}' not found in 'tools' parameter."
    )


def unavailable(body: Json, kind: str) -> Refused:
    """A choice of what cannot run."""
    return Refused(body, "tool_choice", "invalid_value", f"Tool '{kind}' is not available on this server.")


CHOICES = [
    *(not_found({"type": kind, **more}, kind) for kind, more in NAMED.items()),
    *(not_found({"type": kind}, kind) for kind in HOSTED),
    *(not_found(allowing({"type": kind, **more}), kind) for kind, more in NAMED.items()),
    *(not_found(allowing({"type": kind}, mode="required"), kind) for kind in (*HOSTED, "local_shell", "nonsense")),
    not_found({"type": "function", "name": "c"}, "function"),
    not_found({"type": "custom", "name": "f"}, "custom"),
    not_found({"type": "function", "name": "n__f"}, "function", NAMESPACE),
    not_found({"type": "function", "name": "n"}, "function", NAMESPACE),
    not_found(allowing({"type": "namespace", "name": "m"}), "namespace", NAMESPACE),
    not_found(allowing({"type": "function"}), "function"),
    not_found(allowing({"type": "function", "name": "f"}, {"type": "function", "name": "g"}), "function"),
    *(
        word(choosing({"type": kind}), "tool_choice.type", kind, *KINDS)
        for kind in ("local_shell", "tool_search", "namespace", "nonsense")
    ),
    word(choosing("always"), "tool_choice", "always", "none", "auto", "required"),
    word(choosing(allowing(FUNCTION, mode="none")), "tool_choice.mode", "none", "auto", "required"),
    missing(choosing({}), "tool_choice.type"),
    *(missing(choosing({"type": kind}), "tool_choice.name") for kind in ("function", "custom")),
    missing(choosing({"type": "mcp"}), "tool_choice.server_label"),
    missing(choosing({"type": "allowed_tools", "tools": []}), "tool_choice.mode"),
    missing(choosing({"type": "allowed_tools", "mode": "auto"}), "tool_choice.tools"),
    missing(choosing(allowing({})), "tool_choice.tools[0].type"),
    empty("array", choosing(allowing(mode="required")), "tool_choice.tools"),
    unavailable(choosing("required", {"type": "tool_search"}), "tool_search"),
    unavailable(choosing({"type": "shell"}, {"type": "shell", "environment": {"type": "container_auto"}}), "shell"),
    Refused(
        {"tool_choice": "required", "tools": []},
        "tool_choice",
        None,
        "Tool choice 'required' must be specified with 'tools' parameter.",
    ),
    many({"tools": [{**FUNCTION, "name": f"f{number}"} for number in range(129)]}, "tools", 128),
]


@ids(CHOICES)
def test_a_choice_names_what_is_there(stand: Stand, refused: Refused) -> None:
    """Every type of it."""
    refuses(stand, refused)


ALLOWED: dict[str, tuple[Json, list[str]]] = {
    "nothing": (allowing(), []),
    "a function": (allowing({"type": "function", "name": "f"}), ["f"]),
    "a namespace": (allowing({"type": "namespace", "name": "n"}), ["n__g"]),
    "a function of a namespace": (allowing({"type": "function", "name": "g"}), ["n__g"]),
    "a shell": (allowing({"type": "local_shell"}), ["local_shell"]),
    "a search of the client's": (allowing({"type": "tool_search"}), ["tool_search"]),
    "one twice": (allowing(*[{"type": "custom", "name": "c"}] * 2), ["c"]),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_not_allowed_is_not_called(stand: Stand, what: str) -> None:
    """Whatever the model tries of all the tools that it may see."""
    choice, names = ALLOWED[what]
    tools = [FUNCTION, CUSTOM, LOCAL_SHELL, SEARCH, {**NAMESPACE, "tools": [{**FUNCTION, "name": "g"}]}]
    called = []
    for name in ("f", "c", "local_shell", "tool_search", "n__g"):
        stand.model.will(calls(name, {"input": "x", "command": ["ls"]}))
        output = stand.made(tools=tools, tool_choice=choice)["output"]
        called += [name for item in output if item["type"].endswith("_call")]
    assert names == called


def test_a_namespace_may_come_in_parts(stand: Stand) -> None:
    """In the request and in its input; of two members with one name the first counts, and none is lost."""
    parts = [{**NAMESPACE, "tools": [tool]} for tool in (FUNCTION, CUSTOM, {**FUNCTION, "description": "Again."})]
    more: Json = {**NAMESPACE, "tools": [{**FUNCTION, "name": "g"}]}
    brought: Json = {"type": "additional_tools", "role": "developer", "tools": [more]}
    stand.made(tools=parts, input=[brought, HI])
    assert ["n__f", "n__c", "n__g"] == stand.model.offered
    assert "Again." not in str(stand.model.asked[-1]["tools"])


SAME_NAMES: dict[str, tuple[list[Json], list[str]]] = {
    "a shell": ([SHELL, {**FUNCTION, "name": "shell"}], ["shell", "shell_2"]),
    "a search": (
        [{"type": "tool_search"}, {**FUNCTION, "name": "tool_search"}, LATER],
        ["tool_search", "tool_search_2"],
    ),
}


@pytest.mark.parametrize("what", SAME_NAMES)
def test_two_tools_that_a_model_would_call_alike_have_names_of_their_own(stand: Stand, what: str) -> None:
    """And each call is told as what it is."""
    tools, names = SAME_NAMES[what]
    told: set[tuple[str, str]] = set()
    for name in names:
        before = len(stand.model.asked)
        stand.model.will(calls(name, {"commands": ["ls"], "paths": ["later"]}))
        [item, *_] = stand.made(tools=tools)["output"]
        told.add((item["type"], item.get("name", "")))
        offered = stand.model.asked[before]["tools"]
        assert sorted(names) == sorted(tool["function"]["name"] for tool in offered)
    assert {("function_call", tools[1]["name"])} < told
    assert 2 == len(told)
