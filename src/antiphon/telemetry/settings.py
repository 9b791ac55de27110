"""What an operator may say of logs, figures and traces. All but the logs are off until somebody asks for them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

LogLevel = Literal["debug", "info", "warning", "error"]


class Logs(Struct, frozen=True, forbid_unknown_fields=True):
    """``[logs]``: how much is logged, and whether what was said is."""

    level: LogLevel = "info"
    content: bool = False


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """``[metrics]``: whether figures are given, to whom and where."""

    enabled: bool = False
    key: Annotated[str, Meta(min_length=1)] | None = None
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    host: str = "127.0.0.1"


class Tracing(Struct, frozen=True, forbid_unknown_fields=True):
    """``[tracing]``: the collector that is told of spans."""

    endpoint: Annotated[str, Meta(pattern="^https?://[^/]+")] | None = None
    sample: Annotated[float, Meta(ge=0, le=1)] = 0.1
    headers: dict[str, str] = {}
    name: str = "antiphon"
    queue: Annotated[int, Meta(ge=1, le=1_000_000)] = 2048
    timeout_seconds: Annotated[float, Meta(gt=0, le=60)] = 5.0
