"""What turns are estimated to cost."""

from __future__ import annotations

import io
from base64 import b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from PIL import Image

from antiphon.core import estimate as rules
from antiphon.core.estimate import estimate, text_tokens, weight
from antiphon.core.turn import Function, Thinking, Turn
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ImageGenerationCall,
    McpApprovalRequest,
    McpCall,
    McpListTools,
    UpdateFile,
)
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import (
    AudioClip,
    ComputerScreenshot,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    MessagePart,
    OutputText,
    RefusalPart,
)
from antiphon.protocol.items import (
    Compaction,
    CompactionTrigger,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ReasoningItem,
)
from antiphon.protocol.settings import FormatJsonSchema, TextConfig
from antiphon.protocol.tools import McpTool
from tests.patient import a_million_rounds, takes_at_most

PROSE = (
    "An antiphon is sung by two choirs that take turns, one of them answering what the other has begun. Every response "
    "of the server is the sum of its events, and whoever was cut off can read on from any number without losing a word."
)
"""228 characters."""
NOTHING = estimate(Turn([]))
LATEST = {
    "english": (PROSE, 52),
    "json": ('[{"id": "item_7", "price": 93.59, "tags": ["red", "blue"], "ok": false}]', 31),
    "chinese": ("启应圣歌是一种呼应式的歌唱\uff0c由两个唱诗班轮流演唱。", 22),
    "russian": ("Сервер разбивает ответ модели на множество событий.", 11),
    "german": ("Bricht die Verbindung ab, so kann bei jeder Nummer weitergelesen werden.", 17),
    "python": ("    def item(self, id: str) -> Item | None:\n        return self._items.get(id)\n", 22),
}
"""Texts, and how many tokens the vocabulary o200k has for them."""


def said(*parts: MessagePart) -> Turn:
    """A turn with one message."""
    return Turn([Message(id="msg_1", role="user", content=list(parts))])


def shown(width: int, height: int, detail: str = "high") -> InputImage:
    """An image."""
    room = io.BytesIO()
    Image.new("L", (width, height)).save(room, "PNG")
    encoded = f"data:image/png;base64,{b64encode(room.getvalue()).decode()}"
    return msgspec.convert({"type": "input_image", "image_url": encoded, "detail": detail}, InputImage)


def cost(item: Item, **settings: object) -> int:
    """What a turn costs with an item in it alone, beside an empty turn."""
    return estimate(msgspec.structs.replace(Turn([item]), **settings)) - NOTHING


@pytest.mark.parametrize("name", LATEST)
def test_a_text_is_estimated_within_a_third(name: str) -> None:
    """In scripts of all sorts, code and JSON."""
    text, tokens = LATEST[name]
    assert tokens * 0.7 < text_tokens(text) < tokens * 1.35


def test_text_that_holds_no_words_costs_more() -> None:
    """Base64 and digests are cut into pieces of a letter or two."""
    digest = "QmFzZVNpeHR5Rm91ckhhc05vV29yZHNBbmRJc0N1dEludG9TbWFsbFBpZWNlcw" * 4
    assert text_tokens(digest) > 2 * text_tokens(PROSE[: len(digest)] + "x" * (len(digest) - len(PROSE)))


def test_a_character_of_every_kind_costs_something() -> None:
    """Of each length that UTF-8 has, half a surrogate pair included."""
    for character in ("a", "7", "{", "\n", "é", "д", "λ", "ש", "ह", "字", "글", "🎉", "\udc00"):
        assert text_tokens(character) > 0
    assert 0 == text_tokens("")


@given(st.text(), st.text())
def test_more_text_costs_more(first: str, second: str) -> None:
    """However it is cut, the sum is about the same, opaque texts apart."""
    whole, parts = text_tokens(first + second), text_tokens(first) + text_tokens(second)
    assert 0 <= whole <= 4 * parts + 1e-6
    assert parts <= 4 * whole + 1e-6


def test_of_a_long_text_only_pieces_are_looked_at() -> None:
    """A hundred times the text costs a hundred times the tokens, and hardly more time."""
    long = PROSE * 4000
    assert text_tokens(PROSE) * 4000 * 0.98 < text_tokens(long) < text_tokens(PROSE) * 4000 * 1.02


def test_a_long_turn_is_estimated_in_milliseconds() -> None:
    """A turn of 200 items waits for nothing."""
    turn = Turn([Message(id=f"msg_{n}", role="user", content=[InputText(text=PROSE * 4)]) for n in range(200)])
    assert takes_at_most(1, lambda: estimate(turn), a_million_rounds)


@pytest.mark.parametrize(
    ("image", "tokens"),
    [
        (shown(32, 32), 255),
        (shown(1024, 1024), 765),
        (shown(2048, 4096), 1105),
        (shown(1024, 1024, "low"), 85),
        (InputImage(image_url="https://example.com/a.png"), 765),
        (InputImage(file_id="file-1"), 765),
    ],
)
def test_an_image_costs_what_was_published(image: InputImage, tokens: int) -> None:
    """By its detail and its size; one that lies elsewhere counts as a usual one."""
    assert tokens == estimate(said(image)) - estimate(said())


def test_content_that_is_not_read_here_counts_by_its_size() -> None:
    """What it says nobody knows."""
    empty = estimate(said())
    assert 750 == pytest.approx(estimate(said(InputFile(file_data="A" * 40_000, filename="a"))) - empty, abs=1)
    assert rules.UNSEEN_FILE == estimate(said(InputFile(file_id="file-1"))) - empty
    sound = InputAudio(input_audio=AudioClip(data="A" * 64_000, format="mp3"))
    assert 30 == pytest.approx(estimate(said(sound)) - empty, abs=1)


def test_all_that_was_said_and_refused_is_counted() -> None:
    """The same words cost the same, whoever said them."""
    costs = {
        estimate(said(part)) for part in (InputText(text=PROSE), OutputText(text=PROSE), RefusalPart(refusal=PROSE))
    }
    assert 1 == len(costs)
    assert costs.pop() > estimate(said()) + 30


def test_calls_and_their_outputs_are_counted() -> None:
    """As text, or as parts."""
    assert cost(FunctionCall(id="fc_1", call_id="c", name="look_up", arguments=f'{{"word": "{PROSE}"}}')) > 40
    assert cost(CustomToolCall(id="ctc_1", call_id="c", name="patch", input=PROSE)) > 40
    assert cost(FunctionCallOutput(id="fco_1", call_id="c", output=PROSE)) > 40
    assert cost(CustomToolCallOutput(id="ctco_1", call_id="c", output=[InputText(text=PROSE)])) > 40
    assert cost(ApplyPatchCall(id="apc_1", call_id="c", operation=UpdateFile(path="a.py", diff=PROSE))) > 40


def test_a_hosted_call_counts_with_what_the_model_reads_of_it() -> None:
    """Its output stands beside the items."""
    call = McpCall(id="mcp_1", server_label="wiki", name="ask", arguments="{}")
    assert cost(call, outputs={"mcp_1": PROSE}) - cost(call) > 30


def test_a_screen_costs_what_an_image_costs() -> None:
    """A model that uses a computer sees it."""
    screen = ComputerCallOutput(id="cuo_1", call_id="c", output=ComputerScreenshot(file_id="file-1"))
    assert 765 + rules.OF_A_CALL == cost(screen)


def test_a_drawing_counts_with_its_prompt_and_its_picture() -> None:
    """Its base64 is not read."""
    bare = ImageGenerationCall(id="ig_1")
    drawn = ImageGenerationCall(id="ig_1", revised_prompt=PROSE, result="A" * 1_000_000)
    assert 765 + 30 < cost(drawn) - cost(bare) < 765 + 60


def test_a_thought_counts_as_far_as_the_model_sees_it_again() -> None:
    """In words, or sealed; one that it does not see costs nothing."""
    item = ReasoningItem(id="rs_1", summary=[])
    assert 0 == cost(item)
    assert cost(item, thoughts={"rs_1": Thinking(text=PROSE)}) > 30
    assert 100 == cost(item, thoughts={"rs_1": Thinking(form="encrypted", token="A" * 600)})


@pytest.mark.parametrize(
    "item",
    [
        McpListTools(id="mcpl_1", server_label="wiki", tools=[]),
        McpApprovalRequest(id="mcpr_1", server_label="wiki", name="ask", arguments="{}"),
        CompactionTrigger(),
        Compaction(id="cmp_1", encrypted_content="A" * 1000),
    ],
)
def test_what_no_model_reads_costs_nothing(item: Item) -> None:
    """It is told elsewhere, or only clients see it."""
    assert 0 == weight(item, Turn([item]))


def test_a_request_that_was_approved_is_a_call() -> None:
    """From then on it has an output."""
    request = McpApprovalRequest(id="mcpr_1", server_label="wiki", name="ask", arguments="{}")
    assert cost(request, outputs={"mcpr_1": PROSE}) > 30


def test_instructions_functions_and_forms_are_counted() -> None:
    """All that a model is told beside the conversation."""
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": PROSE}}}
    function = Function("weather", Raw(msgspec.json.encode(schema)), description=PROSE)
    form = TextConfig(format=FormatJsonSchema(name="city", schema_=schema))
    server = McpTool(server_label="wiki", server_description=PROSE, server_url="https://example.com/mcp")
    for more in (
        Turn([], instructions=PROSE),
        Turn([], functions=[function]),
        Turn([], text=form),
        Turn([], handed_over=[server]),
    ):
        assert estimate(more) > NOTHING + 30
    assert NOTHING == estimate(Turn([], text=TextConfig(), instructions=""))
