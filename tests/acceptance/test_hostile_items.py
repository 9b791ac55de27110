"""Items that do not fit together: calls, outputs, references and thoughts, over all paths and across responses."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.bad_bodies import Refused, empty, long, missing, word
from tests.acceptance.hostile import (
    CALLED,
    CUSTOM,
    FUNCTION,
    OUTPUTS,
    TOOLS,
    WRITTEN,
    Json,
    answered,
    calls,
    error,
    ids,
    kinds,
    outputs,
    refuses,
    says,
    standing,
    turn,
    written,
)
from tests.mcp_servers import PNG

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2 as httpx

    from tests.acceptance.hostile import Stand

pytestmark = pytest.mark.slow

HI: Json = {"role": "user", "content": "hi"}
THOUGHT: Json = {"type": "reasoning", "id": "rs_x", "summary": [{"type": "summary_text", "text": "Well."}]}
OPEN: Json = {"type": "object", "properties": {}}
LOOSE: Json = {"type": "function", "name": "f", "strict": True, "parameters": OPEN}
CLOSE = "'additionalProperties' is required to be supplied and to be false."
NAMES = {kind: kind.removesuffix("_call").replace("_", " ") for kind in WRITTEN}
MOST_OF_AN_ID = 40
AGAIN = "Remove duplicate items from your input and try again."
NOT_FOUND = (
    "Item with id '{0}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to "
    "true, or remove this item from your input."
)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A server."""
    with standing() as made:
        yield made


@pytest.fixture(autouse=True)
def silent(stand: Stand) -> None:
    """What one test wanted to be said is not said in the next."""
    stand.model.will()


def said(answer: httpx.Response) -> tuple[int, Json, Json, Json]:
    """What a refusal says, but for its type."""
    found = error(answer)
    return answer.status_code, found["param"], found["code"], found["message"]


def bare(message: str, *items: Json, status: int = 400) -> Refused:
    """Items that are refused without a code."""
    return Refused({"input": [*items]}, "input", None, message, status)


# Calls and outputs of every kind

PAIRS = [
    refused
    for kind, name in NAMES.items()
    for refused in (
        bare(f"No tool output found for {name} call call_1.", HI, written(kind)),
        bare(f"No tool call found for {name} call output with call_id call_1.", HI, answered(kind)),
        bare(f"Duplicate tool call found with call_id call_1. {AGAIN}", written(kind), answered(kind), written(kind)),
        bare(f"Duplicate tool call output found with call_id call_1. {AGAIN}", written(kind), *[answered(kind)] * 2),
        empty("string", {"input": [written(kind, "")]}, "input[0].call_id"),
        empty("string", {"input": [written(kind), answered(kind, "")]}, "input[1].call_id"),
        long({"input": [written(kind, "x" * 65)]}, "input[0].call_id", 64),
        long({"input": [written(kind), answered(kind, "x" * 65)]}, "input[1].call_id", 64),
    )
]


@ids(PAIRS)
def test_calls_and_outputs_go_in_pairs(stand: Stand, refused: Refused) -> None:
    """Whatever runs them, each has an id of its own, of 1 to 64 characters."""
    refuses(stand, refused)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("length", [1, 64])
def test_a_pair_is_shown_to_the_model(stand: Stand, kind: str, length: int) -> None:
    """As a function and what it gave, under one id, short enough for any upstream."""
    output = answered(kind, "x" * length)
    if kind == "computer_call":
        image = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        output["output"] = {"type": "computer_screenshot", "image_url": image}
    call, answer, *_ = stand.heard(input=[written(kind, "x" * length), output])
    assert ("assistant", "tool") == (call["role"], answer["role"])
    id = call["tool_calls"][0]["id"]
    assert id == answer["tool_call_id"]
    assert 0 < len(id) <= MOST_OF_AN_ID
    assert length > MOST_OF_AN_ID or id == "x" * length


@pytest.mark.parametrize("kind", NAMES)
def test_an_output_before_its_call_answers_nothing(stand: Stand, kind: str) -> None:
    """Nobody can answer what was not asked yet."""
    message = f"No tool call found for {NAMES[kind]} call output with call_id call_1."
    refuses(stand, bare(message, answered(kind), written(kind)))


@pytest.mark.parametrize("kind", CALLED)
@pytest.mark.parametrize("way", ["chain", "conversation", "resent"])
def test_a_call_of_the_model_waits_for_its_output(stand: Stand, kind: str, way: str) -> None:
    """However the conversation goes on; and is answered once."""
    first: Json = {"input": "Go!", "tools": [TOOLS[kind]]}
    if way == "conversation":
        first["conversation"] = stand.post({}, "/v1/conversations").json()["id"]
    stand.model.will(calls(*CALLED[kind]))
    made = stand.made(**first)
    call_id = made["output"][-1]["call_id"]

    def on(*items: Json) -> httpx.Response:
        match way:
            case "chain":
                return stand.ask(input=[*items], previous_response_id=made["id"])
            case "conversation":
                return stand.ask(input=[*items], conversation=first["conversation"])
            case _:
                return stand.ask(input=[HI, *made["output"], *items])

    name = NAMES[kind]
    assert (400, "input", None, f"No tool output found for {name} call {call_id}.") == said(on(HI))
    stray = f"No tool call found for {name} call output with call_id other."
    assert (400, "input", None, stray) == said(on(answered(kind, "other")))
    for twice in ([answered(kind, call_id)] * 2, [written(kind, call_id), answered(kind, call_id)]):
        status, param, code, message = said(on(*twice))
        assert (400, "input", None) == (status, param, code)
        assert message.startswith("Duplicate ")
        assert call_id in message
    assert 200 == on(*outputs(made)).status_code
    assert call_id == stand.model.heard[-1]["tool_call_id"]


def test_an_output_is_not_given_again_to_a_later_response(stand: Stand) -> None:
    """Nor is a call that is in the history called again by a client."""
    stand.model.will(calls(*CALLED["function_call"]))
    first = stand.made(tools=[FUNCTION])
    second = stand.made(input=outputs(first), previous_response_id=first["id"])
    call_id = first["output"][-1]["call_id"]
    message = f"Duplicate call_id: '{call_id}' stands more than once in the conversation."
    for items in (outputs(first), [written("function_call", call_id), *outputs(first)]):
        answer = stand.ask(input=items, previous_response_id=second["id"])
        assert (400, "input", None, message) == said(answer)


@pytest.mark.parametrize("kind", NAMES)
def test_any_call_may_be_answered_as_a_function(stand: Stand, kind: str) -> None:
    """Clients that know functions alone do so."""
    *_, heard = stand.heard(input=[written(kind), answered("function_call")])
    assert ("call_1", "Rain.") == (heard["tool_call_id"], heard["content"])


# References


@pytest.mark.parametrize(
    "id", ["msg_x", "rs_x", "x" * 100, "' OR 1=1 --", "\x00", "é", "../etc/passwd", "msg_" + 48 * "0"]
)
def test_a_reference_to_nothing_is_not_found(stand: Stand, id: str) -> None:
    """In the words that clients look for."""
    for reference in ({"type": "item_reference", "id": id}, {"id": id}):
        refuses(stand, bare(NOT_FOUND.format(id), HI, reference, status=404))


def test_a_long_reference_is_cut_in_the_answer(stand: Stand) -> None:
    """And so is one to a drawing."""
    for kind in ("item_reference", "image_generation_call"):
        message = NOT_FOUND.format("x" * 100 + "...")
        refuses(stand, bare(message, {"type": kind, "id": "x" * 5000}, status=404))


def test_only_what_is_kept_of_the_callers_own_is_found(stand: Stand) -> None:
    """Not what is somebody else's, was not stored, or was deleted."""
    kept, lost = stand.made(), stand.made(store=False)
    mine, gone = kept["output"][0]["id"], lost["output"][0]["id"]
    body = {"model": "m", "input": [{"type": "item_reference", "id": mine}]}
    assert (404, "input", None, NOT_FOUND.format(mine)) == said(stand.post(body, key="key-b"))
    refuses(stand, bare(NOT_FOUND.format(gone), {"type": "item_reference", "id": gone}, status=404))
    stand.client.delete(f"/v1/responses/{kept['id']}", headers={"api-key": "key-a"}).raise_for_status()
    refuses(stand, bare(NOT_FOUND.format(mine), {"type": "item_reference", "id": mine}, status=404))


def test_a_reference_brings_what_it_names(stand: Stand) -> None:
    """In its place, and once."""
    stand.model.will(says("Yes."))
    item = stand.made()["output"][0]["id"]
    heard = stand.heard(input=[{"role": "user", "content": "One"}, {"id": item}, {"role": "user", "content": "Two"}])
    assert ["One", "Yes.", "Two"] == [message["content"] for message in heard]
    refuses(stand, bare(f"Duplicate item found with id {item}. {AGAIN}", {"id": item}, {"id": item}))


# Thoughts

ALONE = "Item '{0}' of type 'reasoning' was provided without its required following item."
THOUGHTS = [
    bare(ALONE.format("rs_x"), THOUGHT),
    bare(ALONE.format("rs_x"), HI, THOUGHT),
    bare(ALONE.format("rs_y"), HI, THOUGHT, {**THOUGHT, "id": "rs_y"}),
    bare(ALONE.format("rs_x"), HI, {**THOUGHT, "summary": [], "encrypted_content": "abc"}),
    bare(f"Duplicate item found with id rs_x. {AGAIN}", THOUGHT, {"role": "assistant", "content": "x"}, THOUGHT),
    missing({"input": [HI, {"type": "reasoning", "id": "rs_x"}]}, "input[1].summary"),
    missing({"input": [HI, {**THOUGHT, "summary": [{"type": "summary_text"}]}]}, "input[1].summary[0].text"),
    word(
        {"input": [HI, {**THOUGHT, "summary": [{"type": "text", "text": "x"}]}]},
        "input[1].summary[0].type",
        "text",
        "summary_text",
    ),
]


@ids(THOUGHTS)
def test_a_thought_leads_to_something(stand: Stand, refused: Refused) -> None:
    """It is not the last of an input, and it is whole."""
    refuses(stand, refused)


def test_a_thought_of_a_kept_response_needs_what_it_led_to(stand: Stand) -> None:
    """As it is sent back without the message; in the middle it is left out."""
    stand.model.will(turn({"reasoning_content": "Well."}, {"content": "Yes."}))
    made = stand.made(reasoning={"summary": "auto"})
    assert ["reasoning", "message"] == kinds(made)
    thought = made["output"][0]
    refuses(stand, bare(ALONE.format(thought["id"]), HI, thought))
    heard = stand.heard(input=[HI, thought, {"role": "user", "content": "And?"}])
    assert ["user", "user"] == [message["role"] for message in heard]


# Tools and settings that an input brings


def brings(*tools: Json) -> Json:
    """An input that brings tools."""
    return {"input": [HI, {"type": "additional_tools", "role": "developer", "tools": [*tools]}]}


def updates(**settings: Json) -> Json:
    """An input that changes settings."""
    return {"input": [{"type": "configuration_update", **settings}, HI]}


def strictly(**schema: Json) -> Json:
    """A format of a schema."""
    return {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": schema}}


AT = "input[1].tools[0]"
SCHEMA = f"Invalid schema for function 'f': In context=(), {CLOSE}"
TWICE = "Duplicate {0} stands more than once in 'tools'."
SETTINGS = [
    Refused(brings(LOOSE), f"{AT}.parameters", "invalid_function_parameters", SCHEMA),
    Refused(
        brings({"type": "namespace", "name": "n", "description": "", "tools": [LOOSE]}),
        f"{AT}.tools[0].parameters",
        "invalid_function_parameters",
        SCHEMA,
    ),
    Refused(
        {"input": [written("tool_search_call"), {**answered("tool_search_call"), "tools": [LOOSE]}]},
        f"{AT}.parameters",
        "invalid_function_parameters",
        SCHEMA,
    ),
    Refused(
        brings(FUNCTION, CUSTOM, FUNCTION), "input[1].tools[2].name", "invalid_value", TWICE.format("tool name: 'f'")
    ),
    missing(brings({"type": "mcp", "server_label": "s"}), f"{AT}.server_url"),
    missing(brings({}), f"{AT}.type"),
    missing(brings({"type": "namespace", "name": "n", "tools": [FUNCTION]}), f"{AT}.description"),
    empty("array", brings({"type": "namespace", "name": "n", "description": "", "tools": []}), f"{AT}.tools"),
    long(brings({**FUNCTION, "name": "x" * 129}), f"{AT}.name", 128),
    Refused(
        updates(text=strictly(**OPEN)),
        "input[0].text.format.schema",
        "invalid_json_schema",
        f"Invalid schema for response_format 'n': In context=(), {CLOSE}",
    ),
    Refused(
        updates(text={"format": {"type": "json_object"}}),
        "input",
        None,
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
    ),
    word(
        updates(reasoning={"effort": "heroic"}),
        "input[0].reasoning.effort",
        "heroic",
        *("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    ),
    word(updates(text={"verbosity": "loud"}), "input[0].text.verbosity", "loud", "low", "medium", "high"),
]


@ids(SETTINGS)
def test_what_an_input_brings_keeps_to_the_rules_of_a_request(stand: Stand, refused: Refused) -> None:
    """Tools and settings are no better for standing among the items."""
    refuses(stand, refused)


NOTHING = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."


@pytest.mark.parametrize(
    "items",
    [
        [{"type": "additional_tools", "role": "developer", "tools": [FUNCTION]}],
        [{"type": "configuration_update", "reasoning": {"effort": "low"}}],
        [{"type": "reasoning", "id": "rs_x", "summary": []}],
        [{"type": "mcp_list_tools", "id": "mcpl_x", "server_label": "s", "tools": []}],
        [{**WRITTEN["function_call"], "call_id": "c", "status": "incomplete"}],
        [{"type": "compaction_trigger"}],
    ],
)
def test_an_input_in_which_nothing_is_said_is_refused(stand: Stand, items: list[Json]) -> None:
    """A model would be shown no message at all."""
    refuses(stand, Refused({"input": items}, "input", "missing_required_parameter", NOTHING))


def test_outputs_of_every_kind_are_known_to_this_test() -> None:
    """A kind that is added is tested with the others."""
    assert WRITTEN.keys() == OUTPUTS.keys()
    assert CALLED.keys() | {"computer_call"} == WRITTEN.keys()
