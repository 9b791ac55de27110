"""Calls that must be made."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from antiphon.backends.llama.forced import ForcedCall, force
from antiphon.core.deltas import Call, Delta, Text
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Item, Message
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, TextConfig

WEATHER = Function(
    "weather", Raw(b'{"properties":{"city":{"$ref":"#/$defs/c"}},"$defs":{"c":{"type":"string"}}}'), "The sky"
)
MAIL = Function("mail", Raw(b'{"type":"object","properties":{}}'))
ITEMS: list[Item] = [Message(role="user", content=[InputText(text="hi")])]

SPOKEN = '\n{ "name": "mail",\n "arguments" : {\n "to": "a \\" } {b\\\\",\n "n": [1, {"x": "é 🌞"}], "e": {} } } \n'
ARGUMENTS = '{"to":"a \\" } {b\\\\","n":[1,{"x":"é 🌞"}],"e":{}}'


def heard(pieces: list[str]) -> list[Delta]:
    """All deltas of a text that comes in pieces."""
    reader = ForcedCall()
    return [delta for piece in pieces for delta in reader.feed(piece)]


@pytest.mark.parametrize("cut", range(len(SPOKEN) + 1))
def test_a_call_is_the_same_wherever_its_text_is_cut(cut: int) -> None:
    """The name comes first and whole, the arguments add up, and nothing behind them is heard."""
    first, *rest = heard([SPOKEN[:cut], SPOKEN[cut:]])
    assert first == Call("0", "mail")
    assert "".join(delta.arguments for delta in rest if isinstance(delta, Call)) == ARGUMENTS
    assert all(isinstance(delta, Call) and delta.name == "" for delta in rest)


def test_arguments_stream_as_they_come() -> None:
    """Every character of the arguments is handed on with the piece that brings it."""
    reader = ForcedCall()
    assert (reader.feed('{"name": "mail", "argum'), reader.begun) == ([], False)
    said = [Call("0", "mail"), Call("0", arguments='{"a')]
    assert (reader.feed('ents": {"a'), reader.begun) == (said, True)
    assert reader.feed('": 1') == [Call("0", arguments='":1')]
    assert reader.feed("}}") == [Call("0", arguments="}")]
    assert reader.feed("}\n") == []


@pytest.mark.parametrize(
    ("value", "expected"), [("5", "5"), ('"a b"', '"a b"'), ("null ", "null"), ("[1, 2]", "[1,2]")]
)
def test_an_answer_is_text_of_any_json(value: str, expected: str) -> None:
    """Where the model may answer, what it answers is text."""
    deltas = heard(list(f'{{"answer": {value}}}'))
    assert "".join(delta.text for delta in deltas if isinstance(delta, Text)) == expected
    assert all(isinstance(delta, Text) for delta in deltas)


def test_a_name_with_escapes_is_read() -> None:
    """The name is JSON too."""
    assert heard(['{"name":"a\\u0062","arguments":{}}'])[0] == Call("0", "ab")


def test_a_forced_turn_has_a_branch_for_each_function_and_no_function() -> None:
    """The functions are told in the instructions and demanded by the schema."""
    turn = force(Turn(ITEMS, instructions="Be kind.", functions=[WEATHER, MAIL], choice=Choice("required")))
    assert turn.functions == []
    assert turn.choice == Choice("none")
    assert turn.instructions is not None
    assert turn.instructions.startswith("Be kind.\n\n# Functions")
    assert '{"name":"weather","description":"The sky","parameters":' in turn.instructions
    assert "answer" not in turn.instructions
    match turn.text:
        case TextConfig(format=FormatJsonSchema(schema_=schema)):
            assert schema["anyOf"][0] == {
                "type": "object",
                "properties": {"name": {"const": "weather"}, "arguments": {"$ref": "#/$defs/s0"}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            assert schema["anyOf"][1]["properties"]["name"] == {"const": "mail"}
            assert schema["$defs"]["s0"] == {
                "type": "object",
                "properties": {"city": {"$ref": "#/$defs/s0c"}},
            }
            assert schema["$defs"]["s0c"] == {"type": "string"}
        case other:
            pytest.fail(f"{other} is no schema")


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_json_beside_functions_is_a_branch_of_its_own_where_the_choice_is_free(mode: str) -> None:
    """A model that must call cannot answer; one that may call or answer in JSON has both branches."""
    choice = msgspec.convert({"mode": mode}, Choice)
    turn = force(Turn(ITEMS, functions=[MAIL], choice=choice, text=TextConfig(format=FormatJsonObject())))
    match turn.text:
        case TextConfig(format=FormatJsonSchema(schema_=schema)):
            assert len(schema["anyOf"]) == {"auto": 2, "required": 1}[mode]
        case other:
            pytest.fail(f"{other} is no schema")
