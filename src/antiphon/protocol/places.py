"""Where in a body its reading stopped: the path, what was sent there, and what could have stood there.

The library that reads JSON names a path (``$.input[0].role``, a key of a map as ``[...]``), and neither the value nor
the alternatives. They are found by walking the value and the type along the path, for refused bodies only.
"""

from __future__ import annotations

import re
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Struct, UnsetType

from antiphon.protocol.errors import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

Sent = Any  # whatever a caller sends
Object = dict[str, Any]  # of whatever a caller sends
Kind = Any  # a type, or what `typing` builds from types
Step = str | int

_UNIONS = (Union, UnionType)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|(?P<key>\[\.\.\.\])")


def is_object(value: object) -> TypeGuard[Object]:
    """Whether JSON is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Sent]]:
    """Whether JSON is an array."""
    return isinstance(value, list)


class Place(Struct, frozen=True, kw_only=True):
    """A place in a body. ``value`` is ``UNSET`` if nothing stands there; ``kinds`` are the members of the union."""

    steps: tuple[Step, ...] = ()
    value: Sent = UNSET
    kinds: tuple[Kind, ...] = ()

    def within(self, sent: Sent) -> Place:
        """The same place in the body as it was sent: the path ends where the caller wrote shorthand."""
        for depth, step in enumerate(self.steps):
            if not (is_object(sent) or is_array(sent)):
                return Place(steps=self.steps[:depth], value=sent, kinds=self.kinds)
            sent = _value_below(sent, step)
        return self

    @property
    def param(self) -> str:
        """The path as callers know it: ``input[0].content[1].image_url``."""
        return written(self.steps)

    @property
    def literals(self) -> list[str]:
        """The words that could have stood here."""
        return [str(word) for kind in self.kinds if origin(kind) is Literal for word in get_args(kind)]


def written(steps: Sequence[Step]) -> str:
    """Write a path as callers know it."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{shown(step)}" for step in steps)
    return text.removeprefix(".")


def find(path: str, value: Sent, kind: Kind) -> Place:
    """Follow a path such as ``.input[0].role`` from a whole body and its type; ``[...]`` means the key at fault."""
    place = Place(value=value, kinds=tuple(members(kind)))
    for match in _STEP.finditer(path):
        name, index = match["name"], match["index"]
        if name is not None:
            place = below(place, name)
        elif index is not None:
            place = below(place, int(index))
        else:
            place = below(place, _key_at_fault(place))
    return place


def below(place: Place, step: Step) -> Place:
    """Go one step down."""
    return Place(
        steps=(*place.steps, step),
        value=_value_below(place.value, step),
        kinds=tuple(member for kind in place.kinds for member in _kinds_below(kind, place.value, step)),
    )


def long_key(place: Place) -> str:
    """The first key of the map here that its type refuses."""
    return next((key for sent, kind, _ in _maps(place) for key in sent if not _fits(key, kind)), "")


def members(kind: Kind) -> list[Kind]:
    """The members of a union, without null and absence and without their limits."""
    if origin(kind) is Annotated:
        return members(get_args(kind)[0])
    if origin(kind) in _UNIONS:
        return [member for part in get_args(kind) for member in members(part)]
    return [] if kind is UnsetType or kind is type(None) else [kind]


def origin(kind: Kind) -> Kind:
    """What a type is made with, such as ``list`` or ``Literal``; None for a plain class."""
    return get_origin(kind)


def _value_below(value: Sent, step: Step) -> Sent:
    if is_object(value):
        return value.get(str(step), UNSET)
    if is_array(value) and isinstance(step, int) and step < len(value):
        return value[step]
    return UNSET


def _kinds_below(kind: Kind, value: Sent, step: Step) -> list[Kind]:
    if origin(kind) is list:
        return members(get_args(kind)[0])
    if origin(kind) is dict:
        return members(get_args(kind)[1])
    if isinstance(kind, type) and issubclass(kind, Struct) and isinstance(step, str):
        return _kinds_of_field(kind, value, step)
    return []


def _kinds_of_field(kind: type[Struct], value: Sent, name: str) -> list[Kind]:
    tag_field, tag = kind.__struct_config__.tag_field, kind.__struct_config__.tag
    if tag_field == name:
        return [Literal[tag]]
    if tag_field is not None and _value_below(value, tag_field) != tag:
        return []
    return members(_fields(kind).get(name, UnsetType))


@cache
def _fields(kind: type[Struct]) -> dict[str, Kind]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


def _key_at_fault(place: Place) -> str:
    """The first key of the map here whose value its type refuses: the reader goes in order too."""
    return next((key for sent, _, kind in _maps(place) for key, value in sent.items() if not _fits(value, kind)), "")


def _maps(place: Place) -> list[tuple[Object, Kind, Kind]]:
    """The map that stands here, with the types of its keys and values."""
    if not is_object(place.value):
        return []
    sent = place.value
    return [(sent, *get_args(kind)) for kind in place.kinds if origin(kind) is dict]


def _fits(value: Sent, kind: Kind) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
