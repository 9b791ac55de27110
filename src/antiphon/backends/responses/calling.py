"""Hears calls of functions and of custom tools: both are calls of functions to this server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Call

if TYPE_CHECKING:
    from antiphon.backends.responses.events import ItemHead, Piece, Whole


class Forming:
    """A call that is being heard. A custom tool's text becomes the JSON ``{"input": ...}``."""

    def __init__(self, key: str, name: str, *, custom: bool) -> None:
        self.key = key
        self.name = name
        self._custom = custom
        self._written = False
        self._ended = False

    def feed(self, fragment: str) -> list[Call]:
        """Take a fragment of the arguments, or of the text."""
        if not fragment or self._ended:
            return []
        opening = '{"input":"' if self._custom and not self._written else ""
        self._written = True
        return [Call(self.key, arguments=opening + (_escaped(fragment) if self._custom else fragment))]

    def end(self, whole: str) -> list[Call]:
        """All is written. An upstream that sent no fragments says it only here."""
        if self._ended:
            return []
        rest = [] if self._written else self.feed(whole)
        self._ended = True
        if self._custom:
            rest.append(Call(self.key, arguments='"}' if self._written else '{"input":""}'))
        return rest


class Calls:
    """The calls of one turn. An item's id tells them apart; where it changes on the way, its ``output_index`` does."""

    def __init__(self) -> None:
        self._by_id: dict[str, Forming] = {}
        self._by_index: dict[int, Forming] = {}
        self._count = 0

    def begin(self, item: ItemHead, index: int | None) -> list[Call]:
        """A call begins. Raises `UpstreamError` if it has no name."""
        if not item.name:
            raise UpstreamError("server_error", "The model called a function without naming it.")
        forming = Forming(str(self._count), item.name, custom=item.type == "custom_tool_call")
        self._count += 1
        if item.id:
            self._by_id[item.id] = forming
        if index is not None:
            self._by_index[index] = forming
        return [Call(forming.key, forming.name)]

    def feed(self, piece: Piece) -> list[Call]:
        """Take a fragment; one that belongs to no call is skipped."""
        forming = self._find(piece.item_id, piece.output_index)
        return [] if forming is None else forming.feed(piece.delta)

    def whole(self, whole: Whole) -> list[Call]:
        """What a call says was said whole."""
        forming = self._find(whole.item_id, whole.output_index)
        return [] if forming is None else forming.end(whole.arguments or whole.input or "")

    def end(self, item: ItemHead, index: int | None) -> list[Call]:
        """A call is finished; one whose beginning was never told is told whole."""
        forming = self._find(item.id or "", index)
        begun = [] if forming is not None else self.begin(item, index)
        forming = forming or self._find(item.id or "", index)
        said = item.arguments if item.type == "function_call" else item.input
        return begun + ([] if forming is None else forming.end(said if isinstance(said, str) else ""))

    def _find(self, id: str, index: int | None) -> Forming | None:
        found = self._by_id.get(id)
        return found if found is not None or index is None else self._by_index.get(index)


def _escaped(text: str) -> str:
    """Text as it stands within a JSON string."""
    return msgspec.json.encode(text).decode()[1:-1]
