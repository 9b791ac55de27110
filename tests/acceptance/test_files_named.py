"""Files that are not there, or are somebody else's, or too large; tenants do not meet, and secrets are kept nowhere."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
from contextlib import closing, suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from msgspec import Struct
from openai import BadRequestError, NotFoundError

from antiphon.config import Background, FileTerms, Storage
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from tests.acceptance.showing import (
    DRAW,
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
    studio,
    uploaded,
)
from tests.documents.files import noise, saved
from tests.http.following import ended, eventually
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, UNREAD]

FORMS: list[Json] = [{}, {"stream": True}, {"background": True}]
LARGE = saved(noise(200, 150, grain=2), "PNG")
MIB = 1_048_576


class Two(Struct, frozen=True):
    """A server with two tenants, a client of each, and the folder with all that is kept."""

    server: Studio
    ours: Client
    theirs: Client
    folder: Path

    def database(self) -> bytes:
        """All that the database holds, as bytes."""
        with closing(sqlite3.connect(self.folder / "store.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return (self.folder / "store.db").read_bytes()

    def rows(self) -> str:
        """All rows of the database, as SQL."""
        with closing(sqlite3.connect(self.folder / "store.db")) as connection:
            return "\n".join(connection.iterdump())

    def blobs(self) -> list[Path]:
        """The files of the blob store."""
        return [path for path in (self.folder / "store.blobs").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Two tenants."""
    folder = tmp_path_factory.mktemp("two")
    keys = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
    place = Storage(url=f"sqlite://{folder}/store.db")
    with (
        studio(auth=keys, store=place, files=FileTerms(max_file_mib=1)) as server,
        plain(server.address, api_key="key-a") as ours,
        plain(server.address, api_key="key-b") as theirs,
    ):
        yield Two(server, ours, theirs, folder)


def expired(two: Two) -> str:
    """A file whose time is over."""
    id = uploaded(two.ours, checkered(1))
    with closing(sqlite3.connect(two.folder / "store.db")) as connection, connection:
        assert 1 == connection.execute("UPDATE files SET expires_at = 1 WHERE id = ?", [id]).rowcount
    return id


def deleted(two: Two) -> str:
    """A file that was deleted."""
    id = uploaded(two.ours, checkered(1))
    two.ours.files.delete(id)
    return id


def absent(two: Two) -> dict[str, str]:
    """Ids of files that we cannot use."""
    return {
        "unknown": "file-0000000000000000000000",
        "no id at all": "../a/file-1",
        "deleted": deleted(two),
        "expired": expired(two),
        "foreign": uploaded(two.theirs, checkered(1)),
    }


def naming(id: str) -> list[tuple[Json, str]]:
    """Requests that name a file, and the parameter that does: as a picture, a document and a mask."""
    mask = {**DRAW, "input_image_mask": {"file_id": id}}
    return [
        ({"input": shown({"type": "input_image", "file_id": id})}, "input"),
        ({"input": shown({"type": "input_file", "file_id": id})}, "input"),
        (
            {"input": shown(picture(data_url(checkered(1))), text="Draw a bow"), "tools": [mask]},
            "tools[0].input_image_mask",
        ),
    ]


def test_a_file_that_is_not_there_is_refused(two: Two) -> None:
    """As a picture, a document and a mask, in every form, in the same words, whyever it is not there."""
    before = len(two.server.model.asked)
    for why, id in absent(two).items():
        for (body, param), form in product(naming(id), FORMS):
            with pytest.raises((BadRequestError, NotFoundError)) as refused:
                two.ours.responses.create(model="m", **body, **form)
            assert f"No such File object: {id}" in refused.value.message, why
            assert refused.value.param in {param, "id"}, (why, param)
        for ask in (two.ours.files.retrieve, two.ours.files.content, two.ours.files.delete):
            with pytest.raises(NotFoundError):
                ask(id)
    assert before == len(two.server.model.asked)
    assert checkered(1) == two.theirs.files.content(two.theirs.files.list().data[0].id).content


def test_a_file_that_goes_while_a_response_waits_is_told() -> None:
    """A picture or a document fails the response, a mask the drawing: then the model hears of it."""
    with studio(background=Background(workers=1)) as server, plain(server.address) as client:
        first = client.responses.create(model="writer", input="wait", background=True).id
        eventually(server.address, first, lambda response: response["status"] == "in_progress")
        id = uploaded(client, checkered(2))
        queued = [client.responses.create(model="m", **body, background=True).id for body, _ in naming(id)]
        client.files.delete(id)
        client.responses.cancel(first)
        picture, document, masked = (ended(server.address, id) for id in queued)
        assert 2 == len(server.model.asked)
        assert f"No picture was drawn: No such File object: {id}" in server.model.words()
    for response in (picture, document):
        assert ("failed", []) == (response["status"], response["output"])
        assert f"No such File object: {id}" in response["error"]["message"]
    call = masked["output"][0]
    assert ("completed", "failed", "image_file_not_found") == (masked["status"], call["status"], call["error"]["code"])


def test_a_file_over_the_limit_is_refused_while_it_arrives(two: Two) -> None:
    """The answer comes before the end, which is never sent; nothing is kept, and other files still come."""
    place = urlsplit(two.server.address)
    before = len(two.blobs())
    head = (
        b"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key-a\r\n"
        b"content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    form = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    form += b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=HANG_SECONDS) as connection:
        connection.sendall(head + b"%x\r\n%b\r\n" % (len(form), form))
        answer: list[bytes] = []
        reader = threading.Thread(target=lambda: answer.append(connection.recv(65_536)))
        reader.start()
        piece = b"%x\r\n%b\r\n" % (65_536, bytes(65_536))
        with suppress(ConnectionError):  # it was refused
            for _ in range(64):
                connection.sendall(piece)
        reader.join(HANG_SECONDS)
    assert b" 413 " in answer[0].partition(b"\r\n")[0]
    assert before == len(two.blobs())
    assert MIB == two.ours.files.retrieve(uploaded(two.ours, bytes(MIB), "a.bin", "user_data")).bytes


@pytest.mark.parametrize(
    ("content", "purpose", "param"),
    [(b"words", "vision", "file"), (b"", "user_data", "file"), (checkered(1), "fun", "purpose")],
)
def test_a_file_that_is_not_what_it_is_for_is_refused(two: Two, content: bytes, purpose: str, param: str) -> None:
    """By what it holds, whatever its name says; and nothing is kept of it."""
    before = len(two.blobs()), len(two.ours.files.list().data)
    with pytest.raises(BadRequestError) as refused:
        uploaded(two.ours, content, "picture.png", purpose)
    assert param == refused.value.param
    assert before == (len(two.blobs()), len(two.ours.files.list().data))


def references(database: bytes) -> set[str]:
    """The references to blobs that the database holds."""
    found = (piece[:200] for piece in database.split(b"antiphon-blob:")[1:])
    return {"antiphon-blob:" + piece.split(b'"')[0].decode("latin-1") for piece in found if b'"' in piece}


def test_drawings_of_another_tenant_are_read_by_no_route(two: Two) -> None:
    """Neither the response, nor its items, nor the drawing by id, nor the blob by its reference."""
    create = two.ours.responses.create
    response = create(model="m", input=shown(picture(data_url(LARGE)), text="Draw a bow"), tools=[DRAW])
    (call,) = drawings(response.output)
    for ask in (two.theirs.responses.retrieve, two.theirs.responses.input_items.list, two.theirs.responses.delete):
        with pytest.raises(NotFoundError):
            ask(response.id)
    painted = len(two.server.painter.asked)
    for item in ({"type": "image_generation_call", "id": call.id}, {"type": "item_reference", "id": call.id}):
        with pytest.raises((BadRequestError, NotFoundError), match="not found"):
            two.theirs.responses.create(model="m", input=[{"role": "user", "content": "Draw"}, item], tools=[DRAW])
    with pytest.raises((BadRequestError, NotFoundError)):
        two.theirs.responses.create(model="m", input="Draw", previous_response_id=response.id, tools=[DRAW])
    stored = references(two.database())
    assert {reference for reference in stored if response.id in reference}
    for reference in stored:
        steals(two, reference)
    assert painted == len(two.server.painter.asked)


def steals(two: Two, reference: str) -> None:
    """Try a reference wherever base64 may stand: it is refused, whoever brings it."""
    parts: list[Json] = [
        picture(reference),
        picture(f"data:image/png;base64,{reference}"),
        {"type": "input_file", "filename": "a.txt", "file_data": reference},
        {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{reference}"},
    ]
    drawing = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": reference}
    mask = {**DRAW, "input_image_mask": {"image_url": f"data:image/png;base64,{reference}"}}
    bodies: list[Json] = [{"input": shown(part)} for part in parts]
    bodies += [{"input": [*shown(), drawing]}, {"input": shown(picture(data_url(LARGE))), "tools": [mask]}]
    for client in (two.theirs, two.ours):
        for body in bodies:
            with pytest.raises(BadRequestError):
                client.responses.create(model="m", **body)


def test_a_text_that_looks_like_a_reference_comes_back_as_it_is(two: Two) -> None:
    """Whatever a caller writes is the caller's, in words, names and settings, in every form."""
    create = two.ours.responses.create
    drawn = create(model="m", input=shown(picture(data_url(LARGE)), text="Draw a bow"), tools=[DRAW])
    reference = next(each for each in references(two.database()) if drawn.id in each)
    metadata = {"a": reference, "b": f"data:image/png;base64,{reference}"}
    parameters = {"type": "object", "properties": {"result": {"enum": [reference]}}}
    tool = {"type": "function", "name": "f", "parameters": parameters, "description": reference, "strict": False}
    for form in FORMS:
        if form.get("stream"):
            events = list(create(model="m", input=reference, metadata=metadata, tools=[tool], stream=True))
            response = events[-1].response
        else:
            queued = create(model="m", input=reference, metadata=metadata, tools=[tool], instructions=reference, **form)
            response = queued if not form else _waited(two, queued.id)
        kept = two.ours.responses.retrieve(response.id)
        assert (metadata, [reference]) == (kept.metadata, [tool.description for tool in kept.tools])
        (item,) = two.ours.responses.input_items.list(response.id).data
        assert reference == item.content[0].text
    assert reference in two.server.model.words()


def _waited(two: Two, id: str) -> Json:
    for event in two.ours.responses.retrieve(id, stream=True):
        if event.type == "response.completed":
            return event.response
    return pytest.fail("the stream has no end")


def test_keys_of_image_deployments_are_kept_nowhere(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    """In no answer, log, row or blob; and the log of the database holds no large base64."""
    caplog.set_level("DEBUG")
    create = two.ours.responses.create
    body: Json = {"model": "m", "input": shown(picture(data_url(LARGE)), text="Draw"), "tools": [DRAW]}
    answers = [create(**body).to_json(), *(event.to_json() for event in create(**body, stream=True))]
    queued = create(**body, background=True)
    answers.append(_waited(two, queued.id).to_json())
    database = two.database()
    kept = [database, *(path.read_bytes() for path in two.blobs())]
    assert "a-secret-key" not in json.dumps(answers) + caplog.text
    assert not any(b"a-secret-key" in content for content in kept)
    large = data_url(LARGE).partition(",")[2].encode()
    assert len(large) > 16 * 1024
    assert large[:2000] not in database
    assert [] == re.findall(r"[A-Za-z0-9+/]{17000}", two.rows())
    assert LARGE in kept[1:]
    assert decoded(drawings(two.ours.responses.retrieve(queued.id).output)[0].result) in kept[1:]
