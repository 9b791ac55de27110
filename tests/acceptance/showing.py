"""What shows pictures and documents, and who is shown them: a model that notes what reaches it, servers, pictures."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from msgspec import Struct
from openai import AzureOpenAI, OpenAI
from PIL import Image

from antiphon.config import Config
from antiphon.outbound import Config as Outbound
from tests.documents.files import saved
from tests.images_api import ImagesApi, images_api, opened
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json: TypeAlias = Any  # bodies are told as plain JSON here

Client: TypeAlias = Any  # an official client: its types do not know all that is sent here as plain JSON
Mount: TypeAlias = Callable[..., Client]

UNREAD = pytest.mark.filterwarnings("ignore:unread_data:DeprecationWarning:aiohttp")
"""The images API reads forms with aiohttp, which scolds itself for how it does that."""
HEADER = "x-ms-oai-image-generation-deployment"
DRAW: Json = {"type": "image_generation"}
_TREES = [f'<circle cx="{20 + 40 * number}" cy="470" r="18" fill="#2e8b57"/>' for number in range(12)]
_SHAPES = [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><rect width="512" height="512" fill="#8fd3ff"/>',
    '<rect x="100" y="200" width="300" height="250" fill="#cc2222"/>',
    '<polygon points="80,200 250,60 420,200" fill="#552211"/>',
    *_TREES,
    "</svg>",
]
SKETCHES: list[Json] = [
    {
        "when": "Draw it again, whole",
        "steps": [{"text": [shape.replace("#cc2222", "#2222cc") for shape in _SHAPES]}],
    },
    {"when": "^wait", "steps": [{"pause_ms": 1000 * int(HANG_SECONDS)}]},
    {"steps": [{"text": _SHAPES}]},
]
"""What a model says that writes drawings: a red house, and a blue one where it is shown a drawing. It may wait."""
_NUMBERS = re.compile(r"images=(?P<numbers>\[[\d, ]*\])")


class Model:
    """A model that draws where it is offered to, what the user said; otherwise it tells how many pictures it sees.

    ``images=[1]`` in the user's words are the numbers of the pictures that it starts from.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Json] = []

    def words(self, index: int = -1) -> str:
        """All text that a request showed to it."""
        parts = [part for message in self.asked[index]["messages"] for part in _parts(message)]
        return "\n".join(part["text"] for part in parts if part["type"] == "text")

    def pictures(self, index: int = -1) -> list[str]:
        """The URLs of the pictures that a request showed to it."""
        return _pictures(self.asked[index])

    def seen(self, index: int = -1) -> list[Image.Image]:
        """The pictures that a request showed to it, opened."""
        return [opened(decoded(url)) for url in self.pictures(index)]


def _parts(message: Json) -> list[Json]:
    content = message.get("content") or []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _users(message: Json) -> str:
    """What the user says in a message; nothing in one that only holds what was drawn."""
    said = [part["text"] for part in _parts(message) if part["type"] == "text"]
    return " ".join(said) if message["role"] == "user" else ""


def _pictures(body: Json) -> list[str]:
    parts = [part for message in body["messages"] for part in _parts(message)]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def _said(body: Json) -> list[Json]:
    """What the model says to a request: the deltas of a stream."""
    offered = [tool["function"]["name"] for tool in body.get("tools", [])]
    told = [(index, words) for index, message in enumerate(body["messages"]) if (words := _users(message))]
    last, words = max(told, default=(0, ""))
    has_drawn = any(message["role"] == "tool" for message in body["messages"][last:])
    if "image_generation" not in offered or has_drawn or body.get("tool_choice") == "none":
        return [{"role": "assistant", "content": f"I see {len(_pictures(body))} pictures."}]
    numbers = _NUMBERS.search(words)
    arguments = {"prompt": words} | ({"images": json.loads(numbers["numbers"])} if numbers else {})
    call = {"name": "image_generation", "arguments": json.dumps(arguments)}
    return [{"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": call}]}]


@contextmanager
def looking() -> Iterator[Model]:
    """A model behind an upstream of chat completions on this machine."""
    model, lock = Model(), threading.Lock()

    class Visit(BaseHTTPRequestHandler):
        """One visitor."""

        def do_POST(self) -> None:
            """Note what is asked, and answer with a stream."""
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                model.asked.append(body)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for delta in _said(body):
                self._tell({"index": 0, "delta": delta})
            self._tell({"index": 0, "delta": {}, "finish_reason": "tool_calls" if "tool_calls" in delta else "stop"})
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _tell(self, choice: Json) -> None:
            chunk = {"id": "seen", "object": "chat.completion.chunk", "choices": [choice]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    with listening(Visit) as url:
        model.url = url
        yield model


@contextmanager
def web(pages: Mapping[str, bytes], moved: Mapping[str, str] | None = None) -> Iterator[str]:
    """A web server with pages; ``moved`` are paths that lead elsewhere. Gives its address.

    ``/slow`` never answers, ``/drip`` never ends, ``/endless`` sends for ever; what else is unknown is a 404.
    """
    over, elsewhere = threading.Event(), moved or {}

    class Visit(BaseHTTPRequestHandler):
        """One visitor."""

        def do_GET(self) -> None:
            """Answer."""
            if self.path == "/slow":
                over.wait(HANG_SECONDS)
                return
            status = 302 if self.path in elsewhere else 200 if self.path in {*pages, "/drip", "/endless"} else 404
            self.send_response(status)
            self.send_header("content-type", "text/html" if status == 404 else "image/png")
            self.send_header("location", elsewhere.get(self.path, "/"))
            self.end_headers()
            self.wfile.write(pages.get(self.path, b"<html>the inside of a page</html>"))
            with suppress(OSError):  # whoever asked has heard enough
                while self.path == "/endless" or (self.path == "/drip" and not over.wait(0.05)):
                    self.wfile.write(bytes(100 if self.path == "/drip" else 65_536))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Visit) as url:
        try:
            yield url.removesuffix("/v1")
        finally:
            over.set()


# A server


class Studio(Struct, frozen=True):
    """A server, the model behind it, and the servers of the image deployments ``gpt-image-1`` and ``other-image``."""

    address: str
    model: Model
    painter: ImagesApi
    other: ImagesApi


@contextmanager
def studio(**settings: Json) -> Iterator[Studio]:
    """A server with everything. ``settings`` are tables of the configuration.

    Its model answers every name and sees; of ``untold`` nobody says whether it does, ``blind`` sees nothing, ``narrow``
    little. ``writer`` writes what ``sketch`` draws.
    """
    with looking() as model, images_api() as painter, images_api() as other:
        upstream = {"backend": "chat_completions", "base_url": model.url, "fetch_images": True}
        config = Config(
            deployments=[
                {**upstream, "name": "*", "vision": True},
                {**upstream, "name": "untold"},
                {**upstream, "name": "blind", "vision": False},
                {**upstream, "name": "narrow", "image_side": 512},
                {"name": "writer", "backend": "scripted", "replies": SKETCHES},
            ],
            image_deployments=[
                {"name": "gpt-image-1", "backend": "images", "base_url": painter.url, "api_key": "a-secret-key"},
                {"name": "other-image", "backend": "images", "base_url": other.url},
                {"name": "sketch", "deployment": "writer"},
            ],
            **{"store": MEMORY, "outbound": Outbound(["127.0.0.1"]), **settings},
        )
        with serving(config) as address:
            yield Studio(address, model, painter, other)


# Clients


def plain(address: str, **more: Json) -> Client:
    """The official client for the OpenAI API."""
    return OpenAI(base_url=f"{address}/v1", **{"api_key": "any", **CAREFUL, **more})


def azure(address: str, **more: Json) -> Client:
    """The official client for Azure OpenAI, set up as the documentation does."""
    return AzureOpenAI(
        base_url=f"{address}/openai/v1/",
        **{"azure_ad_token_provider": lambda: "any", "api_version": "preview", **CAREFUL, **more},
    )


CAREFUL: Json = {"max_retries": 0, "timeout": HANG_SECONDS}
MOUNTS: list[Mount] = [plain, azure]


def uploaded(client: Client, content: bytes, name: str = "picture.png", purpose: str = "vision") -> str:
    """Upload a file, and give its id."""
    return str(client.files.create(file=(name, content), purpose=purpose).id)


# Pictures


def checkered(seed: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """A PNG that no other seed gives."""
    picture = Image.new("RGB", size, (seed * 40 % 256, 90, 200 - seed))
    picture.paste((255, 255, seed), (0, 0, 16, 16))
    return saved(picture, "PNG")


def data_url(content: bytes, media_type: str = "image/png") -> str:
    """A data URL."""
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def decoded(text: str) -> bytes:
    """The bytes of base64, or of a data URL."""
    return b64decode(text.rpartition(",")[2], validate=True)


def shown(*parts: Json, text: str = "what is in this image?") -> list[Json]:
    """A message of the user's with pictures or documents."""
    return [{"role": "user", "content": [{"type": "input_text", "text": text}, *parts]}]


def picture(url: str, **more: str) -> Json:
    """The part of a picture."""
    return {"type": "input_image", "image_url": url, **more}


def drawings(output: Sequence[Json]) -> list[Json]:
    """The drawings among the items of a response, as the client gives them."""
    return [item for item in output if item.type == "image_generation_call"]
