"""``[[image_deployments]]`` with ``backend = "svg"``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an image deployment that draws in SVG.

    ``deployment`` names the language model that writes, one of ``[[deployments]]``; without it the model that answers
    the request does. It is given ``max_output_tokens`` for each of its attempts, and ``timeout`` seconds for all.
    """

    name: str
    backend: Literal["svg"] = "svg"
    deployment: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=16)] = 1500
    timeout: Annotated[float, Meta(gt=0)] = 600
