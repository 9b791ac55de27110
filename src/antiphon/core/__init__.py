"""The pure middle: deltas and answers in, events out. Nothing here waits, reads a clock or makes an id by itself."""

from __future__ import annotations
