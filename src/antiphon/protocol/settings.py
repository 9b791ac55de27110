"""Settings of a request that a response echoes and that an item may change: the form of the text, and the reasoning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from antiphon.protocol.parts import Tagged

FormatName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Summary = Literal["auto", "concise", "detailed"]


class FormatText(Tagged, frozen=True, kw_only=True, tag="text"):
    """Plain text."""


class FormatJsonObject(Tagged, frozen=True, kw_only=True, tag="json_object"):
    """Any JSON object."""


class FormatJsonSchema(Tagged, frozen=True, kw_only=True, tag="json_schema", rename={"schema_": "schema"}):
    """JSON that fits a schema."""

    name: FormatName
    schema_: dict[str, Any]  # JSON Schema is open
    description: str | None = None
    strict: bool | None = None


TextFormat = FormatText | FormatJsonObject | FormatJsonSchema


class TextConfig(Struct, frozen=True, kw_only=True):
    """The form that the text takes and how much of it there is."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(Struct, frozen=True, kw_only=True):
    """How hard a model thinks and what it shows of it."""

    effort: Effort | None = None
    summary: Summary | None = None
    generate_summary: Summary | UnsetType = UNSET
    context: Literal["auto", "current_turn", "all_turns"] | UnsetType = UNSET
    mode: str | UnsetType = UNSET
