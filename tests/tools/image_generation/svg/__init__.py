"""Drawing in SVG: repairing, cleaning, asking, rasterising."""

from __future__ import annotations
