"""``[[image_deployments]]`` with ``backend = "images"``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

MIB = 1_048_576
Seconds = Annotated[float, Meta(gt=0)]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an image deployment that speaks the images API.

    ``base_url`` is what stands before ``/images/generations``. The server is asked for ``model``, without it for the
    deployment's name, or for ``*`` for what the request names. With ``api_version`` it is spoken to as Azure is.
    ``response_format`` is sent where it is given: servers of older models send URLs unless asked for ``b64_json``. A
    picture takes ``timeout`` seconds at most, of which the server may be silent for ``idle_timeout`` once it has begun
    to answer; it is at most ``max_image_mib`` MiB long.
    """

    name: str
    base_url: Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+[^\s?#]*\Z")]
    backend: Literal["images"] = "images"
    api_key: str | None = None
    api_version: str | None = None
    model: str | None = None
    headers: dict[str, str] = {}
    response_format: Literal["b64_json", "url"] | None = None
    timeout: Seconds = 300
    idle_timeout: Seconds = 180
    max_image_mib: Annotated[int, Meta(ge=1, le=256)] = 32

    @property
    def image_bytes(self) -> int:
        """How long a picture may be."""
        return self.max_image_mib * MIB

    @property
    def body_bytes(self) -> int:
        """How long an answer may be that holds one picture in base64."""
        return self.image_bytes * 4 // 3 + MIB
