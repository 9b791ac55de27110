"""Calls and what came of them as a model that knows functions alone is told of them."""

from __future__ import annotations

from base64 import b64encode

import pytest

from antiphon.backends.upstream.retelling import Answered, Told, retell
from antiphon.core.turn import Output
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    DeleteFile,
    ExecAction,
    ImageGenerationCall,
    LocalShellCall,
    LocalShellCallOutput,
    OutcomeExit,
    OutcomeTimeout,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellOutput,
    ToolSearchCall,
    ToolSearchOutput,
    UpdateFile,
)
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.items import CustomToolCall, CustomToolCallOutput, FunctionCall, FunctionCallOutput, Item
from antiphon.protocol.tools import CustomTool, FunctionTool, LocalShellTool, McpTool, NamespaceTool

NOTHING = Told()
LS = ShellOutput(stdout="a\nb\n", stderr="", outcome=OutcomeExit(exit_code=0))
BAD = ShellOutput(stdout="", stderr="no such file\n", outcome=OutcomeExit(exit_code=2))
SLOW = ShellOutput(stdout="a", stderr="b", outcome=OutcomeTimeout())


@pytest.mark.parametrize(
    ("item", "name", "arguments"),
    [
        (FunctionCall(call_id="c", name="look", arguments='{"a":1}'), "look", '{"a":1}'),
        (FunctionCall(call_id="c", name="look", arguments="{}", namespace="crm"), "crm__look", "{}"),
        (FunctionCall(call_id="c", name="look", arguments="{}", namespace="look"), "look", "{}"),
        (FunctionCall(call_id="c", name="look", arguments='{"a'), "look", '{"arguments":"{\\"a"}'),
        (CustomToolCall(call_id="c", name="note", input="a"), "note", '{"input":"a"}'),
        (CustomToolCall(call_id="c", name="note", input="a", namespace="crm"), "crm__note", '{"input":"a"}'),
        (
            LocalShellCall(call_id="c", action=ExecAction(command=["ls"])),
            "local_shell",
            '{"command":["ls"]}',
        ),
        (
            LocalShellCall(
                call_id="c",
                action=ExecAction(command=["ls"], env={"A": "b"}, timeout_ms=9, user="u", working_directory="/a"),
            ),
            "local_shell",
            '{"command":["ls"],"env":{"A":"b"},"timeout_ms":9,"user":"u","working_directory":"/a"}',
        ),
        (ShellCall(call_id="c", action=ShellAction(commands=["ls"])), "shell", '{"commands":["ls"]}'),
        (
            ShellCall(call_id="c", action=ShellAction(commands=["ls"], timeout_ms=9, max_output_length=5)),
            "shell",
            '{"commands":["ls"],"timeout_ms":9,"max_output_length":5}',
        ),
        (
            ApplyPatchCall(call_id="c", operation=UpdateFile(path="a", diff="@@")),
            "apply_patch",
            '{"type":"update_file","path":"a","diff":"@@"}',
        ),
        (
            ApplyPatchCall(call_id="c", operation=DeleteFile(path="a")),
            "apply_patch",
            '{"type":"delete_file","path":"a"}',
        ),
        (ToolSearchCall(call_id="c", execution="client", arguments={"q": "a"}), "tool_search", '{"q":"a"}'),
    ],
)
def test_a_call_is_told_as_it_was_made(item: Item, name: str, arguments: str) -> None:
    """Under the name and in the shape in which the model knows its tool."""
    assert ("c", name, arguments, None) == called(retell(item, {}))


@pytest.mark.parametrize(
    ("item", "output"),
    [
        (FunctionCallOutput(call_id="c", output="a"), "a"),
        (CustomToolCallOutput(call_id="c", output=[InputText(text="a")]), [InputText(text="a")]),
        (LocalShellCallOutput(id="c", output="{}"), "{}"),
        (LocalShellCallOutput(id="x", call_id="c", output="{}"), "{}"),
        (ShellCallOutput(call_id="c", output=[LS]), "a\nb\n(exit code 0)"),
        (
            ShellCallOutput(call_id="c", output=[BAD, SLOW]),
            "(stderr)\nno such file\n(exit code 2)\n\na\n(stderr)\nb\n(stopped: it took too long)",
        ),
        (ShellCallOutput(call_id="c", output=[]), "(no output)"),
        (ApplyPatchCallOutput(call_id="c"), "The change was made."),
        (ApplyPatchCallOutput(call_id="c", output="Updated a."), "Updated a."),
        (ApplyPatchCallOutput(call_id="c", status="failed"), "The change failed."),
        (ApplyPatchCallOutput(call_id="c", status="failed", output="No a."), "The change failed: No a."),
        (ToolSearchOutput(call_id="c", execution="client", tools=[]), "No tools were found."),
        (
            ToolSearchOutput(
                call_id="c",
                execution="client",
                tools=[
                    FunctionTool(name="look"),
                    CustomTool(name="note"),
                    NamespaceTool(name="crm", description="d", tools=[FunctionTool(name="find")]),
                    McpTool(server_label="s"),
                    LocalShellTool(),
                ],
            ),
            "These tools were loaded: look, note, crm__find, those of s, local_shell",
        ),
    ],
)
def test_what_came_of_a_call_is_told_in_words(item: Item, output: Output) -> None:
    """As a person would read it, and a failure so that it cannot be missed."""
    assert Told(answer=Answered("c", output)) == retell(item, {})


def test_a_search_of_the_servers_is_told_with_its_answer() -> None:
    """What it found is among the tools; the item that lists it says nothing more."""
    search = ToolSearchCall(id="tsc_1", arguments={"paths": ["crm"]})
    told = ("tsc_1", "tool_search", '{"paths":["crm"]}')
    assert (*told, "Loaded.") == called(retell(search, {"tsc_1": "Loaded."}))
    assert (*told, "The search is done. What it found is among the tools.") == called(retell(search, {}))
    assert NOTHING == retell(ToolSearchOutput(id="tso_1", tools=[]), {})


def test_a_shell_of_the_servers_is_told_with_its_answer() -> None:
    """In the same shape as one of the client's."""
    item = ShellCall(id="sh_1", call_id="c", action=ShellAction(commands=["ls"]))
    assert ("sh_1", "shell", '{"commands":["ls"]}', "a") == called(retell(item, {"sh_1": "a"}))


PNG = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
SVG = b64encode(b"<svg/>").decode()


def called(told: Told) -> tuple[str, str, str, Output | None]:
    """Id, name, arguments and output of the call that is told."""
    assert told.call is not None
    return told.call.id, told.call.name, told.call.arguments, told.call.output


def test_a_drawing_is_told_with_its_picture() -> None:
    """What the tool said, and what was drawn."""
    item = ImageGenerationCall(id="ig_1", result=PNG, revised_prompt="A cat.")
    expected = [InputText(text="Drawn."), InputImage(image_url=f"data:image/png;base64,{PNG}")]
    told = called(retell(item, {"ig_1": "Drawn."}))
    assert ("ig_1", "image_generation", '{"prompt":"A cat."}', expected) == told


@pytest.mark.parametrize(
    "item",
    [
        ImageGenerationCall(id="ig_1"),
        ImageGenerationCall(id="ig_1", result=""),
        ImageGenerationCall(id="ig_1", result=SVG),
        ImageGenerationCall(id="ig_1", result="antiphon-blob:resp_1/ab"),
    ],
)
def test_a_drawing_without_a_picture_that_can_be_shown_is_told_in_words(item: ImageGenerationCall) -> None:
    """It was taken away for a model without eyes, is gone, or is text."""
    told = called(retell(item, {"ig_1": "Drawn."}))
    assert ("ig_1", "image_generation", '{"prompt":""}', "Drawn.") == told


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (ImageGenerationCall(id="ig_1"), "The image was drawn and shown to the user."),
        (ImageGenerationCall(id="ig_1", status="generating"), "The image was drawn and shown to the user."),
        (ImageGenerationCall(id="ig_1", status="failed", result=""), "Nothing was drawn."),
        (ImageGenerationCall(id="ig_1", status="in_progress"), "Nothing was drawn."),
    ],
)
def test_a_drawing_of_which_nothing_was_kept_is_told_by_its_status(item: ImageGenerationCall, says: str) -> None:
    """The caller keeps the conversation."""
    assert says == called(retell(item, {}))[3]


def test_a_drawing_that_the_caller_sends_back_is_seen() -> None:
    """Though nothing of it was kept."""
    item = ImageGenerationCall(id="ig_1", result=PNG)
    told = called(retell(item, {}))[3]
    assert isinstance(told, list)
    assert InputImage(image_url=f"data:image/png;base64,{PNG}") == told[1]
