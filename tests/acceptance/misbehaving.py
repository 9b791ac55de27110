"""Every way in which an upstream was seen, or is feared, to end an answer, and what the client is told of it."""

from __future__ import annotations

import json
from typing import Literal

from msgspec import Struct

from tests.acceptance.upstreams import DONE, EVENTS, HEAD, LAST, ROLE, STOP, WHOLE, chunked, saying, sse


class Way(Struct, frozen=True):
    """What an upstream says, what it says ``later``, once the client has heard something, and what it does then.

    ``outcome`` is the status of a plain HTTP error, or the status of the response; ``text`` is what the response holds.
    A flood is bytes without end.
    """

    name: str
    said: bytes
    then: Literal["close", "reset", "stay", "flood"]
    outcome: int | str
    text: str = ""
    later: bytes = b""

    @property
    def is_silent(self) -> bool:
        """Whether it stays and says no more, without an end of its answer."""
        return self.then == "stay" and ("after" in self.name or "silence" in self.name)


PARTS = (b"", HEAD[:20], HEAD[20:], *map(chunked, EVENTS), LAST)
HALF = len(chunked(EVENTS[2])) // 2
TEXTS = ("", "", "", "", "Hel", "Hello", "Hello", "Hello", "Hello", "Hello")
ENDS: tuple[Literal["close", "reset", "stay"], ...] = ("close", "reset", "stay")
OPEN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
SAID = 5
"""How many of the parts hold the whole text; the next says that this was all."""


def cut() -> list[Way]:
    """A good answer that ends after each of its parts."""
    return [
        Way(f"{then} after {index} parts", b"".join(PARTS[: index + 1]), then, _outcome(index, then), text)
        for index, text in enumerate(TEXTS)
        for then in ENDS
    ]


def _outcome(index: int, then: str) -> int | str:
    if index > SAID:
        return "completed"
    if TEXTS[index]:
        return "failed"
    if then == "stay":
        return 504
    return 502 if index else 503


def open_ended() -> list[Way]:
    """The same where only the end of the connection ends the body."""
    texts = ("", "", "Hel", "Hello", "Hello", "Hello", "Hello")
    outcomes: tuple[int | str, ...] = (502, 502, "failed", "failed", "completed", "completed", "completed")
    return [
        Way(f"open-ended, {index} events", OPEN_HEAD + b"".join(EVENTS[:index]), "close", outcome, text)
        for index, (text, outcome) in enumerate(zip(texts, outcomes, strict=True))
    ]


def broken_http() -> list[Way]:
    """What is no HTTP, or HTTP that contradicts itself."""
    begun = b"".join(PARTS[:5])
    gzipped = "content-encoding: gzip\r\n"
    return [
        Way("half a chunk", begun + chunked(EVENTS[2])[:HALF], "close", "failed", "Hel"),
        Way("half a chunk and silence", begun + chunked(EVENTS[2])[:HALF], "stay", "failed", "Hel"),
        Way("no chunk", begun + b"zz\r\ngarbage\r\n", "stay", "failed", "Hel"),
        Way("an endless chunk", HEAD + b"f" * 18 + b"\r\nabc", "stay", 502),
        Way("binary", b"\x00\xff\x13\r\n\r\n", "stay", 502),
        Way("another protocol", b"220 mail.example ESMTP\r\n", "stay", 502),
        Way("HTTP/2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "stay", 502),
        Way("an endless head", b"HTTP/1.1 200 OK\r\n" + b"x-more: y\r\n" * 10_000, "stay", 502),
        Way("only an interim head", b"HTTP/1.1 100 Continue\r\n\r\n", "close", 502),
        Way("an interim head first", b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, "stay", "completed", "Hello"),
        Way(
            "another protocol by upgrade", b"HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", "stay", 502
        ),
        Way("less than was announced", answer(200, b"".join(EVENTS[:3]) + b"....")[:-4], "close", "failed", "Hello"),
        Way("more than was announced", answer(200, b"".join(EVENTS)) + b"more", "stay", "completed", "Hello"),
        Way("a second answer", WHOLE + WHOLE, "stay", "completed", "Hello"),
        Way("compressed", answer(200, b"\x1f\x8b\x08", more=gzipped), "stay", 502),
        Way("a compressed refusal", answer(429, b"\x1f\x8b\x08", more=gzipped), "stay", 502),
    ]


def answer(status: int, body: bytes, *, kind: str = "application/json", more: str = "") -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def statuses() -> list[Way]:
    """Answers with a status that is no success, with a body that speaks JSON and one that does not."""
    complaint = json.dumps({"error": {"message": "No luck.", "type": "x", "code": None}}).encode()
    page = b"<!DOCTYPE html><html><body>nginx</body></html>"
    told = {**dict.fromkeys((400, 413, 422), 400), 408: 504, 429: 429, 503: 503, 504: 504, 529: 503}
    others = (204, 205, 206, 301, 302, 401, 402, 403, 404, 405, 409, 410, 500, 501)
    return [
        *(Way(f"{status}", answer(status, complaint), "stay", told.get(status, 502)) for status in (*told, *others)),
        *(
            Way(f"{status} with a page", answer(status, page, kind="text/html"), "stay", told.get(status, 502))
            for status in (400, 401, 404, 429, 500, 503)
        ),
        Way("400 with nested JSON", answer(400, DEEP), "stay", 400),
        Way("400 with nested JSON that nobody reads", answer(400, b'{"x":' + DEEP + b"}"), "stay", 400),
        Way("a page", answer(200, page, kind="text/html"), "stay", 502),
        Way("plain text", answer(200, b"ok", kind="text/plain"), "stay", 502),
        Way("nothing", answer(200, b""), "stay", 502),
        Way("an error in success", answer(200, complaint), "stay", 502),
    ]


DEPTH = 100_000
DEEP = b'{"error":' + b"[" * DEPTH + b"]" * DEPTH + b"}"


def whole(text: str) -> bytes:
    """A chat completion that is no stream."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()


def other_forms() -> list[Way]:
    """Good answers in a form that was not asked for."""
    events = b"".join(EVENTS)
    return [
        Way("a body, no stream", answer(200, whole("Hello")), "stay", "completed", "Hello"),
        Way(
            "a body called a stream",
            answer(200, whole("Hello"), kind="text/event-stream"),
            "stay",
            "completed",
            "Hello",
        ),
        Way("a stream called a body", answer(200, events), "stay", "completed", "Hello"),
        Way("a stream called a page", answer(200, events, kind="text/html"), "stay", "completed", "Hello"),
        Way("half a body", answer(200, whole("Hello")[:40]), "stay", 502),
        Way("with comments", _streamed(b": ping\n\n", *EVENTS), "stay", "completed", "Hello"),
        Way("only the end mark", _streamed(DONE), "stay", "completed"),
        Way("only a reason", _streamed(STOP, DONE), "stay", "completed"),
        Way("two reasons", _streamed(*EVENTS[:4], STOP, DONE), "stay", "completed", "Hello"),
        Way("text after the reason", _streamed(*EVENTS[:4], saying("!"), DONE), "stay", "completed", "Hello!"),
        Way("text after the end mark", _streamed(*EVENTS, saying("!"), DONE), "stay", "completed", "Hello"),
    ]


def _streamed(*events: bytes) -> bytes:
    return b"".join((HEAD, *map(chunked, events), LAST))


def broken_events() -> list[Way]:
    """Events that are none, at the start of a stream and within it."""
    broken = {
        "no JSON": b"data: {nonsense\n\n",
        "no event": b"what is this\n\n",
        "null": sse(None),
        "a list": sse([]),
        "a number": sse(1),
        "choices that are none": sse({"choices": [None]}),
        "no UTF-8": b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        "half a surrogate pair": b'data: {"choices":[{"delta":{"content":"\\ud800"}}]}\n\n',
        "nested JSON": b"data: " + DEEP + b"\n\n",
        "nested JSON that nobody reads": b'data: {"x":' + DEEP + b"}\n\n",
        "an error": sse({"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}}),
        "an error in words": sse({"error": "boom"}),
        "a call of nothing": sse({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": ""}}]}}]}),
        "an end in error": sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}),
    }
    limit = sse({"error": {"message": "slow", "code": 429}})
    empty = {
        "an object": sse({}),
        "no choices": sse({"choices": None}),
        "no delta": sse({"choices": [{"delta": None}]}),
    }
    return [
        *(Way(f"{name} first", _streamed(event), "stay", 502) for name, event in broken.items()),
        *(_within(name, event, "failed", "Hel") for name, event in broken.items()),
        *(_within(name, event, "completed", "Hello") for name, event in empty.items()),
        Way("a limit first", _streamed(limit), "stay", 429),
        _within("a limit", limit, "failed", "Hel"),
        Way("an endless line", HEAD + chunked(ROLE), "flood", 502),
    ]


def _within(name: str, event: bytes, outcome: str, text: str) -> Way:
    later = b"".join((*map(chunked, (event, *EVENTS[2:])), LAST))
    return Way(f"{name} within", b"".join(PARTS[:5]), "stay", outcome, text, later)


WAYS = [*cut(), *open_ended(), *broken_http(), *statuses(), *other_forms(), *broken_events()]
