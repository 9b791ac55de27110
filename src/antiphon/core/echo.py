"""What a response says of the request that made it: everything that was asked, and what holds where nothing was said.

Defaults and rewritings are the live service's, as recorded; secrets come back as ``<redacted>``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from antiphon.protocol.calls import ToolSearchOutput
from antiphon.protocol.content import InputText
from antiphon.protocol.items import AdditionalTools, Item
from antiphon.protocol.response import CacheOptions, ConversationRef, ImageSettings, Response
from antiphon.protocol.settings import FormatJsonSchema, FormatText, Reasoning, TextConfig
from antiphon.protocol.strictness import Schema, strict_compatible
from antiphon.protocol.tool_settings import (
    CodeContainer,
    CustomText,
    NetworkAllowlist,
    NetworkPolicy,
    RankingOptions,
    ShellContainer,
    UserLocation,
)
from antiphon.protocol.tools import (
    CodeInterpreterTool,
    CustomTool,
    FileSearchTool,
    FunctionTool,
    ImageGenerationTool,
    McpTool,
    NamespaceTool,
    ShellTool,
    Tool,
    ToolSearchTool,
    WebSearchPreviewTool,
    WebSearchTool,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.protocol.parts import Json
    from antiphon.protocol.prompt import PromptConfig
    from antiphon.protocol.request import CacheRequest, CreateResponse
    from antiphon.protocol.settings import TextFormat

REDACTED = "<redacted>"

_SECRET_KEYS = frozenset(("authorization", "headers", "tools"))

_DEFAULT_LOCATION = UserLocation(country="US")
_NO_PARAMETERS: Schema = {"type": "object", "properties": {}}


def opened(
    request: CreateResponse, *, id: str, created_at: int, model: str, preface: list[Item] | None = None
) -> Response:
    """Make the response that a run starts from: ``in_progress``, empty, with every setting of the request echoed.

    ``created_at`` is in unix seconds; ``model`` is the model that answers, whatever the request called it.
    ``preface`` are the messages of a prompt template, which stand for the instructions.
    """
    opening = Response(
        id=id,
        created_at=created_at,
        model=model,
        status="in_progress",
        background=bool(request.background),
        store=request.store is not False,
        instructions=preface or request.instructions or None,
        previous_response_id=request.previous_response_id,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        parallel_tool_calls=request.parallel_tool_calls is not False,
        reasoning=request.reasoning or Reasoning(),
        text=_text(request.text or TextConfig()),
        tool_choice=request.tool_choice or "auto",
        tools=[echoed(tool) for tool in request.tools],
        truncation=request.truncation or "disabled",
        user=request.user,
        metadata=request.metadata,
        safety_identifier=request.safety_identifier,
        prompt_cache_key=request.prompt_cache_key,
        prompt_cache_retention="24h" if request.prompt_cache_retention == "24h" else "in_memory",
    )
    return _with_optional(_with_sampling(opening, request), request)


def echoed(tool: Tool) -> Tool:
    """Say a tool as the live service says it back: defaults written out, secrets redacted."""
    match tool:
        case FunctionTool():
            return echoed_function(tool)
        case CustomTool():
            return _custom(tool)
        case NamespaceTool():
            members = [
                echoed_function(each) if isinstance(each, FunctionTool) else _custom(each) for each in tool.tools
            ]
            return replace(tool, tools=members)
        case ToolSearchTool():
            return replace(tool, execution=tool.execution or "server")
        case _:
            return _hosted(tool)


def without_secrets(item: Item) -> Item:
    """Say an item as it may be stored: the tools that it brings as they are echoed. Only a run sees their secrets."""
    match item:
        case AdditionalTools() | ToolSearchOutput():
            return replace(item, tools=[echoed(tool) for tool in item.tools])
        case _:
            return item


def without_secret_keys(extras: Mapping[str, Json]) -> dict[str, Json]:
    """What a caller added to an item, as it may be stored: without the keys under which tools bring their secrets."""
    return {key: value for key, value in extras.items() if key not in _SECRET_KEYS}


def _with_sampling(response: Response, request: CreateResponse) -> Response:
    return replace(
        response,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        top_logprobs=request.top_logprobs or 0,
    )


def _with_optional(response: Response, request: CreateResponse) -> Response:
    """Add what stands in a response only where the request used it."""
    return replace(
        response,
        conversation=_conversation(request.conversation),
        prompt=_prompt(request.prompt),
        prompt_cache_options=_cache(request.prompt_cache_options),
        image=_image(request.image),
        access_programs=request.access_programs or UNSET,
    )


def _image(settings: ImageSettings | None) -> ImageSettings | UnsetType:
    """What ``auto`` came to: images are kept as they are."""
    match settings:
        case None:
            return UNSET
        case ImageSettings(context_compression="auto"):
            return ImageSettings(context_compression="disabled")
        case _:
            return settings


def _conversation(conversation: str | ConversationRef | None) -> ConversationRef | UnsetType:
    match conversation:
        case None:
            return UNSET
        case str():
            return ConversationRef(id=conversation)
        case _:
            return conversation


def _prompt(prompt: PromptConfig | None) -> PromptConfig | UnsetType:
    if prompt is None:
        return UNSET
    if prompt.variables is None:
        return prompt
    parts = {
        name: InputText(text=value) if isinstance(value, str) else value for name, value in prompt.variables.items()
    }
    return replace(prompt, variables=parts)


def _cache(options: CacheRequest | None) -> CacheOptions | UnsetType:
    if options is None:
        return UNSET
    compared = options.comparison_response_id or UNSET
    return CacheOptions(
        mode=options.mode or "implicit",
        ttl=options.ttl or "30m",
        comparison_response_id=compared,
    )


def _text(text: TextConfig) -> TextConfig:
    return TextConfig(format=_format(text.format or FormatText()), verbosity=text.verbosity or "medium")


def _format(form: TextFormat) -> TextFormat:
    match form:
        case FormatJsonSchema():
            schema = {key: value for key, value in form.schema_.items() if key != "$schema"}
            return replace(form, schema_=schema, strict=form.strict is not False)
        case _:
            return form


def echoed_function(tool: FunctionTool) -> FunctionTool:
    """Say a function back with ``strict`` decided: as asked; where nothing was asked, as the schema allows."""
    parameters = dict(_NO_PARAMETERS) if tool.parameters == {} else tool.parameters
    strict = tool.strict
    if strict is UNSET:
        strict = parameters is not None and strict_compatible(parameters)
    return replace(tool, parameters=parameters, strict=bool(strict))


def _hosted(tool: Tool) -> Tool:
    match tool:
        case McpTool():
            return _mcp(tool)
        case FileSearchTool():
            ranking = tool.ranking_options or RankingOptions()
            return replace(tool, max_num_results=tool.max_num_results or 20, ranking_options=ranking)
        case WebSearchTool():
            return _web_search(tool)
        case WebSearchPreviewTool():
            return _web_search_preview(tool)
        case ImageGenerationTool():
            return _image_generation(tool)
        case CodeInterpreterTool(container=CodeContainer() as container):
            return replace(tool, container=_code_container(container))
        case ShellTool(environment=ShellContainer() as container):
            policy = _network(container.network_policy)
            return replace(tool, environment=replace(container, network_policy=policy))
        case _:
            return tool


def _custom(tool: CustomTool) -> CustomTool:
    return replace(tool, format=tool.format or CustomText())


def _mcp(tool: McpTool) -> McpTool:
    return replace(
        tool,
        authorization=REDACTED if tool.authorization else tool.authorization,
        headers=None if tool.headers is None else dict.fromkeys(tool.headers, REDACTED),
        require_approval=tool.require_approval or "always",
    )


def _web_search(tool: WebSearchTool) -> WebSearchTool:
    return replace(
        tool,
        user_location=tool.user_location or _DEFAULT_LOCATION,
        search_context_size=tool.search_context_size or "medium",
        search_content_types=tool.search_content_types or ["text"],
        return_token_budget=tool.return_token_budget or "default",
    )


def _web_search_preview(tool: WebSearchPreviewTool) -> WebSearchPreviewTool:
    return replace(
        tool,
        user_location=tool.user_location or _DEFAULT_LOCATION,
        search_context_size=tool.search_context_size or "medium",
        search_content_types=tool.search_content_types or ["text"],
    )


def _image_generation(tool: ImageGenerationTool) -> ImageGenerationTool:
    return replace(
        tool,
        n=tool.n or 1,
        background=tool.background or "auto",
        moderation=tool.moderation or "auto",
        output_compression=100 if tool.output_compression is None else tool.output_compression,
        output_format=tool.output_format or "png",
        quality=tool.quality or "auto",
        size=tool.size or "auto",
        input_image_mask=UNSET,
        input_fidelity=UNSET,
        partial_images=UNSET,
    )


def _code_container(container: CodeContainer) -> CodeContainer:
    return replace(container, memory_limit=UNSET, network_policy=_network(container.network_policy))


def _network(policy: NetworkPolicy | None | UnsetType) -> NetworkPolicy | None | UnsetType:
    match policy:
        case NetworkAllowlist(domain_secrets=list() as secrets):
            return replace(policy, domain_secrets=[replace(secret, value=REDACTED) for secret in secrets])
        case _:
            return policy
