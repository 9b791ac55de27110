"""Drawings outlive processes, leave nothing behind when they are deleted, and storage that is away is told."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from openai import APIStatusError, BadRequestError, NotFoundError

from antiphon.config import Storage
from tests.acceptance.operating import Operated, configured, operating
from tests.acceptance.showing import (
    DRAW,
    UNREAD,
    Client,
    Json,
    Model,
    checkered,
    data_url,
    decoded,
    drawings,
    looking,
    picture,
    plain,
    shown,
    studio,
    uploaded,
)
from tests.documents.files import noise, pdf, saved
from tests.http.following import Following, ended, events, eventually, frames, told
from tests.images_api import images_api
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, UNREAD]

LARGE = saved(noise(200, 150, grain=2), "PNG")
TERMINAL = {"response.completed", "response.failed", "response.incomplete"}
CONFIG = """
[background]
max_attempts = {attempts}
[[deployments]]
name = "*"
backend = "chat_completions"
base_url = "{model}"
[[image_deployments]]
name = "gpt-image-1"
backend = "images"
base_url = "{painter}"
"""


@contextmanager
def serving(folder: Path, model: Model, painter: str, attempts: int = 3) -> Iterator[Operated]:
    """Run a server in a folder."""
    text = CONFIG.format(model=model.url, painter=painter, attempts=attempts)
    with operating(configured(folder, text)) as server:
        yield server


def killed(folder: Path, model: Model, attempts: int) -> tuple[str, bytes]:
    """Kill a server while a picture is drawn in the background; gives the response's id and what a client had read."""
    tools = [{**DRAW, "partial_images": 1}]
    body = {"model": "m", "input": shown(picture(data_url(LARGE)), text="Draw a bow"), "tools": tools}
    with images_api("hangs") as painter, serving(folder, model, painter.url, attempts) as server:
        sent = {**body, "background": True, "stream": True}
        with httpx.stream("POST", f"{server.address}/v1/responses", json=sent, timeout=HANG_SECONDS) as answer:
            following = Following(answer)
            following.until("image_generation_call.generating")
            assert painter.begun.wait(HANG_SECONDS)
            server.kill()
        assert 1 == len(painter.asked)
    read = following.read
    return events(read)[0]["response"]["id"], read


def test_a_drawing_goes_on_where_its_process_was_killed(tmp_path: Path) -> None:
    """It is drawn again and told once; its stream begins with what its client had read. No row holds a large base64."""
    with looking() as model, images_api() as painter:
        id, read = killed(tmp_path, model, attempts=3)
        with serving(tmp_path, model, painter.url) as server:
            response = ended(server.address, id)
            whole = told(server.address, id)
            seen = events(whole)
            for number in range(len(seen)):
                assert b"".join(frames(whole)[number + 1 :]) == told(server.address, id, after=number)
    assert whole.startswith(read)
    assert list(range(len(seen))) == [event["sequence_number"] for event in seen]
    assert ["response.completed"] == [event["type"] for event in seen if event["type"] in TERMINAL]
    (call, _) = response["output"]
    assert ("completed", "completed", "edit") == (response["status"], call["status"], call["action"])
    assert [LARGE] == [file.content for file in painter.asked[0].files]
    assert (1, 1, 1) == (len(painter.asked), _count(seen, "partial_image"), _count(seen, "completed"))
    assert response["output"] == seen[-1]["response"]["output"]
    with closing(sqlite3.connect(tmp_path / "antiphon.db")) as connection:
        rows = "\n".join(connection.iterdump())
    assert call["id"] in rows
    assert [] == re.findall(r"[A-Za-z0-9+/]{17000}", rows)


def _count(seen: list[Json], phase: str) -> int:
    return sum(event["type"] == f"response.image_generation_call.{phase}" for event in seen)


def test_a_drawing_that_was_interrupted_too_often_fails(tmp_path: Path) -> None:
    """Honestly, with one terminal event, and without another picture."""
    with looking() as model, images_api() as painter:
        id, read = killed(tmp_path, model, attempts=1)
        with serving(tmp_path, model, painter.url, attempts=1) as server:
            response = ended(server.address, id)
            whole = told(server.address, id)
    assert ("failed", "server_error") == (response["status"], response["error"]["code"])
    assert ["response.failed"] == [event["type"] for event in events(whole) if event["type"] in TERMINAL]
    assert (True, 0) == (whole.startswith(read), len(painter.asked))


def test_what_is_deleted_leaves_no_blob(tmp_path: Path) -> None:
    """Responses of every kind with all that they showed and drew, files, and uploads: after a sweep nothing is left."""
    with looking() as model, images_api() as painter:
        with serving(tmp_path, model, painter.url) as server, plain(server.address) as client:
            ids = kept(client, server.address)
            assert len(blobs(tmp_path)) >= 2 * len(ids)
            for id in ids:
                client.responses.delete(id)
            for file in client.files.list():
                client.files.delete(file.id)
        with serving(tmp_path, model, painter.url) as server:
            eventually_empty(server, tmp_path)


def kept(client: Client, address: str) -> list[str]:
    """Responses that put a lot away: drawn at once, streamed, in the background, with documents, and cancelled."""
    id = uploaded(client, LARGE)
    upload = client.uploads.create(bytes=4, filename="a.txt", mime_type="text/plain", purpose="user_data")
    part = client.uploads.parts.create(upload.id, data=b"four")
    client.uploads.complete(upload.id, part_ids=[part.id])
    client.uploads.create(bytes=9, filename="b.txt", mime_type="text/plain", purpose="user_data")
    document = {"type": "input_file", "filename": "a.pdf", "file_data": data_url(pdf(20), "application/pdf")}
    said = shown(picture(data_url(LARGE)), {"type": "input_image", "file_id": id}, document, text="Draw a bow")
    body: Json = {"model": "m", "input": said, "tools": [DRAW]}
    first = client.responses.create(**body)
    streamed = list(client.responses.create(**body, stream=True))[-1].response
    queued = client.responses.create(**body, background=True)
    assert "completed" == ended(address, queued.id)["status"]
    cancelled = client.responses.create(**body, background=True)
    client.responses.cancel(cancelled.id)
    client.responses.create(**body, store=False)
    second = client.responses.create(model="m", previous_response_id=first.id, input="Draw more", tools=[DRAW])
    return [first.id, streamed.id, queued.id, cancelled.id, second.id]


def blobs(folder: Path) -> list[Path]:
    """The files in the blob store."""
    return [path for path in (folder / "antiphon.blobs").rglob("*") if path.is_file()]


def swept(folder: Path) -> bool:
    """Whether no erasure waits."""
    with closing(sqlite3.connect(folder / "antiphon.db")) as connection:
        (waiting,) = connection.execute("SELECT count(*) FROM erasures WHERE due_at <= unixepoch()").fetchone()
    return 0 == int(waiting)


def eventually_empty(server: Operated, folder: Path) -> None:
    """Wait for the sweep that a start begins with."""
    with plain(server.address) as client:
        queued = client.responses.create(model="m", input="hi", background=True)
        eventually(server.address, queued.id, lambda _: swept(folder) and [] == blobs(folder))


def test_storage_that_is_away_loses_nothing(tmp_path: Path) -> None:
    """A drawing stays in its row; a file that cannot be kept is refused as the server's fault; later all is as ever."""
    place = tmp_path / "blobs"
    store = Storage(url=f"sqlite://{tmp_path}/store.db", blobs=f"file://{place}")
    body: Json = {"model": "m", "input": shown(picture(data_url(LARGE)), text="Draw a bow"), "tools": [DRAW]}
    with studio(store=store) as server, plain(server.address) as client:
        before = client.responses.create(**body)
        file = uploaded(client, LARGE)
        place.rename(tmp_path / "elsewhere")
        place.write_text("no folder any more")
        away = client.responses.create(**body)
        queued = client.responses.create(**body, background=True)
        assert "completed" == ended(server.address, queued.id)["status"]
        for response in (away, queued):
            again = client.responses.retrieve(response.id)
            assert decoded(drawings(again.output)[0].result) == decoded(drawings(before.output)[0].result)
        for ask in (
            lambda: uploaded(client, LARGE),
            lambda: client.files.content(file),
            lambda: client.responses.create(model="m", input=shown({"type": "input_image", "file_id": file})),
            lambda: client.responses.retrieve(before.id),
        ):
            with pytest.raises(APIStatusError) as refused:
                ask()
            assert refused.value.status_code == 503, refused.value.message
            assert str(tmp_path) not in refused.value.message
        place.unlink()
        (tmp_path / "elsewhere").rename(place)
        assert LARGE == client.files.content(file).content
        assert before.output == client.responses.retrieve(before.id).output


def test_blobs_that_are_gone_are_told_where_they_are_needed(tmp_path: Path) -> None:
    """The response is still read, without its picture; who wants to go on with that is refused by name."""
    place = tmp_path / "blobs"
    store = Storage(url=f"sqlite://{tmp_path}/store.db", blobs=f"file://{place}")
    with studio(store=store) as server, plain(server.address) as client:
        drawn = client.responses.create(
            model="m", input=shown(picture(data_url(LARGE)), text="Draw a bow"), tools=[DRAW]
        )
        file = uploaded(client, checkered(1))
        shutil.rmtree(place)
        (call,) = drawings(client.responses.retrieve(drawn.id).output)
        assert ("completed", "") == (call.status, call.result)
        with pytest.raises(NotFoundError):
            client.files.content(file)
        with pytest.raises(BadRequestError) as refused:
            client.responses.create(model="m", previous_response_id=drawn.id, input="Draw it blue", tools=[DRAW])
        assert "input" == refused.value.param
        again = client.responses.create(model="m", input=shown(picture(data_url(LARGE)), text="Draw"), tools=[DRAW])
        assert "completed" == client.responses.retrieve(again.id).output[0].status
