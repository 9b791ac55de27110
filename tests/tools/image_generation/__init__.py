"""The drawing tool, against a real images API and a writer that says what it is told to say."""

from __future__ import annotations
