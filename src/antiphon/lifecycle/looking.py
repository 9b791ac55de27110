"""Looking at one picture or document: what the model of one deployment is given in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import UNSET
from msgspec.structs import replace

from antiphon.documents import Unreadable, sniffed
from antiphon.documents.telling import told
from antiphon.lifecycle.shelf import inlined, is_referenced
from antiphon.protocol import picture_faults as faults
from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage, InputText
from antiphon.protocol.media import IMAGE_TYPES

if TYPE_CHECKING:
    from antiphon.documents import Document, Picture
    from antiphon.lifecycle import Caller, Deployment
    from antiphon.lifecycle.seeing import Seeing
    from antiphon.protocol.content import MessagePart

    Visible: TypeAlias = InputImage | InputFile | ComputerScreenshot
    Part: TypeAlias = MessagePart | ComputerScreenshot


class Looking:
    """Looks for one caller and one deployment. ``draws``: see `Seeing.seen`."""

    def __init__(self, seeing: Seeing, deployment: Deployment, caller: Caller, *, draws: bool) -> None:
        self._seeing = seeing
        self._deployment = deployment
        self._caller = caller
        self._draws = draws

    def concerns(self, part: Visible) -> bool:
        """Whether anything is to be done for a part: a URL that a model sees for itself is handed on."""
        match part:
            case InputImage(image_url=str(url)) | ComputerScreenshot(image_url=str(url)):
                return url[:5].lower() == "data:" or self._deployment.fetch_images or not self._deployment.vision
            case _:
                return True

    async def at(self, part: Visible) -> list[Part]:
        """What the model is given instead. Raises ``ApiError``."""
        content = await self._seeing.content(part, self._caller)
        if not isinstance(part, InputFile):
            return [await self._picture(part, content)]
        if sniffed(content) in IMAGE_TYPES:
            return [await self._picture(InputImage(), content)]
        return await self._file(part, content)

    # Pictures

    async def _picture(self, part: InputImage | ComputerScreenshot, content: bytes) -> Part:
        picture = await self._seeing.looked_at(content, self._side(part), self._caller)
        if self._deployment.vision:
            return await self._shown(part, picture, is_unchanged=picture.content is content)
        if self._seeing.describing.is_on:
            return InputText(text=await self._seeing.describing.told(picture, party=self._caller.tenant))
        if self._draws:
            size = f"{picture.width}x{picture.height}"
            return InputText(text=f"[An image of {size} pixels. You cannot see it; the tool that draws can.]")
        raise faults.no_eyes(self._deployment.model or self._deployment.name)

    def _side(self, part: InputImage | ComputerScreenshot) -> int:
        """The longer edge that whoever looks takes: the deployment's model, or the one that describes for it."""
        describing = None if self._deployment.vision else self._seeing.describing.deployment
        return (describing or self._deployment).side(part.detail)

    async def _shown(self, part: InputImage | ComputerScreenshot, picture: Picture, *, is_unchanged: bool) -> Part:
        start = f"data:{picture.media_type};base64,"
        url = part.image_url
        if is_unchanged and isinstance(url, str) and _is_whole(url, start, len(picture.content)):
            return part  # a large picture is not held twice
        return replace(part, image_url=await inlined(picture.content, picture.media_type), file_id=UNSET)

    # Documents

    async def _file(self, file: InputFile, content: bytes) -> list[Part]:
        name = await self._seeing.name(file, self._caller)
        if not self._deployment.read_files:
            encoded = await inlined(content, sniffed(content) or "application/octet-stream")
            return [replace(file, file_id=UNSET, file_url=UNSET, file_data=encoded, filename=name)]
        return list(told(await self._document(file, content, name), name))

    async def _document(self, file: InputFile, content: bytes, name: str) -> Document:
        side = None
        if self._deployment.shows_pages and file.detail != "low":
            side = self._deployment.image_side
        try:
            return await self._seeing.documents.document(
                content, filename=name, picture_side=side, party=self._caller.tenant
            )
        except Unreadable as error:
            raise faults.document_refused(error.reason, str(error), name) from error


def _is_whole(url: str, start: str, size: int) -> bool:
    """Whether a data URL is written as every server reads it: it begins so, and so many bytes stand behind that.

    Some take no base64 in lines, and no ``BASE64``. The scheme may be written in any way.
    """
    is_headed = url[:5].lower() + url[5 : len(start)] == start
    return is_headed and len(url) == len(start) + 4 * -(-size // 3) and not is_referenced(url, len(start))
