"""A drawing is changed in every way in which a conversation goes on: what reached the images API is what was drawn."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from openai import BadRequestError
from PIL import Image

from tests import patient
from tests.acceptance.showing import (
    DRAW,
    HEADER,
    UNREAD,
    Client,
    Json,
    Studio,
    checkered,
    data_url,
    decoded,
    drawings,
    picture,
    plain,
    shown,
    uploaded,
)
from tests.conformance.grammar import findings, spelled
from tests.documents.files import noise, saved
from tests.http.following import ended, events, frames, told
from tests.images_api import Asked, edited, encoded, opened

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, UNREAD]

LARGE = saved(noise(200, 150, grain=2), "PNG")
"""A picture whose base64 is too long for a row: it lies on the shelf."""
BLUE = "Now make the ribbon blue"
EDIT: Json = {**DRAW, "action": "edit"}


class Turn:
    """A turn that drew something large: what the next one knows of it."""

    def __init__(self, client: Client, **more: Json) -> None:
        self.create = client.responses.create
        self.said = shown(picture(data_url(LARGE)), text="Draw a bow on it")
        response = self.create(model="m", input=self.said, tools=[DRAW], **more)
        self.id = response.id
        (self.call,) = drawings(response.output)
        self.content = decoded(self.call.result)
        self.output = [item.to_dict(mode="json") for item in response.output]


@pytest.fixture(scope="module")
def turn(client: Client) -> Turn:
    """A turn that is kept."""
    return Turn(client)


def words() -> Json:
    """What the user says next."""
    return {"role": "user", "content": BLUE}


WAYS: dict[str, Callable[[Turn], Json]] = {
    "previous_response_id": lambda turn: {"previous_response_id": turn.id, "input": BLUE},
    "its id": lambda turn: {"input": [words(), {"type": "image_generation_call", "id": turn.call.id}]},
    "its id before the words": lambda turn: {"input": [{"type": "image_generation_call", "id": turn.call.id}, words()]},
    "a reference": lambda turn: {"input": [words(), {"type": "item_reference", "id": turn.call.id}]},
    "the whole output": lambda turn: {"input": [*turn.said, *turn.output, words()]},
    "the whole output, not kept": lambda turn: {"input": [*turn.said, *turn.output, words()], "store": False},
    "the chain, not kept": lambda turn: {"previous_response_id": turn.id, "input": BLUE, "store": False},
}
"""How the next turn says what it goes on with."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["body", "stream", "background", "background stream"])
def test_a_drawing_is_edited_in_the_next_turn(server: Studio, turn: Turn, way: str, form: str) -> None:
    """However it is named and however the answer comes, the images API is given the very file that was drawn."""
    body = {"model": "m", "tools": [{**EDIT, "partial_images": 1}], **WAYS[way](turn)}
    if body.get("store") is False and "background" in form:
        return refused_in_the_background(turn, body)
    before = len(server.painter.asked)
    response = asked(server, body, form)
    (call,) = [item for item in response["output"] if item["type"] == "image_generation_call"]
    (asking,) = server.painter.asked[before:]
    assert [turn.content] == [file.content for file in asking.files]
    assert ("/v1/images/edits", BLUE) == (asking.path, asking.fields["prompt"])
    assert redrawn(asking) == decoded(call["result"])
    assert ("completed", "edit") == (call["status"], call["action"])
    return None


def refused_in_the_background(turn: Turn, body: Json) -> None:
    """What runs in the background is kept."""
    with pytest.raises(BadRequestError) as refused:
        turn.create(**body, background=True)
    assert "background" in str(refused.value.message).lower()


def asked(server: Studio, body: Json, form: str) -> Json:
    """Ask in one of the forms, and give the response in the end; a stream in the background is resumed everywhere."""
    more = {"stream": "stream" in form, "background": "background" in form}
    answer = patient.post(f"{server.address}/v1/responses", json={**body, **more})
    assert 200 == answer.status_code, answer.text
    if form == "body":
        return answer.json()
    if form == "background":
        return ended(server.address, answer.json()["id"])
    seen = events(answer.content)
    if form == "background stream":
        id = seen[0]["response"]["id"]
        pieces = frames(answer.content)
        for number in range(len(seen) - 1):
            assert b"".join(pieces[number + 1 :]) == told(server.address, id, after=number)
        retrieved = patient.get(f"{server.address}/v1/responses/{id}").json()
        assert seen[-1]["response"]["output"] == retrieved["output"]
    assert [] == findings(seen)
    assert 1 == spelled(seen).count("image_generation_call.partial_image")
    return seen[-1]["response"]


def redrawn(asking: Asked) -> bytes:
    """What the images API makes of what it is asked."""
    pictures = [file.picture for file in asking.files if file.field.startswith("image")]
    masks = [file.picture for file in asking.files if file.field == "mask"]
    return encoded(edited(asking.fields["prompt"], pictures, masks[0] if masks else None, None))


def test_several_edits_go_on_from_one_another(server: Studio, client: Client, turn: Turn) -> None:
    """Five turns, streamed and not: each starts from the picture of the one before."""
    create = client.responses.create
    last, id = turn.content, turn.id
    for number in range(5):
        body = {"model": "m", "tools": [EDIT], "previous_response_id": id, "input": f"Now with {number} stars"}
        response = asked(server, {**body, "tools": [{**EDIT, "partial_images": 1}]}, ("body", "stream")[number % 2])
        (call,) = [item for item in response["output"] if item["type"] == "image_generation_call"]
        assert [last] == [file.content for file in server.painter.asked[-1].files]
        last, id = decoded(call["result"]), response["id"]
    final = create(model="m", previous_response_id=id, input="what do you see?")
    assert "I see 7 pictures." == final.output_text, "the first picture, what was drawn on it, and five edits"
    assert data_url(last) == server.model.pictures()[-1]


def test_a_chain_names_its_pictures_by_number(server: Studio, client: Client, turn: Turn) -> None:
    """The model may go back to any picture of the conversation, or begin anew."""
    create = client.responses.create
    create(model="m", previous_response_id=turn.id, input="images=[1] once more", tools=[DRAW])
    assert [LARGE] == [file.content for file in server.painter.asked[-1].files]
    create(model="m", previous_response_id=turn.id, input="images=[2, 1] together", tools=[DRAW])
    assert [turn.content, LARGE] == [file.content for file in server.painter.asked[-1].files]
    create(model="m", previous_response_id=turn.id, input="images=[] something else", tools=[DRAW])
    assert "/v1/images/generations" == server.painter.asked[-1].path
    failed = create(model="m", previous_response_id=turn.id, input="images=[3] wrong", tools=[DRAW])
    (call,) = drawings(failed.output)
    assert ("completed", "failed", "invalid_arguments") == (failed.status, call.status, call.error.code)
    assert "No picture was drawn: There is no picture with the number 3" in server.model.words()


@pytest.mark.parametrize("named", ["data URL", "file"])
def test_a_mask_says_where_an_edit_may_change_something(server: Studio, client: Client, named: str) -> None:
    """By a data URL or by a file: it reaches the images API as it is, and outside of it nothing changes."""
    create = client.responses.create
    hole = Image.new("RGBA", (64, 48), (0, 0, 0, 255))
    hole.paste((0, 0, 0, 0), (0, 0, 32, 48))
    mask = saved(hole, "PNG")
    place = {"image_url": data_url(mask)} if named == "data URL" else {"file_id": uploaded(client, mask)}
    tool = {**EDIT, "input_image_mask": place, "input_fidelity": "high", "size": "64x48", "quality": "low"}
    response = create(model="m", input=shown(picture(data_url(checkered(1))), text="Draw a sun"), tools=[tool])
    asking = server.painter.asked[-1]
    assert [("image", checkered(1)), ("mask", mask)] == [(file.field, file.content) for file in asking.files]
    assert ("high", "64x48", "low") == tuple(asking.fields[name] for name in ("input_fidelity", "size", "quality"))
    result = opened(decoded(drawings(response.output)[0].result)).convert("RGB")
    before = opened(checkered(1))
    assert before.crop((32, 0, 64, 48)).tobytes() == result.crop((32, 0, 64, 48)).tobytes()
    assert before.tobytes() != result.tobytes()


def test_the_action_decides_between_drawing_and_editing(server: Studio, client: Client, turn: Turn) -> None:
    """``generate`` ignores the pictures, ``edit`` needs one, ``auto`` takes what was shown last."""
    create = client.responses.create
    paths = {
        action: create(model="m", previous_response_id=turn.id, input=BLUE, tools=[{**DRAW, "action": action}])
        and server.painter.asked[-1].path.rpartition("/")[2]
        for action in ("generate", "edit", "auto")
    }
    assert {"generate": "generations", "edit": "edits", "auto": "edits"} == paths
    before = len(server.model.asked), len(server.painter.asked)
    for more in ({}, {"stream": True}, {"background": True}):
        with pytest.raises(BadRequestError) as refused:
            create(model="m", input="Draw a house", tools=[EDIT], **more)
        assert ("invalid_value", "tools[0].action") == (refused.value.code, refused.value.param)
    assert before == (len(server.model.asked), len(server.painter.asked))


def test_a_model_without_eyes_is_told_what_was_drawn(server: Studio, client: Client) -> None:
    """It reads the revised prompt where another sees the picture, and may have it edited all the same."""
    create = client.responses.create
    first = create(model="blind", input=shown(picture(data_url(LARGE)), text="Draw a bow on it"), tools=[DRAW])
    assert ([], True) == (server.model.pictures(), "It shows: Draw a bow on it" in server.model.words())
    assert "You cannot see it; the tool that draws can." in server.model.words()
    second = create(model="blind", previous_response_id=first.id, input=BLUE, tools=[DRAW])
    assert [decoded(drawings(first.output)[0].result)] == [file.content for file in server.painter.asked[-1].files]
    assert "completed" == drawings(second.output)[0].status
    create(model="blind", previous_response_id=second.id, input="Draw nothing", tool_choice="none", tools=[DRAW])
    assert f"It shows: {BLUE}" in server.model.words()


def test_a_sketch_is_edited_as_what_was_written(server: Studio, client: Client) -> None:
    """The next turn changes the drawing that the picture carries: the house is blue, and all else as it was."""
    create = client.responses.create
    with plain(server.address, default_headers={HEADER: "sketch"}) as sketching:
        create = sketching.responses.create
        first = create(model="m", input="Draw a house", tools=[{**DRAW, "size": "512x512"}])
        red = decoded(drawings(first.output)[0].result)
        second = create(model="m", previous_response_id=first.id, input="Draw it blue", tools=[EDIT])
        uploaded_again = shown({"type": "input_image", "file_id": uploaded(client, red)}, text="Draw it blue")
        third = create(model="m", input=uploaded_again, tools=[EDIT])
    pictures = [Image.open(BytesIO(decoded(drawings(each.output)[0].result))) for each in (first, second, third)]
    assert [(0xCC, 0x22, 0x22), (0x22, 0x22, 0xCC), (0x22, 0x22, 0xCC)] == [
        each.convert("RGB").getpixel((250, 300)) for each in pictures
    ]
    assert {(512, 512)} == {each.size for each in pictures}
