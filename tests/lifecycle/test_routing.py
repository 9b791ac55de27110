"""Routing: which rule is for a request, and rules that lead nowhere."""

from __future__ import annotations

import pytest

from antiphon.lifecycle.routing import Asked, Rule, circle, routed
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import FunctionCallOutput, Item, Message
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.settings import Reasoning
from antiphon.protocol.tools import FunctionTool

TOOL = FunctionTool(name="f", parameters=None, strict=False)
PICTURE = Message(id="m1", role="user", content=[InputImage(image_url="data:image/png;base64,AAAA")])
RULES = {
    "router": [
        Rule("large", effort=["high", "xhigh"]),
        Rule("able", tools=True),
        Rule("seeing", images=True),
        Rule("long", min_input_tokens=1000),
        Rule("small"),
    ]
}


def said(text: str = "Hi") -> Message:
    """What a user says."""
    return Message(id="m0", role="user", content=[InputText(text=text)])


def chosen(*items: Item, before: tuple[Item, ...] = (), **settings: object) -> str:
    """Who answers a request, by the rules above."""
    request = CreateResponse(input=list(items or (said(),)), **settings)  # type: ignore[arg-type]  # settings of any type
    return routed("router", RULES, Asked(request, before, {}))


def test_the_first_rule_that_fits_is_taken() -> None:
    """In the order of the configuration; the one without conditions is for everything else."""
    assert "small" == chosen()
    assert "large" == chosen(reasoning=Reasoning(effort="high"), tools=[TOOL])
    assert "able" == chosen(PICTURE, tools=[TOOL])
    assert "seeing" == chosen(PICTURE)
    assert "long" == chosen(said("word " * 2000))


def test_tools_that_may_not_be_called_are_none() -> None:
    """What the request says of its tools counts."""
    assert "small" == chosen(tools=[TOOL], tool_choice="none")


def test_effort_that_no_rule_names_chooses_nothing() -> None:
    """Nor does an effort that is not given."""
    assert "small" == chosen(reasoning=Reasoning(effort="low"))
    assert "small" == chosen(reasoning=Reasoning(effort=None))


def test_the_conversation_counts() -> None:
    """A picture that was shown before is shown to the model again, and so is what was said."""
    assert "seeing" == chosen(before=(PICTURE,))
    assert "long" == chosen(before=(said("word " * 2000),))
    shown = FunctionCallOutput(id="fco", call_id="c", output=[InputImage(image_url="https://example.com/a.png")])
    assert "seeing" == chosen(before=(shown,))


def test_a_rule_may_name_a_router() -> None:
    """Then that one's rules are asked."""
    routers = {"outer": [Rule("inner")], "inner": [Rule("m", tools=True), Rule("n")]}
    assert "n" == routed("outer", routers, Asked(CreateResponse(input=[said()]), [], {}))


def test_what_is_no_router_answers_itself() -> None:
    """Any other name stays as it is."""
    assert "m" == routed("m", RULES, Asked(CreateResponse(input=[said()]), [], {}))


def test_where_no_rule_fits_the_request_is_refused() -> None:
    """With words that name the model, before anybody is asked."""
    with pytest.raises(ApiError) as refusal:
        routed("router", {"router": [Rule("m", tools=True)]}, Asked(CreateResponse(input=[said()]), [], {}))
    assert (400, "no_fitting_model", "model") == (refusal.value.status, refusal.value.code, refusal.value.param)
    assert "'router'" in refusal.value.message


@pytest.mark.parametrize(
    ("routers", "expected"),
    [
        ({}, []),
        ({"a": [Rule("m")]}, []),
        ({"a": [Rule("m"), Rule("b")], "b": [Rule("m")]}, []),
        ({"a": [Rule("a")]}, ["a"]),
        ({"a": [Rule("m"), Rule("b")], "b": [Rule("a")]}, ["a", "b"]),
        ({"a": [Rule("b")], "b": [Rule("c")], "c": [Rule("b")]}, ["b", "c"]),
    ],
)
def test_rules_that_lead_in_a_circle_are_found(routers: dict[str, list[Rule]], expected: list[str]) -> None:
    """Each name leads to the next, and the last to the first."""
    assert expected == circle(routers)
