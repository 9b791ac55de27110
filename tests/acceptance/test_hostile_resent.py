"""A client that sends our own output back to us is always understood: whatever it leaves out, adds or writes as null.

Every kind of item is made by a run, given back in one of many forms, and the model sees what it sees of the plain form.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, get_args

import pytest
from msgspec import Struct
from openai import OpenAI
from openai.types.responses import ResponseOutputItem

from antiphon.outbound import Config as Outbound
from antiphon.protocol.items import PREFIXES, OutputItem
from tests.acceptance.hostile import (
    CALLED,
    FUNCTION,
    TOOLS,
    Json,
    Stand,
    call,
    calls,
    kinds,
    outputs,
    says,
    sse,
    standing,
    turn,
)
from tests.images_api import images_api
from tests.mcp_servers import Watched, library
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unread_data:DeprecationWarning:aiohttp"),  # of the images API's own reading
]

HI: Json = {"role": "user", "content": "hi"}
NEXT: Json = {"role": "user", "content": "And now?"}
LATER: Json = {**FUNCTION, "name": "later", "description": "Comes later.", "defer_loading": True}
THINKING: tuple[Json, ...] = (
    {"reasoning_content": "First.\n\n"},
    {"reasoning_content": "Second."},
    {"content": "Yes."},
)
LIKELY: Json = {"token": "Yes", "logprob": -0.5, "bytes": [89, 101, 115], "top_logprobs": []}
TOKEN: Json = {**LIKELY, "top_logprobs": [{name: LIKELY[name] for name in ("token", "logprob", "bytes")}]}
CITING: Json = {
    "name": "citing",
    "backend": "scripted",
    "replies": [
        {
            "outputs": 0,
            "steps": [
                {"thought": "Well."},
                {"voice": "commentary"},
                {"text": "See this."},
                {
                    "cite": {
                        "type": "url_citation",
                        "url": "https://a.example",
                        "title": "A",
                        "start_index": 0,
                        "end_index": 3,
                    }
                },
                {"voice": "final_answer"},
                {"text": "That is all."},
            ],
        }
    ],
}
SECRET: Json = {"include": ["reasoning.encrypted_content"], "store": False}


class Made(Struct, frozen=True):
    """How items come to be: what the model says, what is asked for, and the kinds of items that come of it."""

    turns: list[bytes]
    body: Json
    kinds: list[str]


def _likely() -> bytes:
    said = {"choices": [{"index": 0, "delta": {"content": "Yes"}, "logprobs": {"content": [TOKEN]}}]}
    return sse(said) + turn()


CASES: dict[str, Made] = {
    "a thought": Made([turn(*THINKING)], {}, ["reasoning", "message"]),
    "a sealed thought": Made([turn(*THINKING)], SECRET, ["reasoning", "message"]),
    "a summary": Made([turn(*THINKING)], {**SECRET, "reasoning": {"summary": "detailed"}}, ["reasoning", "message"]),
    "a thought before a call": Made(
        [turn(*THINKING[:2], *call("f", {"a": [None]}))],
        {**SECRET, "tools": [FUNCTION]},
        ["reasoning", "function_call"],
    ),
    "two calls": Made(
        [turn(*call("f", {}, "1"), *call("f", {"b": 1}, "2", 1))], {"tools": [FUNCTION]}, ["function_call"] * 2
    ),
    "probabilities": Made([_likely()], {"include": ["message.output_text.logprobs"], "top_logprobs": 1}, ["message"]),
    "a refusal": Made([turn({"refusal": "No."})], {}, ["message"]),
    "citations": Made([], {"model": "citing"}, ["reasoning", "message", "message"]),
    **{f"a {kind}": Made([calls(*CALLED[kind])], {"tools": [TOOLS[kind]]}, [kind]) for kind in CALLED},
    "a call in a namespace": Made(
        [calls("n__f", {})],
        {"tools": [{"type": "namespace", "name": "n", "description": "", "tools": [FUNCTION]}]},
        ["function_call"],
    ),
    "a search for tools": Made(
        [calls("tool_search", {"paths": ["later"]}), calls("later", {})],
        {"tools": [{"type": "tool_search"}, LATER]},
        ["tool_search_call", "tool_search_output", "function_call"],
    ),
    "a call of a server": Made(
        [calls("books__add", {"a": 1, "b": 2})], {"mcp": "never"}, ["mcp_list_tools", "mcp_call", "message"]
    ),
    "a wish for an approval": Made(
        [calls("books__add", {"a": 1, "b": 2})], {"mcp": "always"}, ["mcp_list_tools", "mcp_approval_request"]
    ),
    "a drawing": Made(
        [calls("image_generation", {"prompt": "a cat"})],
        {"tools": [{"type": "image_generation"}]},
        ["image_generation_call", "message"],
    ),
    "a summary of all": Made(
        [says("They said hi.")],
        {"input": [HI, {"type": "compaction_trigger"}]},
        ["compaction"],
    ),
}


# In which form it comes back


EXTRAS: Json = {
    "parsed": None,
    "parsed_arguments": {"a": 1},
    "created_by": "me",
    "response_id": "resp_1",
    "agent": {"agent_name": "/root"},
    "x-anything": [None, {"type": "message", "id": "msg_1", "call_id": ""}],
    "index": 0,
}


def without(*names: str) -> Callable[[Json], Json]:
    """A form that leaves keys out."""
    return lambda item: {name: value for name, value in item.items() if name not in names}


def deeply(item: Json) -> Json:
    """The item with extra keys in all that it holds that has a type of its own."""
    if isinstance(item, list):
        return [deeply(each) for each in item]
    if not isinstance(item, dict) or "type" not in item:
        return item
    held = {name: deeply(value) for name, value in item.items() if name not in {"tools", "arguments"}}
    return {**item, **held, "x-extra": {"a": 1}, "x-null": None}


THEIRS: dict[str, Json] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(ResponseOutputItem)[0])
}
"""The kinds of items as the official client knows them."""


def typed(item: Json) -> Json:
    """The item as the official client gives it."""
    return THEIRS[item["type"]].model_validate(item)


def dumped(item: Json) -> Json:
    """The item as the official client writes it down, with nulls for all that is absent."""
    return typed(item).model_dump()


def every_key() -> set[str]:
    """The keys that items have, of any kind and in any version of the official client."""
    ours = {name for kind in PREFIXES for name in kind.__struct_encode_fields__}
    theirs = {name for kind in THEIRS.values() for name in kind.model_fields}
    return ours | theirs


FORMS: dict[str, Callable[[Json], Json]] = {
    "with nulls": lambda item: {**dict.fromkeys(every_key()), **item},
    "with extra keys": lambda item: {**item, **EXTRAS},
    "with extra keys within": deeply,
    "without a type": without("type"),
    "with a null for its type": lambda item: {**item, "type": None},
    "without a status": without("status"),
    "without an id": without("id"),
    "with a null for its id": lambda item: {**item, "id": None},
    "sorted": lambda item: json.loads(json.dumps(item, sort_keys=True)),
    "dumped by the client": dumped,
    "dumped by the client, sorted": lambda item: json.loads(json.dumps(dumped(item), sort_keys=True)),
    "dumped without nulls": lambda item: typed(item).model_dump(exclude_none=True),
    "dumped without defaults": lambda item: typed(item).model_dump(exclude_unset=True, mode="json"),
}


class Shop(Struct, frozen=True):
    """A server with all that makes items, and the MCP server that it reaches."""

    stand: Stand
    books: Watched

    def body(self, made: Made, **more: Json) -> Json:
        """What asks for these items."""
        body = {**made.body, **more}
        if approval := body.pop("mcp", None):
            server = {"type": "mcp", "server_label": "books", "server_url": self.books.url}
            body["tools"] = [{**server, "require_approval": approval}]
        return body

    def made(self, made: Made, **more: Json) -> Json:
        """A response with these items."""
        self.stand.model.will(*made.turns)
        response = self.stand.made(**self.body(made, **more))
        assert made.kinds == kinds(response), response["output"]
        return response

    def rest(self, made: Made, response: Json) -> Json:
        """What goes on from there: what the client has to answer, and a further word."""
        approvals = [
            {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": True}
            for item in response["output"]
            if item["type"] == "mcp_approval_request"
        ]
        body = self.body(made, reasoning={"context": "all_turns"})
        items = [*outputs(response), *approvals]
        return {**body, "model": "m", "input": items if approvals else [*items, NEXT]}

    def heard(self, made: Made, form: Callable[[Json], Json]) -> Json:
        """What the model hears when the items of a run come back in a form."""
        response = self.made(made)
        body = self.rest(made, response)
        return self.turn({**body, "input": [HI, *map(form, response["output"]), *body["input"]]})

    def turn(self, body: Json) -> Json:
        """What the model hears of a request."""
        self.stand.model.will()
        return renamed(self.stand.heard(**body))


def renamed(messages: Json) -> Json:
    """Messages whose calls are numbered: ids are new in every run."""
    text = json.dumps(messages)
    ids = [call["id"] for message in messages for call in message.get("tool_calls", [])]
    for number, id in enumerate(dict.fromkeys(ids)):
        text = text.replace(id, f"call {number}")
    return json.loads(text)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """All of it."""
    with ExitStack() as stack:
        books, painter = stack.enter_context(library()), stack.enter_context(images_api())
        image = {"name": "gpt-image-1", "backend": "images", "base_url": painter.url}
        settings = {"outbound": Outbound(["127.0.0.1"]), "image_deployments": [image]}
        yield Shop(stack.enter_context(standing(CITING, **settings)), books)


Plain = Callable[[str], Json]


@pytest.fixture(scope="module")
def plain(shop: Shop) -> Plain:
    """What the model hears of each case when the items come back as they were."""
    known: dict[str, Json] = {}

    def heard(case: str) -> Json:
        if case not in known:
            known[case] = shop.heard(CASES[case], lambda item: item)
        return known[case]

    return heard


LESS = {"a thought", "a search for tools", "a drawing"}
"""Of these an item does not show all: the thought was not sent, nor what the model was told of its own tools."""


def outline(messages: Json) -> Json:
    """Messages without thoughts, and without what tools gave."""
    return [
        (message["role"], message.get("tool_calls"), None if message["role"] == "tool" else message["content"])
        for message in messages
    ]


@pytest.mark.parametrize("case", CASES)
def test_what_comes_back_plainly_is_what_was_said(shop: Shop, plain: Plain, case: str) -> None:
    """The model sees of its answer what it would see if the server had kept it."""
    made = CASES[case]
    stored = shop.made(made, store=True)
    kept = shop.turn({**shop.rest(made, stored), "previous_response_id": stored["id"], "store": True})
    assert outline(kept) == outline(plain(case))
    assert (case in LESS) is (kept != plain(case))
    assert len(kept) > 1


def is_lost(case: str, form: str) -> bool:
    """Whether nobody could tell what that was: an approval is of the request that has the id."""
    return case == "a wish for an approval" and form in {"without an id", "with a null for its id"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_our_own_output_is_understood_in_any_form(shop: Shop, plain: Plain, case: str, form: str) -> None:
    """As if it had come back as it was."""
    if not is_lost(case, form):
        assert plain(case) == shop.heard(CASES[case], FORMS[form])


@pytest.mark.parametrize("form", [form for form in FORMS if " id" not in form])
@pytest.mark.parametrize("case", CASES)
def test_what_the_server_has_kept_is_not_taken_twice(shop: Shop, plain: Plain, case: str, form: str) -> None:
    """A client that names the previous response and sends its output as well is understood too."""
    made = CASES[case]
    first = shop.made(made, store=True)
    rest = shop.rest(made, first)
    items = [*map(FORMS[form], first["output"]), *rest["input"]]
    again = shop.turn({**rest, "input": items, "previous_response_id": first["id"], "store": True})
    assert outline(again) == outline(plain(case))


@pytest.mark.parametrize("case", CASES)
def test_the_official_client_adds_its_output_to_the_next_input(shop: Shop, plain: Plain, case: str) -> None:
    """The items themselves, as its documentation says: ``input += response.output``."""
    made = CASES[case]
    shop.stand.model.will(*made.turns)
    with OpenAI(base_url=f"{shop.stand.address}/v1", api_key="key-a", max_retries=0, timeout=HANG_SECONDS) as client:
        create: Json = client.responses.create  # its types do not know all that is sent here
        response = create(**{"model": "m", "input": "hi", **shop.body(made)})
        body = shop.rest(made, response.to_dict())
        shop.stand.model.will()
        create(**{**body, "input": [HI, *response.output, *body["input"]]})
    assert plain(case) == renamed(shop.stand.model.heard)


def test_every_kind_that_this_server_makes_is_made_here() -> None:
    """What else stands in the union is run elsewhere, or not at all."""
    made = {kind for case in CASES.values() for kind in case.kinds}
    every = {kind.__struct_config__.tag for kind in get_args(OutputItem)}
    elsewhere = {kind for kind in every if kind.endswith("_output")} - {"tool_search_output"}
    not_run = {"file_search_call", "web_search_call", "code_interpreter_call", "computer_call", "program"}
    callers = {"additional_tools", "mcp_approval_response"}
    assert every == made | elsewhere | not_run | callers
