"""What a measure gives: samples by the name of what was measured."""

from __future__ import annotations

Samples = dict[str, list[float]]
