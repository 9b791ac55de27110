"""Tools: what a request lets a model use, and how it may choose among them.

A field that is None by default is always in the echo; one that is ``UNSET`` by default is echoed only where it was sent.
A null that a client sends means the same as a missing key, but for a function's ``strict``, where it means false. Keys
that are not named here are ignored. Source: Responses API reference, sections 4.1 and 4.3.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from antiphon.protocol.parts import Tagged

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_-]+\Z")]
NamespaceName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+\Z")]
TunnelId = Annotated[str, Meta(pattern=r"^tunnel_[a-z0-9]{32}\Z")]
Fraction = Annotated[float, Meta(ge=0, le=1)]
FileIds = Annotated[list[str], Meta(max_length=50)]
SkillZip = Annotated[str, Meta(max_length=70_254_592)]

Callers = Annotated[list[Literal["direct", "programmatic"]], Meta(min_length=1)]
SearchContextSize = Literal["low", "medium", "high"]
MemoryLimit = Literal["1g", "4g", "16g", "64g"]
ConnectorId = Literal[
    "connector_dropbox",
    "connector_gmail",
    "connector_googlecalendar",
    "connector_googledrive",
    "connector_microsoftteams",
    "connector_outlookcalendar",
    "connector_outlookemail",
    "connector_sharepoint",
]


class Typed(Tagged, frozen=True, kw_only=True):
    """Any tool or choice of a tool, told apart by its ``type``."""

    @property
    def type(self) -> str:
        """The ``type`` on the wire, dated names included."""
        return str(self.__struct_config__.tag)


class FunctionTool(Typed, frozen=True, kw_only=True, tag="function", rename={"async_": "async"}):
    """A function that the client runs. ``parameters`` and ``output_schema`` are JSON Schemas.

    ``strict`` missing means: strict if the schema allows it (`antiphon.protocol.strictness`); null means false.
    """

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None  # JSON Schema is open
    strict: bool | None | UnsetType = UNSET
    output_schema: dict[str, Any] | None = None  # JSON Schema is open
    defer_loading: bool | None | UnsetType = UNSET
    allowed_callers: Callers | None | UnsetType = UNSET
    async_: bool | None | UnsetType = UNSET


class CustomText(Tagged, frozen=True, kw_only=True, tag="text"):
    """Any text."""


class CustomGrammar(Tagged, frozen=True, kw_only=True, tag="grammar"):
    """Text that a grammar allows."""

    syntax: Literal["lark", "regex"]
    definition: str


class CustomTool(Typed, frozen=True, kw_only=True, tag="custom", rename={"async_": "async"}):
    """A tool of the client's that takes free text."""

    name: Name
    description: str | None | UnsetType = UNSET
    format: CustomText | CustomGrammar | None = None
    defer_loading: bool | None | UnsetType = UNSET
    allowed_callers: Callers | None | UnsetType = UNSET
    async_: bool | None | UnsetType = UNSET


class NamespaceTool(Typed, frozen=True, kw_only=True, tag="namespace"):
    """Functions and custom tools under one name."""

    name: NamespaceName
    description: str
    tools: Annotated[list[FunctionTool | CustomTool], Meta(min_length=1)]


class ToolSearchTool(Typed, frozen=True, kw_only=True, tag="tool_search"):
    """Lets the model look for tools whose loading is deferred; ``parameters`` is for a search that the client runs."""

    execution: Literal["server", "client"] | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None  # JSON Schema is open


class McpToolFilter(Struct, frozen=True, kw_only=True):
    """Some tools of an MCP server: those named, and those that only read (or do not)."""

    tool_names: list[str] | None | UnsetType = UNSET
    read_only: bool | None = None


class McpApproval(Struct, frozen=True, kw_only=True):
    """Which tools of an MCP server a person must consent to."""

    always: McpToolFilter | None | UnsetType = UNSET
    never: McpToolFilter | None | UnsetType = UNSET


class McpTool(Typed, frozen=True, kw_only=True, tag="mcp"):
    """The tools of an MCP server, at a URL, behind a connector or through a tunnel.

    ``headers`` and ``authorization`` are secrets: they are never stored, logged or echoed.
    """

    server_label: Annotated[str, Meta(min_length=1)]
    server_url: str | None | UnsetType = UNSET
    connector_id: ConnectorId | None | UnsetType = UNSET
    tunnel_id: TunnelId | None | UnsetType = UNSET
    authorization: str | None | UnsetType = UNSET
    headers: dict[str, str] | None = None
    allowed_tools: list[str] | McpToolFilter | None = None
    require_approval: Literal["always", "never"] | McpApproval | None = None
    server_description: str | None = None
    defer_loading: bool | None | UnsetType = UNSET
    allowed_callers: Callers | None | UnsetType = UNSET


class SearchFilter(Struct, frozen=True, kw_only=True):
    """A condition on the attributes of files: a comparison (``key``, ``value``), or a compound (``filters``)."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "and", "or"]
    key: str | UnsetType = UNSET
    value: str | float | bool | list[str | float] | UnsetType = UNSET
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


class FileSearchTool(Typed, frozen=True, kw_only=True, tag="file_search"):
    """A search of vector stores."""

    vector_store_ids: list[str]
    filters: SearchFilter | None = None
    max_num_results: Annotated[int, Meta(ge=1, le=50)] | None = None
    ranking_options: RankingOptions | None = None


class UserLocation(Tagged, frozen=True, kw_only=True, tag="approximate"):
    """Roughly where the user is: two-letter country, IANA time zone."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class WebSearchFilters(Struct, frozen=True, kw_only=True):
    """The only domains that a search may use, subdomains included."""

    allowed_domains: list[str] | None = None


class WebSearchTool(Typed, frozen=True, kw_only=True, tag="web_search"):
    """A search of the web. Without ``external_web_access`` only what is cached is read."""

    filters: WebSearchFilters | None = None
    search_context_size: SearchContextSize | None = None
    user_location: UserLocation | None = None
    external_web_access: bool | None | UnsetType = UNSET
    search_content_types: list[Literal["text", "image"]] | None | UnsetType = UNSET
    return_token_budget: str | None | UnsetType = UNSET


class WebSearchToolDated(WebSearchTool, frozen=True, kw_only=True, tag="web_search_2025_08_26"):
    """The same under its dated name."""


class WebSearchPreviewTool(Typed, frozen=True, kw_only=True, tag="web_search_preview"):
    """The older search of the web."""

    search_content_types: list[Literal["text", "image"]] | None = None
    search_context_size: SearchContextSize | None = None
    user_location: UserLocation | None = None


class WebSearchPreviewToolDated(WebSearchPreviewTool, frozen=True, kw_only=True, tag="web_search_preview_2025_03_11"):
    """The same under its dated name."""


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


class CodeInterpreterTool(Typed, frozen=True, kw_only=True, tag="code_interpreter"):
    """Runs Python, in a container by id or in a new one."""

    container: str | CodeContainer
    allowed_callers: Callers | None | UnsetType = UNSET


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


class ImageGenerationTool(Typed, frozen=True, kw_only=True, tag="image_generation"):
    """Makes and edits images. ``size`` is ``auto`` or ``WIDTHxHEIGHT`` in pixels."""

    model: str | None | UnsetType = UNSET
    action: Literal["generate", "edit", "auto"] | None | UnsetType = UNSET
    n: int | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    moderation: Literal["auto", "low"] | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | None = None
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | None = None
    size: Annotated[str, Meta(pattern=r"^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})\Z")] | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None | UnsetType = UNSET
    input_fidelity: Literal["high", "low"] | None | UnsetType = UNSET
    input_image_mask: ImageMask | None | UnsetType = UNSET
    complexity: Literal["low", "medium", "high"] | None | UnsetType = UNSET
    frame_count: Annotated[int, Meta(ge=1)] | None | UnsetType = UNSET
    frame_duration_ms: Annotated[int, Meta(ge=1)] | None | UnsetType = UNSET
    svg: SvgAuthor | None | UnsetType = UNSET


class ComputerTool(Typed, frozen=True, kw_only=True, tag="computer"):
    """A computer that the client moves."""


class ComputerUsePreviewTool(Typed, frozen=True, kw_only=True, tag="computer_use_preview"):
    """The older computer tool, with its display in pixels."""

    display_width: int
    display_height: int
    environment: Literal["windows", "mac", "linux", "ubuntu", "browser"]


class LocalShellTool(Typed, frozen=True, kw_only=True, tag="local_shell"):
    """The older shell of the client's."""


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


class ShellTool(Typed, frozen=True, kw_only=True, tag="shell"):
    """A shell, the client's or one in a container."""

    environment: ShellContainer | ShellLocal | ShellContainerReference | None | UnsetType = UNSET
    allowed_callers: Callers | None | UnsetType = UNSET


class ApplyPatchTool(Typed, frozen=True, kw_only=True, tag="apply_patch"):
    """Changes to files that the client makes."""

    allowed_callers: Callers | None | UnsetType = UNSET


class ProgrammaticToolCallingTool(Typed, frozen=True, kw_only=True, tag="programmatic_tool_calling"):
    """Lets the model write a program that calls tools."""


Tool = (
    FunctionTool
    | CustomTool
    | NamespaceTool
    | ToolSearchTool
    | McpTool
    | FileSearchTool
    | WebSearchTool
    | WebSearchToolDated
    | WebSearchPreviewTool
    | WebSearchPreviewToolDated
    | CodeInterpreterTool
    | ImageGenerationTool
    | ComputerTool
    | ComputerUsePreviewTool
    | LocalShellTool
    | ShellTool
    | ApplyPatchTool
    | ProgrammaticToolCallingTool
)
