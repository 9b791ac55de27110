"""What the server and the child process that runs a model say to each other: one line of JSON each way."""

from __future__ import annotations

from msgspec import Struct


class Load(Struct, frozen=True, kw_only=True):
    """What the child is told on its stdin, which stays open as long as the server lives.

    ``context`` is in tokens for each of ``parallel`` requests. ``template`` is the text of a chat template, None for
    the model's own. ``key`` is what every request to the child's listener must carry.
    """

    path: str
    context: int
    parallel: int
    threads: int
    key: str = ""
    parent: int = 0
    template: str | None = None
    mmproj: str | None = None


class Ready(Struct, frozen=True, tag="ready"):
    """The model is loaded and listens at this URL."""

    address: str


class Failed(Struct, frozen=True, tag="failed"):
    """The model cannot run; the sentence says how to mend it."""

    problem: str


Greeting = Ready | Failed
"""What the child says, once, on its stdout."""
