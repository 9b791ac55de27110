"""What an upstream is asked, as a client would parse it, and the turns that it is asked about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec import Raw

from antiphon.backends.anthropic import Config, to_wire
from antiphon.core.turn import Function, Turn
from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Message

if TYPE_CHECKING:
    from typing import Any  # JSON

    from antiphon.backends.anthropic.traits import Traits
    from antiphon.protocol.items import Item

CONFIG = Config(base_url="http://127.0.0.1:1/v1", model="m")
BUDGET = Config(base_url="http://127.0.0.1:1/v1", model="m", thinking="budget")
OFF = Config(base_url="http://127.0.0.1:1/v1", model="m", thinking="off")
PIXEL = "data:image/png;base64,iVBORw0KGgo="
F = Function("f", Raw(b'{"type":"object","properties":{}}'))
G = Function("g", Raw(b'{"type":"object","properties":{}}'), description="Does g.")


def asked(turn: Turn, config: Config = OFF, traits: Traits | None = None) -> Any:  # JSON
    """The request as a client would parse it."""
    return json.loads(to_wire(turn, config, traits))


def messages(*items: Item) -> Any:  # JSON
    """The messages that items become."""
    return asked(Turn([*items]))["messages"]


def user(text: str) -> Message:
    """A user's words."""
    return Message(role="user", content=[InputText(text=text)])


def assistant(text: str) -> Message:
    """The model's words."""
    return Message(role="assistant", content=[OutputText(text=text)])


def call(id: str, name: str = "f", arguments: str = "{}") -> FunctionCall:
    """A call of the client's function."""
    return FunctionCall(call_id=id, name=name, arguments=arguments)


def output(id: str, text: str = "ok") -> FunctionCallOutput:
    """What the client's function returned."""
    return FunctionCallOutput(call_id=id, output=text)


def text(words: str) -> dict[str, Any]:  # JSON
    """Words on the wire."""
    return {"type": "text", "text": words}


def said(*blocks: dict[str, Any]) -> dict[str, Any]:  # JSON
    """A message of the model's on the wire."""
    return {"role": "assistant", "content": [*blocks]}


def heard(*blocks: dict[str, Any]) -> dict[str, Any]:  # JSON
    """A message of a user's on the wire."""
    return {"role": "user", "content": [*blocks]}


def tool_use(id: str, name: str = "f", **input: Any) -> dict[str, Any]:  # JSON
    """A call on the wire."""
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def tool_result(id: str, content: Any = "ok") -> dict[str, Any]:  # JSON
    """What came of a call, on the wire."""
    return {"type": "tool_result", "tool_use_id": id, "content": content}
