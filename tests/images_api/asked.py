"""What the server was asked, as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

from aiohttp import web
from msgspec import Struct

from tests.images_api.drawing import opened

if TYPE_CHECKING:
    from PIL import Image


class SentFile(Struct, frozen=True):
    """A file as it was sent."""

    field: str
    name: str
    media_type: str
    content: bytes

    @property
    def picture(self) -> Image.Image:
        """The picture in it."""
        return opened(self.content)


class Asked(Struct, frozen=True):
    """A request as it came; the fields of a form are texts."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    fields: dict[str, Any]  # JSON
    files: list[SentFile]

    @property
    def streams(self) -> bool:
        """Whether a stream is asked for."""
        return self.fields.get("stream") in {True, "true"}


async def read(request: web.Request) -> Asked:
    """Read a request whole."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    fields: dict[str, Any] = {}
    files: list[SentFile] = []
    if request.content_type == "application/json":
        fields = await request.json()
    else:
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                content = value.file.read()
                value.file.close()
                files.append(SentFile(name, value.filename, value.content_type, content))
            else:
                fields[name] = value
    return Asked(path=request.path, query=dict(request.query), headers=headers, fields=fields, files=files)
