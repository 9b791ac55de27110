"""What tools are set up with: filters, locations, containers, skills, images.

A null that a client sends means the same as a missing key.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from antiphon.protocol.parts import Tagged

Fraction = Annotated[float, Meta(ge=0, le=1)]
FileIds = Annotated[list[str], Meta(max_length=50)]
SkillZip = Annotated[str, Meta(max_length=70_254_592)]
MemoryLimit = Literal["1g", "4g", "16g", "64g"]


class CustomText(Tagged, frozen=True, kw_only=True, tag="text"):
    """Any text."""


class CustomGrammar(Tagged, frozen=True, kw_only=True, tag="grammar"):
    """Text that a grammar allows."""

    syntax: Literal["lark", "regex"]
    definition: str


class McpToolFilter(Struct, frozen=True, kw_only=True):
    """Some tools of an MCP server: those named, and those that only read (or do not)."""

    tool_names: list[str] | None | UnsetType = UNSET
    read_only: bool | None = None


class McpApproval(Struct, frozen=True, kw_only=True):
    """Which tools of an MCP server a person must consent to."""

    always: McpToolFilter | None | UnsetType = UNSET
    never: McpToolFilter | None | UnsetType = UNSET


class SearchFilter(Struct, frozen=True, kw_only=True):
    """A condition on the attributes of files: a comparison (``key``, ``value``), or a compound (``filters``)."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "and", "or"]
    key: str | UnsetType = UNSET
    value: str | int | float | bool | list[str | int | float] | UnsetType = UNSET
    filters: list[SearchFilter] | UnsetType = UNSET

    def __post_init__(self) -> None:
        needed = {"filters": self.filters} if self.type in ("and", "or") else {"key": self.key, "value": self.value}
        for name, value in needed.items():
            if value is UNSET:
                msg = f"Object missing required field `{name}`"
                raise ValueError(msg)


class HybridSearch(Struct, frozen=True, kw_only=True):
    """How much meaning and how much wording weigh in a search."""

    embedding_weight: float
    text_weight: float


class RankingOptions(Struct, frozen=True, kw_only=True):
    """How passages are ranked, and the score (0 to 1) below which they are left out."""

    ranker: Literal["auto", "default-2024-11-15"] = "auto"
    score_threshold: Fraction = 0.0
    hybrid_search: HybridSearch | None | UnsetType = UNSET


class UserLocation(Tagged, frozen=True, kw_only=True, tag="approximate"):
    """Roughly where the user is: two-letter country, IANA time zone."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class WebSearchFilters(Struct, frozen=True, kw_only=True):
    """The only domains that a search may use, subdomains included."""

    allowed_domains: list[str] | None = None


class DomainSecret(Struct, frozen=True, kw_only=True):
    """A secret that a container may send to one domain."""

    domain: str
    name: str
    value: str


class NetworkDisabled(Tagged, frozen=True, kw_only=True, tag="disabled"):
    """No network."""


class NetworkAllowlist(Tagged, frozen=True, kw_only=True, tag="allowlist"):
    """Some domains only."""

    allowed_domains: list[str]
    domain_secrets: list[DomainSecret] | None | UnsetType = UNSET


NetworkPolicy = NetworkDisabled | NetworkAllowlist


class CodeContainer(Tagged, frozen=True, kw_only=True, tag="auto"):
    """A container that the server makes for the code."""

    file_ids: FileIds | None | UnsetType = UNSET
    memory_limit: MemoryLimit | None | UnsetType = UNSET
    network_policy: NetworkPolicy | None | UnsetType = UNSET


class SkillReference(Tagged, frozen=True, kw_only=True, tag="skill_reference"):
    """A skill that the server keeps."""

    skill_id: Annotated[str, Meta(min_length=1, max_length=64)]
    version: str | None | UnsetType = UNSET


class SkillSource(Tagged, frozen=True, kw_only=True, tag="base64"):
    """A zipped folder in base64."""

    data: SkillZip
    media_type: Literal["application/zip"]


class InlineSkill(Tagged, frozen=True, kw_only=True, tag="inline"):
    """A skill that comes with the request."""

    name: str
    description: str
    source: SkillSource


class LocalSkill(Struct, frozen=True, kw_only=True):
    """A skill on the client's machine."""

    name: str
    description: str
    path: str


class ShellContainer(Tagged, frozen=True, kw_only=True, tag="container_auto"):
    """A container that the server makes for the shell."""

    file_ids: FileIds | None | UnsetType = UNSET
    memory_limit: MemoryLimit | None | UnsetType = UNSET
    network_policy: NetworkPolicy | None | UnsetType = UNSET
    skills: Annotated[list[SkillReference | InlineSkill], Meta(max_length=200)] | None | UnsetType = UNSET


class ShellLocal(Tagged, frozen=True, kw_only=True, tag="local"):
    """The client's machine."""

    skills: Annotated[list[LocalSkill], Meta(max_length=200)] | None | UnsetType = UNSET


class ShellContainerReference(Tagged, frozen=True, kw_only=True, tag="container_reference"):
    """A container of the server's, by its id."""

    container_id: str


class ImageMask(Struct, frozen=True, kw_only=True):
    """Which part of an image may change: a data URL, or an uploaded file."""

    image_url: str | None | UnsetType = UNSET
    file_id: str | None | UnsetType = UNSET


class SvgReasoning(Struct, frozen=True, kw_only=True):
    """How hard the author of a drawing thinks."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None | UnsetType = UNSET


class SvgAuthor(Struct, frozen=True, kw_only=True):
    """Who writes a drawing in SVG."""

    model: str | None | UnsetType = UNSET
    reasoning: SvgReasoning | None | UnsetType = UNSET
