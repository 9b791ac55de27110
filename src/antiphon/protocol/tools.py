"""Tools: what a request lets a model use, and how it may choose among them.

A field that is None by default is always echoed; one that is ``UNSET`` by default is echoed only where it was sent.
A null that a client sends means the same as a missing key, but for a function's ``strict``, where it means false. Keys
that are not named here are ignored. Source: Responses API reference, sections 4.1 and 4.3.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from antiphon.protocol.parts import Tagged
from antiphon.protocol.tool_settings import (
    CodeContainer,
    CustomGrammar,
    CustomText,
    ImageMask,
    McpApproval,
    McpToolFilter,
    RankingOptions,
    SearchFilter,
    ShellContainer,
    ShellContainerReference,
    ShellLocal,
    SvgAuthor,
    UserLocation,
    WebSearchFilters,
)

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_-]+\Z")]
NamespaceName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+\Z")]
TunnelId = Annotated[str, Meta(pattern=r"^tunnel_[a-z0-9]{32}\Z")]
Side = Annotated[int, Meta(ge=1, le=32_768)]
"""Of a display, in pixels."""
Callers = Annotated[list[Literal["direct", "programmatic"]], Meta(min_length=1)]
SearchContextSize = Literal["low", "medium", "high"]
SearchContentTypes = list[Literal["text", "image"]]
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


class FileSearchTool(Typed, frozen=True, kw_only=True, tag="file_search"):
    """A search of vector stores."""

    vector_store_ids: list[str]
    filters: SearchFilter | None = None
    max_num_results: Annotated[int, Meta(ge=1, le=50)] | None = None
    ranking_options: RankingOptions | None = None


class WebSearchTool(Typed, frozen=True, kw_only=True, tag="web_search"):
    """A search of the web. Without ``external_web_access`` only what is cached is read."""

    filters: WebSearchFilters | None = None
    search_context_size: SearchContextSize | None = None
    user_location: UserLocation | None = None
    external_web_access: bool | None | UnsetType = UNSET
    search_content_types: SearchContentTypes | None | UnsetType = UNSET
    return_token_budget: str | None | UnsetType = UNSET


class WebSearchToolDated(WebSearchTool, frozen=True, kw_only=True, tag="web_search_2025_08_26"):
    """The same under its dated name."""


class WebSearchPreviewTool(Typed, frozen=True, kw_only=True, tag="web_search_preview"):
    """The older search of the web."""

    search_content_types: SearchContentTypes | None = None
    search_context_size: SearchContextSize | None = None
    user_location: UserLocation | None = None


class WebSearchPreviewToolDated(WebSearchPreviewTool, frozen=True, kw_only=True, tag="web_search_preview_2025_03_11"):
    """The same under its dated name."""


class CodeInterpreterTool(Typed, frozen=True, kw_only=True, tag="code_interpreter"):
    """Runs Python, in a container by id or in a new one."""

    container: str | CodeContainer
    allowed_callers: Callers | None | UnsetType = UNSET


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

    display_width: Side
    display_height: Side
    environment: Literal["windows", "mac", "linux", "ubuntu", "browser"]


class LocalShellTool(Typed, frozen=True, kw_only=True, tag="local_shell"):
    """The older shell of the client's."""


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


class ToolChoiceFunction(Typed, frozen=True, kw_only=True, tag="function"):
    """The model must call this function; a member of a namespace is named with it."""

    name: str
    namespace: str | None | UnsetType = UNSET


class ToolChoiceCustom(Typed, frozen=True, kw_only=True, tag="custom"):
    """The model must call this custom tool; a member of a namespace is named with it."""

    name: str
    namespace: str | None | UnsetType = UNSET


class ToolChoiceMcp(Typed, frozen=True, kw_only=True, tag="mcp"):
    """The model must call a tool of this MCP server, or this one tool of it."""

    server_label: str
    name: str | None | UnsetType = UNSET


class AllowedTool(Struct, frozen=True, kw_only=True):
    """One of the tools that the model may choose from: by name, by server label, or a hosted one by its type alone."""

    type: str
    name: str | UnsetType = UNSET
    server_label: str | UnsetType = UNSET


class ToolChoiceAllowed(Typed, frozen=True, kw_only=True, tag="allowed_tools"):
    """The only tools of the request that the model may call, and whether it must call one."""

    mode: Literal["auto", "required"]
    tools: list[AllowedTool]


class ToolChoiceHosted(Typed, frozen=True, kw_only=True):
    """The model must call the tool of this ``type``; one subclass a type."""


class ToolChoiceFileSearch(ToolChoiceHosted, frozen=True, kw_only=True, tag="file_search"):
    """Search the vector stores."""


class ToolChoiceWebSearch(ToolChoiceHosted, frozen=True, kw_only=True, tag="web_search"):
    """Search the web."""


class ToolChoiceWebSearchDated(ToolChoiceHosted, frozen=True, kw_only=True, tag="web_search_2025_08_26"):
    """Search the web, by the tool's dated name."""


class ToolChoiceWebSearchPreview(ToolChoiceHosted, frozen=True, kw_only=True, tag="web_search_preview"):
    """Search the web with the older tool."""


class ToolChoiceWebSearchPreviewDated(ToolChoiceHosted, frozen=True, kw_only=True, tag="web_search_preview_2025_03_11"):
    """Search the web with the older tool, by its dated name."""


class ToolChoiceCodeInterpreter(ToolChoiceHosted, frozen=True, kw_only=True, tag="code_interpreter"):
    """Run code."""


class ToolChoiceImageGeneration(ToolChoiceHosted, frozen=True, kw_only=True, tag="image_generation"):
    """Make an image."""


class ToolChoiceComputer(ToolChoiceHosted, frozen=True, kw_only=True, tag="computer"):
    """Use the computer."""


class ToolChoiceComputerUse(ToolChoiceHosted, frozen=True, kw_only=True, tag="computer_use"):
    """Use the computer, by another of its names."""


class ToolChoiceComputerUsePreview(ToolChoiceHosted, frozen=True, kw_only=True, tag="computer_use_preview"):
    """Use the computer with the older tool."""


class ToolChoiceShell(ToolChoiceHosted, frozen=True, kw_only=True, tag="shell"):
    """Use the shell."""


class ToolChoiceApplyPatch(ToolChoiceHosted, frozen=True, kw_only=True, tag="apply_patch"):
    """Change files."""


class ToolChoiceProgrammaticToolCalling(ToolChoiceHosted, frozen=True, kw_only=True, tag="programmatic_tool_calling"):
    """Write a program that calls tools."""


ToolChoiceMode = Literal["none", "auto", "required"]

ToolChoice = (
    ToolChoiceMode
    | ToolChoiceFunction
    | ToolChoiceCustom
    | ToolChoiceMcp
    | ToolChoiceAllowed
    | ToolChoiceFileSearch
    | ToolChoiceWebSearch
    | ToolChoiceWebSearchDated
    | ToolChoiceWebSearchPreview
    | ToolChoiceWebSearchPreviewDated
    | ToolChoiceCodeInterpreter
    | ToolChoiceImageGeneration
    | ToolChoiceComputer
    | ToolChoiceComputerUse
    | ToolChoiceComputerUsePreview
    | ToolChoiceShell
    | ToolChoiceApplyPatch
    | ToolChoiceProgrammaticToolCalling
)
