"""The nouns of the wire: what clients and the server send each other, exactly as the live service does."""

from __future__ import annotations
