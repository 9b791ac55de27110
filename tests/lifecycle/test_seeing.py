"""Pictures and documents of a conversation: fetched, opened and looked at, or refused before a model is asked."""

from __future__ import annotations

from builtins import id as builtins_id
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.lifecycle import Caller, Deployment, seeing
from antiphon.lifecycle.seeing import AT_ONCE
from antiphon.outbound import Config, Outbound
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import CustomToolCallOutput, FunctionCall, FunctionCallOutput, Item, Message
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import Blobs, file_key
from tests.drawing import Shelves, encoded, inlined, noise
from tests.filing import filed
from tests.lifecycle.gallery import PNG, WORDS, Gallery, open_gallery
from tests.patient import HANG_SECONDS
from tests.playing import Model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from antiphon.lifecycle.seeing import Visible
    from antiphon.store import Database

pytestmark = pytest.mark.anyio

CALLER = Caller("a")
FETCHES = Deployment("m", Model(), fetch_images=True)
HANDS_ON = Deployment("m", Model())
BLIND = Deployment("blind", Model(), vision=False)
PLAIN = b"Plain words."


@asynccontextmanager
async def open_eyes(database: Database) -> AsyncGenerator[tuple[Shelves, Gallery]]:
    """The parts that see, and a gallery that they may reach."""
    async with open_gallery() as (gallery, outbound):
        parts = Shelves(database, outbound=outbound)
        yield parts, gallery
        await parts.aclose()


def shown(*urls: str) -> Message:
    """A user's message with pictures."""
    return Message(role="user", content=[InputText(text="Look:"), *(InputImage(image_url=url) for url in urls)])


def attached(*files: InputFile) -> Message:
    """A user's message with documents."""
    return Message(role="user", content=[*files])


async def kept_file(parts: Shelves, content: bytes, *, filename: str, tenant: str = "a") -> str:
    """Keep a file, and return its id."""

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    row = await filed(parts.filing, chunks(), caller=Caller(tenant), filename=filename, purpose="user_data")
    return row.id


async def refusal(parts: Shelves, items: list[Item], deployment: Deployment = FETCHES) -> tuple[str | None, str]:
    """What a caller is told: code and words."""
    with pytest.raises(ApiError) as raised, anyio.fail_after(HANG_SECONDS):
        await parts.seeing.seen(await parts.seeing.fetched(items, deployment, CALLER), deployment, CALLER)
    assert raised.value.status in {400, 404}
    return raised.value.code, raised.value.message


# Fetched once, when the request comes


async def test_pictures_become_data_wherever_they_stand(database: Database) -> None:
    """In messages, in the outputs of functions and custom tools, on screens; all else stays as it is."""
    async with open_eyes(database) as (parts, gallery):
        picture = InputImage(image_url=gallery.url("a"), detail="low")
        call = FunctionCall(call_id="1", name="f", arguments="{}")
        items: list[Item] = [
            shown(gallery.url("a"), gallery.url("b"), "data:image/png;base64,AA"),
            call,
            FunctionCallOutput(call_id="1", output=[InputText(text="Here:"), picture]),
            CustomToolCallOutput(call_id="2", output=[picture]),
            ComputerCallOutput(call_id="3", output=ComputerScreenshot(image_url=gallery.url("a"))),
            FunctionCallOutput(call_id="4", output="words"),
        ]
        inside = InputImage(image_url=inlined(PNG), detail="low")
        assert [
            shown(inlined(PNG), inlined(PNG), "data:image/png;base64,AA"),
            call,
            FunctionCallOutput(call_id="1", output=[InputText(text="Here:"), inside]),
            CustomToolCallOutput(call_id="2", output=[inside]),
            ComputerCallOutput(call_id="3", output=ComputerScreenshot(image_url=inlined(PNG))),
            FunctionCallOutput(call_id="4", output="words"),
        ] == await parts.seeing.fetched(items, FETCHES, CALLER)
        assert ["a", "b"] == sorted(gallery.asked)


async def test_documents_become_data_for_every_model(database: Database) -> None:
    """Under the name that they have, or that the URL has."""
    async with open_eyes(database) as (parts, gallery):
        named = InputFile(file_url=gallery.url("words"), filename="told.txt")
        nameless = InputFile(file_url=gallery.url("words-a%20b.txt"))
        bare = InputFile(file_url=gallery.url(""))
        [message] = await parts.seeing.fetched([attached(named, nameless, bare)], HANDS_ON, CALLER)
        data = f"data:application/octet-stream;base64,{encoded(WORDS)}"
        assert (
            attached(
                InputFile(file_data=data, filename="told.txt"),
                InputFile(file_data=data, filename="words-a b.txt"),
                InputFile(file_data=f"data:application/octet-stream;base64,{encoded(PNG)}", filename="file"),
            )
            == message
        )


async def test_what_is_data_or_a_file_or_is_handed_on_is_not_fetched(database: Database) -> None:
    """There is nothing to do."""
    async with open_eyes(database) as (parts, gallery):
        here = [InputImage(image_url="data:image/png;base64,AA"), InputImage(file_id="file_1")]
        items: list[Item] = [Message(role="user", content=[*here, InputFile(file_data="AAAA")])]
        assert items == await parts.seeing.fetched(items, FETCHES, CALLER)
        handed_on: list[Item] = [shown(gallery.url("a"))]
        assert handed_on == await parts.seeing.fetched(handed_on, HANDS_ON, CALLER)
        assert handed_on == await parts.seeing.seen(handed_on, HANDS_ON, CALLER)
        assert [] == gallery.asked


async def test_a_url_that_stands_twice_is_fetched_once(database: Database) -> None:
    """In however many items."""
    async with open_eyes(database) as (parts, gallery):
        url = gallery.url("a")
        await parts.seeing.fetched([shown(url, url), shown(url)], FETCHES, CALLER)
        assert ["a"] == gallery.asked


async def test_a_url_that_is_a_picture_and_a_document_is_fetched_as_both(database: Database) -> None:
    """Each is kept as what it is."""
    async with open_eyes(database) as (parts, gallery):
        url = gallery.url("a")
        document, picture = await parts.seeing.fetched([attached(InputFile(file_url=url)), shown(url)], FETCHES, CALLER)
        assert shown(inlined(PNG)) == picture
        assert attached(InputFile(file_data=inlined(PNG, "application/octet-stream"), filename="a")) == document


async def test_pictures_are_fetched_a_few_at_a_time(database: Database) -> None:
    """Neither one after the other nor all at once."""
    async with open_eyes(database) as (parts, gallery):
        urls = [gallery.url(f"crowd-{number}") for number in range(AT_ONCE + 2)]
        with anyio.fail_after(HANG_SECONDS):
            await parts.seeing.fetched([shown(*urls)], FETCHES, CALLER)
        assert AT_ONCE == gallery.most
        assert len(urls) == len(gallery.asked)


async def test_what_is_no_picture_is_refused(database: Database) -> None:
    """Whatever its server calls it."""
    async with open_eyes(database) as (parts, gallery):
        code, message = await refusal(parts, [shown(gallery.url("page"))])
        assert "invalid_image_format" == code
        assert message


@pytest.mark.parametrize(
    ("item", "code", "start"),
    [
        (shown, "failed_to_download_image", "Error while downloading an image: "),
        (
            lambda url: attached(InputFile(file_url=url)),
            "failed_to_download_file",
            "Error while downloading a file: ",
        ),
    ],
)
async def test_what_cannot_be_fetched_is_refused(
    database: Database, item: Callable[[str], Message], code: str, start: str
) -> None:
    """With the reason."""
    async with open_eyes(database) as (parts, gallery):
        refused = await refusal(parts, [item(gallery.url("gone"))])
        assert code == refused[0]
        assert refused[1].startswith(start)


async def test_what_lies_behind_a_private_address_is_not_fetched(database: Database) -> None:
    """Only what the configuration permits may be reached."""
    async with open_gallery() as (gallery, _):
        parts = Shelves(database, outbound=Outbound(Config()))
        assert "failed_to_download_image" == (await refusal(parts, [shown(gallery.url("a"))]))[0]
        await parts.aclose()
        assert [] == gallery.asked


@pytest.mark.parametrize("limit", ["PICTURE_BYTES", "FILE_BYTES"])
async def test_what_is_too_long_is_refused(database: Database, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it arrives."""
    monkeypatch.setattr(seeing, limit, len(PNG) - 1)
    async with open_eyes(database) as (parts, gallery):
        url = gallery.url("a")
        item = shown(url) if limit == "PICTURE_BYTES" else attached(InputFile(file_url=url))
        code, _ = await refusal(parts, [item])
        assert code == ("failed_to_download_image" if limit == "PICTURE_BYTES" else "failed_to_download_file")


async def test_one_that_is_refused_stops_the_others(database: Database) -> None:
    """The request is lost already."""
    async with open_eyes(database) as (parts, gallery):
        code, _ = await refusal(parts, [shown(gallery.url("stuck"), gallery.url("page"))])
        assert "invalid_image_format" == code


# Looked at, whenever a model is asked


async def test_a_file_is_read_by_its_id(database: Database) -> None:
    """A picture as one, a document as text, a picture among documents as a picture."""
    async with open_eyes(database) as (parts, _):
        picture = await kept_file(parts, PNG, filename="p.png")
        words = await kept_file(parts, PLAIN, filename="w.txt")
        items: list[Item] = [
            Message(role="user", content=[InputImage(file_id=picture), InputFile(file_id=words)]),
            attached(InputFile(file_id=picture)),
            ComputerCallOutput(call_id="1", output=ComputerScreenshot(file_id=picture)),
        ]
        seen = await parts.seeing.seen(items, HANDS_ON, CALLER)
        told = "[w.txt: text]\nPlain words.\n\n[end of w.txt]"
        assert [
            Message(role="user", content=[InputImage(image_url=inlined(PNG)), InputText(text=told)]),
            Message(role="user", content=[InputImage(image_url=inlined(PNG))]),
            ComputerCallOutput(call_id="1", output=ComputerScreenshot(image_url=inlined(PNG))),
        ] == seen


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (lambda file: InputImage(file_id=file), "image_file_not_found"),
        (lambda file: InputFile(file_id=file), None),
    ],
)
async def test_a_file_that_is_not_the_callers_is_not_there(
    database: Database, part: Callable[[str], InputImage | InputFile], code: str | None
) -> None:
    """Unknown, somebody else's, or with its content gone."""
    async with open_eyes(database) as (parts, _):
        foreign = await kept_file(parts, PNG, filename="p.png", tenant="b")
        gone = await kept_file(parts, PNG, filename="p.png")
        await parts.blobs.delete([file_key("a", gone)])
        for id in ("file-unknown", foreign, gone):
            refused, message = await refusal(parts, [Message(role="user", content=[part(id)])])
            assert (code, True) == (refused, id in message)


async def test_a_file_that_is_too_large_to_be_shown_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is read."""
    monkeypatch.setattr(seeing, "PICTURE_BYTES", len(PNG) - 1)
    async with open_eyes(database) as (parts, _):
        id = await kept_file(parts, PNG, filename="p.png")
        code, _ = await refusal(parts, [Message(role="user", content=[InputImage(file_id=id)])])
        assert "file_too_large" == code


async def test_what_lies_on_the_shelf_is_read_from_there(database: Database) -> None:
    """As it stands in a chain."""
    async with open_eyes(database) as (parts, _):
        board = parts.shelf.board("a", "resp_1")
        large, text = noise("large"), b"word " * 4000
        url, data = await board.base64(inlined(large)), await board.base64(encoded(text))
        kept = Message(role="user", content=[InputImage(image_url=url), InputFile(file_data=data, filename="t.txt")])
        [seen] = await parts.seeing.seen([kept], HANDS_ON, CALLER)
        assert isinstance(seen, Message)
        picture, told = seen.content
        assert InputImage(image_url=inlined(large)) == picture
        assert isinstance(told, InputText)
        assert text.decode().strip() in told.text
        for other in (Message(role="user", content=[part]) for part in kept.content):
            with pytest.raises(ApiError, match="not valid base64"):
                await parts.seeing.seen([other], HANDS_ON, Caller("b"))


async def test_a_storage_that_is_down_is_told_as_such(database: Database) -> None:
    """It is no fault of the request, however many pictures it has."""

    class Down(Blobs):
        async def read(self, key: str) -> bytes:
            await anyio.lowlevel.checkpoint()
            raise StoreUnavailable(key)

    parts = Shelves(database, blobs=Down("memory:"))
    id = await kept_file(parts, PNG, filename="p.png")
    items: list[Item] = [Message(role="user", content=[InputImage(file_id=id), InputFile(file_id=id)])]
    with pytest.raises(StoreUnavailable):
        await parts.seeing.seen(items, HANDS_ON, CALLER)
    await parts.aclose()


@pytest.mark.parametrize("part", [InputImage(), ComputerScreenshot(), InputFile()])
async def test_a_picture_that_is_nowhere_cannot_be_seen(database: Database, part: Visible) -> None:
    """It stands in what was kept before it was checked so."""
    parts = Shelves(database)
    with pytest.raises(ApiError, match="not valid base64"):
        await parts.seeing.content(part, CALLER)


async def test_a_model_without_eyes_has_a_screen_told(database: Database) -> None:
    """As the output of a call, which it can read."""
    async with open_eyes(database) as (parts, _):
        screen = ComputerCallOutput(id="cuo_1", call_id="1", output=ComputerScreenshot(image_url=inlined(PNG)))
        [told] = await parts.seeing.seen([screen], BLIND, CALLER, draws=True)
        words = "[An image of 8x8 pixels. You cannot see it; the tool that draws can.]"
        assert FunctionCallOutput(id="cuo_1", call_id="1", output=words) == told


# Together


async def test_the_same_is_looked_at_once_and_counts_each_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short request that names a large file again and again comes to no more than others do."""
    async with open_eyes(database) as (parts, _):
        id = await kept_file(parts, noise("a"), filename="a.png")
        many = Message(role="user", content=[InputImage(file_id=id)] * 60)
        [message] = await parts.seeing.seen([many], FETCHES, CALLER)
        assert isinstance(message, Message)
        urls = {built.image_url for built in message.content if isinstance(built, InputImage)}
        assert (60, 1) == (len(message.content), len({builtins_id(url) for url in urls}))
        size = len(str(urls.pop()))
        monkeypatch.setattr(seeing, "MOST_CHARACTERS", 60 * size)
        await parts.seeing.seen([many], FETCHES, CALLER)
        monkeypatch.setattr(seeing, "MOST_CHARACTERS", 60 * size - 1)
        assert "file_too_large" == (await refusal(parts, [many]))[0]


async def test_what_is_fetched_is_bounded_together(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many URLs it comes from."""
    async with open_eyes(database) as (parts, gallery):
        monkeypatch.setattr(seeing, "MOST_CHARACTERS", 2 * len(inlined(PNG)))
        items: list[Item] = [shown(*(gallery.url(f"a{number}") for number in range(3)))]
        assert "file_too_large" == (await refusal(parts, items))[0]


async def test_more_parts_than_a_conversation_may_have_are_refused(database: Database) -> None:
    """Before the first is looked at."""
    async with open_eyes(database) as (parts, gallery):
        crowd = shown(*[inlined(PNG)] * (seeing.MOST_PARTS + 1))
        assert "too_many_files" == (await refusal(parts, [crowd]))[0]
        strangers = shown(*(gallery.url(f"a{number}") for number in range(seeing.MOST_PARTS + 1)))
        assert "too_many_files" == (await refusal(parts, [strangers]))[0]
        assert [] == gallery.asked


async def test_what_takes_too_long_together_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error that clients may try again after."""
    async with open_eyes(database) as (parts, gallery):
        monkeypatch.setattr(seeing, "SECONDS", 0.05)
        with pytest.raises(ApiError) as raised:
            await parts.seeing.fetched([shown(gallery.url("stuck"))], FETCHES, CALLER)
        assert 504 == raised.value.status
