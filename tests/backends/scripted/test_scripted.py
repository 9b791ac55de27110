"""A script is performed as written, and without one the model echoes."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest
from msgspec import Raw

import antiphon.backends.scripted
from antiphon.backends import UpstreamError
from antiphon.backends.scripted import Config, Scripted, ScriptError
from antiphon.core.deltas import (
    Call,
    Cited,
    Delta,
    Finish,
    Keepsake,
    Refused,
    Summary,
    Text,
    Thought,
    Voice,
)
from antiphon.core.turn import Choice, Function, Thinking, Turn
from antiphon.protocol.calls import (
    ApplyPatchCallOutput,
    LocalShellCallOutput,
    McpCall,
    OutcomeExit,
    ShellCallOutput,
    ShellOutput,
    ToolSearchCall,
    ToolSearchOutput,
)
from antiphon.protocol.content import (
    InputImage,
    InputText,
    Logprob,
    OutputText,
    RefusalPart,
    TopLogprob,
    UrlCitation,
)
from antiphon.protocol.items import CustomToolCallOutput, FunctionCall, FunctionCallOutput, Message
from antiphon.protocol.response import InputTokens, OutputTokens, Usage
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, TextConfig
from antiphon.protocol.tools import FunctionTool
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item

pytestmark = pytest.mark.anyio


def user(text: str) -> Message:
    """A user's words."""
    return Message(role="user", content=[InputText(text=text)])


CALLED: list[Item] = [
    user("weather in Oslo"),
    FunctionCall(call_id="c", name="weather", arguments="{}"),
    FunctionCallOutput(call_id="c", output="5 degrees"),
]


async def hear(turn: Turn, replies: str = "", **settings: object) -> list[Delta]:
    """Perform one turn, with the replies of a script given as TOML."""
    config = msgspec.convert({**tables(replies), **settings}, Config)
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(Scripted(config).stream(turn)) as lists:
            return [delta async for deltas in lists for delta in deltas]


def tables(script: str) -> dict[str, object]:
    """The tables of a script, as they may stand in a deployment."""
    return msgspec.toml.decode(script, type=dict[str, object])


def spent(heard: int, said: int, *, thought: int = 0) -> Usage:
    """Usage, in tokens."""
    return Usage(
        input_tokens=heard,
        output_tokens=said,
        output_tokens_details=OutputTokens(reasoning_tokens=thought),
        total_tokens=heard + said,
    )


async def test_without_a_script_the_model_echoes() -> None:
    """Word by word, nothing lost, and every word counted."""
    turn = Turn([user("Hello,  big\nworld ")], instructions="Be brief.")
    words = ["You", " said:", " Hello,", "  big", "\nworld "]
    assert [*map(Text, words), Finish("stop", spent(5, 5))] == await hear(turn)


async def test_all_that_is_read_is_counted() -> None:
    """Instructions, messages of all roles and outputs; a picture has no words."""
    seen: list[MessagePart] = [InputText(text="two words"), InputImage(image_url="https://example.com/a.png")]
    said: list[MessagePart] = [OutputText(text="three words more"), RefusalPart(refusal="No.")]
    turn = Turn([Message(role="user", content=seen), Message(role="assistant", content=said), *CALLED])
    assert Finish("stop", spent(2 + 3 + 1 + 3 + 2, 5)) == (await hear(turn))[-1]


async def test_the_echo_reads_an_output() -> None:
    """After a call the model tells what came of it, a client's or a tool's."""
    said = [Text("The"), Text(" tool"), Text(" said:"), Text(" 5"), Text(" degrees"), Finish("stop", spent(5, 5))]
    assert said == await hear(Turn(CALLED))
    hosted = McpCall(id="mcp_1", server_label="s", name="weather", arguments="{}")
    assert said == await hear(Turn([CALLED[0], hosted], outputs={"mcp_1": "5 degrees"}))


async def test_a_demanded_call_is_made_once() -> None:
    """The first function that may be called gets the least arguments that fit; after its output there is an end."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    functions = [Function("other", Raw(b"{}")), Function("count", Raw(json.dumps(schema).encode()))]
    turn = Turn([user("Go")], functions=functions, choice=Choice("required", ["count"]))
    assert [Call("0", "count", '{"n":3}'), Finish("stop", spent(1, 1))] == await hear(turn)
    after = Turn(CALLED, functions=functions, choice=Choice("required"))
    assert [Text("The")] == (await hear(after))[:1]


async def test_demanded_json_is_given() -> None:
    """The least instance of the schema, or the empty object."""
    form = FormatJsonSchema(
        name="a", schema_={"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    )
    assert Text('{"ok":false}') == (await hear(Turn([user("Go")], text=TextConfig(format=form))))[0]
    assert Text("{}") == (await hear(Turn([user("Go")], text=TextConfig(format=FormatJsonObject()))))[0]


async def test_steps_are_performed_in_order() -> None:
    """Thoughts, texts, refusals and calls, cut as described."""
    script = """
        [[replies]]
        finish = "content_filter"
        usage = { input_tokens = 9, output_tokens = 4, cached_tokens = 2, reasoning_tokens = 1 }
        steps = [
            { thought = "Where is it?" },
            { text = ["On", "ce"] },
            { refusal = "I rather not" },
            { call = { name = "weather", arguments = { city = "Oslo" } } },
            { call = { name = "clock", arguments = "{" } },
            { call = { name = "now" } },
        ]
    """
    usage = Usage(
        input_tokens=9,
        input_tokens_details=InputTokens(cached_tokens=2),
        output_tokens=4,
        output_tokens_details=OutputTokens(reasoning_tokens=1),
        total_tokens=13,
    )
    assert [
        *(Thought("Where"), Thought(" is"), Thought(" it?")),
        *(Text("On"), Text("ce")),
        *(Refused("I"), Refused(" rather"), Refused(" not")),
        *(Call("0", "weather", '{"city":'), Call("0", arguments='"Oslo"}')),
        Call("1", "clock", "{"),
        Call("2", "now", "{}"),
        Finish("content_filter", usage),
    ] == await hear(Turn([user("Go")]), script)


CHOOSING = """
    [[replies]]
    when = "(?i)WEATHER"
    after_output = false
    steps = [{ text = "asking" }]

    [[replies]]
    when = "degrees$"
    steps = [{ text = "reading" }]

    [[replies]]
    after_output = true
    outputs = 2
    steps = [{ text = "twice" }]

    [[replies]]
    outputs = 0
    steps = [{ text = "anything" }]
"""


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([user("the weather?")], "asking"),
        (CALLED, "reading"),
        ([user("hm")], "anything"),
        ([user("hm"), *CALLED[1:2], *[FunctionCallOutput(call_id="c", output="x")] * 2], "twice"),
        ([*CALLED, user("hm")], "anything"),
        ([user("hm"), *CALLED[1:2], FunctionCallOutput(call_id="c", output="x")], "The"),
    ],
)
async def test_the_first_reply_that_fits_is_performed(items: list[Item], said: str) -> None:
    """By what the model reads, and by how many outputs it has read; else it echoes."""
    assert Text(said) == (await hear(Turn(items), CHOOSING))[0]


async def test_a_script_fails_where_it_says_so() -> None:
    """Before the first word or in the middle, with what a real upstream gives."""
    script = """
        [[replies]]
        steps = [{ text = "One" }, { fail = { fault = "rate_limit_exceeded", message = "Too fast.", retry_after = 2 } }]
    """
    backend = Scripted(msgspec.convert(tables(script), Config))
    with anyio.fail_after(HANG_SECONDS):
        async with aclosing(backend.stream(Turn([]))) as lists:
            assert [Text("One")] == await anext(lists)
            with pytest.raises(UpstreamError, match="Too fast") as caught:
                await anext(lists)
    assert ("rate_limit_exceeded", 2.0) == (caught.value.fault, caught.value.retry_after)
    await backend.aclose()


async def test_a_script_can_end_unfinished() -> None:
    """As an upstream that dies."""
    script = '[[replies]]\nsteps = [{ text = "One" }, { die = true }, { text = "Two" }]'
    assert [Text("One")] == await hear(Turn([]), script)


async def test_a_limit_is_kept() -> None:
    """Words count as tokens."""
    said = await hear(Turn([user("a b c d e f g h i j k l m n o p q r s")], max_output_tokens=16))
    assert (17, Finish("max_output_tokens", spent(19, 16))) == (len(said), said[-1])


async def test_the_script_is_certain_of_what_it_says() -> None:
    """Log-probabilities are given where they are asked for."""
    token = Logprob(token="You", logprob=0.0, bytes=[89, 111, 117])
    assert Text("You", [token]) == (await hear(Turn([user("a")], logprobs=True)))[0]
    rival = TopLogprob(token="You", logprob=0.0, bytes=[89, 111, 117])
    ranked = Logprob(token="You", logprob=0.0, bytes=[89, 111, 117], top_logprobs=[rival])
    assert Text("You", [ranked]) == (await hear(Turn([user("a")], top_logprobs=2)))[0]


async def test_time_passes_only_where_the_script_says_so() -> None:
    """Ten words at 100 a second take a tenth of a second; a pause takes its own time."""
    script = """
        [[replies]]
        tokens_per_second = 100
        steps = [{ text = "a b c d e f g h i j" }, { pause_ms = 50 }]
    """
    start = anyio.current_time()
    await hear(Turn([]), script, tokens_per_second=1)
    assert anyio.current_time() - start >= 0.149


async def test_a_long_speech_can_be_interrupted() -> None:
    """Every token is a place to stop, even without a pause."""
    script = "[[replies]]\nsteps = [" + '{ text = "a a a a" },' * 2000 + "]"
    config = msgspec.convert(tables(script), Config)
    heard = 0
    async with aclosing(Scripted(config).stream(Turn([]))) as lists:
        with anyio.CancelScope() as scope:
            async for _ in lists:
                heard += 1
                scope.cancel()
    assert 1 == heard


async def test_a_script_file_stands_behind_the_inline_replies(tmp_path: Path) -> None:
    """Both may be given."""
    file = tmp_path / "script.toml"
    file.write_text('[[replies]]\nsteps = [{ text = "file" }]')
    inline = '[[replies]]\nwhen = "x"\nsteps = [{ text = "inline" }]'
    assert Text("inline") == (await hear(Turn([user("x")]), inline, script=str(file)))[0]
    assert Text("file") == (await hear(Turn([user("y")]), inline, script=str(file)))[0]


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("replies = 1 2", "line 1"),
        ("", r"required field `replies`"),
        ("[[replies]]\nstep = []", r"unknown field `step` - at `\$.replies\[0\]`"),
        ("[[replies]]\nsteps = [{ txt = '' }]", r"unknown field `txt` - at `\$.replies\[0\].steps\[0\]`"),
        ("[[replies]]\nsteps = [{}]", r"one key, not none - at `\$.replies\[0\].steps\[0\]`"),
        ("[[replies]]\nsteps = [{ text = '', die = true }]", r"not text and die - at `\$.replies\[0\].steps\[0\]`"),
        ("[[replies]]\nwhen = '('", r"no regular expression.* - at `\$.replies\[0\]`"),
        ("[[replies]]\nsteps = [{ pause_ms = -1 }]", r"\$.replies\[0\].steps\[0\].pause_ms"),
        ("[[replies]]\nsteps = [{ fail = { fault = 'bad' } }]", r"\$.replies\[0\].steps\[0\].fail.fault"),
    ],
)
def test_a_bad_script_is_refused_with_the_place(tmp_path: Path, script: str, complaint: str) -> None:
    """Whoever writes scripts is told the file and the place in it."""
    file = tmp_path / "script.toml"
    file.write_text(script)
    with pytest.raises(ScriptError, match=complaint) as caught:
        Scripted(Config(script=str(file)))
    assert str(file) in str(caught.value)


def test_a_missing_script_is_refused(tmp_path: Path) -> None:
    """The message names the path."""
    with pytest.raises(ScriptError, match=r"nowhere\.toml"):
        Scripted(Config(script=str(tmp_path / "nowhere.toml")))


def test_the_documented_script_is_a_script(tmp_path: Path) -> None:
    """What the module's docstring shows can be read."""
    shown = (antiphon.backends.scripted.__doc__ or "").partition(".. code-block:: toml\n")[2].partition("Every key")[0]
    file = tmp_path / "script.toml"
    file.write_text(shown)
    Scripted(Config(script=str(file)))
    assert "tokens_per_second" in shown


MARKED = """
[[replies]]
steps = [
    { thought = "Where?" },
    { summary = ["**Looking", " it up**"] },
    { pause_ms = 0 },
    { summary = "**Done**" },
    { keepsake = { token = "gAAA" } },
    { keepsake = { form = "redacted", token = "x" } },
    { voice = "commentary" },
    { text = "One moment." },
    { summary = "Again" },
    { keepsake = {} },
    { voice = "final_answer" },
    { text = "Paris" },
    { cite = { type = "url_citation", url = "https://example.com", title = "A", start_index = 0, end_index = 5 } },
]
"""


async def test_a_script_says_what_a_server_says_beside_its_model() -> None:
    """Parts of summaries, keepsakes, voices and citations: they cost no token, and no limit cuts them off."""
    turn = Turn([user("Where?")], max_output_tokens=4)
    assert [
        Thought("Where?"),
        Summary("**Looking", 0),
        Summary(" it up**", 0),
        Summary("**Done**", 1),
        Keepsake("encrypted", "gAAA"),
        Keepsake("redacted", "x"),
        Voice("commentary"),
        Text("One"),
        Text(" moment."),
        Summary("Again", 0),
        Keepsake("encrypted", ""),
        Voice("final_answer"),
        Text("Paris"),
        Cited(UrlCitation(url="https://example.com", title="A", start_index=0, end_index=5)),
        Finish("stop", spent(1, 4, thought=1)),
    ] == await hear(turn, MARKED)


@pytest.mark.parametrize(
    ("thinking", "said"),
    [
        ({"rs_1": Thinking("In Paris, I think."), "rs_2": Thinking()}, "Yes"),
        ({"rs_1": Thinking("", "encrypted", "Paris")}, "Yes"),
        ({"rs_1": Thinking("In Rome.")}, "No"),
        ({}, "No"),
    ],
)
async def test_a_reply_may_want_a_thought_to_be_shown_again(thinking: dict[str, Thinking], said: str) -> None:
    """The text of a thought, or what came with it."""
    script = """
    [[replies]]
    remembers = "Paris"
    steps = [{ text = "Yes" }]
    [[replies]]
    steps = [{ text = "No" }]
    """
    assert Text(said) == (await hear(Turn([user("Hi")], thoughts=thinking), script))[0]


DONE = ShellOutput(stdout="5 degrees", stderr="", outcome=OutcomeExit(exit_code=0))


@pytest.mark.parametrize(
    "output",
    [
        CustomToolCallOutput(call_id="c", output="5 degrees"),
        LocalShellCallOutput(call_id="c", output="5 degrees"),
        ShellCallOutput(call_id="c", output=[DONE]),
        ApplyPatchCallOutput(call_id="c", output="5 degrees"),
    ],
)
async def test_the_output_of_any_tool_of_the_clients_is_read(output: Item) -> None:
    """A script for a shell is written like one for a function."""
    script = """
    [[replies]]
    when = "5 degrees"
    after_output = true
    outputs = 1
    steps = [{ text = "Cold" }]
    """
    assert Text("Cold") == (await hear(Turn([user("Hi"), output]), script))[0]


FOUND = ToolSearchOutput(id="tso", tools=[FunctionTool(name="add")])


@pytest.mark.parametrize("found", [[FOUND], [FOUND, FOUND]])
async def test_tools_that_the_server_found_are_no_output_beside_that_of_the_search(found: list[Item]) -> None:
    """The model reads the output of the call, and there is one for each."""
    script = """
    [[replies]]
    when = "Loaded"
    after_output = true
    outputs = 1
    steps = [{ text = "Now" }]
    """
    search = ToolSearchCall(id="tsc", execution="server", arguments={})
    turn = Turn([user("Hi"), search, *found], outputs={"tsc": "Loaded: add."})
    assert Text("Now") == (await hear(turn, script))[0]
    client = ToolSearchOutput(call_id="c", execution="client", tools=[FunctionTool(name="Loaded")])
    assert Text("Now") == (await hear(Turn([user("Hi"), client]), script))[0]


async def test_tokens_are_counted_as_usage_does() -> None:
    """Words, those of the thoughts that are shown again with them."""
    turn = Turn([*CALLED], instructions="Be brief.", thoughts={"rs_1": Thinking("Let me see.")})
    finish = (await hear(turn))[-1]
    assert isinstance(finish, Finish)
    assert finish.usage is not None
    assert 10 == finish.usage.input_tokens == await Scripted(Config()).count(turn)


@pytest.mark.parametrize("name", ["when", "remembers"])
def test_a_pattern_that_is_none_is_told_by_its_name(name: str) -> None:
    """Whoever wrote the script finds the place."""
    with pytest.raises(msgspec.ValidationError, match=f"`{name}` is no regular expression"):
        msgspec.convert({"replies": [{name: "("}]}, Config)
