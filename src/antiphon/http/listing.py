"""Lists as clients page through them: ``{"object":"list","data":[...],"first_id","has_more","last_id"}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

    from antiphon.protocol.parts import Json
    from antiphon.store import ItemRow, Page

INCLUDED_BY = {
    "input_image": "message.input_image.image_url",
    "input_file": "message.input_image.image_url",
    "computer_screenshot": "computer_call_output.output.image_url",
}
"""Parts whose content, often a whole image in base64, is listed only where the caller asks for it.

The live service has no word for the content of a document: it is told with that of pictures.
"""
CONTENTS = {"image_url", "file_data"}

_encode = msgspec.json.Encoder().encode


def listed(page: Page, include: Collection[str]) -> bytes:
    """The JSON of a page of items."""
    hidden = {kind for kind, include_name in INCLUDED_BY.items() if include_name not in include}
    shown = b",".join([_shown(row, hidden) for row in page.rows])
    ids = [row.id for row in page.rows]
    rest = {"first_id": ids[0] if ids else None, "has_more": page.has_more, "last_id": ids[-1] if ids else None}
    return b'{"object":"list","data":[' + shown + b"]," + _encode(rest)[1:]


def _shown(row: ItemRow, hidden: set[str]) -> bytes:
    if not any(kind.encode() in row.json for kind in hidden):
        return row.json
    item: dict[str, Json] = msgspec.json.decode(row.json)
    for key in ("content", "output"):
        if key in item:
            item[key] = _without_contents(item[key], hidden)
    return _encode(item)


def _without_contents(content: Json, hidden: set[str]) -> Json:
    """A part, a list of parts or a text, without the contents of images and documents."""
    match content:
        case dict() if content.get("type") in hidden:
            return {key: value for key, value in content.items() if key not in CONTENTS}
        case list():
            return [_without_contents(part, hidden) for part in content]
        case _:
            return content
