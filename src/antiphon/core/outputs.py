"""What a model reads of a hosted call, in the forms in which models can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.protocol.content import InputImage, InputText

if TYPE_CHECKING:
    from antiphon.core.turn import Output
    from antiphon.protocol.content import InputPart


def in_words(output: Output) -> str:
    """An output for whoever reads only: what can only be seen is named."""
    return output if isinstance(output, str) else "\n".join(_word(part) for part in output)


def _word(part: InputPart) -> str:
    if isinstance(part, InputText):
        return part.text
    return "[an image]" if isinstance(part, InputImage) else "[a file]"
