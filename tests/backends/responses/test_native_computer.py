"""The whole way of a computer that the upstream knows itself: what is to be done, and back what came of it."""

from __future__ import annotations

from functools import partial
from typing import Any  # bodies are told as plain JSON here

import pytest
from openai import BadRequestError
from openai.types.responses import ResponseOutputItemAddedEvent, ResponseOutputItemDoneEvent

from tests.backends.responses.replaying import replaying
from tests.drawing import inlined, noise

OLDER: Any = {"type": "computer_use_preview", "display_width": 1024, "display_height": 768, "environment": "browser"}
NEWER: Any = {"type": "computer"}
CHECK = {"id": "cu_sc_0941082ef2da2799", "code": "malicious_instructions"}
SCREEN = inlined(noise("screen"))


moving = partial(replaying, native_tools=["computer", "computer_use_preview"])
"""See `replaying`."""


def seen(call_id: str, **fields: object) -> Any:
    """What a client answers: a screenshot."""
    screen = {"type": "computer_screenshot", "image_url": SCREEN}
    return {"type": "computer_call_output", "call_id": call_id, "output": screen, **fields}


def test_an_action_comes_with_the_upstreams_own_check_and_goes_back_with_it() -> None:
    """The thought before it goes back, too, in the form that the upstream alone opens."""
    with moving("openai-computer-preview.sse", "openai-text.sse") as (client, bodies):
        first = client.responses.create(model="m", input="Press it.", tools=[OLDER], truncation="auto")
        call = first.output[-1]
        assert call.type == "computer_call"
        assert [CHECK["id"]] == [check.id for check in call.pending_safety_checks]
        with pytest.raises(BadRequestError, match="unacknowledged safety check"):
            client.responses.create(
                model="m", previous_response_id=first.id, input=[seen(call.call_id)], tools=[OLDER], truncation="auto"
            )
        acknowledged = seen(call.call_id, acknowledged_safety_checks=[CHECK], current_url="https://a.example/")
        second = client.responses.create(
            model="m", previous_response_id=first.id, input=[acknowledged], tools=[OLDER], truncation="auto"
        )
    assert "Grüße, 世界 👋" == second.output_text
    asked, answered = bodies
    assert ([OLDER], "auto") == (asked["tools"], asked["truncation"])
    _, thought, told, output = answered["input"]
    assert ("reasoning", "gAAAAABplooks") == (thought["type"], thought["encrypted_content"])
    assert {"type": "click", "button": "left", "x": 438, "y": 431} == told["action"]
    assert [CHECK["id"]] == [check["id"] for check in told["pending_safety_checks"]]
    assert {**acknowledged, "status": "completed"} == output


def test_a_batch_is_one_call_of_the_upstreams() -> None:
    """In a stream: begun and done, and nothing between."""
    with (
        moving("openai-computer.sse") as (client, bodies),
        client.responses.create(model="m", input="Press it.", tools=[NEWER], stream=True) as events,
    ):
        told = list(events)
    items = [event for event in told if isinstance(event, ResponseOutputItemAddedEvent | ResponseOutputItemDoneEvent)]
    assert ["response.output_item.added", "response.output_item.done"] == [event.type for event in items]
    item = items[-1].item
    assert item.type == "computer_call"
    assert ["move", "click", "double_click", "drag", "scroll", "type", "keypress", "wait", "screenshot"] == [
        action.type for action in item.actions or []
    ]
    assert [NEWER] == bodies[0]["tools"]
