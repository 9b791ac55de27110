"""A child process that loads nothing: ``fake_child.py MODE`` greets, or does not, as the mode says."""

from __future__ import annotations

import json
import sys


def main(mode: str) -> None:
    """Read what to load, then do as the mode says and end with stdin."""
    load = json.loads(sys.stdin.readline())
    if mode == "crash":
        sys.stderr.write("out of memory\n")
        sys.exit(3)
    if mode == "gate":  # ready when somebody writes to the pipe at the model's path
        with open(load["path"], encoding="utf-8") as gate:  # noqa: PTH123  # no pathlib: this starts quickly
            gate.read()
    if mode == "failed":
        greet({"type": "failed", "problem": "No engine: install one."})
    elif mode != "mute":
        greet({"type": "ready", "address": "http://127.0.0.1:9/" + load["key"]})
    sys.stdin.read()


def greet(greeting: dict[str, str]) -> None:
    """Say it in one line."""
    sys.stdout.write(json.dumps(greeting) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
