"""A prompt template that a request names, with what fills its variables."""

from __future__ import annotations

from msgspec import Struct

from antiphon.protocol.content import InputFile, InputImage, InputText


class PromptConfig(Struct, frozen=True, kw_only=True):
    """Which template, which version of it, and its variables by name. A bare string stands for a text part."""

    id: str
    variables: dict[str, str | InputText | InputImage | InputFile] | None = None
    version: str | None = None
