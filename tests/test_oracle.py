"""The oracle itself: it lets pass what was recorded, and nothing else."""

from __future__ import annotations

from typing import Any  # JSON is open

import msgspec
import pytest

from antiphon.core.machine import Machine
from antiphon.protocol.response import Response
from antiphon.protocol.tools import ToolChoiceFunction
from tests.oracle import check_event, check_response

DELTA: dict[str, Any] = {
    "type": "response.output_text.delta",
    "content_index": 0,
    "delta": "Hi",
    "item_id": "msg_1",
    "logprobs": [],
    "obfuscation": "JqBPx9oKc3kTRp",
    "output_index": 0,
    "sequence_number": 4,
}
CREATED = Response(id="resp_1", created_at=1, model="m", status="in_progress")


def snapshot(**changes: Any) -> bytes:  # any field of a response
    """The JSON of a response that is being made, with some fields changed."""
    return msgspec.json.encode({**msgspec.to_builtins(CREATED), **changes})


def test_a_recorded_event_passes() -> None:
    """The live service's own delta is right."""
    check_event(msgspec.json.encode(DELTA))


def test_a_recorded_error_passes_although_the_types_say_otherwise() -> None:
    """Errors are nested on the wire."""
    error = {"type": "tokens", "code": "rate_limit_exceeded", "message": "Too large.", "param": None}
    check_event(msgspec.json.encode({"type": "error", "error": error, "sequence_number": 2}))


@pytest.mark.parametrize(
    ("event", "finding"),
    [
        ({**DELTA, "name": "f"}, "response.output_text.delta has name"),
        ({key: DELTA[key] for key in DELTA if key != "logprobs"}, "response.output_text.delta lacks logprobs"),
        ({**DELTA, "type": "response.output_text.deltas"}, "nobody has seen an event of type"),
        ({**DELTA, "delta": 1}, "Input should be a valid string"),
        ({**DELTA, "logprobs": [{"token": "a", "logprob": -1.0, "rank": 1}]}, "Logprob has rank"),
        ({**DELTA, "logprobs": [{"token": "a"}]}, "Field required"),
    ],
)
def test_an_event_that_was_never_recorded_so_is_found(event: dict[str, Any], finding: str) -> None:
    """A field too much, one too few, a type that does not exist, a value of the wrong type."""
    with pytest.raises(pytest.fail.Exception) as failed:
        check_event(msgspec.json.encode(event))
    assert finding in str(failed.value)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"status": "done"}, "response (done) has the wrong service tier"),
        ({"status": "done", "service_tier": "default"}, "Input should be 'completed', 'failed'"),
        ({"usage": {}}, "a usage before the end"),
        ({"completed_at": 1}, "the wrong completed_at"),
        ({"status": "failed", "service_tier": "default"}, "the wrong error"),
        ({"status": "completed", "service_tier": "default", "completed_at": 1}, "no usage at a good end"),
        ({"output_text": ""}, "response has output_text"),
        ({"output": [{"type": "message", "id": "msg_1"}]}, "message lacks content"),
        ({"tool_choice": "never"}, "Input should be 'none', 'auto' or 'required'"),
    ],
)
def test_a_response_that_contradicts_itself_is_found(changes: dict[str, Any], finding: str) -> None:
    """The status says which fields are set."""
    with pytest.raises(pytest.fail.Exception) as failed:
        check_response(snapshot(**changes))
    assert finding in str(failed.value)


def test_a_response_of_ours_passes() -> None:
    """Opened, with nothing said."""
    check_response(snapshot())


def test_what_was_seen_once_is_found_again() -> None:
    """A finding is not forgotten because a body of the same shape was found before."""
    body = msgspec.json.encode({**DELTA, "spam": 1})
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception):
            check_event(body)


def test_every_machine_is_watched() -> None:
    """An event that no client could read ends the test in which it is made."""
    machine = Machine(msgspec.structs.replace(CREATED, tool_choice=ToolChoiceFunction(name="f")), new_id=str)
    machine.start()
    broken = Machine(msgspec.structs.replace(CREATED, truncation="never"), new_id=str)
    with pytest.raises(pytest.fail.Exception, match="truncation"):
        broken.start()
