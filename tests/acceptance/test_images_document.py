"""Every image sample of the API's documentation, nearly verbatim, with the official clients, whoever draws.

The samples write their files into the folder where they run; here that is a folder of the test's own.
"""

from __future__ import annotations

import base64
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING

import pytest
from openai import BadRequestError
from PIL import Image, ImageChops

from tests.acceptance.showing import (
    DRAW,
    HEADER,
    MOUNTS,
    UNREAD,
    Client,
    Json,
    Mount,
    Studio,
    checkered,
    data_url,
    decoded,
    drawings,
    shown,
    studio,
    web,
)
from tests.http.following import ended
from tests.images_api import drawn, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.clients, UNREAD]

CAT = "Generate an image of gray tabby cat hugging an otter with an orange scarf"
RIVER = "Draw a gorgeous image of a river made of white owl feathers, snaking its way through a serene winter landscape"
BASKET = """Generate a photorealistic image of a gift basket on a white background
labeled 'Relax & Unwind' with a ribbon and handwriting-like font,
containing all the items in the reference pictures."""
PICTURES = [checkered(seed) for seed in range(4)]

BOTH = pytest.mark.parametrize("mount", MOUNTS)
WAYS = pytest.mark.parametrize("way", ["gpt-image-1", "sketch"])


@pytest.fixture(scope="module")
def server() -> Iterator[Studio]:
    """A server with everything."""
    with studio() as made:
        yield made


@BOTH
def test_the_sample_of_a_url(server: Studio, mount: Mount) -> None:
    """The model is shown the picture that the URL leads to, as its server has it."""
    with mount(server.address) as client, web({"/picture.png": PICTURES[0]}) as pictures:
        response = client.responses.create(
            model="gpt-4o",
            input=[
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "what is in this image?"},
                        {"type": "input_image", "image_url": f"{pictures}/picture.png"},
                    ],
                }
            ],
        )
    assert "I see 1 pictures." == response.output_text
    assert [data_url(PICTURES[0])] == server.model.pictures()


@BOTH
def test_the_sample_of_base64(server: Studio, mount: Mount, tmp_path: Path) -> None:
    """A data URL reaches the model as it was sent."""

    def encode_image(image_path: Path) -> str:
        with image_path.open("rb") as image_file:
            return base64.b64encode(image_file.read()).decode("utf-8")

    (tmp_path / "image.png").write_bytes(PICTURES[1])
    base64_image = encode_image(tmp_path / "image.png")
    sent: Json = {"type": "input_image", "image_url": f"data:image/png;base64,{base64_image}"}
    with mount(server.address) as client:
        response = client.responses.create(model="gpt-4o", input=shown(sent))
    assert "I see 1 pictures." == response.output_text
    assert [sent["image_url"]] == server.model.pictures()


@WAYS
@BOTH
def test_the_sample_of_a_generation(server: Studio, mount: Mount, tmp_path: Path, way: str) -> None:
    """The header names who draws; the file that is written opens, and shows what was drawn."""
    with mount(server.address, default_headers={HEADER: way}) as client:
        response = client.responses.create(model="o3", input=CAT, tools=[DRAW])
    # Save the image to a file
    image_data = [output.result for output in response.output if output.type == "image_generation_call"]
    assert image_data
    image_base64 = image_data[0]
    with (tmp_path / "otter.png").open("wb") as f:
        f.write(base64.b64decode(image_base64 or ""))
    assert "I see 1 pictures." == response.output_text, "the model sees what was drawn"
    assert [data_url((tmp_path / "otter.png").read_bytes())] == server.model.pictures()
    with Image.open(tmp_path / "otter.png") as picture:
        assert "PNG" == picture.format
        assert same(picture, drawn(CAT, (256, 256))) if way == "gpt-image-1" else house(picture)


@WAYS
@BOTH
def test_the_sample_of_partial_images(server: Studio, mount: Mount, tmp_path: Path, way: str) -> None:
    """Each partial image is a file that opens; the last event holds the whole picture."""
    completed: Json = None
    with mount(server.address, default_headers={HEADER: way}) as client:
        stream = client.responses.create(
            model="gpt-4.1", input=RIVER, stream=True, tools=[{"type": "image_generation", "partial_images": 2}]
        )
        for event in stream:
            if event.type == "response.image_generation_call.partial_image":
                idx = event.partial_image_index
                image_base64 = event.partial_image_b64
                image_bytes = base64.b64decode(image_base64)
                (tmp_path / f"river{idx}.png").write_bytes(image_bytes)
            elif event.type == "response.completed":
                completed = event.response
    partial = [(tmp_path / f"river{number}.png").read_bytes() for number in range(2)]
    assert ["river0.png", "river1.png"] == sorted(path.name for path in tmp_path.iterdir())
    final = decoded(drawings(completed.output)[0].result)
    pictures = [Image.open(BytesIO(content)) for content in [*partial, final]]
    assert 1 == len({picture.size for picture in pictures})
    assert 3 == len({picture.tobytes() for picture in pictures}), "each shows more than the one before"


@BOTH
def test_the_sample_of_an_edit(server: Studio, mount: Mount, tmp_path: Path) -> None:
    """Two data URLs, whose PNGs are called JPEGs, and two files: all four reach the images API, whole and in order."""
    with mount(server.address, default_headers={HEADER: "gpt-image-1"}) as client:
        response = edited(client, tmp_path)
    asked = server.painter.asked[-1]
    assert "/v1/images/edits" == asked.path
    assert PICTURES == [file.content for file in asked.files]
    assert {("image[]", "image/png")} == {(file.field, file.media_type) for file in asked.files}
    assert (BASKET, "gpt-image-1", "1") == (asked.fields["prompt"], asked.fields["model"], asked.fields["n"])
    image_generation_calls = [output for output in response.output if output.type == "image_generation_call"]
    image_data = [output.result for output in image_generation_calls]
    assert image_data
    with (tmp_path / "gift-basket.png").open("wb") as f:
        f.write(base64.b64decode(image_data[0]))
    with Image.open(tmp_path / "gift-basket.png") as basket, Image.open(BytesIO(PICTURES[0])) as first:
        assert first.size == basket.size
    assert "edit" == image_generation_calls[0].action
    assert "I see 5 pictures." == response.output_text, "the four, and what was drawn of them"


@BOTH
def test_the_sample_of_an_edit_as_a_sketch(server: Studio, mount: Mount, tmp_path: Path) -> None:
    """The first picture lies beneath what the model draws, and the item says plainly what it is."""
    with mount(server.address, default_headers={HEADER: "sketch"}) as client:
        (call,) = drawings(edited(client, tmp_path).output)
    basket = Image.open(BytesIO(decoded(call.result)))
    assert ("PNG", (64, 48)) == (basket.format, basket.size)
    assert call.revised_prompt == f"{BASKET} (a sketch, drawn as SVG by writer, from the first of 4 pictures)"


def edited(client: Client, folder: Path) -> Json:
    """Run the sample of an edit."""

    def create_file(file_path: Path) -> str:
        with file_path.open("rb") as file_content:
            result = client.files.create(
                file=file_content,
                purpose="vision",
            )
            return str(result.id)

    def encode_image(file_path: Path) -> str:
        with file_path.open("rb") as f:
            return base64.b64encode(f.read()).decode("utf-8")

    for number, content in enumerate(PICTURES, 1):
        (folder / f"image{number}.png").write_bytes(content)
    base64_image1 = encode_image(folder / "image1.png")
    base64_image2 = encode_image(folder / "image2.png")
    file_id1 = create_file(folder / "image3.png")
    file_id2 = create_file(folder / "image4.png")
    parts = [
        {"type": "input_text", "text": BASKET},
        {"type": "input_image", "image_url": f"data:image/jpeg;base64,{base64_image1}"},
        {"type": "input_image", "image_url": f"data:image/jpeg;base64,{base64_image2}"},
        {"type": "input_image", "file_id": file_id1},
        {"type": "input_image", "file_id": file_id2},
    ]
    return client.responses.create(model="gpt-4.1", input=[{"role": "user", "content": parts}], tools=[DRAW])


@BOTH
def test_the_header_chooses_who_draws(server: Studio, mount: Mount) -> None:
    """Of two image deployments the one that is named; the tool's own model counts for more; without both, the first."""
    before = len(server.painter.asked), len(server.other.asked)
    with mount(server.address) as client:
        ask(client, DRAW, "other-image")
        assert before == (len(server.painter.asked), len(server.other.asked) - 1)
        assert "other-image" == server.other.asked[-1].fields["model"]
        ask(client, {**DRAW, "model": "gpt-image-1"}, "other-image")
        assert (before[0] + 1, before[1] + 1) == (len(server.painter.asked), len(server.other.asked))
        ask(client, {**DRAW, "model": "other-image"}, "gpt-image-1")
        ask(client, DRAW, None)
        assert (before[0] + 2, before[1] + 2) == (len(server.painter.asked), len(server.other.asked))
        list(ask(client, DRAW, "other-image", stream=True))
        queued = ask(client, DRAW, "other-image", background=True)
        assert "completed" == ended(server.address, queued.id)["status"]
    assert (before[0] + 2, before[1] + 4) == (len(server.painter.asked), len(server.other.asked))


@BOTH
def test_an_unknown_image_deployment_is_refused(server: Studio, mount: Mount) -> None:
    """By the header and by the tool, before anybody is asked, in every form; without the tool nobody minds it."""
    before = len(server.model.asked)
    forms: list[Json] = [{}, {"stream": True}, {"background": True}]
    cases = [(DRAW, "nobody", None), ({**DRAW, "model": "nobody"}, "gpt-image-1", "tools[0].model")]
    with mount(server.address) as client:
        for more, (tool, header, param) in product(forms, cases):
            with pytest.raises(BadRequestError, match="'nobody' does not exist") as refused:
                ask(client, tool, header, **more)
            assert ("model_not_found", param) == (refused.value.code, refused.value.param)
        assert before == len(server.model.asked)
        answered = client.responses.create(model="m", input="hi", extra_headers={HEADER: "nobody"})
    assert "I see 0 pictures." == answered.output_text


def ask(client: Client, tool: Json, header: str | None, **more: Json) -> Json:
    """Have something drawn."""
    headers: Json = {} if header is None else {HEADER: header}
    return client.responses.create(model="m", input="Draw a house", tools=[tool], extra_headers=headers, **more)


def same(picture: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures show the same."""
    return ImageChops.difference(picture.convert("RGB"), other.convert("RGB")).getbbox() is None


def house(picture: Image.Image) -> bool:
    """Whether a picture is the house that is written here: red walls before a blue sky."""
    at = {place: picture.convert("RGB").getpixel(place) for place in ((500, 600), (10, 10))}
    return at == {(500, 600): (0xCC, 0x22, 0x22), (10, 10): (0x8F, 0xD3, 0xFF)}


def test_what_the_images_api_draws_is_handed_on_byte_for_byte(server: Studio) -> None:
    """The file that the images API sends is the file that the caller gets."""
    with MOUNTS[0](server.address) as client:
        response = ask(client, {**DRAW, "size": "128x64"}, None)
    (call,) = drawings(response.output)
    assert encoded(drawn("Draw a house", (128, 64))) == decoded(call.result)
    assert ("128x64", "png", "completed") == (call.size, call.output_format, call.status)
