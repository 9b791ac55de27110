"""Tests of what is quoted of items, for operators who ask for it."""

from __future__ import annotations

import json

from antiphon.engine.quoting import LONGEST_ITEM, QUOTED_CHARACTERS, messages, quoted
from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Item, Message, ReasoningItem


def said(text: str, role: str = "user") -> Message:
    """A message of one part."""
    part = OutputText(text=text) if role == "assistant" else InputText(text=text)
    return Message(id="msg_1", role=role, content=[part])  # type: ignore[arg-type]  # any role


def test_the_latest_items_are_kept_and_long_ones_cut() -> None:
    """Of a long conversation its end is quoted, in its order."""
    items = [said(f"{number} " + LONGEST_ITEM * "x") for number in range(9)]
    lines = quoted(items).splitlines()
    assert 0 < len(lines) < len(items)
    assert all(len(line) <= LONGEST_ITEM + 40 for line in lines)
    assert '"text":"8 ' in lines[-1]


def test_messages_are_json_in_the_words_of_the_conventions() -> None:
    """Who said what, calls and what came of them; whatever else there is under its own type."""
    items: list[Item] = [
        said("What is the time?"),
        ReasoningItem(id="rs_1", summary=[]),
        FunctionCall(id="fc_1", call_id="call_1", name="clock", arguments="{}"),
        FunctionCallOutput(id="fco_1", call_id="call_1", output="noon"),
        FunctionCallOutput(id="fco_2", call_id="call_1", output=[InputText(text="noon")]),
    ]
    told = json.loads(messages(items))
    assert ["user", "assistant", "assistant", "tool", "tool"] == [each["role"] for each in told]
    assert {"type": "text", "content": "What is the time?"} == told[0]["parts"][0]
    assert "reasoning" == told[1]["parts"][0]["type"]
    assert {"type": "tool_call", "id": "call_1", "name": "clock", "arguments": "{}"} == told[2]["parts"][0]
    assert {"type": "tool_call_response", "id": "call_1", "response": "noon"} == told[3]["parts"][0]
    assert [{"type": "input_text", "text": "noon"}] == json.loads(told[4]["parts"][0]["response"])


def test_what_a_model_said_tells_why_it_ended_and_is_bounded() -> None:
    """However much it was."""
    told = messages([said(LONGEST_ITEM * "é\n", "assistant") for _ in range(50)], reason="stop")
    assert len(told) <= QUOTED_CHARACTERS + 50
    assert {"stop"} == {each["finish_reason"] for each in json.loads(told)}
