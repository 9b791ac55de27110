"""The oracle: whatever goes out is held against the official package's own types and against what was recorded.

`watching` holds every event of every machine against both; `check_event` and `check_response` do the same for JSON that
came over a wire. A finding ends the test at once, whatever the code under test catches.

JSON of the same shape is looked at once: two values have the same shape where they differ in numbers and free text
only, which neither source constrains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeAlias, get_args  # JSON and foreign models are open

import msgspec
import pytest
from openai.types import responses
from pydantic import BaseModel, ValidationError

from antiphon.core.machine import Machine
from antiphon.core.sse import FILLER_LENGTH, frames
from antiphon.protocol.events import StreamEvent
from tests.field_sets import event_findings, response_findings

Shape: TypeAlias = object
Step: TypeAlias = Callable[..., list[StreamEvent]]

FREE_TEXT = frozenset({
    *("arguments", "call_id", "code", "container_id", "delta", "diff", "id", "input", "instructions", "item_id"),
    *("message", "model", "name", "obfuscation", "output", "previous_response_id", "refusal", "server_label", "text"),
    *("token", "user", "partial_image_b64", "result", "query", "command", "commands", "path", "working_directory"),
})
"""The keys whose strings are any text. A string under another key is a word of the protocol, and part of the shape."""

NOT_IN_THE_TYPES = {
    "error": "sent nested, as recorded; the types say flat",
    "response.apply_patch_call_operation_diff.delta": "recorded; the union of the types lacks it",
    "response.apply_patch_call_operation_diff.done": "recorded; the union of the types lacks it",
}

EXTRA_FIELDS = {
    "ImageGeneration.n": "recorded in echoes",
    "Logprob.bytes": "recorded; the types of events lack it, those of items have it",
    "LogprobTopLogprob.bytes": "the same",
    "ResponseCustomToolCall.status": "recorded always",
    "Message.id": "of a template's messages among the instructions: items that are kept have ids",
    "Response.billing": "recorded in finished JSON answers",
    "Response.content_filters": "Azure's",
    "Response.frequency_penalty": "recorded since 2026-01",
    "Response.presence_penalty": "recorded since 2026-01",
    "Response.store": "recorded always",
    "WebSearchTool.return_token_budget": "recorded in echoes since 2026",
    "WebSearchTool.search_content_types": "the same",
    "*.obfuscation": "recorded; only one of the types has it",
}

LIES = {
    ("error", "code", "literal_error"): "context_length_exceeded is recorded; the types lack it",
    ("ResponseFunctionWebSearch", "action", "missing"): "recorded so while the search is not done",
}
"""Where the types contradict the recordings: the last two steps to the field, and what pydantic says of it."""

UNRECORDED = {
    "reasoning has status": "nobody has recorded a run that was taken over; the types have it",
}
"""What no recording has, and the types allow."""

MODELS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(responses.ResponseStreamEvent)[0])
}
STEPS = (
    *("start", "queue", "resume", "open_list", "close_list", "fail_list", "grant", "feed", "phase", "answer"),
    *("compact", "beat", "complete", "fail", "cancel"),
)
FILLER = "x" * FILLER_LENGTH

_seen: set[Shape] = set()


def check_event(body: bytes) -> None:
    """Hold the JSON of one event against both sources. Fails the test."""
    event = msgspec.json.decode(body)
    form = shape(event)
    if form in _seen:
        return
    name = event["type"]
    _expect_none(body, event_findings(event))
    if name not in NOT_IN_THE_TYPES:
        _expect_none(body, type_findings(MODELS[name], body))
    _seen.add(form)


def check_response(body: bytes) -> None:
    """Hold the JSON of one response, such as the body of an answer, against both sources. Fails the test."""
    response = msgspec.json.decode(body)
    form = shape(response)
    if form in _seen:
        return
    _expect_none(body, response_findings(response))
    _expect_none(body, type_findings(responses.Response, body))
    _seen.add(form)


@contextmanager
def watching() -> Iterator[None]:
    """Hold every event that any machine makes against both sources, in the form in which a stream would carry it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(Machine, name, _watched(vars(Machine)[name]))
        yield


def _watched(step: Step) -> Step:
    @wraps(step)
    def watched(*args: Any, **kwargs: Any) -> list[StreamEvent]:  # any step's
        events = step(*args, **kwargs)
        for frame in frames(events, FILLER).split(b"\n\n")[:-1]:
            check_event(frame.partition(b"\ndata: ")[2])
        return events

    return watched


def shape(value: Any, key: str = "") -> Shape:  # any JSON
    """What two values have in common that differ in numbers and free text only; a list is the set of its elements."""
    match value:
        case dict():
            return tuple((name, shape(member, name)) for name, member in value.items())
        case list():
            return frozenset([shape(element, key) for element in value])
        case str() if key not in FREE_TEXT:
            return value
        case _:
            return type(value)


def type_findings(model: type[BaseModel], body: bytes) -> list[str]:
    """What the official types say against a body, their known lies left out."""
    try:
        read = model.model_validate_json(body, strict=True)
    except ValidationError as error:
        return [f"{'.'.join(place)}: {message}" for place, message in _faults(error)]
    return sorted(_unknown_fields(read))


def _faults(error: ValidationError) -> list[tuple[tuple[str, ...], str]]:
    """Where a body is at fault. Of a union, only the member whose ``type`` fits has a say, if there is one."""
    faults = [(tuple(map(str, fault["loc"])), fault["type"], fault["msg"]) for fault in error.errors()]
    strangers = {place[:-1] for place, kind, _ in faults if place[-1] == "type" and kind == "literal_error"}
    near = [fault for fault in faults if not any(fault[0][: len(other)] == other for other in strangers)]
    return [(place, message) for place, kind, message in near or faults if (*place[-2:], kind) not in LIES]


def _unknown_fields(value: object) -> set[str]:
    """The fields that the types do not know; the types let them pass."""
    match value:
        case BaseModel():
            found = {
                f"{type(value).__name__} has {name}"
                for name in value.model_extra or {}
                if EXTRA_FIELDS.keys().isdisjoint({f"{type(value).__name__}.{name}", f"*.{name}"})
            }
            return found.union(*(_unknown_fields(member) for member in vars(value).values()))
        case list():
            return set[str]().union(*map(_unknown_fields, value))
        case _:
            return set()


def _expect_none(body: bytes, findings: list[str]) -> None:
    unknown = [finding for finding in findings if finding not in UNRECORDED]
    if unknown:
        pytest.fail("\n".join([*unknown, body.decode()]), pytrace=False)
