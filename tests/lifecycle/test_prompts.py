"""Prompt templates: what callers fill in, what they may name, and what operators write."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.lifecycle import prompts
from antiphon.lifecycle.prompts import Config, Prompts, Rendered
from antiphon.protocol.content import InputFile, InputImage, InputText, OutputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message
from antiphon.protocol.prompt import PromptConfig
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.settings import Reasoning
from antiphon.protocol.tools import FunctionTool
from tests.command import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.protocol.items import Item

pytestmark = pytest.mark.anyio

GUIDE = """
model = "gpt-4o"
temperature = 0.2
instructions = "You speak as a {{trade}} of {{ city }}."

[reasoning]
effort = "low"

[[tools]]
type = "function"
name = "look"
parameters = {}

[[messages]]
role = "user"
content = [{ type = "input_text", text = "{{picture}}" }, { type = "input_text", text = "Where is {{city}}?" }]

[[messages]]
role = "assistant"
content = "In {{city}}, {as} {{ ever"
"""
IMAGE = InputImage(image_url="https://example.com/a.png")
VARIABLES: dict[str, str | InputText | InputImage | InputFile] = {
    "trade": "baker",
    "city": InputText(text="Lyon"),
    "picture": IMAGE,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of templates, and a secret beside it."""
    templates = tmp_path / "templates"
    (templates / "guide").mkdir(parents=True)
    (templates / "guide.toml").write_text(GUIDE)
    (templates / "guide" / "1.toml").write_text('instructions = "Be brief."')
    (tmp_path / "secret.toml").write_text('instructions = "Secret."')
    return templates


def asking(
    id: str = "guide",
    variables: dict[str, str | InputText | InputImage | InputFile] | None = None,
    version: str | None = None,
) -> CreateResponse:
    """A request that names a template."""
    return CreateResponse(prompt=PromptConfig(id=id, version=version, variables=variables))


async def refused(templates: Prompts, request: CreateResponse) -> tuple[int, str, str | None, str | None]:
    """Status, words, parameter and code of an error."""
    with pytest.raises(ApiError) as caught:
        await templates.rendered(request)
    return caught.value.status, caught.value.message, caught.value.param, caught.value.code


def texts(rendered: Rendered) -> list[list[str]]:
    """The texts of the messages."""
    said = [item for item in rendered.messages or [] if isinstance(item, Message)]
    return [[part.text for part in item.content if isinstance(part, InputText | OutputText)] for item in said]


async def filled(folder: Path, template: str, **variables: str | InputText | InputImage | InputFile) -> Rendered:
    """A template with its variables filled."""
    (folder / "this.toml").write_text(template)
    return await Prompts(Config(str(folder))).rendered(asking("this", variables))


async def test_a_request_without_a_template_is_left_alone() -> None:
    """Whether there are any or none."""
    request = CreateResponse(model="m")
    assert Rendered(request, None) == await Prompts(Config()).rendered(request)


async def test_a_template_becomes_messages_and_settings(folder: Path) -> None:
    """Variables are filled, an image stands where it was put, and other braces are text."""
    rendered = await Prompts(Config(str(folder))).rendered(asking(variables=VARIABLES))
    messages: list[Item] = [
        Message(role="developer", content=[InputText(text="You speak as a baker of Lyon.")]),
        Message(role="user", content=[IMAGE, InputText(text="Where is Lyon?")]),
        Message(role="assistant", content=[OutputText(text="In Lyon, {as} {{ ever")]),
    ]
    assert messages == rendered.messages
    request = rendered.request
    assert ("gpt-4o", 0.2, Reasoning(effort="low")) == (request.model, request.temperature, request.reasoning)
    assert ["look"] == [tool.name for tool in request.tools if isinstance(tool, FunctionTool)]
    assert ([], asking(variables=VARIABLES).prompt) == (request.input, request.prompt)


async def test_what_a_request_says_counts_for_more(folder: Path) -> None:
    """Its settings one by one, and its instructions in place of the template's; the messages stay."""
    asked = CreateResponse(
        model="mine", temperature=0.0, instructions="Mine.", prompt=PromptConfig(id="guide", variables=VARIABLES)
    )
    rendered = await Prompts(Config(str(folder))).rendered(asked)
    request = rendered.request
    assert ("mine", 0.0, "Mine.") == (request.model, request.temperature, request.instructions)
    assert Reasoning(effort="low") == request.reasoning
    assert ["user", "assistant"] == [item.role for item in rendered.messages or [] if isinstance(item, Message)]


async def test_a_value_is_never_looked_through_for_variables(folder: Path) -> None:
    """What a caller says is text, whatever it looks like."""
    rendered = await filled(folder, 'instructions = "{{a}} {{b}}"', a="{{b}}", b="{{a}}")
    assert [["{{b}} {{a}}"]] == texts(rendered)


@pytest.mark.parametrize(
    ("variables", "code", "name"),
    [
        ({}, "missing_required_parameter", "city"),
        ({"trade": "x", "city": "y"}, "missing_required_parameter", "picture"),
        ({**VARIABLES, "more": "z"}, "unknown_parameter", "more"),
        ({**VARIABLES, "City": "z"}, "unknown_parameter", "City"),
        ({**VARIABLES, "trade": IMAGE}, "invalid_value", "trade"),
        ({**VARIABLES, "city": InputFile(file_id="file-1")}, "invalid_value", "city"),
    ],
)
async def test_variables_are_those_of_the_template(
    folder: Path, variables: dict[str, str | InputText | InputImage | InputFile], code: str, name: str
) -> None:
    """One that is missing, unknown or of the wrong kind is named."""
    status, message, param, found = await refused(Prompts(Config(str(folder))), asking(variables=variables))
    assert (400, f"prompt.variables.{name}", code) == (status, param, found)
    assert name in message


async def test_a_text_does_not_grow_beyond_what_a_text_may_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template may name a variable often, and a caller may fill it with much."""
    monkeypatch.setattr(prompts, "MOST_CHARACTERS", 20)
    assert [["aaaaaa"]] == texts(await filled(folder, 'instructions = "{{a}}{{a}}"', a="aaa"))
    with pytest.raises(ApiError, match="at most 20 characters"):
        await filled(folder, 'instructions = "{{a}}{{a}}"', a="aaaaaa")


async def test_a_version_is_a_file_of_its_own(folder: Path) -> None:
    """It needs not the variables of another."""
    assert [["Be brief."]] == texts(await Prompts(Config(str(folder))).rendered(asking(version="1")))


@pytest.mark.parametrize(
    ("id", "version", "words"),
    [
        ("none", None, "Prompt with id 'none' not found."),
        ("guide", "2", "Prompt with id 'guide' and version '2' not found."),
        ("guide.toml", "1", "Prompt with id 'guide.toml' and version '1' not found."),
        ("none", "1", "Prompt with id 'none' and version '1' not found."),
        ("", None, "Prompt with id '' not found."),
    ],
)
async def test_what_is_not_there_is_not_found(folder: Path, id: str, version: str | None, words: str) -> None:
    """A template, or that version of it."""
    assert (404, words, "prompt", None) == await refused(Prompts(Config(str(folder))), asking(id, version=version))


@pytest.mark.parametrize(
    ("id", "version"),
    [
        ("../secret", None),
        ("..", "secret"),
        (".", "../secret"),
        ("guide", "../../secret"),
        ("guide/1", None),
        ("guide\x00", None),
        ("guide\n", None),
        ("g" * 5_000, None),
        ("guide", "."),
    ],
)
async def test_no_name_leads_out_of_the_folder(folder: Path, id: str, version: str | None) -> None:
    """Names are letters, digits, underscores and hyphens."""
    assert 404 == (await refused(Prompts(Config(str(folder))), asking(id, version=version)))[0]


@given(st.text(), st.none() | st.text())
async def test_any_name_is_found_or_not_found(id: str, version: str | None) -> None:
    """And nothing else happens."""
    assert 404 == (await refused(Prompts(Config("/")), asking(id, version=version)))[0]


async def test_without_a_folder_no_template_is_found() -> None:
    """None is configured."""
    assert 404 == (await refused(Prompts(Config()), asking()))[0]


async def test_a_file_that_changes_is_read_again(folder: Path) -> None:
    """And one that does not is not; one that breaks is broken, and one that goes is gone."""
    templates, file = Prompts(Config(str(folder))), folder / "guide" / "1.toml"
    first = await templates.rendered(asking(version="1"))
    known = await templates.rendered(asking(version="1"))
    assert [["Be brief."]] == texts(first) == texts(known)
    file.write_text('instructions = "Be long."')
    os.utime(file, ns=(1, 1))
    assert [["Be long."]] == texts(await templates.rendered(asking(version="1")))
    file.write_text("instructions = ")
    assert 500 == (await refused(templates, asking(version="1")))[0]
    file.unlink()
    assert 404 == (await refused(templates, asking(version="1")))[0]


BROKEN = {
    "instructions =": "is not TOML",
    "instructions = '\udcff'": "is not TOML",
    'model = "m"': "A template holds 'instructions' or a list of 'messages'.",
    'messages = "Hello."': "A template holds 'instructions' or a list of 'messages'.",
    'instructions = "a"\nstream = true': "Unknown parameter: 'stream'.",
    'instructions = "a"\ntemperature = 9': "temperature",
    'instructions = "a"\ntool_choice = { type = "function", name = "f" }': "Tool choice 'function' not found",
    '[[messages]]\nrole = "user"\ncontent = [{ type = "output_text", text = "a" }]': "Invalid value: 'output_text'",
    '[[messages]]\ntype = "item_reference"\nid = "msg_1"': "A template holds messages and no other items.",
    f'instructions = "{"a" * (prompts.MOST_BYTES + 1)}"': "is longer than 1048576 bytes",
}


@pytest.mark.parametrize(("template", "words"), BROKEN.items(), ids=BROKEN.values())
async def test_a_broken_template_is_the_operators_to_mend(
    folder: Path, template: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller hears that it is not to blame, the operator what is wrong, and so does who checks."""
    file = folder / "broken.toml"
    file.write_bytes(template.encode("utf-8", "surrogateescape"))
    templates = Prompts(Config(str(folder)))
    assert (500, "The prompt template cannot be used.", None, "server_error") == await refused(
        templates, asking("broken")
    )
    (record,) = [vars(each) for each in caplog.records if each.levelno == logging.ERROR]
    assert ("prompt_broken", str(file)) == (record["action"], record["file"])
    assert words in record["error"]
    assert [record["error"]] == templates.check()


async def test_a_file_that_cannot_be_opened_is_the_operators_too(folder: Path) -> None:
    """A folder of that name."""
    (folder / "odd.toml").mkdir()
    templates = Prompts(Config(str(folder)))
    assert 500 == (await refused(templates, asking("odd")))[0]
    assert ["Is a directory" in fault for fault in templates.check()] == [True]


def test_what_is_well_needs_no_word(folder: Path) -> None:
    """Nor does a server without templates."""
    assert [] == Prompts(Config(str(folder))).check()
    assert [] == Prompts(Config()).check()


def test_files_that_nobody_can_name_are_told(folder: Path) -> None:
    """And a folder that is none."""
    (folder / "no good.toml").write_text('instructions = "a"')
    assert [
        f"{folder / 'no good.toml'} can never be named: ids and versions have letters, digits, '_' and '-' alone."
    ] == Prompts(Config(str(folder))).check()
    assert [f"{folder / 'none'} is no folder of prompt templates."] == Prompts(Config(str(folder / "none"))).check()


async def test_json_may_be_spoken_of_by_the_request(folder: Path) -> None:
    """A template that asks for JSON need not say the word itself."""
    rendered = await filled(folder, 'instructions = "Be brief."\ntext = { format = { type = "json_object" } }')
    assert b'"json_object"' in msgspec.json.encode(rendered.request.text)


def test_the_template_of_the_documentation_is_one(tmp_path: Path) -> None:
    """As it stands there."""
    page = (ROOT / "docs" / "how-to" / "prompts.md").read_text(encoding="utf-8")
    file = tmp_path / "guide.toml"
    file.write_text(page.partition("~~~toml\n")[2].partition("~~~")[0])
    assert {"city", "photo", "wish"} == prompts.read_template(file).variables
