"""What an upstream is asked beside the conversation: golden requests, field by field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec import Raw
from msgspec.structs import replace

from antiphon.backends.anthropic import Config, to_count
from antiphon.backends.anthropic.traits import Traits
from antiphon.core.turn import Choice, Function, Hints, Thinking, Turn
from antiphon.protocol.content import CacheBreakpoint, InputFile, InputImage, InputText
from antiphon.protocol.items import Message, ReasoningItem
from antiphon.protocol.request import CacheRequest
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, FormatText, Reasoning, TextConfig
from antiphon.protocol.tool_settings import CustomGrammar
from tests.backends.anthropic.asked import (
    BUDGET,
    CONFIG,
    OFF,
    PIXEL,
    F,
    G,
    asked,
    assistant,
    call,
    heard,
    output,
    text,
    tool_result,
    user,
)

if TYPE_CHECKING:
    from typing import Any  # JSON

    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item
    from antiphon.protocol.request import ServiceTier
    from antiphon.protocol.settings import Effort

HI = Turn([user("Hi")])
FORGOTTEN = {"model", "system", "messages", "max_tokens", "stream"}
EPHEMERAL = {"type": "ephemeral"}
LONG = {"type": "ephemeral", "ttl": "1h"}


def settings(turn: Turn, config: Config = OFF, traits: Traits | None = None) -> dict[str, Any]:  # JSON
    """What is asked beside the conversation and the limit."""
    return {name: value for name, value in asked(turn, config, traits).items() if name not in FORGOTTEN}


def thinking(turn: Turn, config: Config, traits: Traits | None = None) -> Any:  # JSON
    """How the model is asked to think."""
    body = asked(turn, config, traits)
    return body.get("thinking"), body.get("output_config", {}).get("effort")


def test_only_what_the_turn_names_is_sent() -> None:
    """A bare turn leaves every default to the upstream, but for the limit, which the API wants named."""
    assert asked(HI) == {
        "model": "m",
        "messages": [heard(text("Hi"))],
        "max_tokens": 32_000,
        "stream": True,
    }


def test_every_setting_has_its_name_on_the_wire() -> None:
    """Those that the API knows."""
    turn = Turn(
        [user("Hi")],
        model="claude",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=99,
        hints=Hints(user="u-1", tier="default"),
        parallel_tool_calls=False,
        functions=[F],
    )
    body = asked(turn, Config(base_url="http://127.0.0.1:1", thinking="off"))
    assert ("claude", 99) == (body["model"], body["max_tokens"])
    assert settings(turn) == {
        "temperature": 0.5,
        "metadata": {"user_id": "u-1"},
        "service_tier": "standard_only",
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    }


@pytest.mark.parametrize(
    ("temperature", "top_p", "sent"),
    [(2.0, None, {"temperature": 1.0}), (0.0, 0.5, {"temperature": 0.0}), (None, 0.5, {"top_p": 0.5})],
)
def test_a_temperature_or_a_share_is_sent(temperature: float | None, top_p: float | None, sent: object) -> None:
    """Newer models take one of the two, and none above 1."""
    assert settings(Turn([user("Hi")], temperature=temperature, top_p=top_p)) == sent


@pytest.mark.parametrize(
    ("tier", "sent"), [("auto", "auto"), ("priority", "auto"), ("default", "standard_only"), ("flex", None)]
)
def test_tiers_are_translated(tier: ServiceTier, sent: str | None) -> None:
    """What the API has no word for is left out."""
    assert sent == asked(Turn([user("Hi")], hints=Hints(tier=tier))).get("service_tier")


def test_who_asks_is_told_by_the_newer_name_first() -> None:
    """The safety identifier, else the user."""
    hints = Hints(user="u", safety_identifier="s")
    assert {"user_id": "s"} == asked(Turn([user("Hi")], hints=hints))["metadata"]


# Tools

AUTO, ANY, NONE = {"type": "auto"}, {"type": "any"}, {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "parallel", "names", "sent"),
    [
        (Choice(), None, ["f", "g"], None),
        (Choice(), True, ["f", "g"], None),
        (Choice(), False, ["f", "g"], {**AUTO, "disable_parallel_tool_use": True}),
        (Choice("none"), False, ["f", "g"], NONE),
        (Choice("required"), None, ["f", "g"], ANY),
        (Choice("required"), False, ["f", "g"], {**ANY, "disable_parallel_tool_use": True}),
        (Choice("required", ["g"]), None, ["g"], {"type": "tool", "name": "g"}),
        (Choice("auto", ["g"]), None, ["g"], None),
        (Choice("auto", []), None, ["f", "g"], NONE),
    ],
)
def test_a_choice_is_told(choice: Choice, parallel: bool | None, names: list[str], sent: object) -> None:  # noqa: FBT001 - a row of a table
    """Only the functions that may be called are declared, unless none may."""
    body = asked(Turn([user("Hi")], functions=[F, G], choice=choice, parallel_tool_calls=parallel))
    assert (names, sent) == ([tool["name"] for tool in body["tools"]], body.get("tool_choice"))


def test_a_model_that_obeys_no_demand_is_asked_in_words() -> None:
    """In the last message, so that what stands before stays as it was."""
    turn = Turn(
        [user("Hi"), call("a"), output("a")], functions=[F, G], choice=Choice("required"), parallel_tool_calls=False
    )
    body = asked(turn, CONFIG, Traits(forces=False))
    demand = "<instructions>\nAnswer by a call, and not in words. You may call: f, g\n</instructions>"
    assert heard(tool_result("a"), text(demand)) == body["messages"][-1]
    assert {"type": "auto", "disable_parallel_tool_use": True} == body["tool_choice"]
    kept = asked(replace(turn, hints=KEYED), CONFIG, Traits(forces=False))["messages"][-1]["content"]
    assert [EPHEMERAL, None] == [block.get("cache_control") for block in kept]
    assert "tool_choice" not in asked(replace(turn, parallel_tool_calls=None), CONFIG, Traits(forces=False))


def test_descriptions_and_grammars_are_told() -> None:
    """A model that does not know grammars reads them."""
    grammar = CustomGrammar(syntax="lark", definition='start: "a"')
    bare = Function("bare", Raw(b'{"type":"object"}'), grammar=grammar)
    tools = asked(Turn([user("Hi")], functions=[F, G, bare, replace(bare, description="Says a.")]))["tools"]
    rule = 'Its input must fit this lark grammar:\nstart: "a"'
    assert [None, "Does g.", rule, f"Says a.\n\n{rule}"] == [tool.get("description") for tool in tools]


# Thinking

SUMMARIZED = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("effort", "sent"),
    [
        (None, (SUMMARIZED, None)),
        ("none", ({"type": "disabled"}, None)),
        ("minimal", (SUMMARIZED, "low")),
        ("low", (SUMMARIZED, "low")),
        ("max", (SUMMARIZED, "max")),
    ],
)
def test_a_model_that_thinks_as_it_likes_is_told_the_effort(effort: Effort | None, sent: object) -> None:
    """The API knows no least effort but low."""
    assert sent == thinking(Turn([user("Hi")], reasoning=Reasoning(effort=effort)), CONFIG)


def test_a_model_thinks_as_it_likes_where_nothing_is_said() -> None:
    """The operator says how, the caller may say how much."""
    assert (SUMMARIZED, None) == thinking(HI, CONFIG)


def test_a_model_that_cannot_rest_is_asked_for_little_and_keeps_its_thoughts() -> None:
    """Nothing is said of thinking then."""
    turn = Turn([user("Hi")], reasoning=Reasoning(effort="none"), temperature=0.5)
    assert {"output_config": {"effort": "low"}} == settings(turn, CONFIG, Traits(rests=False))
    assert {"thinking": {"type": "disabled"}, "temperature": 0.5} == settings(turn, CONFIG)
    assert {"thinking": {"type": "disabled"}} == settings(turn, CONFIG, Traits(samples=False))


def test_a_model_that_thinks_is_sent_no_temperature() -> None:
    """The API refuses it."""
    turn = Turn([user("Hi")], temperature=0.5, top_p=0.5, reasoning=Reasoning(effort="low"))
    for config in (CONFIG, BUDGET):
        assert not {"temperature", "top_p"} & settings(turn, config).keys()


@pytest.mark.parametrize(
    ("reasoning", "limit", "budget"),
    [
        (None, None, None),
        (Reasoning(), None, None),
        (Reasoning(effort="none"), None, None),
        (Reasoning(summary="auto"), None, 8192),
        (Reasoning(effort="minimal"), None, 1024),
        (Reasoning(effort="low"), None, 2048),
        (Reasoning(effort="high"), None, 16_384),
        (Reasoning(effort="max"), None, 25_600),
        (Reasoning(effort="high"), 2000, 1600),
        (Reasoning(effort="high"), 1279, None),
    ],
)
def test_a_budget_for_thoughts_fits_into_the_limit(reasoning: Reasoning, limit: int | None, budget: int | None) -> None:
    """A fifth of the limit is left for words; where the least budget does not fit, there is no thinking."""
    sent = None if budget is None else {"type": "enabled", "budget_tokens": budget}
    assert (sent, None) == thinking(Turn([user("Hi")], reasoning=reasoning, max_output_tokens=limit), BUDGET)


def test_a_demand_for_a_call_leaves_no_budget_for_thoughts() -> None:
    """The API refuses both at once: the demand counts."""
    turn = Turn(
        [user("Hi")],
        functions=[F],
        choice=Choice("required"),
        reasoning=Reasoning(effort="high"),
        temperature=0.5,
    )
    assert {"temperature", "tools", "tool_choice"} == settings(turn, BUDGET).keys()
    assert (SUMMARIZED, "high") == thinking(turn, CONFIG)
    assert ({"type": "disabled"}, None) == thinking(turn, CONFIG, Traits(forces_thoughtful=False))


def test_an_answer_that_began_without_a_thought_goes_on_without() -> None:
    """With a budget the API refuses to think in the middle of it; the next answer is thought about again."""
    loop: list[Item] = [user("?"), call("a"), output("a"), call("b"), output("b")]
    thinks = Reasoning(effort="low")
    signed = {"rs_1": Thinking(text="Hm.", form="signature", token="c2ln")}
    begun: list[Item] = [loop[0], ReasoningItem(id="rs_1", summary=[]), *loop[1:]]
    budget = {"type": "enabled", "budget_tokens": 2048}
    assert (None, None) == thinking(Turn(loop, reasoning=thinks), BUDGET)
    assert (budget, None) == thinking(Turn([*loop, assistant("."), user("?")], reasoning=thinks), BUDGET)
    assert (budget, None) == thinking(Turn(begun, reasoning=thinks, thoughts=signed), BUDGET)
    forgetful = Traits(thinking="budget", remembers=False)
    assert (None, None) == thinking(Turn(begun, reasoning=thinks, thoughts=signed), BUDGET, forgetful)


# The form of the answer

OBJECT = {"type": "object", "properties": {}, "additionalProperties": False}
JSON = "Answer with one JSON object and nothing else: no word and no code fence around it."


def test_a_schema_is_demanded_beside_the_effort() -> None:
    """By the API's own form."""
    form = FormatJsonSchema(name="n", schema_={"type": "object", "properties": {}}, strict=True)
    turn = Turn([user("Hi")], text=TextConfig(format=form), reasoning=Reasoning(effort="high"))
    assert {"effort": "high", "format": {"type": "json_schema", "schema": OBJECT}} == asked(turn, CONFIG)[
        "output_config"
    ]


def test_a_form_that_has_no_place_in_the_request_is_demanded_in_words() -> None:
    """Any object; and a schema, of a model that takes none."""
    form = FormatJsonSchema(name="n", schema_={"type": "object"})
    anything, fitting, plain = (
        Turn([user("Hi")], instructions="Go.", text=TextConfig(format=each))
        for each in (FormatJsonObject(), form, FormatText())
    )
    assert [text("Go."), text(JSON)] == asked(anything)["system"]
    assert [text("Go.")] == asked(plain)["system"]
    body = asked(fitting, CONFIG, Traits(configures=False))
    assert [text("Go."), text(f'{JSON} It must fit this JSON Schema:\n{{"type":"object"}}')] == body["system"]
    assert "output_config" not in body


# The cache


def marks(body: Any) -> list[Any]:  # JSON
    """The marks of a request: those of tools and system, and those of each message's blocks."""
    blocks = [*body.get("tools", []), *body.get("system", [])]
    blocks += [block for message in body["messages"] for block in message["content"]]
    return [block.get("cache_control") for block in blocks]


KEYED = Hints(prompt_cache_key="k")
TOLD = Turn([user("a"), assistant("b"), user("c")], instructions="i", functions=[F, G])


@pytest.mark.parametrize(
    ("cache", "hints", "marked"),
    [
        ("asked", Hints(), None),
        ("asked", KEYED, EPHEMERAL),
        ("always", Hints(), EPHEMERAL),
        ("never", KEYED, None),
        ("asked", Hints(prompt_cache_retention="in_memory"), EPHEMERAL),
        ("asked", Hints(prompt_cache_retention="24h"), LONG),
        ("asked", Hints(prompt_cache_options=CacheRequest(ttl="12h")), LONG),
        ("asked", Hints(prompt_cache_options=CacheRequest(mode="explicit")), None),
    ],
)
def test_the_ends_of_tools_system_and_messages_are_kept(cache: str, hints: Hints, marked: object) -> None:
    """Where the request or the operator wants it."""
    config = replace(OFF, cache=cache)  # the type is that of a parameter of the test
    body = asked(replace(TOLD, hints=hints), config)
    assert [None, marked, marked, None, None, marked] == marks(body)


def test_without_tools_and_system_the_end_of_the_messages_is_kept() -> None:
    """There is nothing else to mark."""
    assert [EPHEMERAL] == marks(asked(Turn([user("a")], hints=KEYED)))
    body = asked(Turn([user("?"), call("a"), output("a")], hints=KEYED))
    assert {**tool_result("a"), "cache_control": EPHEMERAL} == body["messages"][-1]["content"][-1]


def test_the_last_of_the_callers_marks_are_kept_and_four_in_all() -> None:
    """Those at the ends come first; where the caller wants its own alone, there are none at the ends."""
    at = CacheBreakpoint(mode="explicit")
    parts: list[MessagePart] = [
        InputText(text="1", prompt_cache_breakpoint=at),
        InputImage(image_url=PIXEL, prompt_cache_breakpoint=at),
    ]
    more: list[MessagePart] = [InputFile(file_url="https://x", prompt_cache_breakpoint=at), InputText(text="4")]
    system = Message(role="system", content=[InputText(text="s", prompt_cache_breakpoint=at), InputText(text="t")])
    items: list[Item] = [
        system,
        Message(role="user", content=parts),
        assistant("b"),
        Message(role="user", content=more),
    ]
    alone = asked(Turn(items))
    assert [EPHEMERAL, None, EPHEMERAL, EPHEMERAL, None, EPHEMERAL, None] == marks(alone)
    within = asked(Turn(items, functions=[F], hints=KEYED))
    assert [EPHEMERAL, None, EPHEMERAL, None, None, None, EPHEMERAL, EPHEMERAL] == marks(within)
    last = Message(role="user", content=[InputText(text=str(each), prompt_cache_breakpoint=at) for each in range(6)])
    assert [None, None, *[EPHEMERAL] * 4] == marks(asked(Turn([last])))
    long = CacheBreakpoint(mode="explicit", ttl="30m")
    assert [LONG] == marks(
        asked(Turn([Message(role="user", content=[InputText(text="x", prompt_cache_breakpoint=long)])]))
    )
    assert [None] * 7 == marks(asked(Turn(items), replace(OFF, cache="never")))


def test_marks_within_results_and_instructions_by_the_user_are_not_made() -> None:
    """The places of a prompt are its messages."""
    at = CacheBreakpoint(mode="explicit")
    late = Message(role="developer", content=[InputText(text="l", prompt_cache_breakpoint=at)])
    assert [None, None] == marks(asked(Turn([user("a"), late])))


# Counting


def test_what_counts_is_asked_for() -> None:
    """The conversation, the tools and how it is thought about, and nothing that is but for an answer."""
    turn = Turn(TOLD.items, functions=[F], instructions="i", temperature=0.5, hints=Hints(user="u"))
    counted = json.loads(to_count(turn, CONFIG))
    assert {"model", "system", "messages", "tools", "thinking"} == counted.keys()
    assert counted["messages"] == asked(turn, CONFIG)["messages"]
