"""What an operator says about an OpenAI-compatible upstream."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from antiphon.backends.upstream.hints import Wish

Seconds = Annotated[float, Meta(gt=0)]
ThinkTags = Literal["auto", "open", "off"]
ReasoningField = Literal["reasoning_content", "reasoning", "reasoning_details", "think_tags"]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a deployment with ``backend = "chat_completions"``.

    ``base_url`` is what stands before ``/chat/completions``. ``model`` is what the upstream is asked for. With an
    ``api_version`` the upstream is Azure's: the version joins the URL and the key travels as ``api-key``.

    What upstreams differ in: ``max_tokens_field`` names the limit of the answer; if it is refused, the other is
    tried and kept. ``stream_options`` asks for usage. ``developer_role`` keeps the role ``developer``, which most know
    only as ``system``. ``named_tool_choice`` demands a single function by its name; without it that function is the
    only one sent and ``required`` (llama.cpp takes a name for ``auto``).

    Reasoning: ``think_tags`` looks for a thought in tags at the very beginning of the answer (``auto``), or takes the
    answer to begin inside of one (``open``). ``send_reasoning`` gives earlier thoughts back, in the form that
    ``reasoning_field`` names, unless the upstream refuses them.

    ``hints`` names the hints of a request that go on to the upstream; one that is refused is left out from then on.
    ``grammars = "pattern"`` turns the grammar of a custom tool into a pattern in a strict schema. ``tokenizer`` names
    the API that counts the tokens of a prompt.

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
    think_tags: ThinkTags = "auto"
    send_reasoning: bool = True
    reasoning_field: ReasoningField = "reasoning_content"
    hints: Wish = ("user",)
    grammars: Literal["off", "pattern"] = "off"
    tokenizer: Literal["none", "vllm", "llama.cpp"] = "none"
    connect_timeout: Seconds = 10.0
    idle_timeout: Seconds = 600.0
