"""The events of the Messages API, byte by byte, for upstreams that tests script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.backends.upstream.raw_server import CHUNKED

if TYPE_CHECKING:
    from typing import Any  # JSON

HEAD = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-type: text/event-stream\r\n\r\n")
LAST = b"0\r\n\r\n"


def event(type: str, **more: Any) -> bytes:  # JSON
    """One event."""
    return f"event: {type}\ndata: {json.dumps({'type': type, **more})}\n\n".encode()


def begun(**usage: int) -> bytes:
    """The message begins."""
    spent = {"input_tokens": 10, "output_tokens": 1, **usage}
    return event("message_start", message={"id": "msg_1", "role": "assistant", "content": [], "usage": spent})


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:  # JSON
    """A whole block."""
    pieces = (event("content_block_delta", index=index, delta=delta) for delta in deltas)
    first = event("content_block_start", index=index, content_block=start)
    return first + b"".join(pieces) + event("content_block_stop", index=index)


def said(*texts: str, index: int = 0) -> bytes:
    """Text, in pieces."""
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": each} for each in texts))


def thought(text: str, signature: str, *, index: int = 0) -> bytes:
    """A signed thought."""
    start = {"type": "thinking", "thinking": "", "signature": ""}
    signed = {"type": "signature_delta", "signature": signature}
    return block(index, start, {"type": "thinking_delta", "thinking": text}, signed)


def called(name: str, arguments: str, *, index: int = 0) -> bytes:
    """A call of a tool."""
    start: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
    return block(index, start, {"type": "input_json_delta", "partial_json": arguments})


def over(reason: str = "end_turn", tokens: int = 5) -> bytes:
    """The model has ended."""
    ended = event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": tokens})
    return ended + event("message_stop")


def chunk(piece: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def whole(*blocks: bytes, reason: str = "end_turn") -> bytes:
    """A whole answer, head included."""
    return HEAD + b"".join(map(chunk, (begun(), *blocks, over(reason)))) + LAST


def plain(status: int, body: Any, *headers: str) -> bytes:  # JSON
    """A whole answer that is no stream."""
    content = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def refused(status: int, kind: str, message: str, *headers: str) -> bytes:
    """A whole answer that tells of an error."""
    return plain(
        status, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}, *headers
    )
