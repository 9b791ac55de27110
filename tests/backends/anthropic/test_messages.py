"""How a transcript is told: golden messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec import Raw

from antiphon.backends import UpstreamError
from antiphon.core.turn import Function, Thinking, Turn
from antiphon.protocol.calls import McpCall, McpListTools, ShellAction, ShellCall
from antiphon.protocol.content import AudioClip, InputAudio, InputFile, InputImage, InputText, OutputText, RefusalPart
from antiphon.protocol.items import FunctionCallOutput, Message, ReasoningItem
from antiphon.protocol.settings import Reasoning
from tests.backends.anthropic.asked import (
    BUDGET,
    CONFIG,
    PIXEL,
    F,
    asked,
    assistant,
    call,
    heard,
    messages,
    output,
    said,
    text,
    tool_result,
    tool_use,
    user,
)

if TYPE_CHECKING:
    from antiphon.backends.anthropic import Config
    from antiphon.protocol.content import MessagePart

THINKS = Reasoning(effort="medium")
PIXEL_SOURCE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def thought(id: str) -> ReasoningItem:
    """A thought, as the transcript has it."""
    return ReasoningItem(id=id, summary=[])


def developer(words: str) -> Message:
    """An instruction in the transcript."""
    return Message(role="developer", content=[InputText(text=words)])


def test_instructions_that_come_first_are_the_system_prompt_and_later_ones_are_told_by_the_user() -> None:
    """Each of the first is a block; the later ones are marked."""
    system = Message(role="system", content=[InputText(text="Be kind."), InputText(text="Be clear.")])
    turn = Turn([system, user("Hi"), developer("Now sing."), assistant("La."), developer("Stop.")], instructions="Go.")
    body = asked(turn)
    assert body["system"] == [text("Go."), text("Be kind."), text("Be clear.")]
    assert body["messages"] == [
        heard(text("Hi"), text("<instructions>\nNow sing.\n</instructions>")),
        said(text("La.")),
        heard(text("<instructions>\nStop.\n</instructions>")),
    ]


def test_blank_words_are_left_out() -> None:
    """The API refuses text of white space alone, in every place."""
    turn = Turn([developer(" "), user("a"), assistant(""), user("\n"), assistant(" "), user("b")], instructions=" ")
    body = asked(turn)
    assert "system" not in body
    assert body["messages"] == [heard(text("a"), text("b"))]


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], [heard(text("Begin."))]),
        ([user(" ")], [heard(text("Begin."))]),
        ([user("Hi"), assistant("Hello.")], [heard(text("Hi")), said(text("Hello.")), heard(text("Go on."))]),
        ([assistant("Hello."), user("Hi")], [heard(text("Begin.")), said(text("Hello.")), heard(text("Hi"))]),
    ],
)
def test_a_person_speaks_first_and_last(items: list[Message], told: object) -> None:
    """The API wants it so, and newer models do not go on after words of their own."""
    assert asked(Turn([*items], instructions="x"))["messages"] == told


def test_a_function_round_trip() -> None:
    """Call and output are paired; words beside the call stand in the same message."""
    told = messages(user("Oslo?"), assistant("I look."), call("c1", "w", '{"city":"Oslo"}'), output("c1", "5°"))
    assert told == [
        heard(text("Oslo?")),
        said(text("I look."), tool_use("c1", "w", city="Oslo")),
        heard(tool_result("c1", "5°")),
    ]


def test_the_results_of_parallel_calls_are_one_message_and_stand_before_words() -> None:
    """The API refuses words between a call and its result."""
    told = messages(
        call("a"), call("b"), output("a"), user("And?"), output("b"), call("c"), output("c"), assistant(".")
    )
    assert told[1:] == [
        said(tool_use("a"), tool_use("b")),
        heard(tool_result("a"), tool_result("b"), text("And?")),
        said(tool_use("c")),
        heard(tool_result("c")),
        said(text(".")),
        heard(text("Go on.")),
    ]


def test_messages_of_one_side_in_a_row_are_one() -> None:
    """User and model take turns."""
    assert messages(user("a"), user("b"), assistant("c"), assistant("d"), user("e")) == [
        heard(text("a"), text("b")),
        said(text("c"), text("d")),
        heard(text("e")),
    ]


def test_images_and_documents_are_blocks() -> None:
    """By URL or right here; a text file is told as its text."""
    content: list[MessagePart] = [
        InputText(text="What is this?"),
        InputImage(image_url="https://example.com/a.png", detail="low"),
        InputImage(image_url=PIXEL),
        InputImage(image_url="data:image/jpg;base64,/9j/"),
        InputFile(file_data="data:application/pdf;base64,JVBERi0=", filename="a.pdf"),
        InputFile(file_data="JVBERi0=", filename="b.pdf"),
        InputFile(file_url="https://example.com/c.pdf"),
        InputFile(file_data="data:text/markdown;charset=utf-8;base64,R3LDvMOfZQ==", filename="d.md"),
        InputFile(file_data="data:application/json;base64,e30=", filename="e.json"),
        InputFile(file_data=PIXEL, filename="f.png"),
    ]
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    assert messages(Message(role="user", content=content)) == [
        heard(
            text("What is this?"),
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "image", "source": PIXEL_SOURCE},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}},
            {"type": "document", "source": pdf, "title": "a.pdf"},
            {"type": "document", "source": pdf, "title": "b.pdf"},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/c.pdf"}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
                "title": "d.md",
            },
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "{}"},
                "title": "e.json",
            },
            {"type": "image", "source": PIXEL_SOURCE},
        )
    ]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (InputImage(file_id="file-1"), "images only by URL"),
        (InputFile(file_id="file-1"), "files only by URL"),
        (InputAudio(input_audio=AudioClip(data="UklGRg==", format="wav")), "does not take sound"),
        (InputFile(file_data="data:application/zip;base64,UEs=", filename="a.zip"), "only PDF and plain text"),
        (InputFile(file_data="data:text/plain;base64,/w==", filename="a.txt"), "only in UTF-8"),
        (InputFile(file_data="UEs=", filename="a"), "only PDF and plain text"),
    ],
)
def test_a_part_that_the_model_cannot_take_is_refused(part: InputImage | InputFile | InputAudio, message: str) -> None:
    """Nothing of the input is left out in silence."""
    with pytest.raises(UpstreamError, match=message) as caught:
        messages(Message(role="user", content=[part]))
    assert ("invalid_request", "input") == (caught.value.fault, caught.value.param)


def test_a_result_may_hold_images() -> None:
    """They stand within it, beside its words."""
    seen = FunctionCallOutput(call_id="a", output=[InputText(text="Here"), InputImage(image_url=PIXEL)])
    empty = FunctionCallOutput(call_id="b", output=[])
    told = messages(call("a"), call("b"), seen, empty)[-1]
    assert told == heard(
        tool_result("a", [text("Here"), {"type": "image", "source": PIXEL_SOURCE}]), tool_result("b", [])
    )


def test_a_refusal_is_retold_as_what_the_model_said() -> None:
    """The API has no word for it."""
    refusal = Message(role="assistant", content=[RefusalPart(refusal="No.")])
    assert messages(user("?"), refusal, user("!"))[1] == said(text("No."))


def test_hosted_calls_are_told_with_their_outputs() -> None:
    """What a tool of the server answered the model reads before what it said next."""
    turn = Turn(
        [
            user("?"),
            McpListTools(id="mcpl_1", server_label="s", tools=[]),
            McpCall(id="mcp_1", server_label="s", name="fetch", arguments='{"u":1}'),
            ShellCall(id="sh_1", call_id="c", action=ShellAction(commands=["ls"])),
            assistant("Found."),
            user("Thanks"),
        ],
        outputs={"mcp_1": "page", "sh_1": [InputText(text="a.txt")]},
    )
    assert asked(turn)["messages"] == [
        heard(text("?")),
        said(
            tool_use("mcp_1", "s__fetch", u=1),
            tool_use("sh_1", "shell", commands=["ls"]),
        ),
        heard(tool_result("mcp_1", "page"), tool_result("sh_1", [text("a.txt")])),
        said(text("Found.")),
        heard(text("Thanks")),
    ]


def test_ids_of_calls_are_told_as_the_upstream_takes_them() -> None:
    """Long ones and foreign characters are replaced alike in call and result."""
    told = messages(
        call("c" * 65), call("call.1"), call("call_2"), output("c" * 65), output("call.1"), output("call_2")
    )
    calls, results = [[*message["content"]] for message in told[1:]]
    ids = [block["id"] for block in calls]
    assert ids == [block["tool_use_id"] for block in results]
    assert "call_2" == ids[2]
    assert all(len(each) <= 64 and each.replace("_", "").isalnum() for each in ids)
    assert 3 == len(set(ids))


THOUGHTS = {
    "rs_1": Thinking(text="Hm.", form="signature", token="c2ln", model="m"),
    "rs_2": Thinking(form="redacted", token="c2VjcmV0", model="m"),
    "rs_3": Thinking(text="unsigned", model="m"),
    "rs_4": Thinking(text="foreign", form="encrypted", token="gAAAA", model="o"),
    "rs_5": Thinking(form="signature", model="m"),
}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "c2VjcmV0"}


@pytest.mark.parametrize("config", [CONFIG, BUDGET])
def test_thoughts_go_back_signed_before_what_followed_them(config: Config) -> None:
    """Signed and redacted ones, in their places; nothing unsigned, nothing unknown, and none of another upstream's."""
    turn = Turn(
        [
            user("?"),
            thought("rs_1"),
            thought("rs_2"),
            call("a"),
            output("a"),
            *(thought(id) for id in ("rs_3", "rs_4", "rs_5", "rs_6", "rs_1")),
            assistant("So."),
            user("Next?"),
        ],
        thoughts=THOUGHTS,
        reasoning=THINKS,
        functions=[F],
    )
    assert asked(turn, config)["messages"] == [
        heard(text("?")),
        said(SIGNED, REDACTED, tool_use("a")),
        heard(tool_result("a")),
        said(SIGNED, text("So.")),
        heard(text("Next?")),
    ]


def test_a_thought_after_hosted_calls_knew_their_outputs() -> None:
    """It opens the next message."""
    turn = Turn(
        [
            user("?"),
            McpCall(id="mcp_1", server_label="s", name="f", arguments="{}"),
            thought("rs_1"),
            call("a"),
            output("a"),
        ],
        thoughts=THOUGHTS,
        outputs={"mcp_1": "page"},
    )
    assert asked(turn, CONFIG)["messages"][1:] == [
        said(tool_use("mcp_1", "s__f")),
        heard(tool_result("mcp_1", "page")),
        said(SIGNED, tool_use("a")),
        heard(tool_result("a")),
    ]


def test_a_thought_that_nothing_followed_is_left_out() -> None:
    """The API refuses a message that ends with one."""
    turn = Turn([user("?"), assistant("Yes."), thought("rs_1"), user("!"), thought("rs_2")], thoughts=THOUGHTS)
    assert asked(turn, CONFIG)["messages"] == [heard(text("?")), said(text("Yes.")), heard(text("!"))]


def test_thoughts_stay_behind_where_the_model_is_not_to_think() -> None:
    """The API refuses them then."""
    turn = Turn(
        [user("?"), thought("rs_1"), call("a"), output("a")], thoughts=THOUGHTS, reasoning=Reasoning(effort="none")
    )
    for config in (CONFIG, BUDGET):
        assert asked(turn, config)["messages"][1] == said(tool_use("a"))


def test_what_was_called_before_is_declared_though_the_turn_declares_nothing() -> None:
    """The API wants every call in the transcript declared; the model may not call."""
    body = asked(Turn([user("?"), call("a", "old"), output("a"), call("b", "old"), output("b")]))
    assert [{"name": "old", "input_schema": {"type": "object"}}] == body["tools"]
    assert {"type": "none"} == body["tool_choice"]


def test_a_schema_without_a_type_gets_one() -> None:
    """The API wants to see it at the top."""
    bare = Function("bare", Raw(b'{"properties":{"a":{"type":"string"}}}'))
    [tool] = asked(Turn([user("?")], functions=[bare]))["tools"]
    assert {"type": "object", "properties": {"a": {"type": "string"}}} == tool["input_schema"]


def test_arguments_are_told_as_an_object_whatever_the_model_wrote() -> None:
    """The upstream wants an object."""
    told = messages(call("a", arguments='{"city": "Par'), output("a"))
    assert told[1] == said(tool_use("a", arguments='{"city": "Par'))
    assert json.dumps(told)


def test_the_words_of_a_model_are_told_one_block_a_part() -> None:
    """As they came."""
    spoken = Message(role="assistant", content=[OutputText(text="a"), OutputText(text=""), OutputText(text="b")])
    assert messages(user("?"), spoken, user("!"))[1] == said(text("a"), text("b"))
