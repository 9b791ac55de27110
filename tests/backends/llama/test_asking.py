"""What a turn becomes before the embedded model is asked."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from antiphon.backends import UpstreamError
from antiphon.backends.llama.asking import asked
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Item, Message
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, FormatText, TextConfig
from antiphon.protocol.tool_settings import CustomGrammar

ITEMS: list[Item] = [Message(role="user", content=[InputText(text="hi")])]
ONE = Function("one", Raw(b'{"type":"object","properties":{"a":{"type":"string","pattern":"^\\\\d$"}}}'))
TWO = Function("two", Raw(b'{"type":"object"}'))


def test_no_function_is_shown_where_none_may_be_called() -> None:
    """llama.cpp would put the functions into the prompt all the same."""
    question = asked(Turn(ITEMS, functions=[ONE, TWO], choice=Choice("none")))
    assert not question.forced
    assert question.turn.functions == []


def test_only_the_allowed_functions_are_shown() -> None:
    """llama.cpp knows no list of allowed functions."""
    question = asked(Turn(ITEMS, functions=[ONE, TWO], choice=Choice("auto", ["two"])))
    assert not question.forced
    assert [function.name for function in question.turn.functions] == ["two"]
    assert question.turn.choice == Choice("auto")


@pytest.mark.parametrize("choice", [Choice("required"), Choice("required", ["one"])])
def test_a_call_that_must_be_made_is_forced(choice: Choice) -> None:
    """llama.cpp's own way is no guarantee."""
    question = asked(Turn(ITEMS, functions=[ONE, TWO], choice=choice))
    assert question.forced
    assert question.turn.functions == []
    assert ('"name":"two"' in (question.turn.instructions or "")) == (choice.names is None)


@pytest.mark.parametrize(("given", "sent"), [(None, True), (True, True), (False, False)])
def test_calls_at_once_are_allowed_unless_they_are_forbidden(*, given: bool | None, sent: bool) -> None:
    """The API's default is many, llama.cpp's is one."""
    assert asked(Turn(ITEMS, functions=[TWO], parallel_tool_calls=given)).turn.parallel_tool_calls is sent


def test_patterns_of_functions_are_made_fit() -> None:
    """The grammar of a call must not break its JSON."""
    function = asked(Turn(ITEMS, functions=[ONE])).turn.functions[0]
    assert msgspec.json.decode(function.parameters)["properties"]["a"]["pattern"] == "^[0-9]$"


@pytest.mark.parametrize(("form", "forced"), [(FormatText(), False), (FormatJsonObject(), True)])
def test_json_and_functions_together_are_one_choice_of_the_grammar(
    form: FormatText | FormatJsonObject, *, forced: bool
) -> None:
    """llama.cpp would follow the schema and never call."""
    assert asked(Turn(ITEMS, functions=[TWO], text=TextConfig(format=form))).forced is forced


def test_a_schema_and_functions_together_are_both_told() -> None:
    """The model reads what it may call and what an answer looks like."""
    form = FormatJsonSchema(name="x", schema_={"type": "object", "description": "A day"})
    question = asked(Turn(ITEMS, functions=[TWO], text=TextConfig(format=form)))
    assert question.forced
    assert '"name":"two"' in (question.turn.instructions or "")
    assert '{"type":"object","description":"A day"}' in (question.turn.instructions or "")


def test_the_schema_of_the_text_is_shown_to_the_model() -> None:
    """Descriptions in a schema are meant to be read."""
    form = FormatJsonSchema(name="x", schema_={"type": "object", "description": "A day"})
    turn = asked(Turn(ITEMS, instructions="Be brief.", text=TextConfig(format=form))).turn
    assert turn.instructions == (
        'Be brief.\n\nReply with JSON that fits this JSON Schema:\n{"type":"object","description":"A day"}'
    )
    assert isinstance(turn.text, TextConfig)
    assert isinstance(turn.text.format, FormatJsonSchema)
    assert turn.text.format.schema_["$ref"] == "#/$defs/root"


def test_a_turn_without_wishes_stays_as_it_is() -> None:
    """Sampling and the rest are for the inner backend."""
    turn = Turn(ITEMS, instructions="Be brief.", temperature=0.5, max_output_tokens=7, choice=Choice("none"))
    assert asked(turn).turn == turn


BAD: dict[str, object] = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/a"}},
    "$defs": {"a": {"$ref": "#/$defs/a"}},
}


@pytest.mark.parametrize("param", ["tools", "text.format.schema"])
def test_a_schema_that_would_bring_the_engine_down_is_the_callers_fault(param: str) -> None:
    """The error names the parameter that holds the schema, be it a strict function or the text."""
    function = Function("bad", Raw(msgspec.json.encode(BAD)), strict=True)
    form = FormatJsonSchema(name="x", schema_=BAD)
    turn = Turn(ITEMS, functions=[function]) if param == "tools" else Turn(ITEMS, text=TextConfig(format=form))
    with pytest.raises(UpstreamError, match="refers to itself") as caught:
        asked(turn)
    assert (caught.value.fault, caught.value.param) == ("invalid_request", param)


def test_a_schema_of_the_text_is_at_fault_beside_functions_too() -> None:
    """Not the functions, which are well."""
    turn = Turn(ITEMS, functions=[ONE], text=TextConfig(format=FormatJsonSchema(name="x", schema_=BAD)))
    with pytest.raises(UpstreamError, match="refers to itself") as caught:
        asked(turn)
    assert caught.value.param == "text.format.schema"


@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize("raw", [msgspec.json.encode(BAD), b"5", b"[" * 5000 + b"]" * 5000, b'{"minimum":1e999}'])
def test_a_function_that_cannot_be_followed_takes_any_object_and_the_others_stay(mode: str, raw: bytes) -> None:
    """A server of somebody else's does not spoil the turn."""
    choice = msgspec.convert({"mode": mode}, Choice)
    turn = asked(Turn(ITEMS, functions=[Function("bad", Raw(raw)), ONE], choice=choice)).turn
    anything = {"type": "object", "properties": {}, "additionalProperties": True}
    match turn.text:
        case TextConfig(format=FormatJsonSchema(schema_=schema)):
            assert schema["$defs"]["s0"] == anything
            assert "pattern" in schema["$defs"]["s1"]["properties"]["a"]
            assert raw.decode() not in (turn.instructions or "")
        case _:
            assert msgspec.json.decode(turn.functions[0].parameters) == anything
            assert b"pattern" in bytes(turn.functions[1].parameters)


def test_definitions_of_two_functions_have_names_of_their_own() -> None:
    """llama.cpp would take the one for the other."""
    schemas = [{"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"const": each}}} for each in (1, 2)]
    functions = [Function(f"f{each}", Raw(msgspec.json.encode(schema))) for each, schema in enumerate(schemas)]
    first, second = [
        msgspec.json.decode(each.parameters) for each in asked(Turn(ITEMS, functions=functions)).turn.functions
    ]
    assert (first["$defs"], second["$defs"]) == ({"f0a": {"const": 1}}, {"f1a": {"const": 2}})


def test_the_functions_of_a_turn_share_what_the_engine_can_bear() -> None:
    """The first are followed to the letter, the last take any object."""
    wide = Raw(msgspec.json.encode({"type": "object", "properties": {f"p{n}": {} for n in range(400)}}))
    functions = asked(Turn(ITEMS, functions=[Function(f"f{n}", wide) for n in range(20)])).turn.functions
    assert len(msgspec.json.decode(functions[0].parameters)["properties"]) == 400
    assert msgspec.json.decode(functions[-1].parameters)["properties"] == {}


INPUT = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
DIGITS = Function("custom", INPUT, grammar=CustomGrammar(syntax="regex", definition="[0-9]{3}"))


def test_a_grammar_is_a_pattern_that_the_arguments_are_held_to() -> None:
    """llama.cpp holds every call to the schema of its function."""
    function = asked(Turn(ITEMS, functions=[DIGITS])).turn.functions[0]
    assert "[0-9]{3}" in msgspec.json.decode(function.parameters)["properties"]["input"]["pattern"]


def test_a_grammar_holds_for_a_forced_call_and_is_not_for_the_model_to_read() -> None:
    """The schema has its pattern, the instructions have not."""
    turn = asked(Turn(ITEMS, functions=[DIGITS], choice=Choice("required"))).turn
    assert turn.text is not None
    assert "[0-9]{3}" in msgspec.json.encode(turn.text.format).decode()
    assert "[0-9]{3}" not in (turn.instructions or "")
