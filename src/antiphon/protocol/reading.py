"""Bytes become a checked request, or an error that says where and why not.

JSON is decoded once; shorthand is written out in place; then the types of `antiphon.protocol.request` decide. Only a
body that is refused is looked at again, to say in the caller's own terms what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from antiphon.protocol.errors import invalid_json, invalid_request
from antiphon.protocol.faults import refusal
from antiphon.protocol.places import Kind, Object, Sent, is_object, members, origin
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.shorthand import written_out

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T", bound=Struct)

MAX_DEPTH = 128
MAX_OPENED = 200_000
"""Objects and arrays of a body, counted before it is read: more would keep the server from all others for seconds."""

_PARAMETERS = frozenset(CreateResponse.__struct_encode_fields__)
_decoder = msgspec.json.Decoder()


class Received(Struct, frozen=True, kw_only=True):
    """A request as it was read.

    ``ignored`` names the parameters that do not exist, in the order sent. ``extras`` holds, for each item of the
    request's ``input``, the keys that the protocol does not know.
    """

    request: CreateResponse
    ignored: list[str]
    extras: list[Object]


def read_request(body: bytes) -> Received:
    """Read the body of ``POST /responses``. Raises ``ApiError`` 400."""
    value = decode(body)
    _drop_nulls(value)
    extras = written_out(value, nulls=b"null" in body)
    try:
        request = msgspec.convert(value, CreateResponse)
    except msgspec.ValidationError as error:
        raise refusal(error, value, CreateResponse, sent=decode(body)) from error
    return Received(request=request, ignored=[name for name in value if name not in _PARAMETERS], extras=extras)


def read(body: bytes, kind: type[T]) -> T:
    """Read any other body. A null at the top level means the same as a missing key. Raises ``ApiError`` 400."""
    value = {name: part for name, part in decode(body).items() if part is not None}
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise refusal(error, value, kind) from error


def read_query(pairs: Iterable[tuple[str, str]], kind: type[T]) -> T:
    """Read the parameters of a query, given as decoded pairs. Raises ``ApiError`` 400.

    A list is sent as ``include[]=a&include[]=b``, ``include=a&include=b`` or ``include=a,b``; of any other parameter
    the last value counts. Empty values and unknown names have no effect.
    """
    lists = {field.encode_name for field in msgspec.structs.fields(kind) if _is_list(field.type)}
    value: Object = {}
    for sent, text in pairs:
        name = sent.partition("[")[0]
        if not text:
            continue
        if name in lists:
            value.setdefault(name, []).extend(part for part in text.split(",") if part)
        else:
            value[name] = text
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(error, value, kind) from error


def decode(body: bytes) -> Object:
    """Decode a JSON object of bounded depth. Raises ``ApiError`` 400 for all else.

    Of a repeated key the last value counts. Half a surrogate pair is no text, and a number beyond what a float holds
    is no number.
    """
    opened = body.count(b"{") + body.count(b"[")
    if opened > MAX_OPENED:
        raise invalid_request("The request holds too many objects and arrays.", code="request_too_complex")
    try:
        value = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_json() from error
    if not is_object(value):
        raise invalid_json()
    if opened > MAX_DEPTH and _is_deep(value):
        raise invalid_json()
    return value


_CONTAINERS = frozenset({dict, list})


def _is_deep(value: Sent) -> bool:
    level: list[Sent] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if is_object(node) else node)
            if type(child) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def _drop_nulls(value: Object) -> None:
    """Drop nulls of the top level, and of the settings right below it; in ``metadata`` a null is a wrong value."""
    for name in [name for name, part in value.items() if part is None]:
        del value[name]
    for name, part in value.items():
        if name != "metadata" and is_object(part) and None in part.values():
            value[name] = {key: setting for key, setting in part.items() if setting is not None}


def _is_list(kind: Kind) -> bool:
    return any(origin(member) is list for member in members(kind))
