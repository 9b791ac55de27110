"""Where blobs are: what a URL says of it, and what a local folder needs that an object storage does by itself."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from msgspec import Struct

from antiphon.store import StoreUrlError

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY = "memory:///"
SETTINGS = {
    "s3": {"endpoint", "region", "virtual_hosted_style_request"},
    "az": {"account_name", "endpoint", "use_emulator"},
    "abfs": {"account_name", "endpoint", "use_emulator"},
    "abfss": {"account_name", "endpoint", "use_emulator"},
    "gs": {"service_account"},
}
"""What the query of a URL may set, by scheme. Keys and secrets come from the environment: a URL is shown and logged."""


class Place(Struct, frozen=True):
    """A URL taken apart. ``folder`` is set for a local folder alone; ``settings`` are those of the object storage."""

    url: str
    folder: Path | None = None
    settings: dict[str, str] = {}
    allow_http: bool = False


def read_place(url: str) -> Place:
    """Read ``file:///absolute/folder``, ``memory:``, ``s3://bucket/prefix`` and its like. Raises `StoreUrlError`."""
    parts = urlsplit(url)
    if parts.scheme == "memory" and not parts.netloc and parts.path in {"", "/"} and not parts.query:
        return Place(MEMORY)
    if parts.scheme == "file":
        folder = unquote(parts.path)
        is_plain = folder.startswith("/") and folder.strip("/") and ".." not in folder.split("/")
        if parts.netloc or parts.query or parts.fragment or not is_plain:
            raise StoreUrlError(f"{url!r} is not file:///absolute/folder.")
        return Place(url, folder=Path(folder))
    return _remote(url)


def _remote(url: str) -> Place:
    parts = urlsplit(url)
    if parts.scheme not in SETTINGS or not parts.netloc or "@" in parts.netloc or parts.fragment:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        raise StoreUrlError(
            f"{shown!r} names no place for blobs. It is file:///absolute/folder, s3://bucket/prefix, az://, abfs:// or "
            "gs://; credentials come from the environment."
        )
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    allow_http = settings.pop("allow_http", "false").lower() in {"true", "1"}
    if unknown := settings.keys() - SETTINGS[parts.scheme]:
        known = ", ".join(sorted({*SETTINGS[parts.scheme], "allow_http"}))
        raise StoreUrlError(f"{parts.scheme}:// takes no {min(unknown)!r}; there are: {known}.")
    return Place(
        urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")),
        settings=settings,
        allow_http=allow_http,
    )


class Folder:
    """A local folder: nobody else may look into it, what is in it is on the disk, and what is gone leaves no trace.

    Its verbs wait for the disk, so they belong on a thread. They raise `OSError`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self) -> None:
        """Make the folder, for its owner alone, where there is none."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def prepare(self, key: str) -> None:
        """Make the folder of a tenant, for its owner alone, whoever may look into the one above."""
        self.open()  # somebody may have cleared it away since
        self._root.joinpath(key.partition("/")[0]).mkdir(mode=0o700, exist_ok=True)

    def settle(self, key: str) -> None:
        """Let what was written survive a loss of power: its bytes, then the names that lead to it."""
        path = self._root / key
        _flush(path)
        for folder in path.parents:
            _flush(folder)
            if folder == self._root:
                break

    def sweep(self, keys: Sequence[str]) -> None:
        """Remove what a writer that was killed has left of these keys: ``name#1`` beside ``name``."""
        for key in keys:
            path = self._root / key
            for left in path.parent.glob(f"{path.name}#*"):
                left.unlink(missing_ok=True)

    def remove(self, prefix: str) -> None:
        """Remove all that is below."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / prefix)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
