"""Refusals that come of what is kept, or of other servers, in recorded words."""

from __future__ import annotations

import pytest

from antiphon.protocol import refusals
from antiphon.protocol.errors import ApiError

WORDED: list[tuple[ApiError, int, str | None, str | None, str]] = [
    (refusals.model_not_found("x"), 400, "model_not_found", "model", "The requested model 'x' does not exist."),
    (refusals.response_not_found("resp_x"), 404, None, None, "Response with id 'resp_x' not found."),
    (
        refusals.previous_response_not_found("resp_x"),
        400,
        "previous_response_not_found",
        "previous_response_id",
        "Previous response with id 'resp_x' not found.",
    ),
    (refusals.conversation_not_found("conv_x"), 404, None, None, "Conversation with id 'conv_x' not found."),
    (refusals.conversation_item_not_found("msg_x"), 404, None, None, "Item with id 'msg_x' not found in conversation."),
    (
        refusals.conversation_locked(),
        409,
        "conversation_locked",
        "conversation",
        "Another process is currently operating on this conversation. Please retry in a few seconds.",
    ),
    (
        refusals.item_not_found("rs_x"),
        404,
        None,
        "input",
        (
            "Item with id 'rs_x' not found. Items are not persisted when `store` is set to false. Try again with "
            "`store` set to true, or remove this item from your input."
        ),
    ),
    (refusals.file_not_found("file-x"), 404, None, "id", "No such File object: file-x"),
    (refusals.no_output_for_call("call_x"), 400, None, "input", "No tool output found for function call call_x."),
    (
        refusals.no_output_for_call("call_x", kind="custom tool"),
        400,
        None,
        "input",
        "No tool output found for custom tool call call_x.",
    ),
    (
        refusals.no_call_for_output("call_x"),
        400,
        None,
        "input",
        "No tool call found for function call output with call_id call_x.",
    ),
    (
        refusals.no_following_item("rs_x"),
        400,
        None,
        "input",
        "Item 'rs_x' of type 'reasoning' was provided without its required following item.",
    ),
    (
        refusals.invalid_encrypted_content("rs_x"),
        400,
        "invalid_encrypted_content",
        "input",
        (
            "The encrypted content for item rs_x could not be verified. Reason: Encrypted content could not be "
            "decrypted or parsed."
        ),
    ),
    (
        refusals.context_length_exceeded(),
        400,
        "context_length_exceeded",
        "input",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
    (refusals.not_cancellable_synchronous(), 400, None, None, "Cannot cancel a synchronous response."),
    (
        refusals.events_expired("resp_x"),
        409,
        "stream_cursor_expired",
        "stream",
        "The events of response 'resp_x' are no longer kept. Retrieve it without 'stream'.",
    ),
    (
        refusals.previous_response_in_progress("resp_x"),
        400,
        "previous_response_in_progress",
        "previous_response_id",
        "Previous response with id 'resp_x' is still in progress. Wait until it has ended.",
    ),
    (
        refusals.sealing_key_lost(),
        500,
        "server_error",
        None,
        "The server no longer has the key with which this request was sealed.",
    ),
    (
        refusals.mcp_unreachable("docs"),
        424,
        "http_error",
        "tools",
        "Error retrieving tool list from MCP server: 'docs'. Http status code: 424 (Failed Dependency)",
    ),
    (
        refusals.mcp_unreachable("docs", status=799),
        424,
        "http_error",
        "tools",
        "Error retrieving tool list from MCP server: 'docs'. Http status code: 799 (Unknown)",
    ),
    (
        refusals.tool_unavailable("web_search", param="tool_choice"),
        400,
        "invalid_value",
        "tool_choice",
        "Tool 'web_search' is not available on this server.",
    ),
    (
        refusals.moderation_blocked(),
        400,
        "moderation_blocked",
        None,
        "The input was blocked by the moderation policy.",
    ),
]


@pytest.mark.parametrize(
    ("error", "status", "code", "param", "message"), WORDED, ids=[each[4].split("'")[0] for each in WORDED]
)
def test_a_refusal_is_worded_as_recorded(
    error: ApiError, status: int, code: str | None, param: str | None, message: str
) -> None:
    """Several clients decide what to do next by these words."""
    assert (error.status, error.code, error.param, error.message) == (status, code, param, message)


def test_an_unknown_deployment_is_404_in_azure_words() -> None:
    """The one place where Azure's status differs too."""
    azure = refusals.model_not_found("x").in_azure_words()
    assert (azure.status, azure.code, azure.type) == (404, "DeploymentNotFound", None)


def test_a_filtered_prompt_has_no_type() -> None:
    """Azure's filter names the prompt, and no class of error."""
    error = refusals.content_filtered()
    assert (error.status, error.type, error.param, error.code) == (400, None, "prompt", "content_filter")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_behind_this_server_says_nothing_of_the_inside(status: int) -> None:
    """What failed is the operator's business; the caller learns that trying again may help."""
    error = refusals.server_error(status=status)
    assert (error.status, error.type, error.code) == (status, "server_error", "server_error")
