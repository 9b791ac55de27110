"""What a request asks for that this server does not do: what has no effect is named, and the rest is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.protocol.calls import ToolSearchOutput
from antiphon.protocol.errors import invalid_request
from antiphon.protocol.items import AdditionalTools, ConfigurationUpdate
from antiphon.protocol.refusals import conversation_not_found, prompt_not_found
from antiphon.protocol.tools import McpTool

if TYPE_CHECKING:
    from antiphon.protocol.errors import ApiError
    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.tools import Tool


def refuse_what_is_missing(request: CreateResponse) -> None:
    """Refuse what cannot be left out without changing what the request means. Raises ``ApiError``."""
    if request.conversation is not None:
        conversation = request.conversation
        raise conversation_not_found(conversation if isinstance(conversation, str) else conversation.id)
    if request.prompt is not None:
        raise prompt_not_found(request.prompt.id)


def nothing_said() -> ApiError:
    """A request that gives a model nothing to answer."""
    return invalid_request(
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
        param="input",
        code="missing_required_parameter",
    )


def without_effect(request: CreateResponse) -> list[str]:
    """The parameters that were understood and have no effect here; hints that are only echoed are none of them."""
    return [
        name
        for name, is_asked in (
            ("background_options", request.background_options is not None),
            ("context_management", request.context_management is not None),
            ("generate", request.generate is False),
            ("include[reasoning.encrypted_content]", "reasoning.encrypted_content" in request.include),
            ("moderation", request.moderation is not None),
            ("stream_id", request.stream_id is not None),
            ("tools[mcp].allowed_callers", any(_is_restricted(tool) for tool in request.tools)),
            (
                "tools[mcp].defer_loading",
                any(isinstance(tool, McpTool) and tool.defer_loading for tool in request.tools),
            ),
            ("truncation", request.truncation == "auto"),
            ("input[additional_tools]", any(isinstance(item, AdditionalTools) for item in request.input)),
            ("input[configuration_update]", any(isinstance(item, ConfigurationUpdate) for item in request.input)),
            ("input[tool_search_output]", any(isinstance(item, ToolSearchOutput) for item in request.input)),
        )
        if is_asked
    ]


def _is_restricted(tool: Tool) -> bool:
    """Whether a tool of a server shall not be called by the model itself."""
    return isinstance(tool, McpTool) and isinstance(tool.allowed_callers, list) and "direct" not in tool.allowed_callers
