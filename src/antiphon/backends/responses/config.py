"""What an operator says about an upstream that speaks the Responses API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(gt=0)]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a deployment with ``backend = "responses"``.

    ``base_url`` is what stands before ``/responses``; its query, if it has one, goes with every request. ``model`` is
    what the upstream is asked for. With an ``api_version`` the upstream is Azure's: the version joins the URL and the
    key travels as ``api-key``. ``api_key_header`` names another header for it.

    ``connect_timeout`` and ``idle_timeout`` are in seconds; the second bounds each silence, that before the first byte
    included.
    """

    base_url: str
    api_key: str | None = None
    api_key_header: str | None = None
    model: str | None = None
    api_version: str | None = None
    headers: dict[str, str] = {}
    connect_timeout: Seconds = 10.0
    idle_timeout: Seconds = 600.0
