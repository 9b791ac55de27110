"""Pictures from an images API: what it is asked, what becomes of its answers, and that it cannot do harm."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any  # settings of a test

import anyio
import msgspec
import pytest
from anyio.to_thread import run_sync
from msgspec import UNSET
from PIL import Image

from antiphon.protocol.calls import ImageRefusal
from antiphon.protocol.response import ImageTokens, ImageToolUsage
from antiphon.tools.image_generation.images import painting
from tests.images_api import HOW, SECRET, drawn, edited, encoded, images_api
from tests.patient import HANG_SECONDS
from tests.tools.image_generation.studio import COMPLETED, GENERATING, Told, drawing, settings, subject

if TYPE_CHECKING:
    from antiphon.documents import Documents
    from tests.images_api import ImagesApi

pytestmark = pytest.mark.anyio

BLUE = encoded(Image.new("RGB", (64, 64), "blue"))
GREEN = encoded(Image.new("RGB", (64, 64), "green"), "jpeg")
WELL = {
    "refuses_stream",
    "refuses_partials",
    "json_to_stream",
    "url_here",
    "url_without_host",
    "crlf",
    "no_content_type",
    "bad_partials",
    "other_format",
    "many_partials",
}
"""Ways to behave badly that a picture comes of nevertheless."""
CODES = {
    "moderation": "moderation_blocked",
    "azure_filter": "moderation_blocked",
    "moderation_of_unknown_stage": "moderation_blocked",
    "refusal_event": "moderation_blocked",
    "bad_size": "invalid_request",
    "endless_refusal": "invalid_request",
    "unauthorized": "misconfigured",
    "forbidden": "misconfigured",
    "not_found": "misconfigured",
    "url_elsewhere": "misconfigured",
    "url_bad": "misconfigured",
    "url_file": "misconfigured",
    "limited": "rate_limit_exceeded",
    "quota": "rate_limit_exceeded",
    "late": "timeout",
    "hangs": "timeout",
    "hangs_in_body": "timeout",
    "drips": "timeout",
    "huge": "image_too_large",
    "url_huge": "image_too_large",
    "endless": "image_too_large",
    "endless_events": "image_too_large",
}


def at(server: ImagesApi, **more: Any) -> dict[str, Any]:  # settings of a deployment
    """A deployment at a server."""
    return {"backend": "images", "base_url": server.url, "api_key": SECRET, **more}


def digest(content: bytes) -> str:
    """What tells pictures apart in a failing test."""
    return hashlib.sha256(content).hexdigest()


async def test_a_picture_is_asked_for_and_shown(documents: Documents) -> None:
    """The server draws the prompt; the client gets its file, and the model is told in words."""
    with images_api(expects_key=True) as server:
        told = await drawing(documents, at(server))
    (asked,) = server.asked
    assert "/v1/images/generations" == asked.path
    assert {"prompt": "a red house", "n": 1, "model": "m"} == asked.fields
    assert f"Bearer {SECRET}" == asked.headers["authorization"]
    assert [GENERATING, COMPLETED] == told.names
    assert digest(encoded(drawn("a red house", (256, 256)))) == digest(told.content)
    item = told.item
    assert ("completed", "generate", "png", "256x256") == (item.status, item.action, item.output_format, item.size)
    assert ("opaque", "medium", "a red house, revised") == (item.background, item.quality, item.revised_prompt)
    assert "It shows: a red house, revised" in told.output
    assert told.answer is not None
    assert told.answer.usage == ImageToolUsage(
        input_tokens=9,
        input_tokens_details=ImageTokens(image_tokens=2, text_tokens=7),
        output_tokens=100,
        output_tokens_details=ImageTokens(image_tokens=100),
        total_tokens=109,
    )


async def test_what_the_caller_set_is_sent_and_nothing_else(documents: Documents) -> None:
    """Settings reach the server as they were given; what makes sense for edits alone is not sent otherwise."""
    given = {
        "size": "128x64",
        "quality": "low",
        "background": "opaque",
        "output_format": "jpeg",
        "output_compression": 40,
        "moderation": "low",
        "svg": {"model": "w", "reasoning": {"effort": "low"}},
    }
    with images_api() as server:
        told = await drawing(documents, at(server), tool=settings(**given, input_fidelity="high", action="generate"))
    assert {"prompt": "a red house", "n": 1, "model": "m", **given} == server.asked[0].fields
    assert ("JPEG", (128, 64)) == (told.picture.format, told.picture.size)
    assert ("jpeg", "opaque", "low") == (told.item.output_format, told.item.background, told.item.quality)


async def test_azure_is_spoken_to_as_azure_is(documents: Documents) -> None:
    """With a version the key goes into Azure's header, and the version into the query."""
    with images_api(expects_key=True) as server:
        deployment = at(server, api_version="2026-10-01", headers={"x-team": "a"}, model="gpt", response_format="url")
        told = await drawing(documents, deployment)
    (asked,) = server.asked
    assert "completed" == told.item.status
    assert {"api-version": "2026-10-01"} == asked.query
    assert (SECRET, "a", None) == (
        asked.headers["api-key"],
        asked.headers["x-team"],
        asked.headers.get("authorization"),
    )
    assert ("gpt", "url") == (asked.fields["model"], asked.fields["response_format"])


async def test_a_deployment_for_every_name_asks_for_the_model_of_the_request(documents: Documents) -> None:
    """``*`` has no model of its own."""
    with images_api() as server:
        await drawing(documents, at(server, name="*"), tool=settings(model="wished"))
        await drawing(documents, at(server, name="*"))
    assert ["wished", None] == [asked.fields.get("model") for asked in server.asked]


async def test_unfinished_pictures_are_shown_in_order(documents: Documents) -> None:
    """A stream's partial pictures become glimpses, from 0, each sharper than the one before."""
    with images_api() as server:
        told = await drawing(documents, at(server), tool=settings(partial_images=3))
    assert server.asked[0].streams
    assert 3 == server.asked[0].fields["partial_images"]
    assert [GENERATING, "0", "1", "2", COMPLETED] == told.names
    assert len({glimpse.image for glimpse in told.glimpses}) == 3
    assert [("256x256", "medium", "opaque", "png")] * 3 == [
        (glimpse.size, glimpse.quality, glimpse.background, glimpse.output_format) for glimpse in told.glimpses
    ]
    assert digest(encoded(drawn("a red house", (256, 256)))) == digest(told.content)


async def test_an_edit_sends_the_pictures_as_files(documents: Documents) -> None:
    """Files have the names and types of what they are; the mask decides where something changes."""
    mask = Image.new("RGBA", (64, 64), "white")
    mask.paste((0, 0, 0, 0), (0, 0, 32, 64))
    with images_api() as server:
        told = await drawing(
            documents,
            at(server),
            tool=settings(input_fidelity="high", moderation="low", svg={"model": "w"}, partial_images=1),
            subjects=[subject(BLUE, is_default=True), subject(GREEN, is_default=True)],
            mask=subject(encoded(mask)),
        )
    (asked,) = server.asked
    assert "/v1/images/edits" == asked.path
    assert [
        ("image[]", "image-1.png", "image/png"),
        ("image[]", "image-2.jpg", "image/jpeg"),
        ("mask", "mask.png", "image/png"),
    ] == [(file.field, file.name, file.media_type) for file in asked.files]
    assert [digest(BLUE), digest(GREEN)] == [digest(file.content) for file in asked.files[:2]]
    assert {
        "prompt": "a red house",
        "n": "1",
        "model": "m",
        "input_fidelity": "high",
        "svg[model]": "w",
        "stream": "true",
        "partial_images": "1",
    } == asked.fields
    assert [GENERATING, "0", COMPLETED] == told.names
    assert "edit" == told.item.action
    assert {(0, 0, 255, 255)} == set(told.picture.crop((33, 0, 64, 64)).get_flattened_data())
    assert {(0, 0, 255, 255)} != set(told.picture.crop((0, 0, 31, 64)).get_flattened_data())


async def test_one_picture_is_sent_under_the_name_that_all_servers_know(documents: Documents) -> None:
    """A single picture is ``image``; and what is no picture is sent as what it is."""
    with images_api() as server:
        await drawing(documents, at(server), subjects=[subject(BLUE, is_default=True)])
        await drawing(documents, at(server), subjects=[subject(b"no picture", is_default=True)])
    assert [("image", "image-1.png", "image/png"), ("image", "image-1.bin", "application/octet-stream")] == [
        (asked.files[0].field, asked.files[0].name, asked.files[0].media_type) for asked in server.asked
    ]


@pytest.mark.parametrize("how", HOW)
async def test_a_server_that_behaves_badly_does_no_harm(
    how: str, documents: Documents, caplog: pytest.LogCaptureFixture
) -> None:
    """Each ends by name, in time, and nothing of what the server said reaches the caller, the model or the log."""
    caplog.set_level(logging.DEBUG)
    with images_api(how) as server, anyio.fail_after(HANG_SECONDS):
        is_slow = how in {"hangs", "hangs_in_body", "drips"}
        deployment = at(server, max_image_mib=1, timeout=0.7 if is_slow else HANG_SECONDS)
        told = await drawing(documents, deployment, tool=settings(partial_images=2))
    shown = msgspec.json.encode(told.item).decode() + told.output + caplog.text
    assert "the inside" not in shown
    assert SECRET not in shown
    if how in WELL:
        assert ("completed", (256, 256)) == (told.item.status, told.picture.size)
    else:
        assert ("failed", CODES.get(how, "server_error")) == (told.item.status, told.error[0])
        assert told.output == f"No picture was drawn: {told.error[1]}"
        assert "" == told.item.result
        assert COMPLETED not in told.names


async def test_a_server_that_falls_silent_is_given_up(documents: Documents) -> None:
    """Once it has begun to answer it may be silent only for so long, however much time there is for all."""
    with images_api("hangs_in_body") as server, anyio.fail_after(HANG_SECONDS):
        told = await drawing(documents, at(server, timeout=10 * HANG_SECONDS, idle_timeout=0.2))
    assert ("timeout", "The image model did not draw in time.") == told.error


@pytest.mark.parametrize("how", ["refuses_stream", "refuses_partials"])
async def test_a_server_that_does_not_stream_is_asked_once_more(how: str, documents: Documents) -> None:
    """Without the stream, and with all the rest; and only where a stream was asked for."""
    with images_api(how) as server:
        told = await drawing(documents, at(server), tool=settings(partial_images=2, quality="low"))
    assert [{"stream", "partial_images"}] == [set(server.asked[0].fields) - set(server.asked[1].fields)]
    assert 2 == len(server.asked)
    assert [GENERATING, COMPLETED] == told.names


async def test_a_filter_says_what_it_found(documents: Documents) -> None:
    """Categories that are plain words, and the stage, are the caller's to know."""
    with images_api("moderation") as server:
        told = await drawing(documents, at(server))
    assert not isinstance(told.item.error, msgspec.UnsetType)
    assert ImageRefusal(categories=["violence"], moderation_stage="input") == told.item.error.moderation_details
    with images_api("moderation_of_unknown_stage") as server:
        told = await drawing(documents, at(server))
    assert not isinstance(told.item.error, msgspec.UnsetType)
    assert ImageRefusal(categories=[], moderation_stage="unknown") == told.item.error.moderation_details
    with images_api("azure_filter") as server:
        told = await drawing(documents, at(server))
    assert not isinstance(told.item.error, msgspec.UnsetType)
    assert UNSET is told.item.error.moderation_details


async def test_a_refused_setting_is_named(documents: Documents) -> None:
    """The name of a parameter that was sent is no secret."""
    with images_api("bad_size") as server:
        told = await drawing(documents, at(server), tool=settings(size="7x7"))
        other = await drawing(documents, at(server))
    assert ("invalid_request", "The image model refused the request. It does not take this value of 'size'.") == (
        told.error
    )
    assert ("invalid_request", "The image model refused the request.") == other.error


async def test_another_format_than_the_wished_one_is_made_the_wished_one(documents: Documents) -> None:
    """A server that knows WebP alone still gives a PNG, with the same pixels; unasked, the format is told as it is."""
    with images_api("other_format") as server:
        wished = await drawing(documents, at(server), tool=settings(output_format="png"))
        jpeg = await drawing(documents, at(server), tool=settings(output_format="jpeg", output_compression=10))
        unasked = await drawing(documents, at(server))
    assert ["png", "jpeg", "webp"] == [each.item.output_format for each in (wished, jpeg, unasked)]
    assert ["PNG", "JPEG", "WEBP"] == [each.picture.format for each in (wished, jpeg, unasked)]
    assert digest(unasked.picture.convert("RGB").tobytes()) == digest(wished.picture.convert("RGB").tobytes())


async def test_a_picture_that_cannot_be_made_another_is_told_as_it_is(documents: Documents) -> None:
    """A picture that is too large to be drawn anew keeps its format."""
    with images_api("other_format") as server:
        told = await drawing(documents, at(server), tool=settings(output_format="png", size="4200x8"))
    assert ("webp", "4200x8") == (told.item.output_format, told.item.size)


async def test_no_more_is_shown_than_was_wanted(documents: Documents) -> None:
    """Whatever a server sends."""
    with images_api("many_partials") as server:
        told = await drawing(documents, at(server), tool=settings(partial_images=2))
        unwanted = await drawing(documents, at(server))
    assert [GENERATING, "0", "1", COMPLETED] == told.names
    assert [GENERATING, COMPLETED] == unwanted.names


async def test_a_drawing_in_svg_has_a_limit(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as text here, and handed on as it came."""
    monkeypatch.setattr(painting, "MOST_SVG_BYTES", 20)
    with images_api("svg") as server:
        told = await drawing(documents, at(server), tool=settings(output_format="svg"))
    assert "image_too_large" == told.error[0]


async def test_a_server_may_draw_in_svg(documents: Documents) -> None:
    """Its drawing is handed on as it came, if it is one; a picture is not taken for one."""
    tool = settings(output_format="svg")
    with images_api("svg") as server:
        told = await drawing(documents, at(server), tool=tool)
    assert ("svg", "64x32") == (told.item.output_format, told.item.size)
    assert told.content.startswith(b"<?xml")
    for how in ("bad_svg", "svg_with_doctype", "html_as_svg", "not_a_picture"):
        with images_api(how) as server:
            told = await drawing(documents, at(server), tool=tool)
        assert "server_error" == told.error[0]
    with images_api() as server:  # which draws no SVG
        told = await drawing(documents, at(server), tool=tool)
    assert "png" == told.item.output_format


async def test_a_caller_who_leaves_stops_the_server(documents: Documents) -> None:
    """Cancelling a call closes the request upstream."""
    with images_api("hangs") as server:
        async with anyio.create_task_group() as group:
            group.start_soon(drawing, documents, at(server))
            with anyio.fail_after(HANG_SECONDS):
                assert await run_sync(server.begun.wait, HANG_SECONDS)
                group.cancel_scope.cancel()
        assert await run_sync(server.left.wait, HANG_SECONDS)


async def test_two_calls_share_a_studio_and_do_not_meet(documents: Documents) -> None:
    """Calls side by side get their own pictures."""
    got: dict[str, Told] = {}

    async def one(prompt: str) -> None:
        got[prompt] = await drawing(documents, deployment, arguments={"prompt": prompt}, tool=settings(size="64x64"))

    with images_api() as server:
        deployment = at(server)
        async with anyio.create_task_group() as group:
            for prompt in ("one", "two", "three"):
                group.start_soon(one, prompt)
    assert {prompt: digest(encoded(drawn(prompt, (64, 64)))) for prompt in got} == {
        prompt: digest(told.content) for prompt, told in got.items()
    }


async def test_nobody_there_is_an_answer_too(documents: Documents) -> None:
    """A server that is down is told in words."""
    told = await drawing(documents, {"backend": "images", "base_url": "http://127.0.0.1:1/v1"})
    assert ("server_error", "The image model cannot be reached, or broke off.") == told.error


async def test_the_stand_in_edits_what_it_is_given() -> None:
    """The server of these tests bases its edits on the picture, visibly."""
    blue = Image.new("RGBA", (64, 64), "blue")
    changed = edited("x", [blue], None, (32, 32))
    assert (32, 32) == changed.size
    assert blue.resize((32, 32)).tobytes() != changed.tobytes()
