"""What a model is shown of a picture, byte for byte; and a model that cannot see is never asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openai import BadRequestError

from antiphon.config import Vision
from tests.acceptance.showing import (
    Client,
    Json,
    Studio,
    checkered,
    data_url,
    decoded,
    picture,
    plain,
    shown,
    studio,
    uploaded,
    web,
)
from tests.documents.files import animation, lettered, noise, png, quarters, saved

if TYPE_CHECKING:
    from PIL import Image

pytestmark = pytest.mark.slow

UNTOUCHED: dict[str, bytes] = {
    "image/png": checkered(1),
    "image/jpeg": saved(quarters(), "JPEG"),
    "image/webp": saved(quarters(), "WEBP"),
    "image/gif": saved(quarters().convert("P"), "GIF"),
}
"""Pictures that every model takes as they are."""

RED, GREEN, BLUE, WHITE = "red", "green", "blue", "white"
NAMES = {(255, 0, 0): RED, (0, 128, 0): GREEN, (0, 0, 255): BLUE, (255, 255, 255): WHITE}


def corners(image: Image.Image) -> list[str]:
    """The colours in the quarters of a picture, row by row, by the nearest name."""
    width, height = image.size
    places = [(width // 4, height // 4), (3 * width // 4, height // 4)]
    places += [(x, 3 * height // 4) for x, _ in places]
    pixels: list[Json] = [image.convert("RGB").getpixel(place) for place in places]
    return [NAMES[min(NAMES, key=lambda name: _far(name, pixel))] for pixel in pixels]


def _far(one: Json, other: Json) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("media_type", UNTOUCHED)
def test_a_picture_that_fits_reaches_the_model_byte_for_byte(server: Studio, client: Client, media_type: str) -> None:
    """As a data URL, whatever type that names, as a file with any name, and by its URL."""
    content = UNTOUCHED[media_type]
    expected = data_url(content, media_type)
    with web({"/a": content}) as pages:
        parts: list[Json] = [
            picture(expected),
            picture(data_url(content, "image/gif" if media_type == "image/png" else "image/png")),
            {"type": "input_image", "file_id": uploaded(client, content, "x.txt")},
            picture(f"{pages}/a"),
        ]
        client.responses.create(model="m", input=shown(*parts))
    assert [expected] * 4 == server.model.pictures()


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_a_turned_photograph_arrives_upright(server: Studio, client: Client, orientation: int, seen: list[str]) -> None:
    """As its EXIF data say; the place where it was taken stays here."""
    taken = quarters()
    exif = taken.getexif()
    exif[0x0112], exif[0x010E] = orientation, "a-secret-place"
    client.responses.create(model="m", input=shown(picture(data_url(saved(taken, "JPEG", exif=exif), "image/jpeg"))))
    (arrived,) = server.model.seen()
    assert seen == corners(arrived)
    assert ((80, 160) if orientation > 4 else (160, 80)) == arrived.size
    assert (orientation == 1) == (b"a-secret-place" in decoded(server.model.pictures()[0]))
    assert orientation == 1 or 0x0112 not in arrived.getexif()


@pytest.mark.parametrize(
    ("model", "detail", "size"),
    [
        ("m", "auto", (2048, 1365)),
        ("m", "high", (2048, 1365)),
        ("m", "low", (512, 341)),
        ("narrow", "auto", (512, 341)),
        ("narrow", "low", (512, 341)),
    ],
)
def test_a_large_picture_arrives_as_large_as_the_model_takes_it(
    server: Studio, client: Client, model: str, detail: str, size: tuple[int, int]
) -> None:
    """Its longer edge is that of the deployment, or that of low detail."""
    part = {"type": "input_image", "file_id": uploaded(client, LARGE), "detail": detail}
    client.responses.create(model=model, input=shown(part))
    (arrived,) = server.model.seen()
    assert (size, "JPEG") == (arrived.size, arrived.format)
    assert [RED, GREEN, BLUE, WHITE] == corners(arrived)


LARGE = saved(quarters(6000, 4000), "JPEG")


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (saved(quarters().convert("CMYK"), "JPEG"), "RGB"),
        (png(8, 4, bits=16, pixels=(b"\0" + b"\xff\0" * 8) * 4), "L"),
        (animation("GIF"), "RGB"),
        (animation("WEBP"), "RGB"),
        (animation("PNG"), "RGB"),
    ],
    ids=["CMYK", "16 bits", "GIF", "WebP", "APNG"],
)
def test_an_unusual_picture_arrives_as_one_that_every_model_reads(
    server: Studio, client: Client, content: bytes, mode: str
) -> None:
    """Ink, deep grey, and the first frame of what moves."""
    part = {"type": "input_image", "file_id": uploaded(client, content)}
    answered = client.responses.create(model="m", input=shown(part))
    (arrived,) = server.model.seen()
    assert "I see 1 pictures." == answered.output_text
    assert (mode, 1) == (arrived.mode, getattr(arrived, "n_frames", 1))
    if content[:3] in {b"GIF", b"RIF"}:
        assert [RED] * 4 == corners(arrived)


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": ""}
COMPUTER = {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}, "pending_safety_checks": []}


def places(source: Json) -> dict[str, list[Json]]:
    """Everywhere in an input where a picture may stand."""
    part = {"type": "input_image", **source}
    shot = {"type": "computer_screenshot", **source}
    return {
        "a message": shown(part),
        "the output of a function": [CALL, {"type": "function_call_output", "call_id": "c", "output": [part]}],
        "the output of a custom tool": [CUSTOM, {"type": "custom_tool_call_output", "call_id": "c", "output": [part]}],
        "a screenshot": [COMPUTER, {"type": "computer_call_output", "call_id": "c", "output": shot}],
    }


@pytest.mark.parametrize("place", places({}))
def test_a_file_is_seen_wherever_a_picture_may_stand(server: Studio, client: Client, place: str) -> None:
    """And again in the next turn."""
    id = uploaded(client, checkered(2))
    first = client.responses.create(model="m", input=places({"file_id": id})[place])
    assert [data_url(checkered(2))] == server.model.pictures()
    client.responses.create(model="m", previous_response_id=first.id, input="and now?")
    assert [data_url(checkered(2))] == server.model.pictures()


@pytest.mark.parametrize("form", [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}])
def test_a_model_that_cannot_see_is_not_asked(server: Studio, client: Client, form: Json) -> None:
    """A picture anywhere in the input, by whatever name, is refused in words that say why; text is answered."""
    before = len(server.model.asked)
    sources = [{"image_url": data_url(checkered(3))}, {"file_id": uploaded(client, checkered(3))}]
    for input in [each for source in sources for each in places(source).values()]:
        with pytest.raises(BadRequestError, match="'blind' cannot see images") as refused:
            client.responses.create(model="blind", input=input, **form)
        assert ("image_input_not_supported", "input") == (refused.value.code, refused.value.param)
    assert before == len(server.model.asked)
    assert "I see 0 pictures." == client.responses.create(model="blind", input="hi").output_text


def test_a_conversation_with_pictures_is_not_carried_on_by_a_model_without_eyes(server: Studio, client: Client) -> None:
    """What the first model saw, the second would have to see as well."""
    seen = client.responses.create(model="m", input=shown(picture(data_url(checkered(4)))))
    before = len(server.model.asked)
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="blind", previous_response_id=seen.id, input="and now?")
    assert ("image_input_not_supported", before) == (refused.value.code, len(server.model.asked))


def test_another_model_describes_what_one_cannot_see() -> None:
    """It sees the picture once, and the blind one reads its words, marked as such; a chain is not described anew."""
    with studio(vision=Vision(describe_with="narrow")) as server, plain(server.address) as client:
        first = client.responses.create(model="blind", input=shown(picture(data_url(LARGE, "image/jpeg"))))
        describing, reading = server.model.asked
        assert [] == server.model.pictures(1)
        assert [(512, 341)] == [image.size for image in server.model.seen(0)]
        assert "Describe this image for someone who cannot see it." in server.model.words(0)
        mark = "[An image, which you cannot see. The model 'narrow' describes it so: I see 1 pictures.]"
        assert mark in server.model.words(1)
        assert ("narrow", "blind", "I see 0 pictures.") == (describing["model"], reading["model"], first.output_text)
        client.responses.create(model="blind", previous_response_id=first.id, input="and now?")
        assert (3, True) == (len(server.model.asked), mark in server.model.words())
        client.responses.create(model="m", previous_response_id=first.id, input="and you?")
        assert [(2048, 1365)] == [image.size for image in server.model.seen()], "who sees is shown the picture"


def test_what_can_be_told_without_a_model_is_told() -> None:
    """Text and size, by offline parts; a picture that cannot be read is refused as ever."""
    text = saved(lettered("INVOICE 4711"), "PNG")
    with studio(vision=Vision(describe_with="local")) as server, plain(server.address) as client:
        client.responses.create(model="blind", input=shown(picture(data_url(text))))
        assert 1 == len(server.model.asked)
        words = server.model.words()
        assert ([], True) == (server.model.pictures(), "What could be told without a model that sees:" in words)
        assert ("4711" in words, "900" in words, "300" in words) == (True, True, True)
        broken = picture(data_url(saved(noise(64, 64), "PNG")[:500]))
        with pytest.raises(BadRequestError) as refused:
            client.responses.create(model="blind", input=shown(broken))
    assert ("image_parse_error", 1) == (refused.value.code, len(server.model.asked))
