"""The embedded way to draw: a language model writes SVG, which is cleaned and rasterised. It needs no image model."""

from __future__ import annotations

from antiphon.tools.image_generation.svg.config import Config
from antiphon.tools.image_generation.svg.sketching import Sketcher

__all__ = ["Config", "Sketcher"]
