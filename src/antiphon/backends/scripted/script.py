"""What a script may say, as structs that check it; the format is described in `antiphon.backends.scripted`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from antiphon.backends import UpstreamFault
from antiphon.core.deltas import FinishReason, KeepsakeForm
from antiphon.protocol.content import Annotation
from antiphon.protocol.items import MessagePhase

Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Rate = Annotated[float, Meta(gt=0, le=1_000_000)]
Tokens = Annotated[int, Meta(ge=0)]


class ScriptError(ValueError):
    """A script cannot be read; the message names the file and the place in it."""


class Call(Struct, frozen=True, forbid_unknown_fields=True):
    """A call. ``arguments`` is a table, or JSON text, which may be broken."""

    name: str
    arguments: dict[str, object] | str = {}


class Failure(Struct, frozen=True, forbid_unknown_fields=True):
    """An error of the upstream; ``retry_after`` is in seconds."""

    fault: UpstreamFault = "server_error"
    message: str = "The script says so."
    retry_after: float | None = None


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """Usage, in tokens."""

    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cached_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0


class Kept(Struct, frozen=True, forbid_unknown_fields=True):
    """What the upstream wants back with a thought; an empty token is a thought of which it wants nothing."""

    form: KeepsakeForm = "encrypted"
    token: str = ""


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the model does; exactly one key is given."""

    text: str | list[str] | UnsetType = UNSET
    thought: str | list[str] | UnsetType = UNSET
    summary: str | list[str] | UnsetType = UNSET
    keepsake: Kept | UnsetType = UNSET
    voice: MessagePhase | UnsetType = UNSET
    cite: Annotation | UnsetType = UNSET
    refusal: str | list[str] | UnsetType = UNSET
    call: Call | UnsetType = UNSET
    pause_ms: Milliseconds | UnsetType = UNSET
    fail: Failure | UnsetType = UNSET
    die: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a step that does nothing, or two things at once."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]  # a struct's own fields
        if len(given) != 1:
            raise ValueError(f"a step has one key, not {' and '.join(given) or 'none'}")


class Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """What the model does in one turn, and in which turn it does so."""

    steps: list[Step] = []
    when: str | None = None
    after_output: bool | None = None
    outputs: Tokens | None = None
    remembers: str | None = None
    finish: FinishReason = "stop"
    usage: Cost | None = None
    tokens_per_second: Rate | None = None

    def __post_init__(self) -> None:
        """Refuse a pattern that is no regular expression."""
        for name, pattern in (("when", self.when), ("remembers", self.remembers)):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ValueError(f"`{name}` is no regular expression: {error}") from error


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a deployment with ``backend = "scripted"``.

    ``script`` is the path of a TOML file; its replies stand behind the ``replies`` given here. ``tokens_per_second``
    holds where a reply says nothing else; without it nothing waits. ``model`` is accepted as for every backend and not
    used.
    """

    script: str | None = None
    replies: list[Reply] = []
    tokens_per_second: Rate | None = None
    model: str | None = None


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    replies: list[Reply]


def read_script(path: str) -> list[Reply]:
    """Read the replies of a script file. Raises `ScriptError`."""
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScriptError(f"{path}: {error}") from error
    try:
        return msgspec.convert(tables, Script).replies
    except msgspec.ValidationError as error:
        raise ScriptError(f"{path}: {error}") from error
