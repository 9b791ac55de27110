"""A model for the runs of clients: it does what it is told, over chat completions, and says what it was shown.

The last message of the user is a script: clauses, a line each, and ``then`` between what it does in one turn and,
once the outputs of its calls are there, in the next.

``think X``
    Reasons in the words X.
``say X``
    Says X, in which ``{users}``, ``{answers}``, ``{outputs}``, ``{thoughts}``, ``{system}``, ``{pictures}`` and
    ``{format}`` stand for what it was shown: what the user said before, what it said itself, what its calls gave, its
    own earlier thoughts, its instructions, how many pictures the user's last message holds, and the kind of answer
    that is asked for.
``find X``
    Says "found X", if the user's last message holds it.
``call NAME ARGUMENTS``
    Calls a function; one that is not offered is said to be missing.
``fail STATUS``
    Answers with an error instead.
``wait``
    Says a word ten times a second, until nobody listens.

Whatever else it is told, it answers "You said: ...".
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

Json: TypeAlias = Any  # chat completions are told as plain JSON here

CLAUSE = re.compile(r"(?P<verb>think|say|find|call|fail|wait)(?: (?P<rest>.*))?")
HOLE = re.compile(r"\{(users|answers|outputs|thoughts|system|pictures|format)\}")
LONGEST_WAIT = 600
"""Words of a ``wait`` that nobody ends."""


def model() -> AbstractContextManager[str]:
    """Let the model answer; gives what stands before ``/chat/completions``."""
    return listening(Model)


def text_of(content: Json) -> str:
    """The words of a message, whose content is a text or parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [])


def last_asked(messages: list[Json]) -> int:
    """Where the last words of the user are; pictures that tools gave are shown to the model as the user's, wordless."""
    return max(
        (
            number
            for number, message in enumerate(messages)
            if message["role"] == "user" and text_of(message["content"]).strip()
        ),
        default=0,
    )


def turn_of(messages: list[Json]) -> list[str]:
    """The clauses of this turn: the last script of the user, after as many ``then`` as the model has spoken since."""
    asked = last_asked(messages)
    script = text_of(messages[asked].get("content")).strip()
    spoken = sum(message["role"] == "assistant" for message in messages[asked + 1 :])
    turns = re.split(r"\s*\n\s*then\s*\n\s*", script)
    clauses = [line.strip() for line in turns[min(spoken, len(turns) - 1)].splitlines()]
    kept = [clause for clause in clauses if CLAUSE.fullmatch(clause)]
    return kept or [f"say You said: {script}"]


def shown(request: Json) -> dict[str, str]:
    """What the model was shown, by the names of the holes in what it says."""
    messages = request["messages"]
    spoken = {
        role: [text_of(message.get("content")) for message in messages if message["role"] == role]
        for role in ("user", "assistant", "tool", "system", "developer")
    }
    last = messages[last_asked(messages)]["content"]
    parts = last if isinstance(last, list) else []
    return {
        "users": " + ".join(spoken["user"][:-1]),
        "answers": " + ".join(spoken["assistant"]),
        "outputs": " + ".join(spoken["tool"]),
        "system": " + ".join(spoken["system"] + spoken["developer"]),
        "thoughts": " + ".join(
            message["reasoning_content"] for message in messages if message.get("reasoning_content")
        ),
        "pictures": str(sum(part["type"] == "image_url" for part in parts)),
        "format": request.get("response_format", {}).get("type", "text"),
    }


def deltas(request: Json) -> Iterator[Json]:
    """What the model says, piece by piece."""
    calls = 0
    offered = {tool["function"]["name"] for tool in request.get("tools", [])}
    facts = shown(request)
    for clause in turn_of(request["messages"]):
        verb, _, rest = clause.partition(" ")
        match verb:
            case "think":
                yield {"reasoning_content": rest}
            case "call" if rest.partition(" ")[0] in offered:
                name, _, arguments = rest.partition(" ")
                function = {"name": name, "arguments": arguments or "{}"}
                yield {
                    "tool_calls": [{"index": calls, "id": f"call_{calls}", "type": "function", "function": function}]
                }
                calls += 1
            case "call":
                yield {"content": f"There is no {rest.partition(' ')[0]}, only {', '.join(sorted(offered))}."}
            case "find":
                last = request["messages"][last_asked(request["messages"])]
                where = text_of(last["content"]).replace(clause, "")
                yield {"content": f"found {rest}" if rest in where else f"no {rest}"}
            case "wait":
                yield from ({"content": "word "} for _ in range(LONGEST_WAIT))
            case _:
                yield from spelled(HOLE.sub(lambda hole: facts[hole[1]], rest))


def spelled(text: str) -> Iterator[Json]:
    """A text in pieces, a word each."""
    yield from ({"content": piece} for piece in re.findall(r"\s*\S+|\s+$", text))


class Model(BaseHTTPRequestHandler):
    """Answers ``/chat/completions``, streamed or whole, and ``/models``."""

    def do_POST(self) -> None:
        """Say what the request tells it to."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        clauses = turn_of(request["messages"])
        failing = [clause for clause in clauses if clause.startswith("fail ")]
        if failing:
            self._fail(int(failing[0].partition(" ")[2]))
        elif request.get("stream"):
            with suppress(ConnectionError):  # nobody listens any more
                self._stream(request, pause=0.1 if "wait" in clauses else 0)
        else:
            self._answer(200, self._whole(request))

    def do_GET(self) -> None:
        """Name the one model that is here."""
        self._answer(200, {"object": "list", "data": [{"id": "told", "object": "model"}]})

    def _stream(self, request: Json, *, pause: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        waits = threading.Event()  # never set: its wait is a pause
        reason = "stop"
        for delta in deltas(request):
            reason = "tool_calls" if "tool_calls" in delta else reason
            self._chunk({"choices": [{"index": 0, "delta": delta}]})
            if pause:
                waits.wait(pause)
        self._chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        self._chunk({"choices": [], "usage": self._usage()})
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, chunk: Json) -> None:
        whole = {"id": "c", "object": "chat.completion.chunk", **chunk}
        self.wfile.write(b"data: %b\n\n" % json.dumps(whole).encode())

    def _whole(self, request: Json) -> Json:
        message: dict[str, Json] = {"role": "assistant", "content": ""}
        for delta in deltas(request):
            for key, value in delta.items():
                message[key] = message.get(key, value[:0]) + value
        finish = "tool_calls" if "tool_calls" in message else "stop"
        return {
            "id": "c",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": self._usage(),
        }

    def _usage(self) -> Json:
        return {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "total_tokens": 13,
            "completion_tokens_details": {"reasoning_tokens": 1},
        }

    def _fail(self, status: int) -> None:
        self._answer(status, {"error": {"message": "The model was told to fail.", "type": "requests"}})

    def _answer(self, status: int, answer: Json) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "0.01")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
