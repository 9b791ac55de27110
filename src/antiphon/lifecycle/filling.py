"""Filling in: JSON that is told with what lies on the shelf, where something can lie there, and nowhere else.

A caller may write whatever looks like a reference into a text, a name or a setting of its own, and is shown it as it
is. So a path leads to each place that may hold one, and all beside the paths is not even looked into. What is told was
encoded without spaces: it comes out byte for byte, but for the references.

A short request can refer to one large picture many times. So each is read once for an answer, and put into it once all
is known: what would come to more than an answer may hold is refused before that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Raw, Struct

from antiphon.lifecycle.inlining import sized

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Read = Callable[[str], Awaitable[bytes]]
    """Takes what stands behind the mark, and gives the base64 of it."""

MOST_BYTES = 128 * 1024 * 1024
"""How long JSON may become that is filled in: more than all pictures that a request may bring."""

MARK = "antiphon-blob:"
BYTES = MARK.encode()
"""The mark as it stands in JSON."""

_REFERENCE = re.compile(rf"{MARK}(?P<blob>[A-Za-z0-9_-]+/[0-9a-f]{{64}})")
_SPLIT = re.compile(rb"\x00([^\x00]+)\x00")
"""What stands for a blob while its place is looked for: JSON holds no such byte."""
_QUOTED = re.compile(
    rb'"(?P<start>(?:[Dd][Aa][Tt][Aa]:(?:[^"\\,]|\\.)*,)?)%b(?P<blob>[A-Za-z0-9_-]+/[0-9a-f]{64})"' % BYTES
)


class _Leaf(Struct, frozen=True):
    """A string that may be a reference, or a data URL with one."""


class _Keys(Struct, frozen=True):
    """An object; some of its members lead on."""

    members: Mapping[str, _Place]


class _Each(Struct, frozen=True):
    """A list, each of whose members leads on."""

    member: _Place


class _Kinds(Struct, frozen=True):
    """An object that leads on by its type."""

    kinds: Mapping[str, _Place]


_Place: TypeAlias = _Leaf | _Keys | _Each | _Kinds

_LEAF = _Leaf()
_PARTS = _Each(_Kinds({"input_image": _Keys({"image_url": _LEAF}), "input_file": _Keys({"file_data": _LEAF})}))
_ITEM = _Kinds({
    "message": _Keys({"content": _PARTS}),
    "function_call_output": _Keys({"output": _PARTS}),
    "custom_tool_call_output": _Keys({"output": _PARTS}),
    "computer_call_output": _Keys({"output": _Kinds({"computer_screenshot": _Keys({"image_url": _LEAF})})}),
    "image_generation_call": _Keys({"result": _LEAF}),
})
_RESPONSE = _Keys({"output": _Each(_ITEM)})
_TOLD = _Keys(  # a response, a page of items, or an event
    {**_RESPONSE.members, "data": _Each(_ITEM), "response": _RESPONSE, "item": _ITEM, "partial_image_b64": _LEAF}
)

_SCHEME = "data:"
_LINE = b"data: "
_END = b"\n\n"

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


class Reference(Struct, frozen=True):
    """What stands in a string instead of base64: where it begins, and the blob that it leads to."""

    start: int
    blob: str


def referenced(text: str) -> Reference | None:
    """The reference in the place of base64, or behind the comma of a data URL; None where there is none."""
    start = text.find(MARK)
    if start < 0 or (start > 0 and (text[start - 1] != "," or text[: len(_SCHEME)].lower() != _SCHEME)):
        return None
    found = _REFERENCE.fullmatch(text, start)
    return None if found is None else Reference(start, found["blob"])


class TooMuch(Exception):
    """What is told would be longer than `MOST_BYTES`, filled in."""


async def filled(text: bytes, read: Read) -> bytes:
    """The JSON of a response or of a page of items, or a block of server-sent events, with its references filled in.

    Raises `TooMuch` for JSON. Events have no such limit: whoever asks again would never come past them.
    """
    if BYTES not in text:
        return text
    pieces = await sized(len(text), _split, text)
    left = MOST_BYTES - len(text)
    found: dict[bytes, bytes] = {}
    for blob, count in Counter(pieces[1::2]).items():
        found[blob] = await read(blob.decode())
        left -= count * len(found[blob])
        if left < 0 and text.startswith(b"{"):
            raise TooMuch
    return await sized(MOST_BYTES - left, _joined, pieces, found)


def told_apart(block: bytes) -> list[bytes]:
    """A block of server-sent events, event by event where something is to be filled in: not all is held at once."""
    if BYTES not in block:
        return [block]
    return [event + _END for event in block.split(_END) if event]


def _split(text: bytes) -> list[bytes]:
    """What is told, cut where something is to be filled in: every other piece names a blob."""
    if text.startswith(b"{"):
        return _SPLIT.split(_marked(_TOLD, Raw(text)))
    return _SPLIT.split(b"\n".join([_line(line) for line in text.split(b"\n")]))


def _joined(pieces: list[bytes], found: Mapping[bytes, bytes]) -> bytes:
    return b"".join([found[piece] if number % 2 else piece for number, piece in enumerate(pieces)])


def _line(line: bytes) -> bytes:
    if BYTES not in line or not line.startswith(_LINE):
        return line
    return _LINE + bytes(_marked(_TOLD, Raw(line[len(_LINE) :])))


def _marked(place: _Place, value: Raw) -> Raw:
    """What stands at a place, with each reference marked that is to be filled in."""
    if BYTES not in (text := bytes(value)):
        return value
    match place, text[:1]:
        case _Leaf(), b'"':
            found = _QUOTED.fullmatch(text)
            return value if found is None else Raw(b'"%b\0%b\0"' % (found["start"], found["blob"]))
        case _Each(member=member), b"[":
            return Raw(_encode([_marked(member, each) for each in _decode_list(text)]))
        case _Keys(members=members), b"{":
            found_members = _decode_object(text)
            for key in members.keys() & found_members.keys():
                found_members[key] = _marked(members[key], found_members[key])
            return Raw(_encode(found_members))
        case _Kinds(kinds=kinds), b"{":
            kind = bytes(_decode_object(text).get("type", Raw(b"null"))).strip(b'"').decode()
            return value if kind not in kinds else _marked(kinds[kind], value)
        case _:
            return value
