"""A computer that the upstream knows by its own type: declared, demanded, heard, told again and counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec import UNSET, Raw
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.responses import Config, Decoder, to_wire
from antiphon.backends.responses.asking import mended, to_count
from antiphon.backends.responses.natives import Natives
from antiphon.core.actions import steps_of
from antiphon.core.deltas import Call, Finish
from antiphon.core.turn import Choice, Function, Thinking, Turn
from antiphon.protocol.calls import ShellAction, ShellCall
from antiphon.protocol.computer import Click, ComputerCall, ComputerCallOutput, SafetyCheck, Screenshot, Wait
from antiphon.protocol.content import ComputerScreenshot, SummaryText
from antiphon.protocol.items import CustomToolCall, CustomToolCallOutput, FunctionCallOutput, ReasoningItem
from antiphon.protocol.tools import ComputerTool, ComputerUsePreviewTool
from tests.backends.responses.test_asking import LONG, PIXEL, answered, called
from tests.backends.responses.test_hearing import CASSETTES, COMPLETED, added, done, frame

if TYPE_CHECKING:
    from typing import Any  # parsed JSON

    from antiphon.backends.responses.config import NativeTool
    from antiphon.core.actions import Steps
    from antiphon.protocol.items import Item

SCHEMA = Raw(b'{"type":"object","properties":{"actions":{"type":"array"}}}')
NATIVE = Config(base_url="http://127.0.0.1:1", native_tools=["computer", "computer_use_preview"])
PLAIN = Config(base_url="http://127.0.0.1:1")
NEWER = Function("computer", SCHEMA, "Moves.", tool=ComputerTool())
OLDER = Function(
    "computer", SCHEMA, tool=ComputerUsePreviewTool(display_width=1024, display_height=768, environment="browser")
)
BARE_CALL: dict[str, object] = {"type": "computer_call", "id": "cu_up", "status": "completed", "call_id": "call_up"}


def asked(*items: Item, tool: Function | None = None, config: Config = NATIVE) -> dict[str, Any]:
    """The request as an upstream would parse it."""
    body: dict[str, Any] = json.loads(to_wire(Turn([*items], functions=[] if tool is None else [tool]), config))
    return body


def told(*items: Item, config: Config = NATIVE) -> list[dict[str, Any]]:
    """The input that items become."""
    said: list[dict[str, Any]] = asked(*items, config=config)["input"]
    return said


def heard(*frames: bytes) -> list[Steps | None]:
    """What is to be done, a call after the other."""
    decoder = Decoder(names={"computer": "computer"})
    deltas = [delta for each in frames for delta in decoder.feed(each)]
    return [steps_of(call.arguments) for call in deltas if isinstance(call, Call) and not call.name]


def test_a_computer_is_declared_as_what_it_is() -> None:
    """The older tool with its display; nothing is told that the API does not ask for."""
    assert [{"type": "computer"}] == asked(tool=NEWER)["tools"]
    assert [
        {"type": "computer_use_preview", "display_width": 1024, "display_height": 768, "environment": "browser"}
    ] == asked(tool=OLDER)["tools"]


@pytest.mark.parametrize(("tool", "other"), [(NEWER, "computer_use_preview"), (OLDER, "computer")])
def test_a_computer_is_a_function_where_the_upstream_does_not_know_its_type(tool: Function, other: NativeTool) -> None:
    """Each of the two is named for itself."""
    config = replace(NATIVE, native_tools=[other])
    assert ["function"] == [each["type"] for each in asked(tool=tool, config=config)["tools"]]
    assert ["function"] == [each["type"] for each in asked(tool=tool, config=PLAIN)["tools"]]


@pytest.mark.parametrize(("tool", "kind"), [(NEWER, "computer"), (OLDER, "computer_use_preview")])
def test_a_computer_is_demanded_by_its_type(tool: Function, kind: str) -> None:
    """Alone, or among what is allowed."""
    turn = Turn([], functions=[tool, Function("f", SCHEMA)])
    one = to_wire(replace(turn, choice=Choice("required", ["computer"])), NATIVE)
    assert {"type": kind} == json.loads(one)["tool_choice"]
    several = to_wire(replace(turn, choice=Choice("auto", ["computer", "f"])), NATIVE)
    allowed = [{"type": kind}, {"type": "function", "name": "f"}]
    assert {"type": "allowed_tools", "mode": "auto", "tools": allowed} == json.loads(several)["tool_choice"]


def test_only_the_older_tool_asks_for_truncation() -> None:
    """Its model answers to nothing else."""
    assert "auto" == asked(tool=OLDER)["truncation"]
    assert "truncation" not in asked(tool=NEWER)
    assert "truncation" not in asked(tool=OLDER, config=PLAIN)


@pytest.mark.parametrize("tool", [NEWER, OLDER])
def test_thoughts_before_a_computers_calls_are_asked_for(tool: Function) -> None:
    """The upstream keeps nothing, so they would be lost, whether or not the request speaks of reasoning."""
    assert ["reasoning.encrypted_content"] == asked(tool=tool)["include"]
    assert "include" not in asked(tool=tool, config=PLAIN)
    refused = b'{"error": {"message": "Encrypted content is not supported with this model.", "param": "include"}}'
    without = replace(NATIVE, encrypted_reasoning=False)
    assert without == mended(Turn([], functions=[tool]), NATIVE, refused)
    assert "include" not in asked(tool=tool, config=without)


CHECK = SafetyCheck(id="cu_sc_1", code="sensitive_domain", message="Payment.")
CLICK = Click(button="left", x=438, y=431)
CALL = ComputerCall(id="cu_1", call_id=LONG, actions=[CLICK, Wait()], pending_safety_checks=[CHECK])
SINGLE = ComputerCall(id="cu_2", call_id="b", status="in_progress", action=Screenshot())
SEEN = ComputerScreenshot(image_url=PIXEL, detail="original", current_url="https://pay.example/")
OUTPUT = ComputerCallOutput(id="cuo_1", call_id=LONG, output=SEEN, acknowledged_safety_checks=[SafetyCheck(id="x")])
SINGLE_OUTPUT = ComputerCallOutput(
    id="cuo_2",
    call_id="b",
    status="failed",
    output=ComputerScreenshot(image_url=PIXEL),
    current_url="https://a.example/",
)


def test_calls_of_a_computer_go_back_as_what_they_are() -> None:
    """With the checks and what was acknowledged, the screen and the page that it shows, and no null."""
    thought = ReasoningItem(id="rs_1", summary=[SummaryText(text="Pay.")])
    turn = Turn(
        [thought, CALL, OUTPUT, SINGLE, SINGLE_OUTPUT], thoughts={"rs_1": Thinking("", "encrypted", "gAAA", "m")}
    )
    assert json.loads(to_wire(turn, NATIVE))["input"] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Pay."}], "encrypted_content": "gAAA"},
        {
            "type": "computer_call",
            "id": "cu_1",
            "status": "completed",
            "call_id": LONG,
            "pending_safety_checks": [{"id": "cu_sc_1", "code": "sensitive_domain", "message": "Payment."}],
            "actions": [{"type": "click", "button": "left", "x": 438, "y": 431}, {"type": "wait"}],
        },
        {
            "type": "computer_call_output",
            "status": "completed",
            "call_id": LONG,
            "output": {
                "type": "computer_screenshot",
                "image_url": PIXEL,
                "detail": "original",
                "current_url": "https://pay.example/",
            },
            "acknowledged_safety_checks": [{"id": "x"}],
        },
        {
            "type": "computer_call",
            "id": "cu_2",
            "status": "in_progress",
            "call_id": "b",
            "pending_safety_checks": [],
            "action": {"type": "screenshot"},
        },
        {
            "type": "computer_call_output",
            "status": "incomplete",
            "call_id": "b",
            "output": {"type": "computer_screenshot", "image_url": PIXEL},
            "current_url": "https://a.example/",
        },
    ]


def test_a_call_of_the_other_type_is_told_as_that_of_a_function() -> None:
    """An upstream that knows batches may not know single actions, and the other way round; one without any is none."""
    items: list[Item] = [CALL, OUTPUT, SINGLE, SINGLE_OUTPUT]
    kinds = [each["type"] for each in told(*items, config=replace(NATIVE, native_tools=["computer"]))]
    assert ["computer_call", "computer_call_output", "function_call", "function_call_output"] == kinds
    older = replace(NATIVE, native_tools=["computer_use_preview"])
    kinds = [each["type"] for each in told(*items, config=older)]
    assert ["function_call", "function_call_output", "computer_call", "computer_call_output"] == kinds
    batch, _, single, _ = told(*items, config=PLAIN)
    actions = '{"actions":[{"type":"click","button":"left","x":438,"y":431},{"type":"wait"}]}'
    assert called(LONG, "computer", actions) == batch
    assert called("b", "computer", '{"actions":[{"type":"screenshot"}]}') == single
    nothing, _ = told(replace(SINGLE, action=UNSET), SINGLE_OUTPUT)
    assert called("b", "computer", '{"actions":[]}') == nothing


def test_a_screen_that_is_told_in_words_makes_its_call_that_of_a_function() -> None:
    """The two must fit each other; the others stay what they are."""
    words = FunctionCallOutput(id="cuo_2", call_id="b", output="The screenshot is not shown any more.")
    assert [
        called("b", "computer", '{"actions":[{"type":"screenshot"}]}'),
        answered("b", "The screenshot is not shown any more."),
    ] == told(SINGLE, words)
    assert ["function_call", "function_call_output", "computer_call", "computer_call_output"] == [
        each["type"] for each in told(SINGLE, words, CALL, OUTPUT)
    ]


def test_every_native_call_fits_its_output() -> None:
    """A shell's that is answered as a function's is one; a custom tool's may be answered either way."""
    config = replace(NATIVE, native_tools=["shell", "custom"])
    shell = ShellCall(id="sh_1", call_id="a", action=ShellAction(commands=["ls"]))
    custom = CustomToolCall(id="ctc_1", call_id="b", name="sql", input="select 1")
    words = [FunctionCallOutput(call_id="a", output="x"), FunctionCallOutput(call_id="b", output="1")]
    assert ["function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output"] == [
        each["type"] for each in told(shell, custom, *words, config=config)
    ]
    assert ["function_call", "function_call_output"] == [
        each["type"] for each in told(shell, CustomToolCallOutput(call_id="a", output="x"), config=config)
    ]


@pytest.mark.parametrize("screen", [ComputerScreenshot(file_id="file-1"), ComputerScreenshot()])
@pytest.mark.parametrize("config", [NATIVE, PLAIN])
def test_a_screenshot_that_is_a_mere_reference_is_refused(screen: ComputerScreenshot, config: Config) -> None:
    """A file here is none there."""
    with pytest.raises(UpstreamError, match="only by URL or as data URLs") as caught:
        told(SINGLE, replace(SINGLE_OUTPUT, output=screen), config=config)
    assert ("invalid_request", "input") == (caught.value.fault, caught.value.param)


@pytest.mark.parametrize("tool", [NEWER, OLDER])
def test_what_is_counted_of_a_computer_is_what_is_sent(tool: Function) -> None:
    """The tool, its calls and its screens."""
    turn = Turn([CALL, OUTPUT], functions=[tool], choice=Choice("required", ["computer"]))
    whole, counted = json.loads(to_wire(turn, NATIVE)), json.loads(to_count(turn, NATIVE))
    assert {name: whole[name] for name in ("input", "tools", "tool_choice")} == counted


@pytest.mark.parametrize(("name", "tool"), [("openai-computer.sse", NEWER), ("openai-computer-preview.sse", OLDER)])
def test_what_was_heard_is_told_again_as_it_came(name: str, tool: Function) -> None:
    """But for its nulls and its ids."""
    decoder = Decoder(names=Natives(Turn([], functions=[tool]), NATIVE.native_tools).names)
    stream = (CASSETTES / name).read_bytes()
    deltas = decoder.feed(stream)
    assert isinstance(deltas[-1], Finish)
    steps = [steps_of(delta.arguments) for delta in deltas if isinstance(delta, Call) and not delta.name]
    items = [_item(each, f"call_{index}", is_single=tool is OLDER) for index, each in enumerate(steps) if each]
    *_, last = [line for line in stream.splitlines() if line.startswith(b"data: ")]
    output = json.loads(last.removeprefix(b"data: "), object_hook=_bare)["response"]["output"]
    came = [item for item in output if item["type"] == "computer_call"]
    assert came == [_bare(item) for item in told(*items)]


def _item(steps: Steps, call_id: str, *, is_single: bool) -> ComputerCall:
    blank = ComputerCall(id="cu", call_id=call_id, pending_safety_checks=steps.pending_safety_checks)
    return replace(blank, action=steps.actions[0]) if is_single else replace(blank, actions=steps.actions)


def _bare(keys: dict[str, object]) -> dict[str, object]:
    """An object without nulls and the ids that are not ours; checks keep theirs."""
    foreign = {"id", "call_id"} if "call_id" in keys else set[str]()
    return {key: value for key, value in keys.items() if value is not None and key not in foreign}


def test_a_computer_is_heard_by_the_name_of_its_function() -> None:
    """Whichever of the two tools it is; of both, the newer is meant."""
    either: list[dict[NativeTool, str]] = [{"computer": "c"}, {"computer_use_preview": "c"}]
    both: dict[NativeTool, str] = {"computer_use_preview": "b", "computer": "c"}
    for names in (*either, both):
        decoder = Decoder(names=names)
        begun = {**BARE_CALL, "action": {"type": "wait"}}
        assert [Call("0", "c")] == decoder.feed(added(begun))


def test_a_computer_that_the_turn_has_not_is_ignored() -> None:
    """Nobody has offered it."""
    decoder = Decoder(names={"shell": "shell"})
    item: dict[str, object] = {**BARE_CALL, "action": {"type": "wait"}}
    assert [Finish("stop")] == decoder.feed(added(item) + done(item) + COMPLETED)
    assert {"computer_call"} == decoder.ignored


WAITS = [{"type": "wait"}]


@pytest.mark.parametrize(
    ("fields", "actions"),
    [
        ({"action": {"type": "wait"}}, [Wait()]),
        ({"actions": WAITS}, [Wait()]),
        ({"actions": WAITS, "action": None}, [Wait()]),
        ({"actions": [], "action": {"type": "wait"}}, [Wait()]),
        ({"actions": None, "action": {"type": "wait", "new": 1}}, [Wait()]),
        ({"actions": [{"type": "click", "button": "left", "x": 438, "y": 431, "keys": None}]}, [CLICK]),
    ],
)
def test_what_is_to_be_done_is_heard_in_either_form(fields: dict[str, object], actions: list[object]) -> None:
    """When the item is done, once, whether or not its beginning was told."""
    item = {**BARE_CALL, **fields}
    stray = frame("response.function_call_arguments.delta", item_id="cu_up", delta="{")
    for frames in ([done(item)], [added(item), stray, done(item), done(item)]):
        [steps] = heard(*frames, COMPLETED)
        assert steps is not None
        assert (actions, []) == (steps.actions, steps.pending_safety_checks)


@pytest.mark.parametrize(
    ("checks", "kept"),
    [
        (None, []),
        ([{"id": "cu_sc_1", "code": None, "message": None}], [SafetyCheck(id="cu_sc_1")]),
        ([{"id": "cu_sc_1", "code": "sensitive_domain", "message": "Payment."}], [CHECK]),
        ([{"id": None, "code": "irrelevant_domain"}], [SafetyCheck(id="", code="irrelevant_domain")]),
    ],
)
def test_the_upstreams_checks_are_kept(checks: object, kept: list[SafetyCheck]) -> None:
    """With their ids, so that what is acknowledged is what was asked."""
    [steps] = heard(done({**BARE_CALL, "actions": WAITS, "pending_safety_checks": checks}))
    assert steps is not None
    assert kept == steps.pending_safety_checks


@pytest.mark.parametrize(
    "fields",
    [
        {"action": {"type": "fly", "x": 1}},
        {"action": {"type": "click", "x": 1, "y": 2}},
        {"action": {"type": "move", "x": "left", "y": 2}},
        {"action": {"x": 1}},
        {"action": "wait"},
        {"actions": {"type": "wait"}},
        {"actions": [None]},
        {"actions": WAITS, "pending_safety_checks": ["no"]},
        {"actions": WAITS, "pending_safety_checks": [{"id": 7}]},
    ],
)
def test_what_is_no_action_and_no_check_is_an_error(fields: dict[str, object]) -> None:
    """Nobody can do it, and nothing of it is quoted."""
    with pytest.raises(UpstreamError, match="no event of the Responses API") as caught:
        heard(done({**BARE_CALL, **fields}))
    assert "server_error" == caught.value.fault


@pytest.mark.parametrize("fields", [{}, {"action": None}, {"actions": []}])
def test_a_call_of_a_computer_that_says_nothing_is_an_error_unless_it_was_cut_short(fields: dict[str, object]) -> None:
    """Then the end of the response tells why."""
    item = {**BARE_CALL, **fields}
    with pytest.raises(UpstreamError, match="without saying how"):
        heard(done(item))
    assert [] == heard(done({**item, "status": "incomplete"}), frame("response.incomplete", response={}))
