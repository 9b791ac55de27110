"""MCP servers for tests: real ones, and some that behave badly, each on a free port of this machine, in a thread.

.. code-block:: python

    with library() as server:
        ...                                     # something connects to server.url, and calls a tool
    assert [("add", {"a": 1, "b": 2})] == server.calls
"""

from __future__ import annotations

from tests.mcp_servers.misbehaving import HOW, misbehaving
from tests.mcp_servers.shelves import PNG, archive, guarded, legacy, library
from tests.mcp_servers.watched import Rogue, Watched

__all__ = ["HOW", "PNG", "Rogue", "Watched", "archive", "guarded", "legacy", "library", "misbehaving"]
