"""The routes of uploads: parts become a file, and an upload that has ended takes nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any  # JSON, and what is handed on

import pytest

from antiphon.store.blobs import MIB, file_key
from tests.filing import NOW, SMALL, Cabinet, ask, cabinet, form, part, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from antiphon.http.app import App
    from tests.filing import Answered

pytestmark = pytest.mark.anyio

ASKED = {"filename": "a.jsonl", "purpose": "batch", "bytes": 10, "mime_type": "application/jsonl"}
JSON = {"content-type": "application/json"}
STRANGER = {"authorization": "Bearer key-b"}


@pytest.fixture
async def kept_in() -> AsyncIterator[Cabinet]:
    """An empty cabinet."""
    async with cabinet() as made:
        yield made


@pytest.fixture
def app(kept_in: Cabinet) -> App:
    """The application over it."""
    return kept_in.app()


async def create(app: App, **asked: Any) -> Answered:
    """Begin an upload."""
    return await ask(app, "POST", "/v1/uploads", json.dumps({**ASKED, **asked}).encode(), headers=JSON)


async def begun(app: App, **asked: Any) -> str:
    """Begin an upload, and give its id."""
    id: str = (await create(app, **asked)).json["id"]
    return id


async def send(app: App, id: str, content: bytes, **more: Any) -> Answered:
    """Send a part."""
    return await post(app, form(part("data", content, filename="upload")), f"/v1/uploads/{id}/parts", **more)


async def sent(app: App, id: str, *contents: bytes) -> list[str]:
    """Send parts, and give their ids."""
    return [(await send(app, id, content)).json["id"] for content in contents]


async def complete(app: App, id: str, parts: list[str], *, md5: str | None = None, **more: Any) -> Answered:
    """Complete an upload."""
    body = json.dumps({"part_ids": parts, "md5": md5}).encode()
    headers = {**JSON, **more.pop("headers", {})}
    return await ask(app, "POST", f"/v1/uploads/{id}/complete", body, headers=headers, **more)


async def cancel(app: App, id: str, **more: Any) -> Answered:
    """Cancel an upload."""
    return await ask(app, "POST", f"/v1/uploads/{id}/cancel", **more)


async def test_parts_become_a_file_in_the_order_that_is_named(kept_in: Cabinet, app: App) -> None:
    """Not in the order in which they came; and of the parts nothing stays."""
    made = (await create(app, expires_after={"anchor": "created_at", "seconds": 7200})).json
    assert {
        "object": "upload",
        "bytes": 10,
        "created_at": NOW,
        "expires_at": NOW + SMALL.upload_seconds,
        "filename": "a.jsonl",
        "purpose": "batch",
        "status": "pending",
        "file": None,
    } == {key: value for key, value in made.items() if key != "id"}
    first, second, unused = await sent(app, made["id"], b"world", b"hello", b"other")
    kept_in.now += 100
    done = (await complete(app, made["id"], [second, first], md5=hashlib.md5(b"helloworld").hexdigest())).json  # noqa: S324 - what clients send
    assert {**made, "status": "completed", "file": done["file"]} == done
    assert ("a.jsonl", 10, NOW + 100, NOW + 7300, "processed") == tuple(
        done["file"][key] for key in ("filename", "bytes", "created_at", "expires_at", "status")
    )
    content = await ask(app, "GET", f"/v1/files/{done['file']['id']}/content")
    assert b"helloworld" == content.body
    assert ["1 files", "1 uploads", file_key("a", done["file"]["id"])] == await kept_in.left()
    assert unused


async def test_a_part_is_told_where_it_belongs(app: App) -> None:
    """With the fields that the live service sends."""
    id = await begun(app)
    told = (await send(app, id, b"x")).json
    assert {"object": "upload.part", "created_at": NOW, "upload_id": id} == {
        key: value for key, value in told.items() if key != "id"
    }
    assert told["id"].startswith("part_")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"bytes": 0}, (400, "bytes", "integer_below_min_value")),
        ({"bytes": SMALL.most_upload_bytes + 1}, (400, "bytes", "integer_above_max_value")),
        ({"bytes": "ten"}, (400, "bytes", "invalid_type")),
        ({"purpose": "nothing"}, (400, "purpose", None)),
        ({"filename": None}, (400, "filename", "missing_required_parameter")),
        ({"mime_type": None}, (400, "mime_type", "missing_required_parameter")),
        (
            {"expires_after": {"anchor": "created_at", "seconds": 1}},
            (400, "expires_after.seconds", "integer_below_min_value"),
        ),
    ],
)
async def test_what_cannot_come_is_not_begun(
    kept_in: Cabinet, app: App, asked: dict[str, Any], error: tuple[int, str, str]
) -> None:
    """And nothing is kept of it."""
    assert error == (await create(app, **asked)).error
    assert [] == await kept_in.left()


async def test_what_is_no_part_is_refused(kept_in: Cabinet, app: App) -> None:
    """Too long, empty, under another name, or broken off: nothing is kept of it."""
    id = await begun(app, bytes=SMALL.most_upload_bytes)
    assert (413, None, None) == (await send(app, id, bytes(MIB + 1))).error
    assert (400, "file", None) == (await send(app, id, b"")).error
    path = f"/v1/uploads/{id}/parts"
    assert (400, "data", "missing_required_parameter") == (await post(app, form(part("file", b"x")), path)).error
    assert 0 == (await post(app, [part("data", b"x" * MIB)], path, then="leaves")).status
    assert ["1 uploads"] == await kept_in.left()


async def test_an_upload_holds_no_more_than_it_can_need(kept_in: Cabinet, app: App) -> None:
    """A part may be sent again, and there is an end to it."""
    id = await begun(app)
    assert 200 == (await send(app, id, b"0123456789")).status
    assert 200 == (await send(app, id, bytes(MIB))).status
    assert (400, "data", None) == (await send(app, id, bytes(11))).error
    assert ["1 uploads", "2 upload_parts"] == (await kept_in.left())[:2]
    assert 4 == len(await kept_in.left())


@pytest.mark.parametrize(
    ("chosen", "md5", "param"),
    [([0], None, "part_ids"), ([0, 1, 2], None, "part_ids"), ([0, 0], None, "part_ids"), ([], None, "part_ids")],
)
async def test_parts_that_do_not_add_up_are_refused(app: App, chosen: list[int], md5: str | None, param: str) -> None:
    """The upload stays, and may be completed still."""
    id = await begun(app)
    parts = await sent(app, id, b"hello", b"world", b"other")
    answered = await complete(app, id, [parts[number] for number in chosen], md5=md5)
    assert (400, param, None) == answered.error
    assert (400, "part_ids", None) == (await complete(app, id, [parts[0], "part_unknown"])).error
    assert 200 == (await complete(app, id, parts[:2])).status


async def test_another_digest_is_refused(kept_in: Cabinet, app: App) -> None:
    """The upload stays, and the file that it would have been does not."""
    id = await begun(app)
    parts = await sent(app, id, b"hello", b"world")
    before = await kept_in.left()
    assert (400, "md5", None) == (await complete(app, id, parts, md5="0" * 32)).error
    assert before == await kept_in.left()


async def test_a_file_that_is_not_for_its_purpose_is_refused(app: App) -> None:
    """When all of it is there."""
    id = await begun(app, purpose="vision")
    parts = await sent(app, id, b"0123456789")
    assert (400, "file", "unsupported_file") == (await complete(app, id, parts)).error


async def expect_closed(app: App, id: str, status: str) -> None:
    """An upload takes nothing more, and says why."""
    for answered in (await send(app, id, b"x"), await complete(app, id, []), await cancel(app, id)):
        assert (400, "id", None) == answered.error
        assert status in answered.json["error"]["message"]


async def test_a_completed_upload_takes_nothing(app: App) -> None:
    """Its file stays."""
    id = await begun(app)
    await complete(app, id, await sent(app, id, b"0123456789"))
    await expect_closed(app, id, "completed")


async def test_a_cancelled_upload_takes_nothing(kept_in: Cabinet, app: App) -> None:
    """And nothing stays of its parts."""
    id = await begun(app)
    await sent(app, id, b"hello")
    answered = await cancel(app, id)
    assert (200, "cancelled", id) == (answered.status, answered.json["status"], answered.json["id"])
    await expect_closed(app, id, "cancelled")
    assert ["1 uploads"] == await kept_in.left()


async def test_an_expired_upload_takes_nothing(kept_in: Cabinet, app: App) -> None:
    """After an hour, whether or not the sweep came by."""
    id = await begun(app)
    await sent(app, id, b"hello")
    kept_in.now += SMALL.upload_seconds
    await expect_closed(app, id, "expired")
    kept_in.now += 3600
    assert 1 == await kept_in.uploads.sweep(kept_in.now)
    await kept_in.erasing.erase(kept_in.blobs)
    await expect_closed(app, id, "expired")
    assert ["1 uploads"] == await kept_in.left()


async def test_nobody_else_has_the_upload(app: App) -> None:
    """Foreign and unknown are the same."""
    id = await begun(app)
    for asked, headers in ((id, STRANGER), ("upload_unknown", {})):
        for answered in (
            await send(app, asked, b"x", headers=headers),
            await complete(app, asked, [], headers=headers),
            await cancel(app, asked, headers=headers),
        ):
            assert (404, "id", None) == answered.error
            assert f"No such Upload object: {asked}" == answered.json["error"]["message"]
