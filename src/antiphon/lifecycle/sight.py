"""Sight: a model is shown the drawings of its conversation, or is told of them where it cannot see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.content import InputImage, InputText
from antiphon.store.blobs import NoSuchBlob

if TYPE_CHECKING:
    from antiphon.core.turn import Output, Turn
    from antiphon.lifecycle.shelf import Shelf
    from antiphon.protocol.content import InputPart
    from antiphon.protocol.items import Item


class Sight:
    """Shows turns to a model, for one tenant: whatever lies on the shelf is in the model's hand when it is asked."""

    def __init__(self, shelf: Shelf, tenant: str, *, sees: bool) -> None:
        self._shelf = shelf
        self._tenant = tenant
        self._sees = sees

    async def shown(self, turn: Turn) -> Turn:
        """The turn with drawings and pictures of tools as they are, or for a model without eyes without them."""
        items = [await self._item(item) for item in turn.items]
        outputs = {id: await self._output(output) for id, output in turn.outputs.items()}
        return replace(turn, items=items, outputs=outputs)

    async def _item(self, item: Item) -> Item:
        match item:
            case ImageGenerationCall(result=str(result)) if self._sees:
                try:
                    return replace(item, result=await self._shelf.whole(result, self._tenant))
                except NoSuchBlob:
                    return replace(item, result=UNSET)
            case ImageGenerationCall():
                return replace(item, result=UNSET)
            case _:
                return item

    async def _output(self, output: Output) -> Output:
        return output if isinstance(output, str) else [await self._part(part) for part in output]

    async def _part(self, part: InputPart) -> InputPart:
        match part:
            case InputImage(image_url=str(url)):
                try:
                    return replace(part, image_url=await self._shelf.whole(url, self._tenant))
                except NoSuchBlob:
                    return InputText(text="[A picture that is no longer kept.]")
            case _:
                return part
