"""MCP servers, reached through the official SDK."""

from __future__ import annotations
