"""The other way to draw: any server that speaks the OpenAI or Azure OpenAI images API."""

from __future__ import annotations

from antiphon.tools.image_generation.images.config import Config
from antiphon.tools.image_generation.images.painting import Painter

__all__ = ["Config", "Painter"]
