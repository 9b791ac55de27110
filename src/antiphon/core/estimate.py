"""How many tokens a turn costs, without its model's tokenizer: a rule that is right for no model and near for most.

**Text** is counted by kinds of characters, as tokenizers cut words but hardly ever numbers and punctuation. The rates
lie between those of a vocabulary of 200,000 tokens (o200k) and one of 150,000 (Qwen 2.5, which the embedded model has),
measured on prose in twelve languages, code, JSON, tables and logs. Of both, English prose, Markdown, Python, SQL, shell
and schemas were met within 15 %; JSON, HTML, Chinese, Japanese, Korean, Russian and Arabic within 26 %. German and
French come out up to 24 % low, tables of numbers up to 35 % low for a model that reads one digit a token, and Hindi and
Greek at half of what Qwen needs. Small and old vocabularies need up to three times as many for what is not Latin. Of a
long text only pieces are looked at.

**Images** cost what the hosted service has published for its models: 85 tokens for low detail, else 85 and 170 for
each tile of 512 pixels, once the image is fitted into 2048 pixels and its shorter side into 768. Where the size cannot
be told it counts as 1024 by 1024 pixels.

**Files** that were not read here count by their bytes, as their text is not known.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import msgspec

from antiphon.core.image_size import Pixels, image_size
from antiphon.core.speaking import MUTE, written
from antiphon.protocol.calls import (
    ImageGenerationCall,
    McpApprovalRequest,
    McpApprovalResponse,
    McpListTools,
)
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import (
    ComputerScreenshot,
    InputAudio,
    InputFile,
    InputImage,
)
from antiphon.protocol.items import (
    AdditionalTools,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Message,
    ReasoningItem,
)
from antiphon.protocol.settings import FormatJsonSchema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.core.turn import Function, Output, Turn
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item

OF_A_TURN = 3
"""What opens the answer."""
OF_A_MESSAGE = 4
"""The role of a message, and what parts it from the next."""
OF_A_CALL = 8
"""What names and frames a call or an output, its id included."""
OF_A_FUNCTION = 12
"""What frames the declaration of a function."""

LOW_DETAIL = 85
TILE = 170
TILE_PIXELS = 512
LONGEST_SIDE = 2048
SHORTER_SIDE = 768
UNKNOWN = Pixels(1024, 1024)

BYTES_PER_TOKEN = 40
"""Of a file that is not read here: a page of a PDF has some 40,000 bytes and 1,000 tokens, its picture included."""
UNSEEN_FILE = 1000
"""Of a file that lies elsewhere."""
SOUND_BYTES_PER_TOKEN = 1600
"""Of a recording: ten tokens a second at 128 kbit."""
SEALED_BYTES_PER_TOKEN = 6
"""Of a thought that only its own server opens, in base64."""

SAMPLED = 65_536
"""Characters of a text from which on only pieces of it are looked at: a thousand tokens more or less are no matter."""
SAMPLES = 16
SAMPLE = 2048

_WORD = 0.19
_DIGIT = 0.7
_MARK = 0.65
_OPAQUE = 0.6
_OPAQUE_LENGTH = 64
_OPAQUE_SHARE = 20
_LATIN = 0.45
_CYRILLIC = 0.29
_OTHER_TWO = 0.42
_INDIC = 0.58
_CJK = 0.75
_RARE = 1.6

_WORDS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "
_DIGITS = b"0123456789"
_ASCII = bytes(range(0x80))
_CONTINUED = bytes(range(0x80, 0xC0))
_FIRST_LATIN = bytes(range(0xC0, 0xC6))
_FIRST_CYRILLIC = b"\xd0\xd1"
_FIRST_OTHER_TWO = bytes(set(range(0xC6, 0xE0)) - {0xD0, 0xD1})
_FIRST_INDIC = b"\xe0\xe1"
_FIRST_CJK = bytes(range(0xE2, 0xF0))


def estimate(turn: Turn) -> int:
    """How many tokens a model reads of a turn."""
    cost = OF_A_TURN + sum(weight(item, turn) for item in turn.items)
    cost += sum(_function(function) for function in turn.functions)
    if turn.instructions:
        cost += OF_A_MESSAGE + text_tokens(turn.instructions)
    if turn.text is not None and isinstance(turn.text.format, FormatJsonSchema):
        cost += _json(turn.text.format.schema_)
    return ceil(cost + sum(OF_A_FUNCTION + _json(tool) for tool in turn.handed_over))


def weight(item: Item, turn: Turn) -> float:
    """How many tokens an item of a turn costs, with what the model reads of it beside."""
    match item:
        case Message(content=parts):
            return OF_A_MESSAGE + parts_tokens(parts)
        case ReasoningItem():
            return _thought(item, turn)
        case FunctionCall(arguments=text) | CustomToolCall(input=text):
            return OF_A_CALL + text_tokens(item.name) + text_tokens(text)
        case FunctionCallOutput(output=output) | CustomToolCallOutput(output=output):
            return OF_A_CALL + _output(output)
        case ComputerCallOutput(output=screen):
            return OF_A_CALL + _image(screen)
        case McpListTools() | McpApprovalResponse() | AdditionalTools():  # what they mean is said elsewhere
            return 0
        case McpApprovalRequest() if item.id not in turn.outputs:
            return 0
        case ImageGenerationCall():
            return OF_A_CALL + _drawing(item, turn)
        case _ if isinstance(item, MUTE):
            return 0
        case _:
            return OF_A_CALL + _json(item) + _output(turn.outputs.get(item.id, ""))


def text_tokens(text: str) -> float:
    """How many tokens a text has, about."""
    if len(text) <= SAMPLED:
        return _counted(text)
    step = (len(text) - SAMPLE) / (SAMPLES - 1)
    starts = [round(index * step) for index in range(SAMPLES)]
    return sum(_counted(text[start : start + SAMPLE]) for start in starts) * len(text) / (SAMPLES * SAMPLE)


def parts_tokens(parts: Iterable[MessagePart]) -> float:
    """How many tokens the parts of a message or of an output cost, about."""
    return sum(_part(part) for part in parts)


def _counted(text: str) -> float:
    if text.isascii():
        return _ascii(text.encode())
    content = text.encode("utf-8", "surrogatepass")
    return _ascii(content.translate(None, _CONTINUED + bytes(range(0xC0, 0x100)))) + _beyond(
        content.translate(None, _ASCII + _CONTINUED)
    )


def _ascii(content: bytes) -> float:
    others = content.translate(None, _WORDS)
    marks = others.translate(None, _DIGITS)
    words = len(content) - len(others)
    separators = len(marks) + content.count(b" ")
    if len(content) >= _OPAQUE_LENGTH and separators * _OPAQUE_SHARE < len(content):
        return words * _OPAQUE + (len(others) - len(marks)) * _DIGIT  # such as base64: there are no words in it
    return words * _WORD + (len(others) - len(marks)) * _DIGIT + len(marks) * _MARK


def _beyond(firsts: bytes) -> float:
    """Of characters beyond ASCII, by the first byte that UTF-8 has of each: it tells the script."""
    cost, left = 0.0, firsts
    for kind, rate in (
        (_FIRST_CJK, _CJK),
        (_FIRST_CYRILLIC, _CYRILLIC),
        (_FIRST_LATIN, _LATIN),
        (_FIRST_OTHER_TWO, _OTHER_TWO),
        (_FIRST_INDIC, _INDIC),
    ):
        rest = left.translate(None, kind)
        cost += (len(left) - len(rest)) * rate
        left = rest
    return cost + len(left) * _RARE


def _json(value: object) -> float:
    return text_tokens(msgspec.json.encode(value).decode())


def _function(function: Function) -> float:
    told = f"{function.name} {function.description or ''}"
    return OF_A_FUNCTION + text_tokens(told) + text_tokens(bytes(function.parameters).decode())


def _thought(item: ReasoningItem, turn: Turn) -> float:
    thinking = turn.thoughts.get(item.id)
    if thinking is None:
        return 0
    return text_tokens(thinking.text) if thinking.text else len(thinking.token) / SEALED_BYTES_PER_TOKEN


def _drawing(item: ImageGenerationCall, turn: Turn) -> float:
    prompt = text_tokens(item.revised_prompt) if isinstance(item.revised_prompt, str) else 0
    drawn = _tiles(UNKNOWN) if isinstance(item.result, str) and item.result else 0
    return prompt + drawn + _output(turn.outputs.get(item.id, ""))


def _output(output: Output) -> float:
    return text_tokens(output) if isinstance(output, str) else parts_tokens(output)


def _part(part: MessagePart) -> float:
    if (text := written(part)) is not None:
        return text_tokens(text)
    match part:
        case InputImage():
            return _image(part)
        case InputAudio():
            return len(part.input_audio.data) * 0.75 / SOUND_BYTES_PER_TOKEN
        case InputFile(file_data=str(content)):
            return len(content) * 0.75 / BYTES_PER_TOKEN
        case _:  # a file that lies elsewhere
            return UNSEEN_FILE


def _image(image: InputImage | ComputerScreenshot) -> int:
    if image.detail == "low":
        return LOW_DETAIL
    size = image_size(image.image_url) if isinstance(image.image_url, str) else None
    return _tiles(size or UNKNOWN)


def _tiles(size: Pixels) -> int:
    scale = min(1, LONGEST_SIDE / max(size.width, size.height))
    scale = min(scale, SHORTER_SIDE / min(size.width, size.height))
    across, down = (max(1, ceil(side * scale / TILE_PIXELS)) for side in (size.width, size.height))
    return LOW_DETAIL + TILE * across * down
