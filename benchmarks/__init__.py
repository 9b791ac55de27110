"""What Antiphon costs, measured beside the least that Python can do and beside its peers."""

from __future__ import annotations
