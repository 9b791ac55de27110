"""What an operator says about an OpenAI-compatible upstream."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(gt=0)]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a deployment with ``backend = "chat_completions"``.

    ``base_url`` is what stands before ``/chat/completions``. ``model`` is what the upstream is asked for. With an
    ``api_version`` the upstream is Azure's: the version joins the URL and the key travels as ``api-key``.

    What upstreams differ in: ``max_tokens_field`` names the limit of the answer; if it is refused, the other is
    tried and kept. ``stream_options`` asks for usage. ``developer_role`` keeps the role ``developer``, which most know
    only as ``system``. ``named_tool_choice`` demands a single function by its name; without it that function is the
    only one sent and ``required`` (llama.cpp takes a name for ``auto``). ``send_reasoning`` gives earlier thoughts back
    as ``reasoning_content``.

    ``connect_timeout`` and ``idle_timeout`` are in seconds; the second bounds each silence, that before the first byte
    included.
    """

    base_url: str
    api_key: str | None = None
    model: str | None = None
    api_version: str | None = None
    headers: dict[str, str] = {}
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    stream_options: bool = True
    developer_role: bool = False
    named_tool_choice: bool = True
    send_reasoning: bool = False
    connect_timeout: Seconds = 10.0
    idle_timeout: Seconds = 600.0
