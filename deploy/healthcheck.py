"""Whether the process of a container is well: a server is asked, and a worker is there."""  # noqa: INP001 - a program

from __future__ import annotations

import os
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

SECONDS = 4
DEFAULT_PORT = 8080
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the environment is for what is elsewhere."""


def option(name: str, words: list[str]) -> str | None:
    """What an option was given, as a word of its own or behind an equals sign."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def port(words: list[str]) -> int:
    """The port of ``antiphon serve``, started with these words: as an option, or as the configuration has it."""
    if number := option("--port", words):
        return int(number)
    if not (config := option("--config", words)):
        return DEFAULT_PORT
    server = tomllib.loads(Path(config).read_text(encoding="utf-8")).get("server", {})
    return int(server.get("port", DEFAULT_PORT))


def is_well(words: list[str]) -> bool:
    """Whether the process that was started with these words lives; a worker that hangs loses its runs to others."""
    if "serve" not in words:
        return True
    try:
        url = f"http://127.0.0.1:{port(words)}/health/live"
        with DIRECTLY.open(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - it says that all is well
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    started_with = Path(os.environ.get("ANTIPHON_CMDLINE", "/proc/1/cmdline")).read_bytes().split(b"\0")
    sys.exit(0 if is_well([os.fsdecode(word) for word in started_with]) else 1)
