"""Refusals that come of what the server keeps and of what other servers answer, in the live service's words.

Source: Responses API reference, sections 1.6 and 6; where the words were recorded they are kept to the letter.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from antiphon.protocol.errors import (
    ApiError,
    ErrorObject,
    FilteredError,
    InnerError,
    azure_error,
    invalid_request,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.protocol.response import FilterVerdict

MOST_NAMED = 8
"""Of what a caller is told to be missing."""

# What is looked up


def model_not_found(name: str) -> ApiError:
    """No deployment has this name. Under ``/openai`` it is a 404 with Azure's words."""
    return ApiError(
        400,
        ErrorObject(
            message=f"The requested model '{shown(name)}' does not exist.", param="model", code="model_not_found"
        ),
        azure=deployment_not_found(),
    )


def deployment_not_found() -> ApiError:
    """No deployment has this name, in Azure's words."""
    return azure_error(
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
        "please wait a moment and try again.",
    )


def _absent(message: str, *, param: str | None = None) -> ApiError:
    return ApiError(404, ErrorObject(message=message, param=param))


def response_not_found(id: str) -> ApiError:
    """The response in the path is unknown, deleted, never kept or somebody else's."""
    return _absent(f"Response with id '{shown(id)}' not found.")


def previous_response_not_found(id: str) -> ApiError:
    """The response to go on from is unknown, deleted, never kept or somebody else's."""
    return invalid_request(
        f"Previous response with id '{shown(id)}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def previous_response_in_progress(id: str) -> ApiError:
    """The response to go on from still runs in the background."""
    return invalid_request(
        f"Previous response with id '{shown(id)}' is still in progress. Wait until it has ended.",
        param="previous_response_id",
        code="previous_response_in_progress",
    )


def conversation_not_found(id: str) -> ApiError:
    """The conversation is unknown, deleted or somebody else's."""
    return _absent(f"Conversation with id '{shown(id)}' not found.")


def conversation_item_not_found(id: str) -> ApiError:
    """The conversation holds no such item."""
    return _absent(f"Item with id '{shown(id)}' not found in conversation.")


def prompt_not_found(id: str, version: str | None = None) -> ApiError:
    """The template is unknown, or has no such version."""
    named = "" if version is None else f" and version '{shown(version)}'"
    return _absent(f"Prompt with id '{shown(id)}'{named} not found.", param="prompt")


def conversation_locked() -> ApiError:
    """Another response is being written into the conversation. The status makes official clients try again."""
    return ApiError(
        409,
        ErrorObject(
            message="Another process is currently operating on this conversation. Please retry in a few seconds.",
            param="conversation",
            code="conversation_locked",
        ),
    )


def item_not_found(id: str) -> ApiError:
    """An item of the input that stands for one that the server should know is not known."""
    return _absent(
        f"Item with id '{shown(id)}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input.",
        param="input",
    )


def file_not_found(id: str) -> ApiError:
    """The file is unknown, expired, deleted or somebody else's."""
    return _absent(f"No such File object: {shown(id)}", param="id")


# What the input holds, taken together


def no_output_for_call(call_id: str, *, kind: str = "function") -> ApiError:
    """A call waits for its output; ``kind`` names the tool in words, such as ``custom tool``."""
    return invalid_request(f"No tool output found for {kind} call {shown(call_id)}.", param="input")


def no_call_for_output(call_id: str, *, kind: str = "function") -> ApiError:
    """An output answers a call that nobody made."""
    return invalid_request(f"No tool call found for {kind} call output with call_id {shown(call_id)}.", param="input")


def unacknowledged(ids: list[str]) -> ApiError:
    """What a computer shows was sent without the leave of a person that was asked for."""
    first = [shown(id) for id in ids[:MOST_NAMED]]
    return invalid_request(f"Computer tool has unacknowledged safety check for {first}", param="input")


def no_following_item(id: str) -> ApiError:
    """A reasoning item stands without what it led to."""
    return invalid_request(
        f"Item '{shown(id)}' of type 'reasoning' was provided without its required following item.", param="input"
    )


def invalid_encrypted_content(id: str) -> ApiError:
    """What was sealed for an item cannot be opened."""
    return invalid_request(
        f"The encrypted content for item {shown(id)} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        param="input",
        code="invalid_encrypted_content",
    )


def context_length_exceeded() -> ApiError:
    """The transcript is longer than the model's window, and may not be cut."""
    return invalid_request(
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        param="input",
        code="context_length_exceeded",
    )


# What a response allows


def not_cancellable_synchronous() -> ApiError:
    """Only a background response can be cancelled."""
    return invalid_request("Cannot cancel a synchronous response.")


def events_expired(id: str) -> ApiError:
    """The events of a background response are not kept any more; the response is."""
    return ApiError(
        409,
        ErrorObject(
            message=f"The events of response '{shown(id)}' are no longer kept. Retrieve it without 'stream'.",
            param="stream",
            code="stream_cursor_expired",
        ),
    )


# What a tool, a model or this server did


def mcp_unreachable(label: str, *, status: int = 424) -> ApiError:
    """The tools of an MCP server could not be listed; ``status`` is what it answered, 424 if nothing."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    return ApiError(
        424,
        ErrorObject(
            message=f"Error retrieving tool list from MCP server: '{shown(label)}'. "
            f"Http status code: {status} ({reason})",
            type="external_connector_error",
            param="tools",
            code="http_error",
        ),
    )


def mcp_refused(label: str) -> ApiError:
    """The URL of an MCP server leads where this server does not go."""
    return invalid_request(
        f"The server_url of the MCP server '{shown(label)}' leads to an address that this server does not reach.",
        param="tools",
    )


def approval_unknown(id: str) -> ApiError:
    """An approval that answers no request of this server's to this caller, for this server and these arguments."""
    return invalid_request(f"No approval request with id '{shown(id)}' found that this could answer.", param="input")


def approval_spent(id: str) -> ApiError:
    """An approval that was given before: each counts once."""
    return invalid_request(f"The approval request '{shown(id)}' was answered before.", param="input")


def approval_without_server(label: str) -> ApiError:
    """An approved call whose server the request does not name."""
    return invalid_request(
        f"The approved call belongs to the MCP server '{shown(label)}', which is not among 'tools'.", param="tools"
    )


def no_such_connector(id: str, *, param: str) -> ApiError:
    """A connector that the configuration maps to no server."""
    return invalid_request(
        f"The connector '{shown(id)}' is not available on this server. Name the server by its 'server_url'.",
        param=param,
        code="invalid_value",
    )


def tool_unavailable(kind: str, *, param: str) -> ApiError:
    """A tool that cannot run here is demanded."""
    return invalid_request(f"Tool '{shown(kind)}' is not available on this server.", param=param, code="invalid_value")


def content_filtered(found: Mapping[str, FilterVerdict] | None = None) -> ApiError:
    """A content filter stopped the prompt: one of the model's server, or ours, which says what it ``found``."""
    words = ErrorObject(
        message="The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
        "Please modify your prompt and retry.",
        type=None,
        param="prompt",
        code="content_filter",
    )
    if found is None:
        return ApiError(400, words)
    inner = InnerError(content_filter_result=dict(found))
    return ApiError(400, FilteredError(**asdict(words), status=400, innererror=inner))


def no_fitting_model(name: str) -> ApiError:
    """A deployment that chooses among others has no rule for this request."""
    return invalid_request(
        f"The model '{shown(name)}' chooses among others by rules, and none of them is for a request like this one.",
        param="model",
        code="no_fitting_model",
    )


def moderation_blocked() -> ApiError:
    """The policy that the request names stopped its input."""
    return invalid_request("The input was blocked by the moderation policy.", code="moderation_blocked")


def sealing_key_lost() -> ApiError:
    """What was sealed for a run that waited cannot be opened: its key has left the configuration."""
    return server_error("The server no longer has the key with which this request was sealed.")


def store_away() -> ApiError:
    """What is kept cannot be reached, and nothing can be kept."""
    return server_error("The server cannot reach its storage. Please try again.", status=503)


def server_error(
    message: str = "The server had an error while processing your request. Sorry about that!", *, status: int = 500
) -> ApiError:
    """This server, or one behind it (502, 503, 504), failed; the words hold nothing of the inside."""
    return ApiError(status, ErrorObject(message=message, type="server_error", code="server_error"))
