"""A model to try computer use with where there is none that sees: it knows nothing but the colours of the picture.

``python seeing.py --port 8002`` serves chat completions at http://127.0.0.1:8002/v1. It is told what belongs into the
fields of which colour (``blue is "Moby-Dick", teal is "yes"``). It looks at each screenshot that it is shown, finds
the frames of the fields, sees which of them are still white inside, fills them in, presses what is green, scrolls where
it sees neither, and reads the number that shines in the end. Where on the page anything is, it only knows by looking.
"""

from __future__ import annotations

import argparse
import io
import json
import re
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple  # requests are JSON as any client writes it

from PIL import Image, ImageChops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIELDS = {
    "blue": (0x1F, 0x6F, 0xEB),
    "orange": (0xE8, 0x59, 0x0C),
    "purple": (0x82, 0x50, 0xDF),
    "pink": (0xD6, 0x33, 0x6C),
    "teal": (0x0C, 0x85, 0x99),
}
BUTTON = (0x2B, 0x8A, 0x3E)
LIT, DIM = (0xFF, 0xB0, 0x00), (0x5C, 0x3D, 0x00)

ASKED = re.compile(r'\b(\w+) is "([^"]*)"')
NEAR = 36
"""How far each part of a colour may be off: pictures are made smaller, and edges blur."""
RED = 170
"""How red a bar is that shines; the others are less, and so is what blurs between them."""
PALE = 225
"""A ground that nothing is written on is lighter."""
SMALLEST = 10
"""Pixels of what is large enough to be clicked."""
PIECE = 24
"""Letters of a call that are sent at once."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""

DIGITS = {
    "abcdef": "0",
    "bc": "1",
    "abdeg": "2",
    "abcdg": "3",
    "bcfg": "4",
    "acdfg": "5",
    "acdefg": "6",
    "abc": "7",
    "abcdefg": "8",
    "abcdfg": "9",
}
BARS = {
    "a": (0.5, 0.05),
    "b": (0.92, 0.27),
    "c": (0.92, 0.73),
    "d": (0.5, 0.95),
    "e": (0.08, 0.73),
    "f": (0.08, 0.27),
    "g": (0.5, 0.5),
}
"""Where the seven bars of a digit are, in parts of its width and height."""


class Field(NamedTuple):
    """A field that is seen."""

    box: Box
    is_empty: bool
    is_focused: bool


class Sight(NamedTuple):
    """What a picture shows."""

    size: tuple[int, int]
    fields: Mapping[str, Field]
    button: Box | None
    number: str


def look(picture: Image.Image) -> Sight:
    """Find the fields, the button and the shining number of a picture."""
    frames = {name: found(near(picture, colour)) for name, colour in FIELDS.items()}
    fields = {name: field(picture, box) for name, box in frames.items() if box}
    return Sight(picture.size, fields, found(near(picture, BUTTON)), number(picture))


def near(picture: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Give a mask of what has about this colour."""
    parts = ImageChops.difference(picture, Image.new("RGB", picture.size, colour)).split()
    worst = ImageChops.lighter(ImageChops.lighter(parts[0], parts[1]), parts[2])
    return worst.point([255 if off <= NEAR else 0 for off in range(256)])


def found(mask: Image.Image) -> Box | None:
    """Give what a mask shows, if it is large enough to be clicked."""
    box = mask.getbbox()
    return box if box and min(box[2] - box[0], box[3] - box[1]) >= SMALLEST else None


def field(picture: Image.Image, box: Box) -> Field:
    """Look into a frame: whatever is dark in it was written there, and a yellow ground waits for letters."""
    left, top, right, bottom = box
    edge = (bottom - top) // 4 + 1
    inside = picture.crop((left + 2 * edge, top + edge, right - edge, bottom - edge))
    if not all(inside.size):
        return Field(box, is_empty=False, is_focused=False)
    darkest = min(inside.convert("L").tobytes())
    blue = inside.resize((1, 1), Image.Resampling.BOX).tobytes()[2]
    return Field(box, is_empty=darkest >= PALE, is_focused=blue < PALE)


def number(picture: Image.Image) -> str:
    """Read the digits that shine, from left to right; nothing where none do."""
    lit = near(picture, LIT)
    if found(lit) is None:
        return ""
    bars = ImageChops.lighter(lit, near(picture, DIM))
    _, top, _, bottom = found(bars) or (0, 0, 0, 0)
    columns = bars.resize((bars.width, 1), Image.Resampling.BOX).tobytes()
    return "".join(digit(picture, (first, top, last, bottom)) for first, last in runs(columns) if last - first > 1)


def runs(columns: bytes) -> Iterator[tuple[int, int]]:
    """Give where something is, from where to where."""
    start = None
    for place, value in enumerate([*columns, 0]):
        if value and start is None:
            start = place
        elif not value and start is not None:
            yield start, place
            start = None


def digit(picture: Image.Image, box: Box) -> str:
    """Read a digit by its bars: those that shine are red enough."""
    left, top, right, bottom = box
    shape = picture.crop(box).getchannel("R").tobytes()
    width, height = right - left, bottom - top
    spots = {bar: round(y * (height - 1)) * width + round(x * (width - 1)) for bar, (x, y) in BARS.items()}
    return DIGITS.get("".join(bar for bar, spot in spots.items() if shape[spot] > RED), "?")


def decide(sight: Sight, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Say what to do next on what is seen, in its pixels: fill in what is empty, then press what is green."""
    actions: list[dict[str, Any]] = []
    for name, text in wanted.items():
        seen = sight.fields.get(name)
        if seen is None or not seen.is_empty:
            continue
        if not seen.is_focused:
            actions.append(click(seen.box))
        if text != "yes":
            actions.append({"type": "type", "text": text})
    if actions:
        return actions
    if sight.button:
        return [click(sight.button)]
    width, height = sight.size
    return [{"type": "scroll", "x": width // 2, "y": height // 2, "scroll_x": 0, "scroll_y": height * 2 // 3}]


def click(box: Box) -> dict[str, Any]:
    """Click into the middle."""
    left, top, right, bottom = box
    return {"type": "click", "button": "left", "x": (left + right) // 2, "y": (top + bottom) // 2}


class Asked(NamedTuple):
    """What is asked of the model: what belongs into the fields, the pictures, and the tool as JSON if there is one."""

    wanted: Mapping[str, str]
    pictures: list[str]
    tool: str


def asked(body: Mapping[str, Any]) -> Asked:
    """Read a request for a chat completion."""
    texts: list[str] = []
    pictures: list[str] = []
    for message in body["messages"]:
        content: Any = message.get("content") or ""
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts += [part["text"] for part in parts if part["type"] == "text" and message["role"] == "user"]
        pictures += [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    tools = [tool["function"] for tool in body.get("tools") or [] if tool["function"]["name"] == "computer"]
    return Asked(dict(ASKED.findall("\n".join(texts))), pictures, json.dumps(tools[0]) if tools else "")


def answer(request: Asked) -> Iterator[dict[str, Any]]:
    """Give the deltas of an answer: a thought, and then words or a call."""
    if not request.tool:
        yield {"content": f"I was shown {len(request.pictures)} pictures and no computer."}
        return
    if not request.pictures:
        yield from call([{"type": "screenshot"}])
        return
    sight = look(opened(request.pictures[-1]))
    yield {"reasoning_content": described(sight)}
    actions = decide(sight, request.wanted)
    if sight.number:
        yield {"content": f"The number is {sight.number}."}
    elif actions[0]["type"] == "scroll" and len(request.pictures) > 1 and request.pictures[-1] == request.pictures[-2]:
        yield {"content": "I see nothing that I could do, and there is no more to see."}
    else:
        yield from call(measured(actions, sight.size, request.tool))


def opened(url: str) -> Image.Image:
    """Open the picture of a data URL."""
    with Image.open(io.BytesIO(b64decode(url.partition(",")[2]))) as picture:
        return picture.convert("RGB")


def described(sight: Sight) -> str:
    """Say what is seen."""
    seen = [f"{name} field that is {'empty' if field.is_empty else 'full'}" for name, field in sight.fields.items()]
    seen += ["green button"] * bool(sight.button)
    told = ", ".join(f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}" for thing in seen)
    return f"I see {told or 'nothing to fill in or to press'}."


def measured(actions: list[dict[str, Any]], size: tuple[int, int], tool: str) -> list[dict[str, Any]]:
    """Give actions as the tool wants them: one or several, in pixels or in thousandths."""
    width, height = size if "thousandths" not in tool else (1000, 1000)
    for action in actions:
        if "x" in action:
            action |= {"x": action["x"] * width // size[0], "y": action["y"] * height // size[1]}
    return actions[:1] if '"maxItems": 1,' in tool else actions


def call(actions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give a call of the computer piece by piece, as models write it."""
    text = json.dumps({"actions": actions})
    function = {"name": "computer", "arguments": ""}
    yield {"tool_calls": [{"index": 0, "id": f"call_{token_hex(8)}", "type": "function", "function": function}]}
    for start in range(0, len(text), PIECE):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": text[start : start + PIECE]}}]}


class Eyes(BaseHTTPRequestHandler):
    """Answers requests for chat completions with streams."""

    def do_POST(self) -> None:
        """Look, and say what to do."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        deltas = list(answer(asked(body)))
        reason = "tool_calls" if "tool_calls" in deltas[-1] else "stop"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for delta in deltas:
            self._send({"index": 0, "delta": delta, "finish_reason": None})
        self._send({"index": 0, "delta": {}, "finish_reason": reason})
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _send(self, choice: dict[str, Any]) -> None:
        chunk = {"id": "seen", "object": "chat.completion.chunk", "created": 0, "model": "seeing", "choices": [choice]}
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8002)
    with ThreadingHTTPServer(("127.0.0.1", arguments.parse_args().port), Eyes) as server:
        print(f"The model sees: http://127.0.0.1:{server.server_port}/v1", flush=True)
        server.serve_forever()
