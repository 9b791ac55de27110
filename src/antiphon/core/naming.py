"""The name under which a model knows a tool of an MCP server, or of a namespace: with the label before its own name.

The same tool has the same name in every turn of a chain, and two tools never share one: ``label__tool`` where it can be
read back, else a shortened form with a digest of both.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 64
"""The longest name of a function that chat models take."""
_LABEL = re.compile(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*")  # no "__" in it and no "_" around it: the first "__" ends it
_TOOL = re.compile(r"[A-Za-z0-9_-]+")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
_LOOKS_DIGESTED = re.compile(r".*_[0-9a-f]{10}")  # only what has a digest may look so, or it would share a name
_DIGEST_BYTES = 5


def function_name(server_label: str, tool: str) -> str:
    """The name of a server's tool for a model: letters, digits, ``_`` and ``-``, at most `LONGEST`."""
    name = f"{server_label}__{tool}"
    is_plain = _LABEL.fullmatch(server_label) and _TOOL.fullmatch(tool) and not _LOOKS_DIGESTED.fullmatch(name)
    return name if is_plain and len(name) <= LONGEST else digested_name(server_label, tool)


def member_name(namespace: str | None, name: str) -> str:
    """The name of a function in a namespace. A function that was loaded alone is its own namespace, as recorded."""
    return name if namespace is None or namespace == name else function_name(namespace, name)


def digested_name(server_label: str, tool: str) -> str:
    """A name that tells as much of both as fits, and is theirs alone by its digest."""
    whole = f"{len(server_label)} {server_label} {tool}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2s(whole, digest_size=_DIGEST_BYTES).hexdigest()
    readable = _FOREIGN.sub("_", f"{server_label}__{tool}")
    return f"{readable[: LONGEST - len(digest) - 1]}_{digest}"
