"""What an upstream that speaks the Responses API is asked: golden requests, field by field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import pytest
from msgspec import Raw

from antiphon.backends import UpstreamError
from antiphon.backends.responses import Config, to_wire
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.calls import (
    ExecAction,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpToolListing,
    SearchAction,
    WebSearchCall,
)
from antiphon.protocol.content import (
    InputFile,
    InputImage,
    InputText,
    OutputText,
    ReasoningText,
    RefusalPart,
    SummaryText,
    UrlCitation,
)
from antiphon.protocol.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Message,
    ReasoningItem,
)
from antiphon.protocol.settings import FormatJsonSchema, FormatText, Reasoning, TextConfig
from antiphon.protocol.tools import McpTool

if TYPE_CHECKING:
    from typing import Any  # parsed JSON

    from antiphon.core.turn import Output
    from antiphon.protocol.items import Item
    from antiphon.protocol.tools import Tool

CONFIG = Config(base_url="http://127.0.0.1:1/v1", model="m")
SCHEMA = Raw(b'{"type":"object","properties":{"a":{"default":null}}}')
PIXEL = "data:image/png;base64,iVBORw0KGgo="
WIKI = McpTool(server_label="wiki", server_url="https://wiki.example/mcp", authorization="secret", headers={"x-a": "b"})


def asked(turn: Turn, config: Config = CONFIG) -> dict[str, Any]:
    """The request as an upstream would parse it."""
    body: dict[str, Any] = json.loads(to_wire(turn, config))
    return body


def told(
    *items: Item, outputs: dict[str, Output] | None = None, handed_over: list[Tool] | None = None
) -> list[dict[str, Any]]:
    """The input that items become."""
    turn = Turn([*items], outputs=outputs or {}, handed_over=handed_over or [])
    said: list[dict[str, Any]] = asked(turn)["input"]
    return said


def user(text: str) -> Message:
    """A user's words."""
    return Message(id="msg_0", role="user", content=[InputText(text=text)])


def called(call_id: str, name: str, arguments: str = "{}") -> dict[str, object]:
    """A call as the wire has it."""
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def answered(call_id: str, output: object) -> dict[str, object]:
    """An output as the wire has it."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def test_only_what_the_turn_names_is_sent() -> None:
    """A bare turn leaves every default to the upstream, which keeps nothing."""
    assert asked(Turn([user("Hi")])) == {
        "model": "m",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "stream": True,
        "store": False,
    }


def test_the_upstream_is_asked_for_the_callers_model_where_the_operator_names_none() -> None:
    """One deployment may stand for all models of an upstream."""
    config = Config(base_url="http://127.0.0.1:1")
    assert "gpt-9" == asked(Turn([], model="gpt-9"), config)["model"]
    assert "model" not in asked(Turn([]), config)


def test_every_setting_has_its_name_on_the_wire() -> None:
    """Sampling, limits, log-probabilities, reasoning and the form of the text go where the API wants them."""
    turn = Turn(
        [],
        instructions="Be brief.",
        temperature=0.0,
        top_p=0.5,
        presence_penalty=0.1,
        frequency_penalty=0.0,
        max_output_tokens=64,
        logprobs=True,
        top_logprobs=3,
        reasoning=Reasoning(effort="low", summary="auto"),
        text=TextConfig(
            format=FormatJsonSchema(name="n", schema_={"type": "object", "default": None}, strict=True),
            verbosity="high",
        ),
        user="u-1",
    )
    body = asked(turn)
    assert {name: body[name] for name in body if name not in {"input", "model", "stream", "store"}} == {
        "instructions": "Be brief.",
        "temperature": 0.0,
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.0,
        "max_output_tokens": 64,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 3,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {
            "format": {
                "type": "json_schema",
                "name": "n",
                "schema": {"type": "object", "default": None},
                "strict": True,
            },
            "verbosity": "high",
        },
        "user": "u-1",
    }


def test_settings_that_say_nothing_are_left_out() -> None:
    """No empty object and no null is sent."""
    body = asked(Turn([], reasoning=Reasoning(), text=TextConfig(), parallel_tool_calls=True))
    assert {"model", "input", "stream", "store"} == body.keys()
    assert {"format": {"type": "text"}} == asked(Turn([], text=TextConfig(format=FormatText())))["text"]


def test_functions_are_declared_with_their_strictness() -> None:
    """Without the word the upstream would make every function strict."""
    turn = Turn([], functions=[Function("f", SCHEMA), Function("g", SCHEMA, "Does g.", strict=True)])
    schema = {"type": "object", "properties": {"a": {"default": None}}}
    assert asked(turn)["tools"] == [
        {"type": "function", "name": "f", "parameters": schema, "strict": False},
        {"type": "function", "name": "g", "parameters": schema, "strict": True, "description": "Does g."},
    ]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (Choice("auto"), None),
        (Choice("none"), "none"),
        (Choice("required"), "required"),
        (Choice("required", ["f"]), {"type": "function", "name": "f"}),
        (
            Choice("required", ["f", "g"]),
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": n} for n in "fg"]},
        ),
        (
            Choice("auto", ["f"]),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
        (Choice("auto", []), "none"),
        (Choice("none", ["f"]), "none"),
    ],
)
def test_the_choice_is_the_apis_own(choice: Choice, wire: object) -> None:
    """A single demanded function is named; a set is a list of what is allowed."""
    turn = Turn([], functions=[Function("f", SCHEMA), Function("g", SCHEMA)], choice=choice, parallel_tool_calls=False)
    body = asked(turn)
    assert (wire, False, 2) == (body.get("tool_choice"), body["parallel_tool_calls"], len(body["tools"]))


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_a_choice_that_names_no_function_means_the_servers_that_are_handed_over(
    mode: Literal["auto", "required"],
) -> None:
    """Their tools are no functions of the turn."""
    turn = Turn([], functions=[Function("f", SCHEMA)], choice=Choice(mode, []), handed_over=[WIKI])
    servers = [{"type": "mcp", "server_label": "wiki"}]
    assert {"type": "allowed_tools", "mode": mode, "tools": servers} == asked(turn)["tool_choice"]


def test_a_choice_without_tools_is_not_sent() -> None:
    """There is nothing to choose from."""
    assert "tool_choice" not in asked(Turn([], choice=Choice("none")))


def test_messages_keep_their_roles_and_parts_and_lose_their_ids() -> None:
    """The upstream knows no id of ours."""
    cited = OutputText(text="A.", annotations=[UrlCitation(url="https://x", title="X", start_index=0, end_index=1)])
    items: list[Item] = [
        Message(id="msg_1", role="system", content=[InputText(text="S")]),
        Message(id="msg_2", role="developer", content=[InputText(text="D")]),
        Message(
            id="msg_3",
            role="user",
            content=[InputImage(image_url=PIXEL), InputFile(file_data="data:x", filename="a.pdf")],
        ),
        Message(id="msg_4", role="assistant", content=[OutputText(text="A")], phase="commentary"),
        Message(id="msg_5", role="assistant", content=[RefusalPart(refusal="No.")], status="incomplete"),
        Message(id="msg_6", role="assistant", content=[cited]),
    ]
    assert told(*items) == [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "S"}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "D"}]},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                {"type": "input_file", "file_data": "data:x", "filename": "a.pdf"},
            ],
        },
        {"type": "message", "role": "assistant", "content": "A", "phase": "commentary"},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {
                    "type": "output_text",
                    "text": "A.",
                    "annotations": [
                        {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 1}
                    ],
                    "logprobs": [],
                }
            ],
        },
    ]


@pytest.mark.parametrize(
    "part",
    [
        InputImage(file_id="file-1"),
        InputImage(image_url=PIXEL, file_id="file-1"),
        InputFile(file_id="file-1"),
        InputFile(filename="a.pdf"),
    ],
)
def test_a_part_that_is_a_mere_reference_is_refused(part: InputImage | InputFile) -> None:
    """A file here is none there, and one there is none of the caller's."""
    for item in (
        Message(role="user", content=[part]),
        FunctionCallOutput(call_id="a", output=[part]),
    ):
        with pytest.raises(UpstreamError) as caught:
            told(item)
        assert ("invalid_request", "input") == (caught.value.fault, caught.value.param)


def test_calls_and_outputs_go_as_they_are() -> None:
    """The call ids are the pairing, and outputs keep their images; a custom tool is a function in a turn."""
    image = InputImage(image_url=PIXEL)
    assert told(
        FunctionCall(id="fc_1", call_id="a", name="f", arguments='{"x":1}'),
        FunctionCall(id="fc_2", call_id="b", name="g", arguments='{"x'),
        FunctionCallOutput(id="fco_1", call_id="a", output="ok"),
        FunctionCallOutput(id="fco_2", call_id="b", output=[InputText(text="See"), image]),
        CustomToolCall(id="ctc_1", call_id="c", name="sql", input="select 1"),
        CustomToolCallOutput(id="ctco_1", call_id="c", output="1"),
        LocalShellCall(id="lsh_1", call_id="d", action=ExecAction(command=["ls"])),
        LocalShellCallOutput(id="lsho_1", call_id="d", output="{}"),
    ) == [
        called("a", "f", '{"x":1}'),
        called("b", "g", '{"arguments":"{\\"x"}'),
        answered("a", "ok"),
        answered(
            "b",
            [
                {"type": "input_text", "text": "See"},
                {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
            ],
        ),
        called("c", "sql", '{"input":"select 1"}'),
        answered("c", "1"),
        called("d", "local_shell", '{"type":"exec","command":["ls"],"env":{}}'),
        answered("d", "{}"),
    ]


def test_thoughts_go_back_only_where_they_are_sealed() -> None:
    """Nothing else of a thought can be taken back."""
    assert told(
        ReasoningItem(id="rs_1", summary=[SummaryText(text="open")], content=[ReasoningText(text="raw")]),
        ReasoningItem(
            id="rs_2",
            summary=[SummaryText(text="short")],
            content=[ReasoningText(text="raw")],
            encrypted_content="gAAA",
            status="completed",
        ),
    ) == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "short"}],
            "encrypted_content": "gAAA",
        }
    ]


def test_calls_that_were_answered_here_are_told_as_functions() -> None:
    """The model reads them under the names that the turn declares; a long id is shortened."""
    long = "mcp_" + "a" * 70
    items: list[Item] = [
        McpListTools(id="mcpl_1", server_label="s", tools=[]),
        McpApprovalRequest(id="mcpr_1", server_label="s", name="wipe", arguments="{}"),
        McpApprovalResponse(id="mcpa_1", approval_request_id="mcpr_1", approve=False),
        McpCall(id="mcp_1", server_label="s", name="fetch", arguments='{"u":1}', output="shown"),
        McpCall(id=long, server_label="s", name="fetch", arguments="{}"),
        WebSearchCall(id="ws_1", action=SearchAction(query="q")),
        WebSearchCall(id="ws_2"),
        McpCall(id="mcp_2", server_label="s", name="fetch", arguments="{}", output="sent back"),
    ]
    outputs: dict[str, Output] = {
        "mcpr_1": "The person said no.",
        "mcp_1": "page",
        long: [InputImage(image_url=PIXEL)],
        "ws_1": "links",
    }
    said = told(*items, outputs=outputs)
    short = said[4]["call_id"]
    assert len(short) <= 64
    assert said == [
        called("mcpr_1", "s__wipe"),
        answered("mcpr_1", "The person said no."),
        called("mcp_1", "s__fetch", '{"u":1}'),
        answered("mcp_1", "page"),
        called(short, "s__fetch"),
        answered(short, [{"type": "input_image", "image_url": PIXEL, "detail": "auto"}]),
        called("ws_1", "web_search", '{"type":"search","query":"q"}'),
        answered("ws_1", "links"),
        called("mcp_2", "s__fetch"),
        answered("mcp_2", "sent back"),
    ]


def test_a_tool_that_is_handed_over_goes_with_its_secrets_and_without_nulls() -> None:
    """It stands beside the functions."""
    body = asked(Turn([], functions=[Function("f", SCHEMA)], handed_over=[WIKI], parallel_tool_calls=True))
    assert body["tools"][1] == {
        "type": "mcp",
        "server_label": "wiki",
        "server_url": "https://wiki.example/mcp",
        "authorization": "secret",
        "headers": {"x-a": "b"},
    }
    assert body["parallel_tool_calls"] is True


def test_what_a_handed_over_server_made_goes_back_as_it_came() -> None:
    """An approval finds its request; what other servers made, or was answered here, is told as before."""
    tool = McpToolListing(name="search", input_schema={"default": None})
    items: list[Item] = [
        McpListTools(id="mcpl_1", server_label="wiki", tools=[tool]),
        McpListTools(id="mcpl_2", server_label="other", tools=[]),
        McpCall(id="mcp_1", server_label="wiki", name="search", arguments="{}", output="x", status="completed"),
        McpCall(id="mcp_2", server_label="wiki", name="search", arguments="{}"),
        McpApprovalRequest(id="mcpr_1", server_label="wiki", name="search", arguments="{}"),
        McpApprovalRequest(id="mcpr_2", server_label="other", name="search", arguments="{}"),
        McpApprovalResponse(id="mcpa_1", approval_request_id="mcpr_1", approve=True),
        McpApprovalResponse(id="mcpa_2", approval_request_id="mcpr_2", approve=True),
    ]
    assert told(*items, outputs={"mcp_2": "ours"}, handed_over=[WIKI]) == [
        {
            "type": "mcp_list_tools",
            "id": "mcpl_1",
            "server_label": "wiki",
            "tools": [{"name": "search", "input_schema": {"default": None}}],
        },
        {
            "type": "mcp_call",
            "id": "mcp_1",
            "status": "completed",
            "approval_request_id": None,
            "arguments": "{}",
            "error": None,
            "name": "search",
            "output": "x",
            "server_label": "wiki",
        },
        called("mcp_2", "wiki__search"),
        answered("mcp_2", "ours"),
        {"type": "mcp_approval_request", "id": "mcpr_1", "arguments": "{}", "name": "search", "server_label": "wiki"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    ]
