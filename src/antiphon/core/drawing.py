"""The tool that draws, as a function that any model can call."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from antiphon.core.turn import Function
from antiphon.protocol.tools import ImageGenerationTool

_DRAWS = (
    "Draws a picture from a description and shows it to the user. Call it whenever the user asks to draw, paint, "
    "sketch, generate or create a picture or an image; do not answer with text or code instead."
)
_EDITS = " It can also change pictures of this conversation, or make a new one from them."
_PROMPT = "What the user wants to see, in words."
_IMAGES = (
    "Numbers of the pictures of this conversation to start from, 1 being the first that appeared. "
    "[] draws from scratch. Leave it out to start from the latest."
)


def drawing_function(name: str, settings: ImageGenerationTool, pictures: int) -> Function:
    """The function of the tool that draws. ``pictures``: how many stand in the conversation, each with its number."""
    can_edit = pictures > 0 and settings.action != "generate"
    prompt = {"type": "string", "description": _PROMPT}
    numbers = {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": pictures},
        "description": _IMAGES,
    }
    schema = {
        "type": "object",
        "properties": {"prompt": prompt, "images": numbers} if can_edit else {"prompt": prompt},
        "required": ["prompt"],
        "additionalProperties": False,
    }
    return Function(
        name=name,
        parameters=Raw(msgspec.json.encode(schema)),
        description=_DRAWS + _EDITS if can_edit else _DRAWS,
    )
