"""Drawings that cannot be made: settings that do not fit are refused, servers that misbehave cost one item each."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct
from openai import BadRequestError

from antiphon.config import Config
from tests import patient
from tests.acceptance.showing import (
    DRAW,
    UNREAD,
    Client,
    Json,
    Model,
    Studio,
    checkered,
    data_url,
    looking,
    picture,
    shown,
)
from tests.http.following import ended, events
from tests.images_api import HOW, SECRET, images_api
from tests.serving import MEMORY, serving
from tests.tools.image_generation.test_painting import CODES, WELL

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, UNREAD]

FORMS: list[Json] = [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}]
MASK = {"image_url": data_url(checkered(1))}
SLOW = {"hangs", "hangs_in_body", "drips"}


class Hostile(Struct, frozen=True):
    """A server with an image deployment for each way to misbehave."""

    address: str
    model: Model


@contextmanager
def hostile() -> Iterator[Hostile]:
    """Serve them all."""
    with ExitStack() as stack:
        model = stack.enter_context(looking())
        deployments: list[Json] = []
        for how in HOW:
            url = stack.enter_context(images_api(how)).url
            times = {"timeout": 0.7, "idle_timeout": 0.3} if how in SLOW else {}
            deployments.append({
                "name": how,
                "backend": "images",
                "base_url": url,
                "api_key": SECRET,
                "max_image_mib": 1,
                **times,
            })
        upstream = {"name": "*", "backend": "chat_completions", "base_url": model.url}
        config = Config(store=MEMORY, deployments=[upstream], image_deployments=deployments)
        yield Hostile(stack.enter_context(serving(config)), model)


def drawn(server: Hostile, how: str, form: Json) -> tuple[Json, str]:
    """Have something drawn in one of the forms; gives the response in the end, and all that was told of it."""
    tools = [{**DRAW, "model": how, "partial_images": 2}]
    body = {"model": "m", "input": f"Draw a {how} house", "tools": tools, **form}
    answer = patient.post(f"{server.address}/v1/responses", json=body)
    assert 200 == answer.status_code, (how, answer.text)
    if form.get("stream"):
        return events(answer.content)[-1]["response"], answer.text
    response = answer.json()
    if form.get("background"):
        response = ended(server.address, response["id"])
    return response, answer.text + json.dumps(response)


def test_an_images_api_that_misbehaves_costs_one_item(caplog: pytest.LogCaptureFixture) -> None:
    """The response completes, the item says what went wrong, the model is told, and nothing leaks to anybody."""
    caplog.set_level(logging.DEBUG)
    with hostile() as server, ThreadPoolExecutor(12) as pool:
        cases = [(how, FORMS[number % len(FORMS)]) for number, how in enumerate(HOW)]
        found = list(pool.map(lambda case: drawn(server, *case), cases))
        told = {how: _told(server.model, how) for how in HOW}
    for (how, form), (response, text) in zip(cases, found, strict=True):
        call, message = response["output"]
        assert ("completed", "message") == (response["status"], message["type"]), (how, form)
        assert ("the inside" in text, SECRET in text) == (False, False), how
        if how in WELL:
            assert ("completed", "256x256") == (call["status"], call["size"]), how
            assert "The picture was drawn" in told[how]
        else:
            assert ("failed", CODES.get(how, "server_error"), "") == (
                call["status"],
                call["error"]["code"],
                call["result"],
            ), how
            assert f"No picture was drawn: {call['error']['message']}" in told[how], how
    seen = json.dumps(server.model.asked) + caplog.text
    assert ("the inside" in seen, SECRET in seen) == (False, False)


def _told(model: Model, how: str) -> str:
    """What the model read of a drawing: the last that it was asked about it."""
    asked = [index for index in range(len(model.asked)) if f"Draw a {how} house" in model.words(index)]
    assert 2 == len(asked), how
    return model.words(asked[-1])


MISFITS: dict[str, tuple[list[Json], str | None]] = {
    "transparent JPEG": ([{**DRAW, "background": "transparent", "output_format": "jpeg"}], "tools[0].background"),
    "GIF with partial images": ([{**DRAW, "output_format": "gif", "partial_images": 1}], "tools[0].partial_images"),
    "GIF with a mask": ([{**DRAW, "output_format": "gif", "input_image_mask": MASK}], "tools[0].input_image_mask"),
    "compressed GIF": ([{**DRAW, "output_format": "gif", "output_compression": 50}], "tools[0].output_compression"),
    "two pictures": ([{**DRAW, "n": 2}], "tools[0].n"),
    "no size": ([{**DRAW, "size": "0x0"}], "tools[0].size"),
    "half a size": ([{**DRAW, "size": "64x"}], "tools[0].size"),
    "four partial images": ([{**DRAW, "partial_images": 4}], "tools[0].partial_images"),
    "too much compression": ([{**DRAW, "output_compression": 101}], "tools[0].output_compression"),
    "an unknown quality": ([{**DRAW, "quality": "best"}], "tools[0].quality"),
    "an unknown action": ([{**DRAW, "action": "improve"}], "tools[0].action"),
    "twice": ([DRAW, DRAW], "tools[1].type"),
    "twice, another model": ([DRAW, {**DRAW, "model": "sketch"}], "tools[1].type"),
    "a mask for nothing": ([{**DRAW, "action": "generate", "input_image_mask": MASK}], "tools[0].input_image_mask"),
    "a mask without a place": ([{**DRAW, "input_image_mask": {}}], "tools[0].input_image_mask.image_url"),
    "a mask in two places": (
        [{**DRAW, "input_image_mask": {**MASK, "file_id": "file-1"}}],
        None,
    ),
    "a mask that is no image": (
        [{**DRAW, "input_image_mask": {"image_url": "data:text/plain;base64,AAAA"}}],
        "tools[0].input_image_mask.image_url",
    ),
    "a mask of words": (
        [{**DRAW, "input_image_mask": {"image_url": "data:image/png;base64,AAAA"}}],
        "tools[0].input_image_mask",
    ),
    "a mask that is not there": ([{**DRAW, "input_image_mask": {"file_id": "file-1"}}], "tools[0].input_image_mask"),
}
"""Tools that cannot be, and what is at fault."""


@pytest.mark.parametrize("name", MISFITS)
def test_settings_that_do_not_fit_are_refused(server: Studio, client: Client, name: str) -> None:
    """In every form, with the path of what is at fault, before any model is asked."""
    tools, param = MISFITS[name]
    before = len(server.model.asked)
    for form in FORMS:
        with pytest.raises(BadRequestError) as refused:
            client.responses.create(
                model="m", input=shown(picture(data_url(checkered(2))), text="Draw a bow"), tools=tools, **form
            )
        assert (param, before) == (refused.value.param, len(server.model.asked)), refused.value.message


def test_all_settings_reach_the_images_api(server: Studio, client: Client) -> None:
    """Those that were given, and no others; of an edit those that edits have."""
    given = {"size": "128x64", "quality": "low", "output_format": "webp", "output_compression": 50, "moderation": "low"}
    client.responses.create(model="m", input="Draw a house", tools=[{**DRAW, **given, "background": "opaque"}])
    sent = server.painter.asked[-1].fields
    assert {**given, "background": "opaque", "prompt": "Draw a house", "n": 1, "model": "gpt-image-1"} == sent
    client.responses.create(model="m", input="Draw a house", tools=[DRAW])
    assert {"prompt": "Draw a house", "n": 1, "model": "gpt-image-1"} == server.painter.asked[-1].fields
    assert "Bearer a-secret-key" == server.painter.asked[-1].headers["authorization"]


def test_settings_that_a_sketch_does_not_know_are_named(client: Client) -> None:
    """In a header, as everything that had no effect; of an images API nothing is known, and nothing is named."""
    ask = client.responses.with_raw_response.create
    tool = {**DRAW, "quality": "high", "moderation": "low", "size": "64x64"}
    sketched = ask(model="m", input="Draw a house", tools=[{**tool, "model": "sketch"}])
    drawn = ask(model="m", input="Draw a house", tools=[tool])
    assert {"tools[image_generation].quality", "tools[image_generation].moderation"} == set(
        sketched.headers["x-ignored-params"].split(", ")
    )
    assert "x-ignored-params" not in drawn.headers
