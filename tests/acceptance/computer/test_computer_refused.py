"""What stands before the next step on a screen: a person who is asked, and pictures that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import BadRequestError

from tests.acceptance.computer.driving import (
    BATCH,
    DONE,
    SCREENS,
    SINGLE,
    TASK,
    Loop,
    inlined,
)
from tests.acceptance.computer.pointing import CLICK, LOOK
from tests.documents.files import png

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.responses import Response

    from tests.acceptance.computer.pointing import Pointer

pytestmark = pytest.mark.slow


# A person is asked


def asking(native: OpenAI, model: Pointer) -> Response:
    """A response that waits for a person: the page is none of those where the model may act by itself."""
    model.begins([LOOK], [CLICK], DONE)
    first = native.responses.create(model="guarded", tools=[BATCH], input=TASK)
    [call] = first.output
    assert call.type == "computer_call"
    body: Any = [Loop(native, "chain").shown(call.call_id, 1)]
    return native.responses.create(model="guarded", tools=[BATCH], input=body, previous_response_id=first.id)


@pytest.mark.parametrize("mode", ["chain", "by hand", "background"])
def test_nothing_goes_on_before_a_person_has_acknowledged_every_check(
    native: OpenAI, model: Pointer, mode: str
) -> None:
    """Neither by no word, nor by another check's, nor by the output of a function; and then it does."""
    response = asking(native, model)
    [call] = response.output
    assert call.type == "computer_call"
    [check] = call.pending_safety_checks
    assert "irrelevant_domain" == check.code
    assert check.id.startswith("cu_sc_")
    shown = Loop(native, "chain").shown(call.call_id, 2)
    before: list[Any] = [{"role": "user", "content": TASK}, call.model_dump(exclude_unset=True)]
    body: dict[str, Any] = {"model": "guarded", "tools": [BATCH]}
    if mode != "by hand":
        body |= {"previous_response_id": response.id, "background": mode == "background"}
        before = []
    create: Any = native.responses.create
    for wrong in (
        shown,
        {**shown, "acknowledged_safety_checks": []},
        {**shown, "acknowledged_safety_checks": [{"id": "cu_sc_another"}]},
        {"type": "function_call_output", "call_id": call.call_id, "output": "Done."},
    ):
        with pytest.raises(BadRequestError) as refused:
            create(input=[*before, wrong], **body)
        assert f"Computer tool has unacknowledged safety check for ['{check.id}']" in str(refused.value)
        assert ("input", None) == (refused.value.param, refused.value.code)
    assert 2 == len(model.asked)
    leave = [{"id": check.id, "code": check.code, "message": check.message}]
    more = create(input=[*before, {**shown, "acknowledged_safety_checks": leave}], **body)
    while more.status in {"queued", "in_progress"}:
        more = native.responses.retrieve(more.id)
    assert ("completed", 3) == (more.status, len(model.asked))
    kept: list[Any] = list(native.responses.input_items.list(more.id))
    acknowledged = [item.acknowledged_safety_checks for item in kept if item.type == "computer_call_output"]
    assert [check.id] == [each.id for each in acknowledged[0]]


# Bad screens


def opened(client: OpenAI, model: Pointer) -> Response:
    """A response that waits for a screen."""
    model.begins([LOOK], DONE)
    return client.responses.create(model="m", tools=[BATCH], input=TASK)


BOMB = png(60_000, 60_000)
BAD: dict[str, tuple[dict[str, str], str]] = {
    "no picture": ({"image_url": inlined(b"GIF, but not really. " * 9)}, "invalid_image_format"),
    "another type": ({"image_url": inlined(b"%PDF-1.7", "application/pdf")}, "invalid_image_format"),
    "cut off": ({"image_url": inlined(SCREENS[0][:9_000])}, "image_parse_error"),
    "empty": ({"image_url": "data:image/png;base64,"}, "empty_image_file"),
    "no base64": ({"image_url": "data:image/png;base64,&&&&"}, "invalid_base64_image"),
    "a bomb": ({"image_url": inlined(BOMB)}, "image_too_large"),
    "of nobody": ({"file_id": "file-123"}, "image_file_not_found"),
    "inside": ({"image_url": "http://127.0.0.1:9/shot.png"}, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_screen_that_is_none_is_refused_and_nothing_is_lost(client: OpenAI, model: Pointer, name: str) -> None:
    """Before the model is asked; the right one may follow."""
    response = opened(client, model)
    [call] = response.output
    assert call.type == "computer_call"
    source, code = BAD[name]
    output = {"type": "computer_screenshot", **source}
    bad: Any = [{"type": "computer_call_output", "call_id": call.call_id, "output": output}]
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="m", tools=[BATCH], input=bad, previous_response_id=response.id)
    assert not code or code == refused.value.code
    assert 1 == len(model.asked)
    good: Any = [Loop(client, "chain").shown(call.call_id, 1)]
    more = client.responses.create(model="m", tools=[BATCH], input=good, previous_response_id=response.id)
    assert DONE == more.output_text


def test_an_output_answers_one_call_once(client: OpenAI, model: Pointer) -> None:
    """Neither one that was never made, nor the same twice."""
    response = opened(client, model)
    [call] = response.output
    assert call.type == "computer_call"
    shown = Loop(client, "chain").shown(call.call_id, 1)
    foreign: Any = [shown, {**shown, "call_id": "call_nobody"}]
    twice: Any = [shown, shown]
    for wrong in (foreign, twice):
        with pytest.raises(BadRequestError, match="call_id"):
            client.responses.create(model="m", tools=[BATCH], input=wrong, previous_response_id=response.id)
    with pytest.raises(BadRequestError, match="No tool output found"):
        client.responses.create(model="m", tools=[BATCH], input="And?", previous_response_id=response.id)
    assert 1 == len(model.asked)


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({**SINGLE, "display_width": 0}, "tools[0].display_width"),
        ({**SINGLE, "display_height": 10**9}, "tools[0].display_height"),
        ({**SINGLE, "environment": "toaster"}, "tools[0].environment"),
    ],
)
def test_a_display_that_is_none_is_refused(client: OpenAI, model: Pointer, tool: Any, param: str) -> None:
    """With its place."""
    model.begins(DONE)
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="m", tools=[tool], input=TASK)
    assert param == refused.value.param


def test_one_computer_is_enough(client: OpenAI) -> None:
    """Two would share the name by which a call is told."""
    with pytest.raises(BadRequestError, match="Duplicate tool type"):
        client.responses.create(model="m", tools=[BATCH, SINGLE], input=TASK)
