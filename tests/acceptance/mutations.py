"""Requests that went wrong: valid ones with some of their parts replaced, doubled, cut or garbled.

What is drawn is text of JSON, not values: most of what is interesting (NaN, half a surrogate pair, a number of a
thousand digits, a key that stands twice) is no value in Python, or none that an encoder writes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from copy import deepcopy
from typing import TYPE_CHECKING, Any  # JSON

from hypothesis import strategies as st
from msgspec import Struct

from tests.acceptance.gallery import PNG
from tests.acceptance.observed import CANARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Step = str | int
Path = tuple[Step, ...]


class Raw(Struct, frozen=True):
    """A piece of text that is written as it stands, JSON or not."""

    text: str


WEATHER: dict[str, Any] = {  # JSON
    "type": "function",
    "name": "get_weather",
    "description": CANARY,
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": CANARY}}},
    "strict": False,
}
SAID: list[dict[str, Any]] = [  # JSON
    {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": CANARY}]},
    {
        "type": "message",
        "id": "msg_2",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": CANARY, "annotations": [], "logprobs": []}],
    },
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
    {"type": "function_call_output", "id": "fco_1", "call_id": "call_1", "output": CANARY},
    {"role": "user", "content": f"and now? {CANARY}"},
]
PIXEL = b64encode(PNG).decode()
VALID: list[dict[str, Any]] = [  # JSON
    {"model": "m", "input": CANARY},
    {"model": "m", "input": CANARY, "stream": True, "stream_options": {"include_obfuscation": False}},
    {"model": "m", "input": SAID, "instructions": CANARY, "metadata": {"a": CANARY}, "store": True},
    {
        "model": "m",
        "input": [
            {
                "type": "mcp_list_tools",
                "server_label": "m",
                "tools": [{"name": "n", "input_schema": {"title": CANARY}}],
            },
            {"role": "user", "content": f"the weather? {CANARY}"},
        ],
        "tools": [
            WEATHER,
            {"type": "web_search", "user_location": {"type": "approximate", "city": CANARY}},
            {"type": "mcp", "server_label": "m", "server_url": f"http://localhost/{CANARY}", "authorization": CANARY},
            {"type": "custom", "name": "free", "description": CANARY},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    },
    {
        "model": "m",
        "input": f"busy {CANARY}",
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "title": CANARY}}},
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["message.output_text.logprobs"],
        "temperature": 0.5,
        "top_p": 1,
        "top_logprobs": 2,
        "max_output_tokens": 100,
        "max_tool_calls": 3,
        "truncation": "disabled",
        "user": CANARY,
        "safety_identifier": CANARY,
        "prompt_cache_key": CANARY,
        "service_tier": "auto",
    },
    {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": CANARY},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "low"},
                    {"type": "input_file", "filename": f"{CANARY}.txt", "file_data": "data:text/plain;base64,aGk="},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": CANARY}]},
            {"type": "message", "role": "assistant", "content": CANARY},
        ],
    },
    {"model": "m", "input": [{"role": "user", "content": CANARY}], "previous_response_id": f"resp_{CANARY}"},
    {"model": CANARY, "input": [{"type": "item_reference", "id": f"msg_{CANARY}"}]},
]
"""Every string that says something has the canary in it; most are answered, the last two name what is not there."""

DEEP = 10_000
ODD: list[Any] = [  # JSON, and worse
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    0.5,
    16.0,
    Raw("1" + "0" * 5_000),
    Raw("-" + "9" * 400),
    Raw("1e400"),
    Raw("-1e400"),
    Raw("1e-400"),
    Raw("1E5000000000"),
    Raw("-0"),
    Raw("0." + "3" * 2_000),
    Raw("NaN"),
    Raw("-Infinity"),
    Raw("undefined"),
    Raw("'single'"),
    Raw("01"),
    Raw(""),
    "",
    " ",
    "\0",
    "null",
    "\u202e\u0000\ufeff\uffff",
    "😀" * 50,
    "a" * 70_000,
    Raw(r'"\ud800"'),
    Raw(r'"\udc00\ud800"'),
    Raw(r'"\ud83d\u0000"'),
    Raw(r'"\u0000\u001f"'),
    Raw(r'"\x41"'),
    Raw('"a\nb"'),
    Raw('"open'),
    [],
    {},
    [[]],
    [None],
    [{}],
    ["", 0, None, {"type": None}],
    [0] * 3_000,
    {"": ""},
    {"type": None},
    {"type": []},
    {"type": {"type": "message"}},
    {"type": "message"},
    {"type": "no_such_type"},
    {"id": None},
    {"id": ""},
    {"role": "user"},
    {"role": ["user"], "content": 1},
    {"$ref": "#"},
    {"__proto__": {"a": 1}, "constructor": None},
    {str(number): number for number in range(500)},
    Raw('{"a": 1, "a": 2}'),
    Raw('{"type": "message", "type": "reasoning"}'),
    Raw('{"type": "message", "\\u0074ype": 1}'),
    Raw(r'{"\ud800": 1}'),
    Raw("[" * DEEP + "]" * DEEP),
    Raw('{"a":' * DEEP + "1" + "}" * DEEP),
    Raw('[{"content":' * (DEEP // 2) + "1" + "}]" * (DEEP // 2)),
    Raw("[" * DEEP),
    Raw("[" * 126 + "]" * 126),
    Raw('{"items":' * 100 + "{}" + "}" * 100),
]


def paths(value: Any, at: Path = ()) -> Iterator[Path]:  # JSON
    """The way to every part of a value, the value itself first."""
    yield at
    match value:
        case dict():
            for key, child in value.items():
                yield from paths(child, (*at, key))
        case list():
            for index, child in enumerate(value):
                yield from paths(child, (*at, index))
        case _:
            pass


def written(value: Any) -> str:  # JSON, and worse
    """The text of a value, with its raw pieces as they are."""
    match value:
        case Raw(text=text):
            return text
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{written(child)}" for key, child in value.items()) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def _twice(part: Any) -> Any:  # JSON
    """A list with its first element twice, or an object with its first key twice; of anything else, a list of two."""
    match part:
        case [first, *rest]:
            return [first, *rest, first]
        case dict() if part:
            key, child = next(iter(part.items()))
            return Raw(f"{written(part)[:-1]},{json.dumps(key)}:{written(child)}}}")
        case _:
            return [part, part]


def _nulled(part: Any) -> Any:  # JSON
    """The same with a null for each of its members."""
    match part:
        case dict():
            return dict.fromkeys(part)
        case list():
            return [None] * len(part)
        case _:
            return None


def _emptied(part: Any) -> Any:  # JSON
    match part:
        case dict():
            return {}
        case list():
            return []
        case _:
            return ""


CHANGES: list[Callable[[Any], Any]] = [  # JSON
    _twice,
    _nulled,
    _emptied,
    lambda part: [part],
    lambda part: {"type": part},
    written,
    lambda part: part * 200 if isinstance(part, list) and len(part) < 20 else part,
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The text of a valid request of which one to three parts were changed."""
    body: Any = deepcopy(draw(st.sampled_from(VALID)))  # JSON
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        way = draw(st.sampled_from(list(paths(body))))
        change = draw(st.one_of(st.sampled_from(ODD).map(lambda odd: lambda _: odd), st.sampled_from(CHANGES)))
        body = _changed(body, way, change)
    return written(body)


def _changed(value: Any, way: Path, change: Callable[[Any], Any]) -> Any:  # JSON
    """The value with one part changed."""
    if not way:
        return change(value)
    step, *rest = way
    copied: Any = value.copy()  # JSON: an object or an array
    copied[step] = _changed(value[step], tuple(rest), change)
    return copied


@st.composite
def garbled(draw: st.DrawFn) -> bytes:
    """The bytes of a valid request, cut, spotted or in an encoding that JSON does not have."""
    text = json.dumps(draw(st.sampled_from(VALID)), ensure_ascii=False).replace("?", "\u00e9\U0001f600")
    encoded = text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7"])))
    at = draw(st.integers(0, len(encoded)))
    length = draw(st.integers(0, 3))
    return encoded[:at] + draw(st.binary(max_size=3)) + draw(st.sampled_from([b"", encoded[at + length :]]))
