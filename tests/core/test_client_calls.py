"""Calls of a client's tools: what a model writes for each, and the items and events that come of it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
from msgspec import UNSET, UnsetType

from antiphon.core.argument_reading import MOST_COMMANDS
from antiphon.core.client_calls import (
    ApplyPatchKind,
    ClientSearchKind,
    CustomKind,
    LocalShellKind,
    Named,
    ShellKind,
)
from antiphon.core.deltas import Call, Finish, FinishReason
from antiphon.core.json_pieces import DEEPEST
from antiphon.core.machine import Machine
from antiphon.core.speech import Manner
from antiphon.protocol.calls import (
    ExecAction,
    LocalEnvironment,
    LocalShellCall,
    ShellAction,
    ShellCall,
    ToolSearchCall,
)
from antiphon.protocol.events import CommandAdded, CommandDelta, CommandDone, CustomInputDone, ItemAdded, ItemDelta
from antiphon.protocol.items import CustomToolCall, FunctionCall, OutputItem
from antiphon.protocol.response import Response
from tests.core.stage import ADDED, DONE, NOW, names
from tests.patient import a_million_rounds, takes_at_most

if TYPE_CHECKING:
    from antiphon.core.calls import CallKind
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.parts import ItemStatus

INPUT = ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
COMMAND = [f"shell_call_command.{word}" for word in ("added", "delta", "done")]
LOCAL = LocalEnvironment()
DEEP = '{"a":' + "[" * DEEPEST + "]" * DEEPEST + "}"


def told(kind: CallKind, *fragments: str, reason: FinishReason = "stop") -> tuple[list[StreamEvent], OutputItem]:
    """What a machine tells of one call that is written in these fragments, and its item."""
    ids = {"call": "call_1"}
    machine = Machine(
        Response(id="resp_0", created_at=NOW, model="m", status="queued"),
        new_id=lambda prefix: ids.get(prefix, f"{prefix}_0"),
        manner=Manner(kinds={"tool": kind}),
    )
    machine.start()
    machine.next_turn()
    first, *more = fragments
    deltas = [Call("0", "tool", first), *(Call("0", "", fragment) for fragment in more)]
    events = machine.feed([*deltas, Finish(reason)])
    (item,) = machine.finished
    return events, item


def custom(text: str, status: ItemStatus = "completed", namespace: str | UnsetType = UNSET) -> CustomToolCall:
    """A call of a custom tool."""
    return CustomToolCall(id="ctc_0", status=status, call_id="call_1", input=text, name="note", namespace=namespace)


def shell(*commands: str, status: ItemStatus = "completed", timeout_ms: int | None = None) -> ShellCall:
    """A call of a shell on the client's machine."""
    return ShellCall(
        id="sh_0",
        status=status,
        call_id="call_1",
        action=ShellAction(commands=[*commands], timeout_ms=timeout_ms),
        environment=LOCAL,
    )


def run(action: ExecAction, status: ItemStatus = "completed") -> LocalShellCall:
    """A call of the older shell."""
    return LocalShellCall(id="lsh_0", status=status, call_id="call_1", action=action)


def search(arguments: dict[str, object], status: ItemStatus = "completed") -> ToolSearchCall:
    """A search that the client makes."""
    return ToolSearchCall(
        id="tsc_0",
        status=status,
        call_id="call_1",
        execution="client",
        arguments=arguments,
    )


# Functions


def test_a_member_of_a_namespace_is_told_under_its_own_name() -> None:
    """The model knows it by another."""
    events, item = told(Named("look", "crm"), '{"a"', ":1}")
    expected = FunctionCall(id="fc_0", call_id="call_1", arguments='{"a":1}', name="look", namespace="crm")
    assert expected == item
    assert [ADDED, *["function_call_arguments.delta"] * 2, "function_call_arguments.done", DONE] == names(events)
    (_, lone) = told(Named("look"), "{}")
    assert FunctionCall(id="fc_0", call_id="call_1", arguments="{}", name="look") == lone


# Custom tools


def test_the_text_of_a_custom_tool_is_told_as_it_grows() -> None:
    """Decoded, wherever its JSON is cut."""
    events, item = told(CustomKind("note"), '{"inp', 'ut": "a\\', "n\\u00", "e9b", '"}')
    assert custom("a\néb") == item
    assert [ADDED, *[INPUT[0]] * 3, INPUT[1], DONE] == names(events)
    assert ["a", "\n", "éb"] == [event.delta for event in events if isinstance(event, ItemDelta)]
    assert ["a\néb"] == [event.input for event in events if isinstance(event, CustomInputDone)]
    assert [custom("", "in_progress")] == [event.item for event in events if isinstance(event, ItemAdded)]


def test_a_custom_tool_in_a_namespace_says_so() -> None:
    """As a function does."""
    assert custom("a", namespace="crm") == told(CustomKind("note", "crm"), '{"input":"a"}')[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("*** Begin Patch\n*** End Patch", "*** Begin Patch\n*** End Patch"),
        (" [1] ", " [1] "),
        ('{"text":"a"}', "a"),
        ('{"text":"a","n":1}', "a"),
        ('{"text":"a","more":"b"}', '{"text":"a","more":"b"}'),
        ('{"input":{"a":1}}', '{"a":1}'),
        ('{"input":7}', "7"),
        ('{"input":"a","input":"b"}', "a"),
        ('{"input":"a","other":"b"}', "a"),
        ('"a\\nb"', "a\nb"),
        ('"Well", she said', '"Well", she said'),
        ("{% if %}", "{% if %}"),
        ("{}", ""),
        ("", ""),
        ("   ", "   "),
        ('{"input":""}', ""),
        (DEEP[:-1] + ',"input":"a"}', "a"),
        ('{"input":"a",' + DEEP[1:], "a"),
        ('{"text":"two\nlines"}', '{"text":"two\nlines"}'),
        ('{"input":"two\nlines"}', "two\nlines"),
    ],
)
def test_what_was_meant_for_a_custom_tool_is_kept(arguments: str, text: str) -> None:
    """Plain text, a string alone, a string under another name; or all that was written. However it is cut."""
    assert custom(text) == told(CustomKind("note"), arguments)[1]
    assert custom(text) == told(CustomKind("note"), *(arguments or [""]))[1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"a', "a"),
        ('{"input":"a\\n\\', "a\n"),
        ('{"input":"a"', "a"),
        ('{"input":"a"} and more', "a"),
        ('{"input":"a","more":}', "a"),
        ('"hi', '"hi'),
        ('{"in', '{"in'),
        ('{"text":"a', '{"text":"a'),
        ('{"text":"a"} x', '{"text":"a"} x'),
        ('{"a":1}; run()', '{"a":1}; run()'),
    ],
)
def test_half_a_text_is_never_told_as_completed(arguments: str, text: str) -> None:
    """Whatever the model believed: nobody is to run half a script, or one with something behind it."""
    for fragments in ([arguments], arguments):
        events, item = told(CustomKind("note"), *fragments)
        assert custom(text, "incomplete") == item
        assert text == "".join(event.delta for event in events if isinstance(event, ItemDelta))


def test_plain_text_for_a_custom_tool_is_told_as_it_grows_too() -> None:
    """It is seen to be no JSON by its first letter."""
    events, _ = told(CustomKind("note"), " ", "a", "b")
    assert [" a", "b"] == [event.delta for event in events if isinstance(event, ItemDelta)]


@pytest.mark.parametrize(
    ("arguments", "text"), [('{"input":"ab', "ab"), ('{"text":"ab', ""), ("ab", "ab"), ('{"in', ""), ('"ab', "")]
)
def test_a_custom_call_that_is_cut_short_keeps_what_was_told(arguments: str, text: str) -> None:
    """And nothing that was not."""
    events, item = told(CustomKind("note"), arguments, reason="max_output_tokens")
    assert custom(text, "incomplete") == item
    assert INPUT[1] == names(events)[-2]


# Shells


def test_commands_of_a_shell_are_told_one_by_one() -> None:
    """Each with its index; the limits stand in the item."""
    events, item = told(ShellKind(), '{"commands":["l', 's","cat a', '"],"timeout_ms":50}')
    assert shell("ls", "cat a", timeout_ms=50) == item
    assert [ADDED, COMMAND[0], COMMAND[1], *COMMAND[1:], *COMMAND, DONE] == names(events)
    assert [(0, ""), (1, "")] == [(e.command_index, e.command) for e in events if isinstance(e, CommandAdded)]
    assert [(0, "l"), (0, "s"), (1, "cat a")] == [
        (event.command_index, event.delta) for event in events if isinstance(event, CommandDelta)
    ]
    assert [(0, "ls"), (1, "cat a")] == [(e.command_index, e.command) for e in events if isinstance(e, CommandDone)]
    assert [shell(status="in_progress")] == [event.item for event in events if isinstance(event, ItemAdded)]


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        ('{"commands":"ls -l"}', ["ls -l"]),
        ('{"command":"ls -l"}', ["ls -l"]),
        ('{"cmd":"ls -l"}', ["ls -l"]),
        ('{"command":["ls","a b"]}', ["ls 'a b'"]),
        ('{"commands":["ls",1]}', ["ls"]),
        ('{"commands":[""]}', [""]),
    ],
)
def test_one_command_need_not_be_a_list(arguments: str, commands: list[str]) -> None:
    """What can mean one thing only is understood."""
    assert shell(*commands) == told(ShellKind(), arguments)[1]


@pytest.mark.parametrize("limit", ["-1", "0", "true", '"9"', "1e300", "null", "[1]"])
def test_a_limit_that_is_none_is_left_out(limit: str) -> None:
    """The command is understood nevertheless."""
    assert shell("ls") == told(ShellKind(), f'{{"timeout_ms":{limit},"commands":["ls"]}}')[1]


def test_the_length_of_the_output_may_be_limited() -> None:
    """A number that is no integer is cut."""
    _, item = told(ShellKind(), '{"max_output_length":9.7,"commands":["ls"]}')
    assert isinstance(item, ShellCall)
    assert ShellAction(commands=["ls"], max_output_length=9) == item.action


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        ("{}", []),
        ('{"commands":[]}', []),
        ("ls", []),
        ('{"commands":["rm -rf /t', ["rm -rf /t"]),
        ('{"command":[]}', []),
    ],
)
def test_what_a_shell_cannot_run_is_never_told_as_completed(arguments: str, commands: list[str]) -> None:
    """Not even half a command of a model that believed that it had said all."""
    assert shell(*commands, status="incomplete") == told(ShellKind(), arguments)[1]


@pytest.mark.parametrize("more", [0, 1, 200_000])
def test_commands_of_a_shell_are_bounded(more: int) -> None:
    """What is beyond is not listened to, and the call is incomplete, whatever else it says."""
    arguments = json.dumps({"commands": [""] * (MOST_COMMANDS + more), "timeout_ms": 9})
    for fragments in ([arguments], [arguments[:900], arguments[900:]]):
        assert takes_at_most(20, partial(told, ShellKind(), *fragments), a_million_rounds)
        events, item = told(ShellKind(), *fragments)
        status: ItemStatus = "incomplete" if more else "completed"
        assert shell(*[""] * MOST_COMMANDS, status=status, timeout_ms=None if more else 9) == item
        assert MOST_COMMANDS == len([event for event in events if isinstance(event, CommandDone)])


def test_a_shell_call_that_is_cut_short_keeps_what_was_told() -> None:
    """Its last command is as long as its deltas."""
    events, item = told(ShellKind(), '{"timeout_ms":5,"commands":["ls","ca', reason="max_output_tokens")
    assert shell("ls", "ca", status="incomplete") == item
    assert [ADDED, *COMMAND, *COMMAND, DONE] == names(events)


# The older shell


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ({"command": ["ls", "-l"]}, ExecAction(command=["ls", "-l"])),
        ({"command": "ls -l"}, ExecAction(command=["bash", "-lc", "ls -l"])),
        ({"cmd": ["ls"], "workdir": "/a"}, ExecAction(command=["ls"], working_directory="/a")),
        (
            {
                "type": "exec",
                "command": ["ls"],
                "env": {"A": "b"},
                "timeout_ms": 9,
                "user": "u",
                "working_directory": "/a",
            },
            ExecAction(command=["ls"], env={"A": "b"}, timeout_ms=9, user="u", working_directory="/a"),
        ),
        (
            {"command": ["ls"], "env": [], "timeout_ms": "soon", "user": 1, "cwd": ""},
            ExecAction(command=["ls"]),
        ),
    ],
)
def test_a_command_of_the_older_shell_is_told_whole(arguments: dict[str, object], action: ExecAction) -> None:
    """Under any of the names that models have for it; what is no setting is left out."""
    events, item = told(LocalShellKind(), *json.dumps(arguments))
    assert run(action) == item
    assert [ADDED, DONE] == names(events)
    assert [run(ExecAction(command=[]), "in_progress")] == [e.item for e in events if isinstance(e, ItemAdded)]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("ls -l", "stop"),
        ("{}", "stop"),
        ('{"command":[]}', "stop"),
        ('{"command":""}', "stop"),
        ('{"command":[1]}', "stop"),
        ('{"command":["ls"', "stop"),
        ('{"command":["ls"]', "max_output_tokens"),
    ],
)
def test_what_the_older_shell_cannot_run_is_incomplete(arguments: str, reason: FinishReason) -> None:
    """And has no command."""
    assert run(ExecAction(command=[]), "incomplete") == told(LocalShellKind(), arguments, reason=reason)[1]


# Searches


def test_a_search_for_tools_is_told_whole() -> None:
    """With the arguments that its tool declares, nulls included."""
    events, item = told(ClientSearchKind(), '{"query":"we', 'ather","n":null}')
    assert search({"query": "weather", "n": None}) == item
    assert [ADDED, DONE] == names(events)
    assert [search({}, "in_progress")] == [event.item for event in events if isinstance(event, ItemAdded)]
    assert search({}) == told(ClientSearchKind(), "")[1]


@pytest.mark.parametrize(
    ("arguments", "reason"), [("weather", "stop"), ("[]", "stop"), ('{"a":', "stop"), ('{"a":1}', "max_output_tokens")]
)
def test_a_search_without_arguments_that_can_be_read_is_incomplete(arguments: str, reason: FinishReason) -> None:
    """A call that was cut short is one, too."""
    assert search({}, "incomplete") == told(ClientSearchKind(), arguments, reason=reason)[1]


@pytest.mark.parametrize(
    "kind", [Named("a"), CustomKind("a"), ShellKind(), LocalShellKind(), ClientSearchKind(), ApplyPatchKind()]
)
def test_two_calls_of_one_kind_do_not_mix(kind: CallKind) -> None:
    """A kind is one for all calls of its tool."""
    machine = Machine(
        Response(id="resp_0", created_at=NOW, model="m", status="queued"),
        new_id=lambda prefix: f"{prefix}_{next(ids)}",
        manner=Manner(kinds={"tool": kind}),
    )
    ids = iter(range(9))
    texts = [json.dumps({"input": text, "commands": [text], "command": [text], "a": text}) for text in ("Один", "Два")]
    machine.start()
    machine.next_turn()
    machine.feed([Call("0", "tool", texts[0]), Call("1", "tool", texts[1][:9]), Call("1", "", texts[1][9:]), Finish()])
    said = [str(item) for item in machine.finished]
    assert 2 == len(said)
    assert not any("Один" in text and "Два" in text for text in said)
