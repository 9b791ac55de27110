"""The official SDK's files and uploads against ours, both of its clients."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from antiphon.lifecycle.filing import Terms
from antiphon.store.blobs import MIB
from tests.filing import in_folder, serving_files
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai.types import FileObject

CONTENT = bytes(range(256)) * 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps what it has."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A server."""
    with serving_files(folder, Terms()) as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[OpenAI]:
    """The client that waits."""
    with OpenAI(base_url=f"{address}/v1", api_key="key-a", timeout=HANG_SECONDS, max_retries=0) as made:
        yield made


@pytest.fixture(autouse=True)
def _emptied(folder: Path, client: OpenAI) -> Iterator[None]:
    """After each test all files are deleted, and nothing is left of them."""
    yield
    for file in client.files.list():
        client.files.delete(file.id)
    assert [] == [left for left in in_folder(folder) if not left.endswith(" uploads")]


def expect_file(file: FileObject, name: str, content: bytes) -> None:
    """A file as the client's own types have it."""
    strict = type(file).model_validate_json(file.model_dump_json(), strict=True)
    assert (name, len(content), "processed", "file") == (strict.filename, strict.bytes, strict.status, strict.object)


def test_a_file_comes_and_goes(client: OpenAI, tmp_path: Path) -> None:
    """From bytes, from a path and from an open file; retrieved, read, streamed and deleted."""
    path = tmp_path / "caf\N{LATIN SMALL LETTER E WITH ACUTE}.bin"
    path.write_bytes(CONTENT)
    with path.open("rb") as opened:
        made = [
            client.files.create(file=("a b.bin", CONTENT), purpose="user_data"),
            client.files.create(file=path, purpose="assistants"),
            client.files.create(file=opened, purpose="fine-tune"),
        ]
    for file, name in zip(made, ["a b.bin", path.name, path.name], strict=True):
        expect_file(file, name, CONTENT)
        assert file == client.files.retrieve(file.id)
        assert CONTENT == client.files.content(file.id).read()
        with client.files.with_streaming_response.content(file.id) as streamed:
            assert CONTENT == b"".join(streamed.iter_bytes())
        deleted = client.files.delete(file.id)
        assert (True, file.id) == (deleted.deleted, deleted.id)
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            client.files.retrieve(file.id)


def test_bytes_without_a_name_are_a_file(client: OpenAI) -> None:
    """The client gives them one."""
    expect_file(client.files.create(file=b"hello", purpose="user_data"), "upload", b"hello")


def test_a_file_expires_when_it_is_said_to(client: OpenAI) -> None:
    """The client sends it in bracketed names."""
    file = client.files.create(
        file=("a", b"x"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.created_at + 3600 == file.expires_at


def test_files_are_listed_in_pages(client: OpenAI) -> None:
    """The client turns them by itself."""
    made = [client.files.create(file=(f"{number}.txt", b"x"), purpose="user_data").id for number in range(5)]
    assert made[::-1] == [file.id for file in client.files.list(limit=2)]
    assert made == [file.id for file in client.files.list(limit=2, order="asc")]
    assert made[3:] == [file.id for file in client.files.list(order="asc", after=made[2])]
    assert [] == [*client.files.list(purpose="vision")]


def test_what_is_refused_is_raised(client: OpenAI) -> None:
    """With what is wrong, and where."""
    with pytest.raises(openai.BadRequestError, match="world_domination") as refused:
        client.files.create(file=("a", b"x"), purpose="world_domination")  # type: ignore[arg-type]  # the wrong word
    assert "purpose" == refused.value.param
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.files.create(file=("a", b""), purpose="batch")


def test_an_azure_client_has_the_same_files(address: str, client: OpenAI) -> None:
    """Under its own paths and with its own key."""
    azure = AzureOpenAI(
        azure_endpoint=address, api_key="key-a", api_version="2025-04-01-preview", timeout=HANG_SECONDS, max_retries=0
    )
    with azure:
        file = azure.files.create(file=("a.txt", b"hello"), purpose="assistants")
        assert b"hello" == azure.files.content(file.id).read()
        assert [file.id] == [each.id for each in azure.files.list()]
        assert file == client.files.retrieve(file.id)


def test_a_file_comes_in_parts(client: OpenAI) -> None:
    """Created, filled, completed; and another is cancelled."""
    upload = client.uploads.create(bytes=10, filename="a.txt", mime_type="text/plain", purpose="batch")
    assert ("pending", "upload", None) == (upload.status, upload.object, upload.file)
    parts = [client.uploads.parts.create(upload.id, data=half) for half in (b"01234", b"56789")]
    assert {upload.id} == {part.upload_id for part in parts}
    done = client.uploads.complete(
        upload.id,
        part_ids=[part.id for part in parts],
        md5=hashlib.md5(b"0123456789").hexdigest(),  # noqa: S324 - what clients send
    )
    assert "completed" == done.status
    assert done.file is not None
    expect_file(done.file, "a.txt", b"0123456789")
    assert b"0123456789" == client.files.content(done.file.id).read()
    other = client.uploads.create(bytes=10, filename="a.txt", mime_type="text/plain", purpose="batch")
    assert "cancelled" == client.uploads.cancel(other.id).status
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        client.uploads.parts.create(other.id, data=b"x")


def test_the_client_cuts_a_file_by_itself(client: OpenAI, tmp_path: Path) -> None:
    """And puts it together again."""
    path = tmp_path / "long.bin"
    path.write_bytes(CONTENT)
    done = client.uploads.upload_file_chunked(
        file=path, mime_type="application/octet-stream", purpose="user_data", part_size=MIB // 3
    )
    assert done.file is not None
    assert CONTENT == client.files.content(done.file.id).read()


@pytest.mark.anyio
async def test_the_client_that_does_not_wait_does_the_same(address: str) -> None:
    """Files and uploads."""
    async with AsyncOpenAI(base_url=f"{address}/v1", api_key="key-a", timeout=HANG_SECONDS, max_retries=0) as client:
        made = [(await client.files.create(file=(f"{number}", CONTENT), purpose="user_data")).id for number in range(3)]
        assert made == [file.id async for file in client.files.list(limit=2, order="asc")]
        assert CONTENT == (await client.files.content(made[0])).read()
        assert (await client.files.retrieve(made[0])).bytes == len(CONTENT)
        assert (await client.files.delete(made[0])).deleted
        upload = await client.uploads.create(bytes=5, filename="a", mime_type="text/plain", purpose="batch")
        part = await client.uploads.parts.create(upload.id, data=b"hello")
        done = await client.uploads.complete(upload.id, part_ids=[part.id])
        assert done.file is not None
        assert b"hello" == (await client.files.content(done.file.id)).read()
        other = await client.uploads.create(bytes=5, filename="a", mime_type="text/plain", purpose="batch")
        assert "cancelled" == (await client.uploads.cancel(other.id)).status
        chunked = await client.uploads.upload_file_chunked(
            file=CONTENT,
            filename="b",
            bytes=len(CONTENT),
            mime_type="application/octet-stream",
            purpose="user_data",
            part_size=MIB,
        )
        assert chunked.file is not None
