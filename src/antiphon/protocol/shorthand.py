"""The short and the older forms of a request's input, written out in full before it is read.

A string is one message of the user's, ``{role, content}`` is a message, ``{id}`` refers to a kept item, an item without
a type is known by the prefix of its id or by its keys, and a null is an absent key: clients send our own output back to
us with all its nulls. What a caller adds to an item beyond the protocol is returned beside it, to be kept with it.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from antiphon.protocol.calls import ToolSearchOutput
from antiphon.protocol.errors import invalid_type
from antiphon.protocol.faults import got
from antiphon.protocol.items import PREFIXES, AdditionalTools, Item, ItemReference
from antiphon.protocol.places import Object, Sent, is_array, is_object

_KEYS: dict[object, frozenset[str]] = {
    kind.__struct_config__.tag: frozenset(("type", *kind.__struct_encode_fields__)) for kind in get_args(Item)
}
_OPEN = frozenset((
    "arguments",
    "input_schema",
    "output_schema",
    "parameters",
    "schema",
))  # a null in a schema is a value
_KINDS = {
    prefix: str(kind.__struct_config__.tag)
    for kind, prefix in reversed(PREFIXES.items())  # of two kinds that share a prefix, the one that is more than a wish
    if kind is not ItemReference
}
_SHAPES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(("call_id", "output")), "function_call_output"),
    (frozenset(("call_id", "name", "arguments")), "function_call"),
    (frozenset(("call_id", "name", "input")), "custom_tool_call"),
    (frozenset(("call_id", "operation")), "apply_patch_call"),
    (frozenset(("approval_request_id", "approve")), "mcp_approval_response"),
    (frozenset(("summary",)), "reasoning"),
)
_HOLD_TOOLS = tuple(kind.__struct_config__.tag for kind in (AdditionalTools, ToolSearchOutput))


def written_out(body: Object, *, nulls: bool) -> list[Object]:
    """Write out the ``input`` of a body in place; return for each item the keys that the protocol does not know.

    ``nulls`` says whether there can be any null in the body. What is no item at all is left for the reader to refuse.
    """
    items = body.get("input")
    match items:
        case None:
            return []
        case str(text):
            body["input"] = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]
            return [{}]
        case _ if is_array(items):
            return [_item(item, index, nulls=nulls) if is_object(item) else {} for index, item in enumerate(items)]
        case other:
            raise invalid_type("input", expected="one of a string or array of input items", got=got(other))


def without_nulls(value: Sent) -> None:
    """Drop in place every key whose value is null, but for those within schemas and arguments."""
    if is_array(value):
        for element in value:
            without_nulls(element)
    elif is_object(value):
        for key in [key for key, child in value.items() if child is None]:
            del value[key]
        for key, child in value.items():
            if key not in _OPEN:
                without_nulls(child)


def _item(item: Object, index: int, *, nulls: bool) -> Object:
    if item.get("type") is None:
        _name_type(item)
    if nulls:
        _drop_nulls(item)
    match item.get("type"):
        case "message":
            _write_content(item, index)
        case "mcp_approval_request" if isinstance(item.get("arguments"), dict):
            item["arguments"] = msgspec.json.encode(item["arguments"]).decode()
        case "mcp_list_tools" if isinstance(item.get("error"), dict):
            item["error"] = msgspec.json.encode(item["error"]).decode()
        case "computer_call_output":
            _write_screenshot(item.get("output"))
        case "web_search_call":
            _write_action(item.get("action"))
        case _:
            pass
    return _unknown(item)


def _drop_nulls(item: Object) -> None:
    held = item.pop("tools", None) if item.get("type") in _HOLD_TOOLS else None
    without_nulls(item)
    if held is not None:
        item["tools"] = held


def _name_type(item: Object) -> None:
    kind = _kind(item)
    if kind is not None:
        item["type"] = kind
    else:
        item.pop("type", None)


def _kind(item: Object) -> str | None:
    """What an item without a type is, by the keys that only such items have, or else by the prefix of its id."""
    keys = {key for key, value in item.items() if value is not None}
    if "role" in keys:
        return "additional_tools" if "tools" in keys else "message"
    if keys == {"id"}:
        return "item_reference"
    id = item.get("id")
    of_id = _KINDS.get(id.partition("_")[0]) if isinstance(id, str) else None
    return of_id or next((kind for shape, kind in _SHAPES if shape <= keys), None)


def _write_content(item: Object, index: int) -> None:
    match item.get("content"):
        case str(text) if item.get("role") == "assistant":
            item["content"] = [{"type": "output_text", "text": text, "annotations": []}]
        case str(text):
            item["content"] = [{"type": "input_text", "text": text}]
        case None | list():
            pass
        case other:
            expected = "one of a string or array of objects"
            raise invalid_type(f"input[{index}].content", expected=expected, got=got(other))


def _write_screenshot(output: Sent) -> None:
    if is_object(output) and output.get("type") == "input_image":  # the part's name when computer use was new
        output["type"] = "computer_screenshot"


def _write_action(action: Sent) -> None:
    if not is_object(action):
        return
    if action.get("type") == "find":  # the action's name when search was new
        action["type"] = "find_in_page"
    sources = action.get("sources")
    if is_array(sources):  # some are no pages, and only pages are kept
        action["sources"] = [source for source in sources if not _is_no_page(source)]


def _is_no_page(source: Sent) -> bool:
    return is_object(source) and source.get("type") == "api"


def _unknown(item: Object) -> Object:
    kind = item.get("type")
    known = _KEYS.get(kind) if isinstance(kind, str) else None
    if known is None or item.keys() <= known:
        return {}
    return {key: value for key, value in item.items() if key not in known}
