"""The fields of events, items, parts and responses as the live services send them (2025-09 and later).

The tables hold what is always there and what may be there besides; `findings` compares a JSON object with its table.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

Json: TypeAlias = dict[str, Any]  # what is looked at is any JSON object


class Fields(Struct, frozen=True):
    """The names that are always there, and those that may be there too, each separated by spaces."""

    always: str
    sometimes: str = ""

    def findings(self, place: str, value: Json) -> list[str]:
        """What is missing from an object and what it has too much."""
        always, names = set(self.always.split()), set(value)
        missing = [f"{place} lacks {name}" for name in sorted(always - names)]
        return missing + [f"{place} has {name}" for name in sorted(names - always - set(self.sometimes.split()))]


ON_ITEM = "type sequence_number output_index item_id"
ON_PART = f"{ON_ITEM} content_index"
ON_SUMMARY = f"{ON_ITEM} summary_index"
ON_COMMAND = "type sequence_number output_index command_index"
SNAPSHOT = Fields("type sequence_number response")
PHASE = Fields(ON_ITEM)
FILLER = "obfuscation"

EVENTS: dict[str, Fields] = {
    "error": Fields("type sequence_number error"),
    "response.apply_patch_call_operation_diff.delta": Fields(f"{ON_ITEM} delta", FILLER),
    "response.apply_patch_call_operation_diff.done": Fields(f"{ON_ITEM} diff"),
    "response.code_interpreter_call.completed": PHASE,
    "response.code_interpreter_call.in_progress": PHASE,
    "response.code_interpreter_call.interpreting": PHASE,
    "response.code_interpreter_call_code.delta": Fields(f"{ON_ITEM} delta", FILLER),
    "response.code_interpreter_call_code.done": Fields(f"{ON_ITEM} code"),
    "response.completed": SNAPSHOT,
    "response.content_part.added": Fields(f"{ON_PART} part"),
    "response.content_part.done": Fields(f"{ON_PART} part"),
    "response.created": SNAPSHOT,
    "response.custom_tool_call_input.delta": Fields(f"{ON_ITEM} delta", FILLER),
    "response.custom_tool_call_input.done": Fields(f"{ON_ITEM} input"),
    "response.failed": SNAPSHOT,
    "response.file_search_call.completed": PHASE,
    "response.file_search_call.in_progress": PHASE,
    "response.file_search_call.searching": PHASE,
    "response.function_call_arguments.delta": Fields(f"{ON_ITEM} delta", FILLER),
    "response.function_call_arguments.done": Fields(f"{ON_ITEM} arguments"),
    "response.image_generation_call.completed": PHASE,
    "response.image_generation_call.generating": PHASE,
    "response.image_generation_call.in_progress": PHASE,
    "response.image_generation_call.partial_image": Fields(
        f"{ON_ITEM} partial_image_b64 partial_image_index", "background output_format quality size"
    ),
    "response.in_progress": SNAPSHOT,
    "response.incomplete": SNAPSHOT,
    "response.mcp_call.completed": PHASE,
    "response.mcp_call.failed": PHASE,
    "response.mcp_call.in_progress": PHASE,
    "response.mcp_call_arguments.delta": Fields(f"{ON_ITEM} delta", FILLER),
    "response.mcp_call_arguments.done": Fields(f"{ON_ITEM} arguments"),
    "response.mcp_list_tools.completed": PHASE,
    "response.mcp_list_tools.failed": PHASE,  # never recorded; as its siblings
    "response.mcp_list_tools.in_progress": PHASE,
    "response.output_item.added": Fields("type sequence_number output_index item"),
    "response.output_item.done": Fields("type sequence_number output_index item"),
    "response.output_text.annotation.added": Fields(f"{ON_PART} annotation_index annotation"),
    "response.output_text.delta": Fields(f"{ON_PART} delta logprobs", FILLER),
    "response.output_text.done": Fields(f"{ON_PART} text logprobs"),
    "response.queued": SNAPSHOT,
    "response.reasoning_summary_part.added": Fields(f"{ON_SUMMARY} part"),
    "response.reasoning_summary_part.done": Fields(f"{ON_SUMMARY} part", "status"),  # status: official types
    "response.reasoning_summary_text.delta": Fields(f"{ON_SUMMARY} delta", FILLER),
    "response.reasoning_summary_text.done": Fields(f"{ON_SUMMARY} text"),
    "response.reasoning_text.delta": Fields(f"{ON_PART} delta", FILLER),  # never recorded; as other text
    "response.reasoning_text.done": Fields(f"{ON_PART} text"),  # the same
    "response.refusal.delta": Fields(f"{ON_PART} delta"),
    "response.refusal.done": Fields(f"{ON_PART} refusal"),
    "response.shell_call_command.added": Fields(f"{ON_COMMAND} command"),
    "response.shell_call_command.delta": Fields(f"{ON_COMMAND} delta", FILLER),
    "response.shell_call_command.done": Fields(f"{ON_COMMAND} command"),
    "response.shell_call_output_content.delta": Fields(f"{ON_ITEM} command_index delta"),
    "response.shell_call_output_content.done": Fields(f"{ON_ITEM} command_index output"),
    "response.web_search_call.completed": PHASE,
    "response.web_search_call.in_progress": PHASE,
    "response.web_search_call.searching": PHASE,
}

ITEMS: dict[str, Fields] = {
    "apply_patch_call": Fields("type id status call_id operation", "caller"),
    "code_interpreter_call": Fields("type id status code container_id outputs"),
    "compaction": Fields("type id encrypted_content"),
    "custom_tool_call": Fields("type id status call_id input name", "namespace"),
    "file_search_call": Fields("type id status queries results"),
    "function_call": Fields("type id status arguments call_id name", "namespace caller"),
    "image_generation_call": Fields(
        "type id status", "action background error output_format quality result revised_prompt size svg_usage"
    ),
    "local_shell_call": Fields("type id status action call_id"),
    "mcp_approval_request": Fields("type id arguments name server_label"),
    "mcp_call": Fields("type id approval_request_id arguments error name output server_label", "status"),
    "mcp_list_tools": Fields("type id server_label tools", "error"),
    "message": Fields("type id status role content", "phase"),
    "reasoning": Fields("type id summary", "content encrypted_content"),
    "shell_call": Fields("type id status action call_id", "environment caller"),
    "shell_call_output": Fields("type id status call_id max_output_length output"),
    "tool_search_call": Fields("type id status arguments call_id execution"),
    "tool_search_output": Fields("type id status call_id execution tools"),
    "web_search_call": Fields("type id status", "action"),
}

PARTS: dict[str, Fields] = {
    "output_text": Fields("type text annotations logprobs"),
    "refusal": Fields("type refusal"),
    "reasoning_text": Fields("type text"),
    "summary_text": Fields("type text"),
}

RESPONSE = Fields(
    "background completed_at created_at error frequency_penalty id incomplete_details instructions max_output_tokens "
    "max_tool_calls metadata model moderation object output parallel_tool_calls presence_penalty previous_response_id "
    "prompt_cache_key prompt_cache_retention reasoning safety_identifier service_tier status store temperature text "
    "tool_choice tools top_logprobs top_p truncation usage user tool_usage",
    "billing content_filters conversation access_programs prompt_cache_options prompt image "
    "prompt_cache_diagnostics input_transformations",
)

TERMINAL = {
    "response.completed": {"completed"},
    "response.incomplete": {"incomplete"},
    "response.failed": {"failed", "cancelled"},
}


def event_findings(event: Json) -> list[str]:
    """What is wrong with an event, by the tables."""
    name: str = event["type"]
    if name not in EVENTS:
        return [f"nobody has seen an event of type {name}"]
    found = EVENTS[name].findings(name, event)
    if "part" in event:
        found += PARTS[event["part"]["type"]].findings(f"{name}.part", event["part"])
    if "item" in event:
        found += item_findings(event["item"])
    if "response" in event:
        found += response_findings(event["response"])
        status = event["response"]["status"]
        if status not in TERMINAL.get(name, {"queued", "in_progress"}):
            found.append(f"{name} has the status {status}")
    return found


def item_findings(item: Json) -> list[str]:
    """What is wrong with an output item."""
    kind: str = item["type"]
    found = ITEMS[kind].findings(kind, item) if kind in ITEMS else []
    for part in [*(item.get("content") or []), *(item.get("summary") or [])]:
        found += PARTS[part["type"]].findings(f"{kind}.{part['type']}", part)
    return found


def response_findings(response: Json) -> list[str]:
    """What is wrong with a response: its fields, its items, and what its status says of them."""
    found = RESPONSE.findings("response", response)
    for item in response.get("output", []):
        found += item_findings(item)
    return found or _status_findings(response)


def _status_findings(response: Json) -> list[str]:
    """The rules that hold in the recordings without exception."""
    status: str = response["status"]
    running = status in {"queued", "in_progress"}
    rules = {
        "an output before the end": not (running and response["output"]),
        "a usage before the end": not (running and response["usage"] is not None),
        "no usage at a good end": not (status in {"completed", "incomplete"} and response["usage"] is None),
        "the wrong service tier": (response["service_tier"] == "auto") is running,
        "the wrong completed_at": isinstance(response["completed_at"], int) is (status == "completed"),
        "the wrong error": (response["error"] is not None) is (status == "failed"),
        "the wrong incomplete_details": (response["incomplete_details"] is not None) is (status == "incomplete"),
    }
    return [f"response ({status}) has {fault}" for fault, holds in rules.items() if not holds]
