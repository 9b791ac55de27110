"""A wish as a request of the images API. Pure.

Only what the caller gave is sent: servers differ in what they know, and refuse what they do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, to_builtins
from msgspec.structs import replace

from antiphon.documents import sniffed
from antiphon.protocol.parts import Json

if TYPE_CHECKING:
    from antiphon.tools.image_generation.drawing import Wish
    from antiphon.tools.image_generation.images.config import Config

_SETTINGS = (
    *("size", "quality", "background", "output_format", "output_compression", "moderation"),
    *("complexity", "frame_count", "frame_duration_ms", "svg"),
)
_EDIT_SETTINGS = ("input_fidelity",)
_GENERATE_SETTINGS = ("moderation",)
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


class File(Struct, frozen=True):
    """A file of a form."""

    field: str
    name: str
    media_type: str
    content: bytes


class Question(Struct, frozen=True):
    """A request: JSON where there are no files, else a form. ``path`` stands behind the base URL."""

    path: str
    fields: dict[str, Json]
    files: list[File] = []

    @property
    def streams(self) -> bool:
        """Whether a stream is asked for."""
        return "stream" in self.fields

    def form(self) -> list[tuple[str, str]]:
        """The fields as those of a form."""
        return [pair for name, value in self.fields.items() for pair in _flat(name, value)]


def asked(wish: Wish, config: Config) -> Question:
    """The request for a wish."""
    settings = wish.settings
    named = settings.model if isinstance(settings.model, str) else None
    model = config.model or (named if config.name == "*" else config.name)
    fields: dict[str, Json] = {"prompt": wish.prompt, "n": 1}
    if model is not None:
        fields["model"] = model
    if config.response_format is not None:
        fields["response_format"] = config.response_format
    left_out = _GENERATE_SETTINGS if wish.sources else ()
    for name in (*_SETTINGS, *(_EDIT_SETTINGS if wish.sources else ())):
        value = getattr(settings, name)  # a struct's own fields
        if value is not None and value is not UNSET and name not in left_out:
            fields[name] = to_builtins(value)
    if wish.partials:
        fields |= {"partial_images": wish.partials, "stream": True}
    if not wish.sources:
        return Question("/images/generations", fields)
    return Question("/images/edits", fields, _files(wish))


def without_stream(question: Question) -> Question:
    """The same request for one whole picture."""
    fields = {name: value for name, value in question.fields.items() if name not in {"stream", "partial_images"}}
    return replace(question, fields=fields)


def _files(wish: Wish) -> list[File]:
    """Several pictures are ``image[]``, one is ``image``, which servers of other makers know too."""
    field = "image[]" if len(wish.sources) > 1 else "image"
    files = [_file(field, f"image-{number}", content) for number, content in enumerate(wish.sources, 1)]
    return files if wish.mask is None else [*files, _file("mask", "mask", wish.mask)]


def _file(field: str, stem: str, content: bytes) -> File:
    media_type = sniffed(content) or "application/octet-stream"
    return File(field=field, name=f"{stem}.{_ENDINGS.get(media_type, 'bin')}", media_type=media_type, content=content)


def _flat(name: str, value: Json) -> list[tuple[str, str]]:
    match value:
        case dict():
            return [pair for key, inner in value.items() for pair in _flat(f"{name}[{key}]", inner)]
        case bool():
            return [(name, "true" if value else "false")]
        case _:
            return [(name, str(value))]
