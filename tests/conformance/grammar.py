"""In which order events come, as recorded: a table of regular expressions over their names.

A word stands for one event, by its name without ``response.``; the first and the last event of an item, which are
always ``output_item.added`` and ``output_item.done``, are left out. Source: recorded traffic, section 2.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any, TypeAlias

Json: TypeAlias = Any  # events are told as plain JSON here

STREAM = "created queued? in_progress ITEM* (completed | incomplete | failed)"

ITEMS = {
    "message": """content_part.added
        ((output_text.delta output_text.annotation.added*)* output_text.done | refusal.delta+ refusal.done)
        content_part.done""",
    "reasoning": """(reasoning_summary_part.added reasoning_summary_text.delta+ reasoning_summary_text.done
        reasoning_summary_part.done)*""",
    "function_call": "function_call_arguments.delta+ function_call_arguments.done",
    "custom_tool_call": "custom_tool_call_input.delta+ custom_tool_call_input.done",
    "web_search_call": "web_search_call.in_progress web_search_call.searching web_search_call.completed",
    "file_search_call": "file_search_call.in_progress file_search_call.searching file_search_call.completed",
    "code_interpreter_call": """code_interpreter_call.in_progress
        code_interpreter_call_code.delta+ code_interpreter_call_code.done
        code_interpreter_call.interpreting code_interpreter_call.completed""",
    "image_generation_call": """image_generation_call.in_progress image_generation_call.generating
        image_generation_call.partial_image* image_generation_call.completed""",
    "mcp_list_tools": "mcp_list_tools.in_progress mcp_list_tools.completed",
    "mcp_call": """mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done
        (mcp_call.completed | mcp_call.failed)""",
    "apply_patch_call": "(apply_patch_call_operation_diff.delta+ apply_patch_call_operation_diff.done)?",
    "shell_call": "(shell_call_command.added shell_call_command.delta+ shell_call_command.done)+",
    "shell_call_output": "(shell_call_output_content.delta shell_call_output_content.done)+",
}
"""What stands between the first and the last event of an item; an item of another type has nothing there."""

WORD = re.compile(r"[A-Za-z_.]+")


def compiled(rule: str) -> re.Pattern[str]:
    """A rule as an expression over names that each end in a space."""
    return re.compile("".join(WORD.sub(lambda word: f"(?:{re.escape(word[0])} )", part) for part in rule.split()))


def findings(events: list[Json]) -> list[str]:
    """What is out of order in the events of a whole stream."""
    numbers = [event["sequence_number"] for event in events]
    found = [] if numbers == list(range(len(events))) else [f"the numbers {numbers}"]
    order = ""
    for index, group in groupby(events, key=lambda event: event.get("output_index")):
        members = list(group)
        if index is None:
            order += spelled(members)
            continue
        if index != order.count("ITEM"):
            found.append(f"item {index} after {order.count('ITEM')} items")
        order += "ITEM "
        found += item_findings(members)
    return found if compiled(STREAM).fullmatch(order) else [*found, f"the stream: {order}"]


def item_findings(events: list[Json]) -> list[str]:
    """What is out of order in the events of one item."""
    kind: str = events[0].get("item", {}).get("type", "")
    order = spelled(events)
    rule = f"output_item.added {ITEMS.get(kind, '')} output_item.done"
    return [] if compiled(rule).fullmatch(order) else [f"{kind}: {order}"]


def spelled(events: list[Json]) -> str:
    """The names of events, each with a space behind it."""
    return "".join(event["type"].removeprefix("response.") + " " for event in events)
