"""What an upstream is asked: golden requests, field by field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec import Raw
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions import Config, to_wire
from antiphon.backends.chat_completions.asking import mended, to_count
from antiphon.core.turn import Choice, Function, Hints, Thinking, Turn
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    CreateFile,
    ExecAction,
    FileSearchCall,
    ImageGenerationCall,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpCall,
    McpHttpError,
    McpListTools,
    McpProtocolError,
    McpToolExecutionError,
    OutcomeExit,
    SearchAction,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellOutput,
    WebSearchCall,
)
from antiphon.protocol.computer import ComputerCall, ComputerCallOutput, Wait
from antiphon.protocol.content import (
    AudioClip,
    ComputerScreenshot,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    OutputText,
    ReasoningText,
    RefusalPart,
    SummaryText,
)
from antiphon.protocol.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Message,
    ReasoningItem,
)
from antiphon.protocol.request import CacheRequest
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, FormatText, Reasoning, TextConfig
from antiphon.protocol.tool_settings import CustomGrammar

if TYPE_CHECKING:
    from typing import Any  # parsed JSON

    from antiphon.backends.chat_completions.config import ReasoningField
    from antiphon.core.turn import Output
    from antiphon.protocol.content import InputPart, MessagePart
    from antiphon.protocol.items import Item

CONFIG = Config(base_url="http://127.0.0.1:1/v1", model="m")
LLAMA = Config(base_url="http://127.0.0.1:1/v1", model="m", named_tool_choice=False)
EMPTY = Raw(b'{"type":"object","properties":{}}')
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def asked(turn: Turn, config: Config = CONFIG) -> dict[str, object]:
    """The request as a client would parse it."""
    body: dict[str, object] = json.loads(to_wire(turn, config))
    return body


def messages(*items: Item, config: Config = CONFIG, outputs: dict[str, Output] | None = None) -> object:
    """The messages that items become."""
    return asked(Turn([*items], outputs=outputs or {}), config)["messages"]


def user(text: str) -> Message:
    """A user's words."""
    return Message(role="user", content=[InputText(text=text)])


def assistant(text: str) -> Message:
    """The model's words."""
    return Message(role="assistant", content=[OutputText(text=text)])


def call(id: str, name: str = "f", arguments: str = "{}") -> FunctionCall:
    """A call of the client's function."""
    return FunctionCall(call_id=id, name=name, arguments=arguments)


def output(id: str, text: str = "ok") -> FunctionCallOutput:
    """What the client's function returned."""
    return FunctionCallOutput(call_id=id, output=text)


def tool_call(id: str, name: str = "f", arguments: str = "{}") -> dict[str, object]:
    """A call as the wire has it."""
    return {"type": "function", "id": id, "function": {"name": name, "arguments": arguments}}


def test_only_what_the_turn_names_is_sent() -> None:
    """A bare turn leaves every default to the upstream."""
    assert asked(Turn([user("Hi")])) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_an_upstream_may_be_spared_the_model_and_the_stream_options() -> None:
    """A server with one model needs no name, and some refuse what they do not know."""
    config = Config(base_url="http://127.0.0.1:1", stream_options=False)
    assert asked(Turn([user("Hi")]), config) == {"messages": [{"role": "user", "content": "Hi"}], "stream": True}


def test_every_setting_has_its_name_on_the_wire() -> None:
    """Sampling, limits, log-probabilities, effort and verbosity go where chat completions want them."""
    turn = Turn(
        [user("Hi")],
        temperature=0.0,
        top_p=0.5,
        presence_penalty=0.1,
        frequency_penalty=0.0,
        max_output_tokens=64,
        logprobs=True,
        top_logprobs=3,
        reasoning=Reasoning(effort="low"),
        text=TextConfig(format=FormatText(), verbosity="high"),
        hints=Hints(user="u-1"),
        parallel_tool_calls=False,
        functions=[Function("f", EMPTY)],
    )
    body = asked(turn)
    assert {
        name: body[name] for name in body if name not in {"messages", "model", "stream", "stream_options", "tools"}
    } == {
        "temperature": 0.0,
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.0,
        "max_completion_tokens": 64,
        "logprobs": True,
        "top_logprobs": 3,
        "reasoning_effort": "low",
        "verbosity": "high",
        "user": "u-1",
        "parallel_tool_calls": False,
    }


def test_the_limit_goes_by_the_name_that_the_upstream_knows() -> None:
    """Older servers call it ``max_tokens``."""
    body = asked(Turn([], max_output_tokens=16), Config(base_url="http://127.0.0.1:1", max_tokens_field="max_tokens"))
    assert (16, None) == (body["max_tokens"], body.get("max_completion_tokens"))


def test_functions_are_declared() -> None:
    """Name, description, schema and strictness, as given."""
    schema = Raw(b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}')
    turn = Turn([], functions=[Function("weather", schema, "Says the weather.", strict=True), Function("now", EMPTY)])
    assert asked(turn)["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                "description": "Says the weather.",
                "strict": True,
            },
        },
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    ]


@pytest.mark.parametrize(
    ("choice", "config", "sent", "names"),
    [
        (Choice(), CONFIG, None, ["f", "g", "h"]),
        (Choice("none"), CONFIG, "none", ["f", "g", "h"]),
        (Choice("required"), CONFIG, "required", ["f", "g", "h"]),
        (Choice("auto", ["g", "h"]), CONFIG, None, ["g", "h"]),
        (Choice("required", ["g", "h"]), CONFIG, "required", ["g", "h"]),
        (Choice("required", ["g"]), CONFIG, {"type": "function", "function": {"name": "g"}}, ["g"]),
        (Choice("required", ["g"]), LLAMA, "required", ["g"]),
    ],
)
def test_a_choice_is_demanded_and_its_functions_alone_are_sent(
    choice: Choice, config: Config, sent: object, names: list[str]
) -> None:
    """What the model may not call it does not see."""
    body = asked(Turn([], functions=[Function(name, EMPTY) for name in "fgh"], choice=choice), config)
    assert sent == body.get("tool_choice")
    assert names == [tool["function"]["name"] for tool in body["tools"]]  # type: ignore[attr-defined]  # parsed JSON


def test_without_functions_nothing_is_said_about_them() -> None:
    """Upstreams refuse a choice among nothing."""
    body = asked(Turn([], choice=Choice("required", []), parallel_tool_calls=True, functions=[Function("f", EMPTY)]))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()


def test_json_is_demanded() -> None:
    """A schema goes with its name, an object without."""
    form = FormatJsonSchema(name="answer", schema_={"type": "object"}, strict=True)
    assert asked(Turn([], text=TextConfig(format=form)))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert asked(Turn([], text=TextConfig(format=FormatJsonObject())))["response_format"] == {"type": "json_object"}


def test_opening_instructions_are_one_system_message() -> None:
    """Chat templates allow a system message at the start alone; a later one stays in its place."""
    turn = Turn(
        [
            Message(role="developer", content=[InputText(text="Be kind."), InputText(text="Be clear.")]),
            Message(role="system", content=[InputText(text="Be quick.")]),
            user("Hi"),
            Message(role="developer", content=[InputText(text="Now sing.")]),
        ],
        instructions="Be brief.",
    )
    opening, later = "Be brief.\n\nBe kind.\nBe clear.\n\nBe quick.", "Now sing."
    for role, config in (("system", CONFIG), ("developer", Config(base_url="http://127.0.0.1:1", developer_role=True))):
        assert asked(turn, config)["messages"] == [
            {"role": role, "content": opening},
            {"role": "user", "content": "Hi"},
            {"role": role, "content": later},
        ]


def test_a_function_round_trip() -> None:
    """Call and output are paired; words beside the call stand in the same message."""
    told = messages(user("Oslo?"), assistant("I look."), call("c1", "weather", '{"city":"Oslo"}'), output("c1", "5°"))
    assert told == [
        {"role": "user", "content": "Oslo?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [tool_call("c1", "weather", '{"city":"Oslo"}')]},
        {"role": "tool", "tool_call_id": "c1", "content": "5°"},
    ]


def test_parallel_calls_are_one_message() -> None:
    """Calls in a row were made in one go; those after an output were not."""
    told = messages(call("a"), call("b"), output("a"), output("b"), call("c"), output("c"), assistant("Done."))
    assert told == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("a"), tool_call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
        {"role": "tool", "tool_call_id": "b", "content": "ok"},
        {"role": "assistant", "content": None, "tool_calls": [tool_call("c")]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
        {"role": "assistant", "content": "Done."},
    ]


def test_words_after_a_call_of_the_same_turn_stand_before_it() -> None:
    """An output must follow its call at once."""
    assert messages(call("a"), assistant("Wait."), output("a")) == [
        {"role": "assistant", "content": "Wait.", "tool_calls": [tool_call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]


def test_two_messages_of_the_model_in_a_row_are_one() -> None:
    """Chat templates want user and assistant in turn."""
    assert messages(assistant("First."), assistant("Second."), user("Go on.")) == [
        {"role": "assistant", "content": "First.\n\nSecond."},
        {"role": "user", "content": "Go on."},
    ]


def test_a_message_of_the_model_without_words_is_left_out() -> None:
    """An answer may be empty, and strict upstreams would refuse all that is built on it."""
    assert messages(user("a"), assistant(""), user("b"), assistant(""), call("c"), output("c")) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": None, "tool_calls": [tool_call("c")]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]


def test_images_files_and_sound_are_parts() -> None:
    """A message that holds more than text is a list."""
    content: list[MessagePart] = [
        InputText(text="What is this?"),
        InputImage(image_url="https://example.com/a.png", detail="low"),
        InputImage(image_url=PIXEL, detail="original"),
        InputImage(image_url=PIXEL),
        InputFile(file_data="data:application/pdf;base64,JVBERi0=", filename="a.pdf"),
        InputAudio(input_audio=AudioClip(data="UklGRg==", format="wav")),
    ]
    assert messages(Message(role="user", content=content)) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}},
                {"type": "image_url", "image_url": {"url": PIXEL}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            ],
        }
    ]


@pytest.mark.parametrize(
    "part", [InputImage(file_id="file-1"), InputFile(file_id="file-1"), InputFile(file_url="https://x")]
)
def test_a_part_that_is_a_mere_reference_is_refused(part: InputImage | InputFile) -> None:
    """Nothing of the input is left out in silence."""
    with pytest.raises(UpstreamError) as caught:
        messages(Message(role="user", content=[part]))
    assert ("invalid_request", "input") == (caught.value.fault, caught.value.param)


def test_an_output_with_images_shows_them_after_all_outputs() -> None:
    """A tool message holds text alone, and no user may speak between outputs."""
    seen: list[InputPart] = [InputText(text="Two"), InputImage(image_url=PIXEL), InputText(text="lines")]
    told = messages(
        call("a"),
        call("b"),
        FunctionCallOutput(call_id="a", output=seen),
        output("b"),
        assistant("I see."),
        user("?"),
    )
    assert told == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("a"), tool_call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "Two\nlines"},
        {"role": "tool", "tool_call_id": "b", "content": "ok"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "?"},
    ]


def test_an_output_of_images_alone_says_where_they_are() -> None:
    """An empty tool message would tell the model that there was no output."""
    told = messages(call("a"), FunctionCallOutput(call_id="a", output=[InputImage(image_url=PIXEL)]))
    assert told == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "The output is shown below."},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
    ]


def test_a_refusal_is_retold_as_what_the_model_said() -> None:
    """Few upstreams know a field for it."""
    assert messages(Message(role="assistant", content=[RefusalPart(refusal="No.")])) == [
        {"role": "assistant", "content": "No."}
    ]


SIGNED = '{"type":"reasoning.text","signature":"Er","format":"f","index":0}'
SEALED = '{"type":"reasoning.encrypted","data":"gAAA","id":"rs"}'
THOUGHTS: list[Item] = [
    user("?"),
    ReasoningItem(id="rs_1", summary=[SummaryText(text="short")], content=[ReasoningText(text="for the caller")]),
    call("a"),
    output("a"),
    ReasoningItem(id="rs_2", summary=[SummaryText(text="brief")]),
    assistant("So."),
    user("And?"),
    ReasoningItem(id="rs_3", summary=[SummaryText(text="not to be seen again")]),
    assistant("Yes."),
]
THINKING = {"rs_1": Thinking("long", "signature", SIGNED), "rs_2": Thinking("then", "encrypted", SEALED)}


def thoughtful(field: ReasoningField, thoughts: dict[str, Thinking] = THINKING) -> list[dict[str, object]]:
    """The messages of the model, thoughts with them."""
    config = Config(base_url="http://127.0.0.1:1", send_reasoning=True, reasoning_field=field)
    told: list[dict[str, object]] = json.loads(to_wire(Turn(THOUGHTS, thoughts=thoughts), config))["messages"]
    return [message for message in told if message["role"] == "assistant"]


def test_thoughts_are_not_sent_where_the_operator_says_so() -> None:
    """Neither they nor what the caller was shown of them."""
    config = Config(base_url="http://127.0.0.1:1", send_reasoning=False)
    body = to_wire(Turn(THOUGHTS, thoughts=THINKING), config).decode()
    assert [] == [word for word in ("long", "then", "short", "caller", "seen") if word in body]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_go_back_beside_what_followed_them(field: ReasoningField) -> None:
    """Only those that the model may see again, and nothing of what the caller was shown."""
    assert [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("a")], field: "long"},
        {"role": "assistant", "content": "So.", field: "then"},
        {"role": "assistant", "content": "Yes."},
    ] == thoughtful(field)


def test_thoughts_go_back_in_tags() -> None:
    """Where the template knows no field for them."""
    assert [
        {"role": "assistant", "content": "<think>\nlong\n</think>\n\n", "tool_calls": [tool_call("a")]},
        {"role": "assistant", "content": "<think>\nthen\n</think>\n\nSo."},
        {"role": "assistant", "content": "Yes."},
    ] == thoughtful("think_tags")


def test_thoughts_go_back_as_details() -> None:
    """As they came: signed text, or a summary and what only its maker reads."""
    signed = {**json.loads(SIGNED), "text": "long"}
    sealed = [
        {"type": "reasoning.text", "text": "then"},
        {"type": "reasoning.summary", "summary": "brief"},
        json.loads(SEALED),
    ]
    assert [[signed], sealed, None] == [each.get("reasoning_details") for each in thoughtful("reasoning_details")]


@pytest.mark.parametrize("token", ["", "gAAA", "7", "{}", '{"type":7}', "[" * 5000])
def test_a_token_that_is_none_of_ours_does_not_go_back(token: str) -> None:
    """The deployment may have had another backend when the thought was had; its text goes back."""
    told = thoughtful("reasoning_details", {"rs_1": Thinking("long", "signature", token), "rs_2": Thinking()})
    details = [each.get("reasoning_details") for each in told]
    assert [[{"type": "reasoning.text", "text": "long"}], None, None] == details


def test_thoughts_before_nothing_are_left_out() -> None:
    """A message must say or call something."""
    config = Config(base_url="http://127.0.0.1:1", send_reasoning=True)
    turn = Turn([THOUGHTS[1], user("?"), assistant("So.")], thoughts=THINKING)
    assert "long" not in to_wire(turn, config).decode()


HINTS = Hints(
    user="u",
    safety_identifier="s",
    metadata={"a": "b"},
    tier="flex",
    prompt_cache_key="k",
    prompt_cache_retention="24h",
    prompt_cache_options=CacheRequest(mode="explicit", prewarm=True),
)


def test_only_the_user_goes_on_where_the_operator_says_nothing() -> None:
    """Few upstreams know more."""
    assert {"model", "messages", "stream", "stream_options", "user"} == asked(Turn([], hints=HINTS)).keys()


def test_all_hints_go_on_where_the_operator_says_so() -> None:
    """But for what would keep the model from answering."""
    body = asked(Turn([], hints=HINTS), Config(base_url="http://127.0.0.1:1", hints="all", stream_options=False))
    assert {
        "messages": [],
        "stream": True,
        "user": "u",
        "safety_identifier": "s",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {"mode": "explicit"},
    } == body
    bare = Hints(prompt_cache_options=CacheRequest(comparison_response_id="resp_1"))
    config = Config(base_url="http://127.0.0.1:1", hints=("prompt_cache_options",), stream_options=False)
    assert {"messages", "stream"} == asked(Turn([], hints=bare), config).keys()


def test_what_an_upstream_refuses_is_left_out_next_time() -> None:
    """The limit goes by its other name, a hint is left out, and nothing else is changed."""
    turn = Turn([], max_output_tokens=64, hints=HINTS)
    config = Config(base_url="http://127.0.0.1:1", hints=("user", "metadata"))
    limit = b'{"error": {"message": "Unsupported parameter: max_completion_tokens"}}'
    metadata = b"""{"error": {"message": "The 'metadata' parameter is only allowed when 'store' is enabled."}}"""
    assert replace(config, max_tokens_field="max_tokens") == mended(turn, config, limit)
    assert config == mended(turn, replace(config, max_tokens_field="max_tokens"), limit.replace(b"completion_", b""))
    assert replace(config, hints=("user",)) == mended(turn, config, metadata)
    assert mended(Turn([]), config, limit) is None
    assert mended(Turn([], hints=Hints(user="u")), config, metadata) is None


INPUT = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
LETTERS = CustomGrammar(syntax="regex", definition="[ab]+")


def test_a_grammar_is_a_pattern_where_the_operator_says_so() -> None:
    """And the function is strict, or the pattern would mean nothing."""
    turn = Turn([], functions=[Function("f", INPUT, grammar=LETTERS), Function("g", INPUT)])
    config = Config(base_url="http://127.0.0.1:1", grammars="pattern")
    told: Any = asked(turn, config)["tools"]
    assert [True, None] == [tool["function"].get("strict") for tool in told]
    assert ["pattern" in tool["function"]["parameters"]["properties"]["input"] for tool in told] == [True, False]
    assert "pattern" not in to_wire(turn, CONFIG).decode()


def test_what_is_counted_is_the_prompt_alone() -> None:
    """The messages, and the functions that may be called."""
    turn = Turn(
        [user("Hi")],
        instructions="Be brief.",
        functions=[Function("f", EMPTY), Function("g", EMPTY)],
        choice=Choice("auto", ["g"]),
        max_output_tokens=64,
    )
    whole, counted = asked(turn), json.loads(to_count(turn, CONFIG))
    assert {"model", "messages", "tools", "add_generation_prompt"} == counted.keys()
    assert {name: whole[name] for name in ("model", "messages", "tools")} == {
        name: counted[name] for name in ("model", "messages", "tools")
    }


@pytest.mark.parametrize(
    ("garbled", "told"),
    [
        ("", "{}"),
        (" ", "{}"),
        ('{"city": "Par', '{"arguments":"{\\"city\\": \\"Par"}'),
        ('["Paris"]', '{"arguments":"[\\"Paris\\"]"}'),
        ("[" * 5000, json.dumps({"arguments": "[" * 5000}, separators=(",", ":"))),
    ],
)
def test_arguments_are_told_as_an_object_whatever_the_model_wrote(garbled: str, told: str) -> None:
    """Upstreams parse what was called before, and would refuse all that follows a slip of a small model."""
    [assistant_message, _] = json.loads(to_wire(Turn([call("a", arguments=garbled), output("a")]), CONFIG))["messages"]
    assert told == assistant_message["tool_calls"][0]["function"]["arguments"]


def test_hosted_calls_are_told_with_their_outputs() -> None:
    """What a tool of the server answered the model reads as an output, before what it said next."""
    told = messages(
        McpListTools(id="mcpl_1", server_label="s", tools=[]),
        McpCall(id="mcp_1", server_label="s", name="fetch", arguments='{"u":1}'),
        WebSearchCall(id="ws_1", action=SearchAction(query="q")),
        assistant("Found."),
        FileSearchCall(id="fs_1", queries=["a"]),
        CodeInterpreterCall(id="ci_1", container_id="c", code="1+1"),
        ImageGenerationCall(id="ig_1", revised_prompt="a cat"),
        ShellCall(id="sh_1", call_id="c", action=ShellAction(commands=["ls"])),
        FileSearchCall(id="fs_2", queries=["never answered"]),
        McpListTools(id="mcpl_2", server_label="s", tools=[]),
        user("Thanks"),
        outputs={
            "mcp_1": "page",
            "ws_1": "links",
            "fs_1": "passage",
            "ci_1": "2",
            "ig_1": "An image was made.",
            "sh_1": "a.txt",
            "mcpl_2": "is no call",
        },
    )
    assert told == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                tool_call("mcp_1", "s__fetch", '{"u":1}'),
                tool_call("ws_1", "web_search", '{"type":"search","query":"q"}'),
            ],
        },
        {"role": "tool", "tool_call_id": "mcp_1", "content": "page"},
        {"role": "tool", "tool_call_id": "ws_1", "content": "links"},
        {
            "role": "assistant",
            "content": "Found.",
            "tool_calls": [
                tool_call("fs_1", "file_search", '{"queries":["a"]}'),
                tool_call("ci_1", "code_interpreter", '{"code":"1+1"}'),
                tool_call("ig_1", "image_generation", '{"prompt":"a cat"}'),
                tool_call("sh_1", "shell", '{"commands":["ls"]}'),
            ],
        },
        {"role": "tool", "tool_call_id": "fs_1", "content": "passage"},
        {"role": "tool", "tool_call_id": "ci_1", "content": "2"},
        {"role": "tool", "tool_call_id": "ig_1", "content": "An image was made."},
        {"role": "tool", "tool_call_id": "sh_1", "content": "a.txt"},
        {"role": "user", "content": "Thanks"},
    ]


def test_an_image_that_a_hosted_call_gave_is_seen() -> None:
    """A tool message holds text alone, so it follows."""
    told = messages(
        McpCall(id="mcp_1", server_label="s", name="draw", arguments="{}"),
        McpApprovalRequest(id="mcpr_1", server_label="s", name="wipe", arguments="{}"),
        assistant("Seen."),
        outputs={"mcp_1": [InputText(text="Here"), InputImage(image_url=PIXEL)], "mcpr_1": "Not made."},
    )
    assert told == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("mcp_1", "s__draw")]},
        {"role": "tool", "tool_call_id": "mcp_1", "content": "Here"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
        {"role": "assistant", "content": None, "tool_calls": [tool_call("mcpr_1", "s__wipe")]},
        {"role": "tool", "tool_call_id": "mcpr_1", "content": "Not made."},
        {"role": "assistant", "content": "Seen."},
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (McpHttpError(code=500, message="It was down."), "It was down."),
        (McpProtocolError(code=-32602, message="No such argument."), "No such argument."),
        (McpToolExecutionError(content=[{"type": "text", "text": "Full."}]), '[{"type":"text","text":"Full."}]'),
        ("Older words.", "Older words."),
    ],
)
def test_a_failed_mcp_call_that_a_client_sends_back_tells_why(
    error: McpHttpError | McpProtocolError | McpToolExecutionError | str, told: str
) -> None:
    """The model reads it in every form that the wire has had."""
    failed = McpCall(id="mcp_1", server_label="s", name="fetch", arguments="{}", status="failed", error=error)
    _, answer = json.loads(to_wire(Turn([failed]), CONFIG))["messages"]
    assert f"The call of this tool failed: {told}" == answer["content"]


def test_an_mcp_call_that_a_client_sends_back_speaks_for_itself() -> None:
    """Its output is part of the item."""
    assert messages(McpCall(id="mcp_1", server_label="s", name="fetch", arguments="{}", output="page")) == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("mcp_1", "s__fetch")]},
        {"role": "tool", "tool_call_id": "mcp_1", "content": "page"},
    ]


def test_calls_that_a_client_runs_are_told_as_functions() -> None:
    """Custom tools, shells, patches and computers: a chat model knows functions alone."""
    done = ShellOutput(stdout="x", stderr="", outcome=OutcomeExit(exit_code=0))
    told = messages(
        CustomToolCall(call_id="a", name="sql", input="select 1"),
        CustomToolCallOutput(call_id="a", output="1"),
        LocalShellCall(call_id="b", action=ExecAction(command=["ls"])),
        LocalShellCallOutput(call_id="b", output="{}"),
        ShellCall(call_id="c", action=ShellAction(commands=["ls"])),
        ShellCallOutput(call_id="c", output=[done]),
        ApplyPatchCall(call_id="d", operation=CreateFile(path="a", diff="+b")),
        ApplyPatchCallOutput(call_id="d"),
        ComputerCall(call_id="e", actions=[Wait()]),
        ComputerCallOutput(call_id="e", output=ComputerScreenshot(image_url=PIXEL)),
    )
    pairs = [message for message in told if message["role"] != "user"]  # type: ignore[attr-defined]  # parsed JSON
    assert [each["tool_calls"][0]["function"] for each in pairs[::2]] == [
        {"name": "sql", "arguments": '{"input":"select 1"}'},
        {"name": "local_shell", "arguments": '{"command":["ls"]}'},
        {"name": "shell", "arguments": '{"commands":["ls"]}'},
        {"name": "apply_patch", "arguments": '{"type":"create_file","path":"a","diff":"+b"}'},
        {"name": "computer", "arguments": '{"actions":[{"type":"wait"}]}'},
    ]
    assert [each["content"] for each in pairs[1::2]] == [
        "1",
        "{}",
        "x\n(exit code 0)",
        "The change was made.",
        "The screen is shown below.",
    ]
    assert told[-1] == {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}  # type: ignore[index]  # parsed JSON


def test_a_long_call_id_is_shortened_alike_in_call_and_output() -> None:
    """OpenAI refuses ids of more than 40 characters."""
    told = messages(
        call("call_" + "a" * 48), output("call_" + "a" * 48), call("call_" + "b" * 48), output("call_" + "b" * 48)
    )
    ids = [message["tool_calls"][0]["id"] for message in told[::2]]  # type: ignore[index]  # parsed JSON
    assert ids == [message["tool_call_id"] for message in told[1::2]]  # type: ignore[index]  # parsed JSON
    assert (2, True) == (len(set(ids)), all(len(each) <= 40 for each in ids))
