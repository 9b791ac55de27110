"""What the items of all tools share: an id, a status, and who called."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
"""Any JSON, where the protocol leaves it open."""

ItemStatus = Literal["in_progress", "completed", "incomplete"]
CallId = Annotated[str, Meta(min_length=1, max_length=64)]


class Identified(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Any item, told apart by its ``type``; the server gives an ``id`` where the caller gave none."""

    id: str = ""


class Tagged(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Any part of a call that is told apart by its ``type``."""


class CallerDirect(Tagged, frozen=True, kw_only=True, tag="direct"):
    """The model itself called."""


class CallerProgram(Tagged, frozen=True, kw_only=True, tag="program"):
    """A program of the model's called."""

    caller_id: str


Caller = CallerDirect | CallerProgram
