"""What an upstream that speaks the Responses API is asked: golden requests, field by field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import pytest
from msgspec import Raw
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.responses import Config, to_wire
from antiphon.backends.responses.asking import mended, to_count
from antiphon.core.turn import Choice, Function, Hints, Thinking, Turn
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CreateFile,
    ExecAction,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpToolListing,
    OutcomeExit,
    SearchAction,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellOutput,
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
from antiphon.protocol.request import CacheRequest
from antiphon.protocol.settings import FormatJsonSchema, FormatText, Reasoning, TextConfig
from antiphon.protocol.tool_settings import CustomGrammar, ShellLocal
from antiphon.protocol.tools import ApplyPatchTool, CustomTool, LocalShellTool, McpTool, ShellTool

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
        hints=Hints(user="u-1"),
    )
    body = asked(turn)
    assert {name: body[name] for name in body if name not in {"input", "model", "stream", "store"}} == {
        "instructions": "Be brief.",
        "temperature": 0.0,
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.0,
        "max_output_tokens": 64,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
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
        called("d", "local_shell", '{"command":["ls"]}'),
        answered("d", "{}"),
    ]


SHORT = [SummaryText(text="short")]
THOUGHTS: list[Item] = [
    ReasoningItem(id="rs_1", summary=[], encrypted_content="our own seal"),
    ReasoningItem(id="rs_2", summary=SHORT, content=[ReasoningText(text="raw")], status="completed"),
    ReasoningItem(id="rs_3", summary=SHORT),
    ReasoningItem(id="rs_4", summary=[]),
]
THINKING = {
    "rs_2": Thinking("raw", "encrypted", "gAAA", "m"),
    "rs_3": Thinking("raw", "encrypted", "", "m"),
    "rs_4": Thinking("", "signature", "not ours", "m"),
}


def test_thoughts_go_back_as_the_upstream_gave_them() -> None:
    """What the item itself says is the caller's business; one that is not to be seen again is left out."""
    body = asked(Turn(THOUGHTS, thoughts=THINKING))
    summary = [{"type": "summary_text", "text": "short"}]
    assert [{"type": "reasoning", "summary": summary, "encrypted_content": "gAAA"}] == body["input"]
    assert ["reasoning.encrypted_content"] == body["include"]


def test_thoughts_in_plain_text_go_back_where_the_operator_says_so() -> None:
    """An open model's server takes them, with their id."""
    body = asked(Turn(THOUGHTS, thoughts=THINKING), Config(base_url="http://127.0.0.1:1", send_reasoning=True))
    summary = [{"type": "summary_text", "text": "short"}]
    content = [{"type": "reasoning_text", "text": "raw"}]
    assert [
        {"type": "reasoning", "summary": summary, "encrypted_content": "gAAA"},
        {"type": "reasoning", "summary": summary, "content": content, "id": "rs_3"},
    ] == body["input"]


def test_encrypted_thoughts_are_not_asked_for_where_the_operator_says_so() -> None:
    """Some upstreams know no such thing."""
    config = Config(base_url="http://127.0.0.1:1", encrypted_reasoning=False)
    assert "include" not in asked(Turn([], reasoning=Reasoning(effort="low")), config)


HINTS = Hints(
    user="u",
    safety_identifier="s",
    metadata={"a": "b"},
    tier="flex",
    prompt_cache_key="k",
    prompt_cache_retention="24h",
    prompt_cache_options=CacheRequest(mode="explicit", ttl="12h", prewarm=True, comparison_response_id="resp_1"),
)


def test_hints_go_on_to_an_upstream_that_knows_them_all() -> None:
    """But for what would keep the model from answering, or names a response of ours."""
    names = {"user", "safety_identifier", "metadata", "service_tier"}
    body = asked(Turn([], hints=HINTS))
    assert {name: body[name] for name in body if name in names or name.startswith("prompt_cache")} == {
        "user": "u",
        "safety_identifier": "s",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": {"mode": "explicit", "ttl": "12h"},
    }


def test_only_the_hints_that_the_operator_names_go_on() -> None:
    """The others are nobody's business there."""
    config = Config(base_url="http://127.0.0.1:1", hints=("safety_identifier",))
    assert {"input", "stream", "store", "safety_identifier"} == asked(Turn([], hints=HINTS), config).keys()


NATIVE = Config(base_url="http://127.0.0.1:1", native_tools=["custom", "shell", "local_shell", "apply_patch"])
GRAMMAR = CustomGrammar(syntax="lark", definition="start: /a+/")
CLIENTS = [
    Function("sql", SCHEMA, "Asks.", tool=CustomTool(name="sql"), grammar=GRAMMAR),
    Function("db__sql", SCHEMA, tool=CustomTool(name="sql")),
    Function("sh", SCHEMA, "Runs.", tool=ShellTool(environment=ShellLocal(skills=None))),
    Function("local_shell", SCHEMA, tool=LocalShellTool()),
    Function("patch", SCHEMA, tool=ApplyPatchTool()),
    Function("f", SCHEMA),
]


def test_tools_that_the_upstream_knows_are_told_as_what_they_are() -> None:
    """With their grammars, and by the names that they have in the turn."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a+/"}
    assert asked(Turn([], functions=CLIENTS), NATIVE)["tools"] == [
        {"type": "custom", "name": "sql", "description": "Asks.", "format": grammar},
        {"type": "custom", "name": "db__sql"},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "local_shell"},
        {"type": "apply_patch"},
        {"type": "function", "name": "f", "parameters": json.loads(bytes(SCHEMA)), "strict": False},
    ]


def test_tools_that_the_upstream_does_not_know_are_told_as_functions() -> None:
    """So is each of another type than those that the operator names."""
    config = Config(base_url="http://127.0.0.1:1", native_tools=["shell"])
    assert ["function"] * 6 == [tool["type"] for tool in asked(Turn([], functions=CLIENTS))["tools"]]
    assert ["function", "function", "shell", "function", "function", "function"] == [
        tool["type"] for tool in asked(Turn([], functions=CLIENTS), config)["tools"]
    ]
    assert [{"type": "shell"}] == asked(Turn([], functions=[Function("s", SCHEMA, tool=ShellTool())]), config)["tools"]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (Choice("required", ["sql"]), {"type": "custom", "name": "sql"}),
        (Choice("required", ["sh"]), {"type": "shell"}),
        (Choice("required", ["patch"]), {"type": "apply_patch"}),
        (
            Choice("required", ["local_shell"]),
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "local_shell"}]},
        ),
        (
            Choice("auto", ["sql", "patch", "f"]),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [
                    {"type": "custom", "name": "sql"},
                    {"type": "apply_patch"},
                    {"type": "function", "name": "f"},
                ],
            },
        ),
    ],
)
def test_a_choice_of_such_a_tool_names_it_as_what_it_is(choice: Choice, wire: object) -> None:
    """The API cannot demand the older shell but as the only one that is allowed."""
    assert wire == asked(Turn([], functions=CLIENTS, choice=choice), NATIVE)["tool_choice"]


DONE = ShellOutput(stdout="x", stderr="", outcome=OutcomeExit(exit_code=0))
LONG = "call_" + "a" * 59
CALLS: list[Item] = [
    CustomToolCall(id="ctc_1", call_id=LONG, name="sql", namespace="db", input="select 1"),
    CustomToolCallOutput(id="ctco_1", call_id=LONG, output="1"),
    CustomToolCall(id="ctc_2", call_id="b", name="sql", input="select 2"),
    FunctionCallOutput(id="fco_1", call_id="b", output=[InputText(text="2")]),
    ShellCall(id="sh_1", call_id="c", action=ShellAction(commands=["ls"])),
    ShellCallOutput(id="sho_1", call_id="c", output=[DONE]),
    LocalShellCall(id="lsh_1", call_id="d", action=ExecAction(command=["ls"])),
    LocalShellCallOutput(id="lsho_1", call_id="d", output="{}"),
    ApplyPatchCall(id="apc_1", call_id="e", operation=CreateFile(path="a", diff="+b")),
    ApplyPatchCallOutput(id="apco_1", call_id="e", output="ok"),
    FunctionCall(id="fc_1", call_id="f", name="f", arguments="{}"),
    FunctionCallOutput(id="fco_2", call_id="f", output="ok"),
]


def test_calls_of_such_tools_go_back_as_what_they_are() -> None:
    """With their outputs, whichever form a client gave those; the upstream knows none of our ids."""
    outcome = {"type": "exit", "exit_code": 0}
    action = {"commands": ["ls"], "max_output_length": None, "timeout_ms": None}
    assert asked(Turn(CALLS), NATIVE)["input"] == [
        {"type": "custom_tool_call", "call_id": LONG, "name": "db__sql", "input": "select 1"},
        {"type": "custom_tool_call_output", "call_id": LONG, "output": "1"},
        {"type": "custom_tool_call", "call_id": "b", "name": "sql", "input": "select 2"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
        {"type": "shell_call", "status": "completed", "action": action, "call_id": "c"},
        {
            "type": "shell_call_output",
            "status": "completed",
            "call_id": "c",
            "output": [{"stdout": "x", "stderr": "", "outcome": outcome}],
        },
        {
            "type": "local_shell_call",
            "id": "lsh_1",
            "status": "completed",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
            "call_id": "d",
        },
        {"type": "local_shell_call_output", "id": "lsho_1", "call_id": "d", "output": "{}"},
        {
            "type": "apply_patch_call",
            "status": "completed",
            "call_id": "e",
            "operation": {"type": "create_file", "path": "a", "diff": "+b"},
        },
        {"type": "apply_patch_call_output", "status": "completed", "call_id": "e", "output": "ok"},
        called("f", "f"),
        answered("f", "ok"),
    ]


@pytest.mark.parametrize("item", [CALLS[1], CALLS[5], CALLS[7], CALLS[9]])
def test_an_output_whose_call_is_not_told_as_such_is_that_of_a_function(item: Item) -> None:
    """The two must fit each other."""
    assert ["function_call_output"] == [told["type"] for told in asked(Turn([item]), NATIVE)["input"]]


def test_a_call_that_was_answered_here_is_no_clients() -> None:
    """A hosted shell has run it, and its output is known."""
    turn = Turn([CALLS[4]], outputs={"sh_1": "x"})
    assert ["function_call", "function_call_output"] == [told["type"] for told in asked(turn, NATIVE)["input"]]


def test_an_image_in_an_output_of_such_a_tool_must_be_whole_as_well() -> None:
    """The upstream has no file of ours."""
    output = CustomToolCallOutput(call_id="b", output=[InputImage(file_id="file-1")])
    with pytest.raises(UpstreamError, match="only by URL"):
        asked(Turn([CALLS[2], output]), NATIVE)


def test_what_is_counted_is_the_prompt_alone() -> None:
    """The same input and tools as are sent, and nothing of the answer."""
    turn = Turn(
        CALLS,
        model="m",
        instructions="Be brief.",
        functions=CLIENTS,
        choice=Choice("required"),
        parallel_tool_calls=False,
        reasoning=Reasoning(effort="low"),
        text=TextConfig(verbosity="low"),
        max_output_tokens=64,
        hints=HINTS,
    )
    whole, counted = asked(turn, NATIVE), json.loads(to_count(turn, NATIVE))
    names = {"model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text"}
    assert {name: whole[name] for name in names} == counted


REFUSED = {"error": {"message": "Encrypted content is not supported with this model.", "param": "include"}}


def test_what_an_upstream_refuses_is_left_out_next_time() -> None:
    """Encrypted reasoning, or one hint after the other; anything else is the caller's to mend."""
    turn = Turn([], reasoning=Reasoning(effort="low"), hints=HINTS)
    config = Config(base_url="http://127.0.0.1:1")
    refused = json.dumps(REFUSED).encode()
    assert replace(config, encrypted_reasoning=False) == mended(turn, config, refused)
    assert mended(Turn([]), config, refused) is None
    unknown = b'{"error": {"message": "Unknown parameter: \'metadata\'.", "param": "metadata"}}'
    kept = ("user", "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_retention")
    assert replace(config, hints=(*kept, "prompt_cache_options")) == mended(turn, config, unknown)
    assert mended(Turn([]), config, unknown) is None
    assert mended(turn, config, b'{"error": {"message": "Bad.", "param": "metadata"}}') is None


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
