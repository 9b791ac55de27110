"""What an operator says about an upstream that speaks the Responses API."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from antiphon.backends.upstream.hints import Wish

Seconds = Annotated[float, Meta(gt=0)]
NativeTool = Literal["custom", "shell", "local_shell", "apply_patch", "computer", "computer_use_preview"]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a deployment with ``backend = "responses"``.

    ``base_url`` is what stands before ``/responses``; its query, if it has one, goes with every request. ``model`` is
    what the upstream is asked for. With an ``api_version`` the upstream is Azure's: the version joins the URL and the
    key travels as ``api-key``. ``api_key_header`` names another header for it.

    ``encrypted_reasoning`` asks for thoughts in the form that the upstream alone opens, and gives them back;
    ``send_reasoning`` gives back the plain text of those that have no such form. ``native_tools`` are the types of the
    client's tools that the upstream knows itself; tools of other types are told as functions. An upstream is asked to
    leave out what is oldest where it is given ``computer_use_preview``, whose model demands that. ``hints`` names the
    hints of a request that go on to the upstream. What the upstream refuses of hints and encrypted reasoning is left
    out from then on.

    ``connect_timeout`` and ``idle_timeout`` are in seconds; the second bounds each silence, that before the first byte
    included.
    """

    base_url: str
    api_key: str | None = None
    api_key_header: str | None = None
    model: str | None = None
    api_version: str | None = None
    headers: dict[str, str] = {}
    encrypted_reasoning: bool = True
    send_reasoning: bool = False
    native_tools: list[NativeTool] = []
    hints: Wish = "all"
    connect_timeout: Seconds = 10.0
    idle_timeout: Seconds = 600.0
