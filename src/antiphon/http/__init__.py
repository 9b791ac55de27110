"""The edge: HTTP in, HTTP out. Only this package knows Starlette and uvicorn."""

from __future__ import annotations
