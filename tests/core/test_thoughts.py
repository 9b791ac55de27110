"""Which of its thoughts a model sees again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from antiphon.core.deltas import Cited, Finish, Keepsake, Refused, Summary, Text, Thought
from antiphon.core.thoughts import removed, unsealed, visible
from antiphon.core.turn import Thinking
from antiphon.protocol.content import InputText, ReasoningText, RefusalPart, UrlCitation
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Item, Message, ReasoningItem
from antiphon.protocol.response import InputTransformation
from tests.core.stage import ADDED, DONE, TEXT, names, opened

if TYPE_CHECKING:
    from antiphon.core.deltas import Delta

KINDS = ("user", "assistant", "developer", "thought", "call", "output")
MODELS = ("mine", "other")


def made(kind: str, id: str) -> Item:
    """An item of a kind."""
    match kind:
        case "thought":
            return ReasoningItem(id=id, summary=[])
        case "call":
            return FunctionCall(id=id, call_id=id, name="f", arguments="{}")
        case "output":
            return FunctionCallOutput(id=id, call_id=id, output="1")
        case _:
            return Message(id=id, role=kind, content=[InputText(text="a")])  # type: ignore[arg-type]  # one of the roles


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(MODELS)), max_size=9), st.booleans())
def test_a_model_sees_its_own_thoughts_of_this_turn_or_of_all(kinds: list[tuple[str, str]], every: bool) -> None:  # noqa: FBT001 - drawn
    """A turn begins with the last thing that a user said."""
    items = [made(kind, str(number)) for number, (kind, _) in enumerate(kinds)]
    thoughts = {str(number): Thinking(text=str(number), model=model) for number, (_, model) in enumerate(kinds)}
    said = max((number for number, (kind, _) in enumerate(kinds) if kind == "user"), default=0)
    expected = {
        str(number)
        for number, (kind, model) in enumerate(kinds)
        if (kind, model) == ("thought", "mine") and (every or number >= said)
    }
    found = visible(items, thoughts, model="mine", every_turn=every)
    assert expected == set(found)
    assert found == {id: thoughts[id] for id in expected}


def test_a_thought_of_which_nothing_is_known_is_not_seen() -> None:
    """Its item is there, and no more."""
    assert {} == visible([ReasoningItem(id="rs_1", summary=[])], {}, model="mine", every_turn=True)


def test_what_came_without_a_sealed_form_is_what_its_item_shows() -> None:
    """Its raw text, all of it, or nothing."""
    raw = ReasoningItem(id="rs_1", summary=[], content=[ReasoningText(text="a"), ReasoningText(text="b")])
    assert Thinking(text="ab", model="m") == unsealed(raw, "m")
    assert Thinking(model="m") == unsealed(ReasoningItem(id="rs_1", summary=[]), "m")


def test_what_another_model_thought_is_named() -> None:
    """In the order of the conversation."""
    thoughts = {"a": Thinking(model="other"), "b": Thinking(model="mine"), "c": Thinking(model="third")}
    assert [InputTransformation(id=id, reason="model_mismatch") for id in "ac"] == removed(thoughts, model="mine")
    assert [] == removed({}, model="mine")


def test_raw_text_and_a_summary_of_the_upstreams_may_stand_in_one_item() -> None:
    """Each in parts of its own; nothing is told that is empty."""
    said: list[Delta] = [Thought("a"), Summary("S", 0), Summary("T", 1), Thought("b"), Keepsake("signature", "t")]
    machine = opened(raw=True)
    told = names(machine.feed([*said, Text("So."), Finish()]))
    raw = ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]
    summary = [f"reasoning_summary_{each}" for each in ("part.added", "text.delta", "text.done", "part.done")]
    assert [ADDED, *raw, *summary, *summary, *raw, DONE, *TEXT] == told
    (item, _) = machine.finished
    assert isinstance(item, ReasoningItem)
    assert (["S", "T"], [ReasoningText(text="a"), ReasoningText(text="b")]) == (
        [part.text for part in item.summary],
        item.content,
    )
    assert {item.id: Thinking(text="ab", form="signature", token="t")} == machine.thoughts


@pytest.mark.parametrize("raw", [False, True])
def test_raw_text_that_is_private_is_kept_and_shown_only_with_all_raw_text(raw: bool) -> None:  # noqa: FBT001 - drawn
    """The model has it again; a summary that the upstream wrote stands alone where thoughts are not shown."""
    machine = opened(raw=raw)
    told = names(machine.feed([Thought("Hm.", is_private=True), Summary("Short.", 0), Finish()]))
    summary = [f"reasoning_summary_{each}" for each in ("part.added", "text.delta", "text.done", "part.done")]
    text = ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]
    assert [ADDED, *(text if raw else []), *summary, DONE] == told
    (item,) = machine.finished
    assert isinstance(item, ReasoningItem)
    assert ["Short."] == [part.text for part in item.summary]
    assert ([ReasoningText(text="Hm.")] if raw else UNSET) == item.content
    assert {item.id: Thinking(text="Hm.")} == machine.thoughts


def test_what_an_upstream_wants_back_stands_for_a_thought_that_nobody_sees() -> None:
    """Each is an item of its own."""
    machine = opened()
    machine.feed([Keepsake("redacted", "x"), Keepsake("redacted", "y"), Finish()])
    assert [ReasoningItem(id=f"rs_{at}", summary=[]) for at in range(2)] == machine.finished
    assert ["x", "y"] == [thinking.token for thinking in machine.thoughts.values()]


def test_a_citation_without_a_text_is_dropped() -> None:
    """Before a message, and in a refusal."""
    citation = Cited(UrlCitation(url="https://a.example", title="", start_index=0, end_index=1))
    machine = opened()
    machine.feed([citation, Refused("No."), citation, Finish()])
    (item,) = machine.finished
    assert isinstance(item, Message)
    assert [RefusalPart(refusal="No.")] == item.content
