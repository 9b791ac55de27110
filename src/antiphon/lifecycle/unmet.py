"""What a request asks for that this server does not do: what has no effect is named, and the rest is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.compaction import threshold
from antiphon.protocol.calls import McpListTools
from antiphon.protocol.errors import forbidden, invalid_request
from antiphon.protocol.items import AdditionalTools, ConfigurationUpdate, ReasoningItem
from antiphon.protocol.tools import McpTool

if TYPE_CHECKING:
    from antiphon.engine.task import Task
    from antiphon.lifecycle import Deployment
    from antiphon.protocol.errors import ApiError
    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.tools import Tool

_SILENT: frozenset[type] = frozenset({AdditionalTools, ConfigurationUpdate, McpListTools, ReasoningItem})
"""Tools and settings are nothing that a model could answer, nor is a thought alone."""


def says_nothing(task: Task) -> bool:
    """Whether a task gives a model nothing to answer. One that only prepares may have tools and settings alone."""
    kinds: set[type] = {type(item) for item in task.turn.items}
    is_silent = kinds <= _SILENT if task.purpose == "answer" else not kinds
    return is_silent and task.turn.instructions is None


def refuse_what_is_missing(request: CreateResponse) -> None:
    """Refuse what cannot be left out without changing what the request means. Raises ``ApiError``."""
    programs = request.access_programs
    if programs is not None and programs.cyber != "standard":
        raise forbidden(f"The access program '{programs.cyber}' is not available on this server.")


def nothing_said() -> ApiError:
    """A request that gives a model nothing to answer."""
    return invalid_request(
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
        param="input",
        code="missing_required_parameter",
    )


def without_effect(request: CreateResponse, deployment: Deployment, *, is_remembered: bool) -> list[str]:
    """The parameters that were understood and have no effect here; hints that are only echoed are none of them.

    ``is_remembered``: it came over a connection that remembers, for which some of them are.
    """
    return [
        name
        for name, is_asked in (
            ("background_options", request.background_options is not None),
            (
                "context_management",
                request.context_management is not None and threshold(request, deployment.context_window) is None,
            ),
            ("generate", request.generate is False and not is_remembered),
            ("prompt_cache_options.prewarm", _is_prewarmed(request)),
            ("moderation", request.moderation is not None),
            ("stream_id", request.stream_id is not None and not is_remembered),
            ("tools[mcp].allowed_callers", any(_is_restricted(tool) for tool in request.tools)),
        )
        if is_asked
    ]


def _is_prewarmed(request: CreateResponse) -> bool:
    return request.prompt_cache_options is not None and request.prompt_cache_options.prewarm is True


def _is_restricted(tool: Tool) -> bool:
    """Whether a tool of a server shall not be called by the model itself."""
    return isinstance(tool, McpTool) and isinstance(tool.allowed_callers, list) and "direct" not in tool.allowed_callers
