"""The routes of files: what comes in a form leaves as it came, and nothing else is kept."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import anyio
import httpx2 as httpx
import pytest

from antiphon.http import exchange, files, multipart
from antiphon.lifecycle.filing import Terms
from antiphon.lifecycle.sniffing import OCTETS
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import MIB, Blobs, file_key
from tests.filing import (
    BOUNDARY,
    FORM,
    NOW,
    OWNER,
    SMALL,
    Cabinet,
    ask,
    cabinet,
    filed,
    form,
    in_folder,
    kept,
    part,
    post,
    serving_files,
    upload_form,
)
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from antiphon.http.app import App

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
LONG = bytes(range(256)) * (MIB // 200)
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


async def test_a_file_is_kept_as_it_came(app: App) -> None:
    """Its object has the fields that the live service sends."""
    answered = await post(app, upload_form(b"hello", filename="a b.txt"))
    made = answered.json
    assert {
        "object": "file",
        "bytes": 5,
        "created_at": NOW,
        "expires_at": None,
        "filename": "a b.txt",
        "purpose": "user_data",
        "status": "processed",
        "status_details": None,
    } == {key: value for key, value in made.items() if key != "id"}
    assert made["id"].startswith("file-")
    assert 27 == len(made["id"])
    assert made == (await ask(app, "GET", f"/v1/files/{made['id']}")).json
    content = await ask(app, "GET", f"/v1/files/{made['id']}/content")
    assert (200, b"hello") == (content.status, content.body)


async def test_a_file_may_come_before_its_fields(kept_in: Cabinet, app: App) -> None:
    """It is judged when they are there; in pieces of any size."""
    body = form(
        part("file", LONG, filename="a.bin"),
        part("purpose", "batch"),
        part("expires_after[anchor]", "created_at"),
        part("expires_after[seconds]", "3600"),
    )
    answered = await post(app, [body[start : start + 70_001] for start in range(0, len(body), 70_001)])
    assert ("batch", NOW + 3600, len(LONG)) == tuple(answered.json[key] for key in ("purpose", "expires_at", "bytes"))
    assert LONG == await kept_in.blobs.read(file_key("a", answered.json["id"]))


async def test_a_field_that_nobody_knows_is_named(app: App) -> None:
    """It has no effect."""
    answered = await post(app, form(part("purpose", "batch"), part("colour", "red"), part("file", "x", filename="a")))
    assert (200, "colour") == (answered.status, answered.headers["x-ignored-params"])


HOSTILE = {
    "wrong purpose": (upload_form(purpose="world_domination"), (400, "purpose", None)),
    "no purpose": (form(part("file", "x", filename="a")), (400, "purpose", "missing_required_parameter")),
    "wrong purpose behind the file": (
        form(part("file", "x", filename="a"), part("purpose", "nothing")),
        (400, "purpose", None),
    ),
    "no file": (form(part("purpose", "batch")), (400, "file", "missing_required_parameter")),
    "empty file": (upload_form(b""), (400, "file", None)),
    "two files": (
        form(part("purpose", "batch"), part("file", "x", filename="a"), part("file", "y", filename="b")),
        (400, "file", None),
    ),
    "no image": (upload_form(b"%PDF-1.7 " + bytes(9000), purpose="vision"), (400, "file", "unsupported_file")),
    "short, and no image": (upload_form(b"GIF88a", purpose="vision"), (400, "file", "unsupported_file")),
    "no image, told later": (
        form(part("file", LONG, filename="a.png"), part("purpose", "vision")),
        (400, "file", "unsupported_file"),
    ),
    "wrong anchor": (
        form(part("purpose", "batch"), part("expires_after[anchor]", "now"), part("file", "x", filename="a")),
        (400, "expires_after.anchor", "invalid_value"),
    ),
    "half an expiry": (
        form(part("purpose", "batch"), part("expires_after[anchor]", "created_at"), part("file", "x", filename="a")),
        (400, "expires_after.seconds", "missing_required_parameter"),
    ),
    "too soon": (
        form(
            part("purpose", "batch"),
            part("expires_after[anchor]", "created_at"),
            part("expires_after[seconds]", "3599"),
            part("file", "x", filename="a"),
        ),
        (400, "expires_after.seconds", "integer_below_min_value"),
    ),
    "too late": (
        form(
            part("purpose", "batch"),
            part("expires_after[anchor]", "created_at"),
            part("file", "x", filename="a"),
            part("expires_after[seconds]", "2592001"),
        ),
        (400, "expires_after.seconds", "integer_above_max_value"),
    ),
    "truncated": (upload_form(LONG)[:-4], (400, None, None)),
    "cut in the file": (upload_form(LONG)[:-1000], (400, None, None)),
    "forged boundary": (upload_form(LONG).replace(BOUNDARY, b"another"), (400, None, None)),
    "nothing": (b"", (400, None, None)),
    "too large": (upload_form(bytes(2 * MIB + 1)), (413, None, None)),
}


@pytest.mark.parametrize(("body", "error"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    kept_in: Cabinet, app: App, body: bytes, error: tuple[int, str | None, str | None]
) -> None:
    """Neither a row, nor a blob, nor a plan to erase one."""
    answered = await post(app, [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""])
    assert error == answered.error
    assert [] == await kept_in.left()


async def test_a_purpose_is_refused_in_the_words_of_the_live_service(app: App) -> None:
    """They list what there is (recorded)."""
    answered = await post(app, upload_form(purpose="world_domination"))
    expected = (
        "'world_domination' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] "
        "- 'purpose'"
    )
    assert expected == answered.json["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 415),
        ({"content-type": "text/plain; boundary=x"}, 415),
        ({}, 415),
        ({"content-type": "multipart/form-data"}, 400),
        ({"content-type": 'multipart/form-data; boundary=""'}, 400),
        ({"content-type": f"multipart/form-data; boundary={'x' * 300}"}, 400),
        ({"content-type": FORM, "content-encoding": "gzip"}, 400),
        ({"content-type": FORM, "content-length": str(2**40)}, 413),
        ({"content-type": FORM, "content-length": "9" * 5000}, 413),
    ],
)
async def test_a_request_that_says_so_is_refused_before_it_is_read(
    app: App, headers: dict[str, str], status: int
) -> None:
    """By its headers alone."""
    answered = await ask(app, "POST", "/v1/files", upload_form(), headers=headers)
    assert status == answered.status
    assert {"message", "type", "param", "code"} == answered.json["error"].keys()


@pytest.mark.parametrize("cut", [10, 200, MIB])
async def test_a_client_that_leaves_leaves_nothing(kept_in: Cabinet, app: App, cut: int) -> None:
    """In the fields, at the beginning of the file, and in its middle."""
    body = upload_form(LONG)[:cut]
    answered = await post(app, [body[start : start + 65_536] for start in range(0, cut, 65_536)], then="leaves")
    assert 0 == answered.status
    assert [] == await kept_in.left()


async def test_a_client_that_stops_sending_is_told_so(
    kept_in: Cabinet, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while; and what it sent is not kept."""
    monkeypatch.setattr(exchange, "PIECE_SECONDS", 0.05)
    monkeypatch.setattr(exchange, "SWALLOWING_SECONDS", 0.05)
    answered = await post(app, upload_form(LONG)[: MIB // 2], then="stalls")
    assert 408 == answered.status
    assert [] == await kept_in.left()


async def test_a_form_has_its_time(kept_in: Cabinet, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily it comes."""
    monkeypatch.setattr(multipart, "FORM_SECONDS", -1)
    assert 408 == (await post(app, upload_form())).status
    assert [] == await kept_in.left()


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../x", "x"),
        ("C:\\\\temp\\\\x.txt", "x.txt"),
        ("/etc/passwd", "passwd"),
        ("..", "upload"),
        ("", "upload"),
        ("a\x00b\x1b[31m.txt", "ab[31m.txt"),
        ("\N{SNOWMAN} \N{RIGHT-TO-LEFT OVERRIDE}txt.exe", "\N{SNOWMAN} txt.exe"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("x." + "y" * 300, "x." + "y" * 253),
        ("folder/", "upload"),
    ],
)
async def test_a_name_is_no_path(app: App, sent: str, shown: str) -> None:
    """Nor does it hold what a terminal obeys; it leaves safely quoted."""
    id = await kept(app, filename=sent)
    assert shown == (await ask(app, "GET", f"/v1/files/{id}")).json["filename"]
    disposition = (await ask(app, "GET", f"/v1/files/{id}/content")).headers["content-disposition"]
    assert disposition.isascii()
    assert disposition.startswith('attachment; filename="')
    assert disposition.endswith(f"filename*=UTF-8''{quote(shown, safe='')}")


async def test_a_name_with_quotes_does_not_end_the_header(app: App) -> None:
    """What would end it is replaced in the plain name, and escaped in the other."""
    id = await kept(app, filename='a%22; b=\\"c\\".txt')
    answered = await ask(app, "GET", f"/v1/files/{id}/content")
    plain = answered.headers["content-disposition"].partition("; filename*")[0]
    assert 2 == plain.count('"')


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PNG, "image/png"),
        (b"%PDF-1.7", "application/pdf"),
        (b"hello", "text/plain"),
        (b"<svg onload=alert(1)>", "text/plain"),
        (b"PK\x03\x04", OCTETS),
        (b"\x00", OCTETS),
    ],
)
async def test_content_is_told_to_be_what_a_browser_may_know(app: App, content: bytes, told: str) -> None:
    """As an attachment that is what it is called, and nothing else."""
    id = await kept(app, content)
    answered = await ask(app, "GET", f"/v1/files/{id}/content")
    assert (told, "nosniff") == (answered.headers["content-type"], answered.headers["x-content-type-options"])
    assert str(len(content)) == answered.headers["content-length"]


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=5-9", 206, slice(5, 10)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=1000000-99999999", 206, slice(1_000_000, None)),
        ("bytes=-99999999", 200, slice(None)),
        ("bytes=0-", 200, slice(None)),
        ("bytes=9-5", 200, slice(None)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=" + "9" * 1000 + "-", 200, slice(None)),
    ],
)
async def test_a_range_of_a_file_can_be_asked_for(app: App, asked: str, status: int, part: slice) -> None:
    """One; what is none has no effect."""
    id = await kept(app, LONG)
    answered = await ask(app, "GET", f"/v1/files/{id}/content", headers={"range": asked})
    assert (status, len(LONG[part])) == (answered.status, len(answered.body))
    assert LONG[part] == answered.body
    first, last, _ = part.indices(len(LONG))
    expected = f"bytes {first}-{last - 1}/{len(LONG)}" if status == 206 else None
    assert expected == answered.headers.get("content-range")


@pytest.mark.parametrize("asked", ["bytes=5-", "bytes=5-9", "bytes=-0"])
async def test_a_range_behind_the_end_is_refused(app: App, asked: str) -> None:
    """With the size that there is."""
    id = await kept(app, b"hello")
    answered = await ask(app, "GET", f"/v1/files/{id}/content", headers={"range": asked})
    assert (416, "bytes */5") == (answered.status, answered.headers["content-range"])


async def test_nobody_else_has_the_file(app: App) -> None:
    """Foreign, unknown, deleted and expired are the same, whatever is asked (recorded)."""
    mine = await kept(app)
    gone = await kept(app)
    assert {"id": gone, "object": "file", "deleted": True} == (await ask(app, "DELETE", f"/v1/files/{gone}")).json
    for id, headers in ((mine, STRANGER), (gone, {}), ("file-nothing", {}), ("..", {})):
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/content")):
            answered = await ask(app, method, f"/v1/files/{id}{path}", headers=headers)
            expected = {
                "message": f"No such File object: {id}",
                "type": "invalid_request_error",
                "param": "id",
                "code": None,
            }
            assert (404, {"error": expected}) == (answered.status, answered.json)
    assert 200 == (await ask(app, "GET", f"/v1/files/{mine}")).status
    assert [] == (await ask(app, "GET", "/v1/files", headers=STRANGER)).json["data"]


async def test_an_expired_file_is_not_there(kept_in: Cabinet, app: App) -> None:
    """From the second on that it was to expire at, whether or not the sweep came by."""
    fields = (part("purpose", "batch"), part("expires_after[anchor]", "created_at"))
    answered = await post(app, form(*fields, part("expires_after[seconds]", "3600"), part("file", "x", filename="a")))
    id = answered.json["id"]
    kept_in.now += 3599
    assert 200 == (await ask(app, "GET", f"/v1/files/{id}")).status
    kept_in.now += 1
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/content")):
        assert 404 == (await ask(app, method, f"/v1/files/{id}{path}")).status
    assert [] == (await ask(app, "GET", "/v1/files")).json["data"]
    assert 1 == await kept_in.files.sweep(kept_in.now)
    assert 1 == await kept_in.erasing.erase(kept_in.blobs)
    assert [] == await kept_in.left()


async def test_a_deleted_file_leaves_nothing(kept_in: Cabinet, app: App) -> None:
    """At once."""
    id = await kept(app)
    assert ["1 files", file_key("a", id)] == await kept_in.left()
    await ask(app, "DELETE", f"/v1/files/{id}")
    assert [] == await kept_in.left()


async def test_files_are_listed_page_by_page(app: App) -> None:
    """The newest first by default; of one purpose, in either order, after any of them."""
    names = [await kept(app, purpose="batch" if number % 2 else "user_data") for number in range(5)]
    whole = (await ask(app, "GET", "/v1/files")).json
    assert names[::-1] == [file["id"] for file in whole["data"]]
    assert ("list", names[-1], names[0], False) == tuple(
        whole[key] for key in ("object", "first_id", "last_id", "has_more")
    )
    page = (await ask(app, "GET", f"/v1/files?limit=2&order=asc&after={names[1]}")).json
    assert (names[2:4], True) == ([file["id"] for file in page["data"]], page["has_more"])
    some = (await ask(app, "GET", "/v1/files?purpose=batch")).json
    assert [names[3], names[1]] == [file["id"] for file in some["data"]]
    nothing = (await ask(app, "GET", "/v1/files?purpose=vision")).json
    assert ([], None, None) == (nothing["data"], nothing["first_id"], nothing["last_id"])


@pytest.mark.parametrize(
    ("query", "param"), [("limit=0", "limit"), ("limit=10001", "limit"), ("order=up", "order"), ("after=x", "after")]
)
async def test_a_list_is_asked_for_in_its_words(app: App, query: str, param: str) -> None:
    """Any other is refused, and named."""
    answered = await ask(app, "GET", f"/v1/files?{query}")
    assert (400, param) == answered.error[:2]


async def test_a_file_whose_content_is_lost_is_gone(
    kept_in: Cabinet, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """Before anything is promised; and the operator hears of it."""
    id = await kept(app)
    await kept_in.blobs.delete([file_key("a", id)])
    assert 404 == (await ask(app, "GET", f"/v1/files/{id}/content")).status
    assert "file_content_gone" in [getattr(record, "action", None) for record in caplog.records]


@pytest.mark.parametrize("then", ["leaves", "chokes"])
async def test_a_client_that_reads_no_more_is_sent_no_more(
    then: Literal["leaves", "chokes"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it has left or only waits; what is read for it ends as well."""
    monkeypatch.setattr(files, "SENDING_SECONDS", 0.05)
    async with cabinet(terms=Terms()) as kept_in:
        row = await filed(kept_in.filing, many(12))
        answered = await ask(kept_in.app(), "GET", f"/v1/files/{row.id}/content", then=then)
        assert len(answered.body) < 12 * MIB


async def many(count: int) -> AsyncGenerator[bytes, None]:
    """So many megabytes."""
    for _ in range(count):
        yield bytes(MIB)


class Down(Blobs):
    """A storage that cannot be reached."""

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """See `Blobs.write`."""
        raise StoreUnavailable("down")

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Blobs.delete`."""
        raise StoreUnavailable("down")


async def test_a_storage_that_is_down_is_told() -> None:
    """With a 503; what was planned is erased once it is back."""
    async with cabinet(Down("memory:")) as kept_in:
        answered = await post(kept_in.app(), upload_form())
        assert (503, None, "server_error") == answered.error
        assert ["1 erasures"] == await kept_in.left()


class Slow(Blobs):
    """A storage that takes one chunk and then waits."""

    def __init__(self) -> None:
        super().__init__("memory:")
        self.waits = anyio.Event()
        self.goes_on = anyio.Event()

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """See `Blobs.write`."""

        async def slowly() -> AsyncGenerator[bytes, None]:
            async for chunk in chunks:
                yield chunk
                self.waits.set()
                await self.goes_on.wait()

        return await super().write(key, slowly())


async def test_a_body_is_read_as_fast_as_it_is_written() -> None:
    """What the storage has not taken yet stays with the client."""
    slow = Slow()
    async with cabinet(slow) as kept_in:
        body = upload_form(LONG)
        pieces = [body[start : start + 10_000] for start in range(0, len(body), 10_000)]
        waiting = [*pieces]
        with anyio.fail_after(HANG_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(post, kept_in.app(), waiting)
                await slow.waits.wait()
                await anyio.wait_all_tasks_blocked()
                taken = len(pieces) - len(waiting)
                slow.goes_on.set()
        assert 1 == taken
        assert 1 == len((await kept_in.filing.page(OWNER, limit=9)).rows)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real server over a folder."""
    with serving_files(tmp_path) as address:
        yield address


def connected(address: str) -> socket.socket:
    """A connection to a server."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), HANG_SECONDS)


HEAD = (
    f"POST /v1/files HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer key-a\r\ncontent-type: {FORM}\r\n"
    "transfer-encoding: chunked\r\n\r\n"
).encode()


def test_a_body_over_the_limit_is_refused_while_it_arrives(server: str, tmp_path: Path) -> None:
    """A client that never says how much it will send hears of it long before it has sent all."""
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    opening = part("purpose", "batch") + part("file", "", filename="a")[:-2]
    with connected(server) as connection:
        connection.sendall(HEAD + b"%x\r\n%b\r\n" % (len(opening), opening))
        for _ in range(SMALL.most_file_bytes // 0x10000 + 1):
            connection.sendall(piece)
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert [] == in_folder(tmp_path)


def test_a_refused_form_is_answered_to_a_client_that_sends_all_first(server: str) -> None:
    """As most do: they hear why, and not of a connection that was cut; and they may go on with it."""
    body = upload_form(LONG, purpose="nothing")
    with httpx.Client(base_url=server, headers={"api-key": "key-a"}, timeout=HANG_SECONDS) as client:
        for _ in range(2):
            answer = client.post("/v1/files", content=body, headers={"content-type": FORM})
            assert (400, "purpose") == (answer.status_code, answer.json()["error"]["param"])


def test_a_connection_that_breaks_leaves_nothing(server: str, tmp_path: Path) -> None:
    """The next request finds the server as if it had never been."""
    body = upload_form(LONG)[: MIB // 2]
    with connected(server) as connection:
        connection.sendall(HEAD + b"%x\r\n%b\r\n" % (len(body), body))
        until(lambda: in_folder(tmp_path) != [])
    until(lambda: in_folder(tmp_path) == [])


def until(happened: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + HANG_SECONDS
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)  # nothing tells when a file is gone
