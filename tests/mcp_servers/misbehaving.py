"""MCP servers that behave badly, each in one way, and well in all others.

They are of the older protocol: with `initialize`, sessions, and JSON for answers. The way is chosen with its name, and
the stage at which it shows with ``at``:

=================  ==================================================================================================
401 403 404 500    This status, as text.
html               A page, with status 200.
hangs              No answer at all.
drips              JSON, a byte a second, for ever.
endless_stream     Events that are comments, for ever.
huge               A good answer with 50 MB of text in it.
bad_json           JSON that breaks off.
bad_jsonrpc        JSON that is no message.
wrong_id           The answer to another request.
closes             The connection is closed before an answer.
echoes_secret      An error whose message repeats the header `Authorization`.
redirects_away     307 to another port of this address; whoever goes there is among the ``strays``.
redirects_private  307 to another address of this machine; whoever goes there is among the ``strays``.
many_tools         5,000 tools at once.
endless_pages      Always one more page of tools.
bad_schema         Three tools whose schemas are none, as one is text and one a list, beside a good one.
odd_schema         A tool that wants an argument of type 5, beside a good one.
unknown_content    A result with a part of a kind that nobody knows, beside a text.
calls_back         Before the result the client is asked for a model, for its folders and for its user.
loses_session      Each session is good for one call, and is not found afterwards.
=================  ==================================================================================================
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.mcp_servers.rogue import GOOD_RESULT, GOOD_TOOL, LOOK_SECONDS, Answers, Strays, listening, welcome
from tests.mcp_servers.watched import Rogue
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.mcp_servers.rogue import Json, Stage

HUGE_BYTES = 50_000_000
MANY_TOOLS = 5_000
ANSWER_SECONDS = HANG_SECONDS
DRIP_SECONDS = 1.0
COMMENT_SECONDS = 0.05


@contextmanager
def misbehaving(how: str, at: Stage | None = None) -> Iterator[Rogue]:
    """Serve tools badly: see `HOW` for the ways, and for the stage at which each shows if none is named.

    Until then there is a tool ``search(query)``, which says ``Found.``
    """
    watched = Rogue()
    stage, misbehave = HOW[how]

    class Bad(Answers):
        rogue, bad_stage, loses_sessions = watched, at or stage, how == "loses_session"

        def badly(self, message: Json) -> None:
            misbehave(self, message)

    class Away(Strays):
        rogue = watched

    with ExitStack() as stack:
        watched.elsewhere = stack.enter_context(listening("127.0.0.1", Away))
        watched.private = stack.enter_context(listening("127.0.0.2", Away))
        watched.url = stack.enter_context(listening("127.0.0.1", Bad))
        stack.callback(watched.stopped.set)
        yield watched


def _status(status: int) -> Callable[[Answers, Json], None]:
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return lambda answers, _: answers.text(status, "No.", headers)


def _hang(answers: Answers, _: Json) -> None:
    while answers.goes_on(LOOK_SECONDS):
        pass
    answers.close_connection = True


def _drip(answers: Answers, _: Json) -> None:
    answers.open("application/json")
    answers.piece(b"{")
    while answers.goes_on(DRIP_SECONDS):
        answers.piece(b" ")


def _stream_for_ever(answers: Answers, _: Json) -> None:
    answers.open("text/event-stream")
    answers.piece(b": here\n\n")
    while answers.goes_on(COMMENT_SECONDS):
        answers.piece(b": still here\n\n")


def _answer_hugely(answers: Answers, message: Json) -> None:
    text = "x" * HUGE_BYTES
    match message["method"]:
        case "tools/list":
            answers.result(message, {"tools": [{**GOOD_TOOL, "description": text}]})
        case "tools/call":
            answers.result(message, {"content": [{"type": "text", "text": text}]})
        case _:
            answers.result(message, {**welcome(message), "instructions": text})


def _break_json(answers: Answers, _: Json) -> None:
    answers.whole(200, "application/json", b'{"jsonrpc": "2.0", "id": ')


def _mistake_id(answers: Answers, message: Json) -> None:
    answers.result({"id": 424242}, {"tools": [], **GOOD_RESULT, **welcome(message)})


def _close(answers: Answers, _: Json) -> None:
    answers.close_connection = True


def _echo_secret(answers: Answers, message: Json) -> None:
    told = f"I was given {answers.headers.get('authorization')} and do not like it."
    answers.json({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32000, "message": told}})


def _redirect_away(answers: Answers, _: Json) -> None:
    answers.text(307, "", {"location": answers.rogue.elsewhere})


def _redirect_privately(answers: Answers, _: Json) -> None:
    answers.text(307, "", {"location": answers.rogue.private})


def _list_many(answers: Answers, message: Json) -> None:
    answers.result(message, {"tools": [{**GOOD_TOOL, "name": f"tool_{number}"} for number in range(MANY_TOOLS)]})


def _list_for_ever(answers: Answers, message: Json) -> None:
    page = answers.rogue.lists
    answers.result(message, {"tools": [{**GOOD_TOOL, "name": f"tool_{page}"}], "nextCursor": f"page {page + 1}"})


def _list_bad_schemas(answers: Answers, message: Json) -> None:
    schemas = {"schema_is_text": "object", "schema_of_type_5": {"type": 5}, "schema_is_list": [{"type": "object"}]}
    bad = [{**GOOD_TOOL, "name": name, "inputSchema": schema} for name, schema in schemas.items()]
    answers.result(message, {"tools": [*bad, GOOD_TOOL]})


def _list_odd_schema(answers: Answers, message: Json) -> None:
    schema = {"type": "object", "properties": {"query": {"type": 5}}}
    answers.result(message, {"tools": [{**GOOD_TOOL, "name": "argument_of_type_5", "inputSchema": schema}, GOOD_TOOL]})


def _give_unknown_content(answers: Answers, message: Json) -> None:
    content = [{"type": "hologram", "shape": "cube"}, {"type": "text", "text": "Beside it."}]
    answers.result(message, {"content": content})


def _call_back(answers: Answers, message: Json) -> None:
    said = {"role": "user", "content": {"type": "text", "text": "Who are you?"}}
    form = {"type": "object", "properties": {"name": {"type": "string"}}}
    asked = {
        "sampling/createMessage": {"messages": [said], "maxTokens": 10},
        "roots/list": {},
        "elicitation/create": {"message": "Your name, please.", "requestedSchema": form},
    }
    answers.open("text/event-stream")
    for method, params in asked.items():
        answers.piece(_event({"jsonrpc": "2.0", "id": f"asked {method}", "method": method, "params": params}))
    count = sum(answers.rogue.answered.acquire(timeout=ANSWER_SECONDS) for _ in asked)
    content = [{"type": "text", "text": f"I was answered {count} times."}]
    answers.piece(_event({"jsonrpc": "2.0", "id": message["id"], "result": {"content": content}}))


def _event(message: Json) -> bytes:
    return b"event: message\ndata: " + json.dumps(message).encode() + b"\n\n"


HOW: dict[str, tuple[Stage, Callable[[Answers, Json], None]]] = {
    **{str(status): ("initialize", _status(status)) for status in (401, 403, 404, 500)},
    "html": ("initialize", lambda answers, _: answers.whole(200, "text/html", b"<h1>Welcome!</h1>")),
    "hangs": ("call", _hang),
    "drips": ("call", _drip),
    "endless_stream": ("call", _stream_for_ever),
    "huge": ("call", _answer_hugely),
    "bad_json": ("call", _break_json),
    "bad_jsonrpc": ("call", lambda answers, _: answers.json({"hello": "world"})),
    "wrong_id": ("call", _mistake_id),
    "closes": ("call", _close),
    "echoes_secret": ("call", _echo_secret),
    "redirects_away": ("initialize", _redirect_away),
    "redirects_private": ("initialize", _redirect_privately),
    "many_tools": ("list", _list_many),
    "endless_pages": ("list", _list_for_ever),
    "bad_schema": ("list", _list_bad_schemas),
    "odd_schema": ("list", _list_odd_schema),
    "unknown_content": ("call", _give_unknown_content),
    "calls_back": ("call", _call_back),
    "loses_session": ("call", lambda answers, message: answers.well(message)),
}
"""The ways to behave badly: the stage at which each shows if none is named, and what is done then."""
