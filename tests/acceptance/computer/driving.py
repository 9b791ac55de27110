"""A client for which a list of pictures is a screen, and the servers before the model that points at it."""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

from openai import OpenAI

from antiphon.config import Config
from antiphon.lifecycle.guarding import Config as Guard
from tests.documents.files import noise, saved
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openai.types.responses import Response, ResponseComputerToolCall

    from tests.acceptance.computer.pointing import Pointer

BATCH: Any = {"type": "computer"}
SINGLE: Any = {"type": "computer_use_preview", "display_width": 1280, "display_height": 800, "environment": "browser"}
DONE = "It is done."
TASK = "Write hello."


def screen(number: int) -> bytes:
    """What the screen shows after so many steps."""
    picture = noise(1280, 800, grain=64)
    picture.paste((number, 0, 0), (0, 0, 40, 40))
    return saved(picture, "PNG")


def inlined(content: bytes, media_type: str = "image/png") -> str:
    """A picture as a data URL."""
    return f"data:{media_type};base64,{b64encode(content).decode()}"


SCREENS = [screen(number) for number in range(6)]


@contextmanager
def driven(model: Pointer) -> Iterator[str]:
    """A server before it, with deployments that differ in what they show to it, and in how it points."""
    known: dict[str, Any] = {"backend": "chat_completions", "base_url": model.url}
    deployments = [
        {"name": "m", **known},
        {"name": "small", "image_side": 640, **known},
        {"name": "thousandths", "coordinates": "thousandths", **known},
        {"name": "recent", "screenshots": 2, **known},
        {"name": "narrow", "context_window": 3000, **known},
        {"name": "blind", "vision": False, **known},
    ]
    with serving(Config(store=MEMORY, deployments=deployments, computer=Guard(max_repeats=3))) as url:
        yield url


@contextmanager
def passing_on(address: str, model: Pointer) -> Iterator[OpenAI]:
    """The client of a second server, whose upstream is the first: that one knows the tools itself.

    It lets no model act anywhere without a person.
    """
    known = {"backend": "responses", "base_url": f"{address}/v1", "native_tools": ["computer", "computer_use_preview"]}
    deployments: list[dict[str, Any]] = [
        {"name": "m", "model": "small", **known},
        {"name": "recent", "model": "m", "screenshots": 2, **known},
        {"name": "guarded", "backend": "chat_completions", "base_url": model.url},
    ]
    guard = Guard(allow=["example.com"], max_repeats=2)
    with serving(Config(store=MEMORY, deployments=deployments, computer=guard)) as url, official(url) as made:
        yield made


@contextmanager
def official(address: str) -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent."""
    with OpenAI(
        base_url=f"{address}/v1",
        api_key="any",
        max_retries=0,
        timeout=HANG_SECONDS,
        _strict_response_validation=True,
    ) as made:
        yield made


class Loop:
    """A client that makes what the model wants to happen, by sending the next picture.

    ``leave``: a person acknowledges whatever is asked.
    """

    def __init__(
        self, client: OpenAI, mode: str, *, by_file: bool = False, model: str = "small", leave: bool = False
    ) -> None:
        self._leave = leave
        self._client = client
        self._mode = mode
        self._by_file = by_file
        self._model = model
        self._conversation = client.conversations.create().id if mode == "conversation" else None
        self._history: list[Any] = []
        self._last: Response | None = None
        self.calls: list[ResponseComputerToolCall] = []

    def run(self, tool: Any, task: str = TASK, *, most: int = 9) -> Response:
        """All steps, to the last answer, or so many."""
        said: list[Any] = [{"role": "user", "content": task}]
        while True:
            response = self._ask(said, tool)
            assert response.status == "completed"
            made = [item for item in response.output if item.type == "computer_call"]
            if not made or len(self.calls) == most:
                return response
            [call] = made
            self.calls.append(call)
            said = [self.shown(call.call_id, len(self.calls))]
            if self._leave:
                said[0]["acknowledged_safety_checks"] = [{"id": check.id} for check in call.pending_safety_checks]

    def shown(self, call_id: str, number: int) -> Any:
        """What the screen shows after a step."""
        if not self._by_file:
            source = {"image_url": inlined(SCREENS[number])}
        else:
            source = {"file_id": self._client.files.create(file=("s.png", SCREENS[number]), purpose="vision").id}
        output = {"type": "computer_screenshot", "current_url": "http://127.0.0.1/", **source}
        return {"type": "computer_call_output", "call_id": call_id, "output": output}

    def _ask(self, said: list[Any], tool: Any) -> Response:
        body: dict[str, Any] = {"model": self._model, "tools": [tool], "truncation": "auto"}
        match self._mode:
            case "by hand" | "unstored":
                self._history += said
                response = self._made(input=self._history, store=self._mode == "by hand", **body)
                self._history += [item.model_dump(exclude_unset=True) for item in response.output]
            case "conversation":
                response = self._made(input=said, conversation=self._conversation, **body)
            case _:
                previous = None if self._last is None else self._last.id
                response = self._made(input=said, previous_response_id=previous, **body)
        self._last = response
        return response

    def _made(self, **body: Any) -> Response:
        create: Callable[..., Any] = self._client.responses.create
        match self._mode:
            case "stream" | "background stream":
                *_, last = create(stream=True, background=self._mode != "stream", **body)
                response: Response = last.response
                assert response.output == self._client.responses.retrieve(response.id).output
                return response
            case "background":
                response = create(background=True, **body)
                while response.status in {"queued", "in_progress"}:
                    response = self._client.responses.retrieve(response.id)
                return response
            case _:
                made: Response = create(**body)
                return made
