"""One server for all programs: the command as a process of its own, over a model that does what it is told."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from tests import command
from tests.clients.model import model
from tests.images_api import images_api
from tests.mcp_servers import library

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "key-of-the-tests"
MODELS = ("gpt-4o", "gpt-5", "gpt-5.5", "gpt-6-sol", "my-coder")
"""Names by which clients tell what a model can do; the same model stands behind all of them."""


class Places(Struct, frozen=True):
    """Where programs find what they ask: our server, and a server of tools."""

    url: str
    mcp_url: str


@contextmanager
def serving(folder: Path) -> Iterator[Places]:
    """Serve, with all state in ``folder``."""
    with model() as upstream, images_api() as images, library() as tools:
        configured = folder / "antiphon.toml"
        configured.write_text(config(upstream, images.url, tools.url.partition("//")[2].partition("/")[0], folder))
        with command.serving(configured, folder) as url:
            yield Places(url=url, mcp_url=tools.url)


def config(upstream: str, images: str, tools: str, folder: Path) -> str:
    """The configuration file: the model by its names, a painter, and a server of tools that may be reached."""
    deployments = "".join(
        f'[[deployments]]\nname = "{name}"\nbackend = "chat_completions"\nbase_url = "{upstream}"\n' for name in MODELS
    )
    return (
        f'[store]\nurl = "sqlite:///{folder}/antiphon.db"\n'
        f'[auth]\nkeys = [{{ key = "{KEY}", tenant = "tests" }}]\n'
        f"[outbound]\nallow_private = [{json.dumps(tools)}]\n"
        f'{deployments}[[image_deployments]]\nname = "gpt-image-1"\nbackend = "images"\nbase_url = "{images}"\n'
    )
