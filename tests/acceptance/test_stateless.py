"""Conversations that their clients keep: nothing is stored, and any process with the same keys goes on with them."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import BadRequestError, OpenAI

from antiphon.lifecycle import DAY_SECONDS, Policy
from antiphon.lifecycle.tokens import Tokens
from antiphon.sealing import Seal
from tests.acceptance.operating import operating
from tests.acceptance.thinking import MARKER, given_back, thinking, thought
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai.types.responses import Response

    from tests.acceptance.operating import Operated
    from tests.acceptance.thinking import Thinker

pytestmark = pytest.mark.slow

KEY = "a key of 32 characters or so, for tests"
CONFIG = """
store = {{ url = "sqlite://{folder}/{name}.db" }}
[auth]
keys = [{{ key = "key-a", tenant = "a" }}, {{ key = "key-b", tenant = "b" }}]
[encryption]
keys = {keys}
[[deployments]]
name = "thinker"
backend = "chat_completions"
base_url = "{url}"
reasoning_context = "all_turns"
send_reasoning = true
[[deployments]]
name = "forgetful"
backend = "chat_completions"
base_url = "{url}"
send_reasoning = true
"""
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TURNS = 50


def configured(folder: Path, name: str, model: Thinker, keys: list[str] | None = None) -> Path:
    """A configuration with a database of its own."""
    path = folder / f"{name}.toml"
    path.write_text(CONFIG.format(folder=folder, name=name, url=model.url, keys=keys or [KEY]))
    return path


@contextmanager
def official(server: Operated, key: str = "key-a") -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent and tries nothing again."""
    with OpenAI(
        base_url=f"{server.address}/v1",
        api_key=key,
        max_retries=0,
        timeout=HANG_SECONDS,
        _strict_response_validation=True,
    ) as made:
        yield made


@pytest.fixture(scope="module")
def model() -> Iterator[Thinker]:
    """A model that wants its thoughts back."""
    with thinking() as made:
        yield made


@pytest.fixture(scope="module")
def servers(model: Thinker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Operated]]:
    """Two processes that share their configuration and nothing else."""
    folder = tmp_path_factory.mktemp("stateless")
    with ExitStack() as stack:
        yield [stack.enter_context(operating(configured(folder, name, model))) for name in ("one", "other")]


@pytest.fixture
def clients(servers: list[Operated]) -> Iterator[list[OpenAI]]:
    """A client of each."""
    with ExitStack() as stack:
        yield [stack.enter_context(official(server)) for server in servers]


def asked(client: OpenAI, conversation: list[Any], *, streamed: bool = False, **more: Any) -> Response:  # JSON
    """What comes of a conversation that nobody stores; it is part of it afterwards, word for word."""
    body: dict[str, Any] = {"model": "thinker", "tools": [WEATHER], "store": False, **more}
    if streamed:
        with client.responses.stream(input=conversation, **body) as events:
            response: Response = events.get_final_response()
    else:
        response = client.responses.create(input=conversation, **body)
    conversation += [item.model_dump(exclude_unset=True, exclude={"parsed_arguments"}) for item in response.output]
    return response


def turn(client: OpenAI, conversation: list[Any], text: str, **more: Any) -> Response:  # JSON
    """A message of the user's, the call of the model's that comes of it, its output, and what the model says then."""
    conversation.append({"role": "user", "content": text})
    called = asked(client, conversation, **more)
    calls = [item.call_id for item in called.output if item.type == "function_call"]
    conversation += [{"type": "function_call_output", "call_id": call, "output": "Sunny."} for call in calls]
    return asked(client, conversation, **more)


def test_a_chain_of_stateless_turns_moves_between_processes(
    clients: list[OpenAI], servers: list[Operated], model: Thinker
) -> None:
    """The model gets back all its thoughts, in every turn, from processes that have never seen them."""
    model.asked.clear()
    model.lost.clear()
    conversation: list[Any] = []
    include = ["reasoning.encrypted_content"]
    for number in range(TURNS):
        client = clients[number % 2]
        conversation.append({"role": "user", "content": f"How is the weather, {number}?"})
        called = asked(client, conversation, streamed=number % 3 == 0, include=include)
        thought_item, call = called.output
        assert ("reasoning", "function_call") == (thought_item.type, call.type)
        assert call.type == "function_call"
        conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."})
        answered = asked(clients[1 - number % 2], conversation, streamed=number % 2 == 0, include=include)
        assert ("completed", "It is fine.") == (answered.status, answered.output_text)
    assert 2 * TURNS == len(model.asked)
    assert [] == model.lost
    assert [thought(number) for number in range(2 * TURNS - 1)] == given_back(model.asked[-1])
    assert MARKER not in str(conversation)
    assert all(MARKER.encode() not in server.written for server in servers)


def test_without_an_include_what_is_not_stored_brings_its_thoughts_all_the_same(clients: list[OpenAI]) -> None:
    """Otherwise nobody could go on with it."""
    response = asked(clients[0], [{"role": "user", "content": "Hi."}])
    assert response.output[0].type == "reasoning"
    assert response.output[0].encrypted_content


def test_only_the_thoughts_of_the_turn_are_given_back_where_nobody_asked_for_more(
    clients: list[OpenAI], model: Thinker
) -> None:
    """As the deployment says, and as the request says in its place."""
    conversation: list[Any] = []
    turn(clients[0], conversation, "One?", model="forgetful")
    turn(clients[1], conversation, "Two?", model="forgetful")
    assert [None, None, thought(2)] == given_back(model.asked[-1])
    turn(clients[0], conversation, "Three?", model="forgetful", reasoning={"context": "all_turns"})
    assert [thought(number) for number in range(5)] == given_back(model.asked[-1])
    turn(clients[0], conversation, "Four?", reasoning={"context": "current_turn"})
    assert [thought(6)] == given_back(model.asked[-1])[-1:]


def test_thoughts_of_another_model_are_left_out_and_named(clients: list[OpenAI], model: Thinker) -> None:
    """A model reads its own thoughts alone; the response says which it was not shown."""
    conversation: list[Any] = []
    turn(clients[0], conversation, "One?", model="forgetful")
    ids = [item["id"] for item in conversation if item.get("type") == "reasoning"]
    response = asked(clients[1], conversation)
    assert [None, None] == given_back(model.asked[-1])
    named = response.model_dump()["input_transformations"]
    assert [{"id": id, "reason": "model_mismatch"} for id in ids] == [
        {"id": each["id"], "reason": each["reason"]} for each in named
    ]


def changed(token: str) -> str:
    """A token with one character changed, somewhere in what is sealed."""
    middle = len(token) // 2
    return token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]


def refusal(client: OpenAI, item: dict[str, Any]) -> tuple[int, str | None, str | None, str]:
    """What a client is told that brings this reasoning item."""
    conversation = [{"role": "user", "content": "Hi."}, item, {"role": "assistant", "content": "Ho."}]
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(model="thinker", input=[*conversation, {"role": "user", "content": "Well?"}])  # type: ignore[list-item]  # as clients send it
    return caught.value.status_code, caught.value.code, caught.value.param, caught.value.message


def sealed(tenant: str, *, age: int = 0, key: str = KEY, kind: Any = "thought") -> str:  # a literal
    """A token as the server makes it, so many seconds ago."""
    tokens = Tokens(Seal([key]), Policy(), now=lambda: int(time.time()) - age)
    return tokens.seal(kind, b'{"text":"Hm.","model":"thinker"}', tenant)


def reasoning(token: str) -> dict[str, Any]:
    """A reasoning item with a token."""
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": token}


@pytest.mark.parametrize(
    "token",
    [
        changed(sealed("a")),
        sealed("b"),
        sealed("a", age=31 * DAY_SECONDS),
        sealed("a", key="a key that nobody knows here, or ever did"),
        sealed("a", kind="summary"),
        "gAAAAABp4CVuo_va1l5KdyyIfA553gFmrl8KTk8SKrPp",
        "no token",
        "ü",
    ],
    ids=["changed", "foreign", "expired", "unknown", "other", "elsewhere", "garbage", "letters"],
)
def test_a_thought_that_cannot_be_opened_is_refused(clients: list[OpenAI], token: str) -> None:
    """The error names the item, and tells nothing of why."""
    model = clients[0]
    assert (400, "invalid_encrypted_content", "input") == refusal(model, reasoning(token))[:3]
    assert "rs_1" in refusal(model, reasoning(token))[3]


def test_a_thought_of_an_older_key_is_opened_as_long_as_the_key_is_there(
    servers: list[Operated], model: Thinker, tmp_path: Path
) -> None:
    """New ones are sealed with the new key; a process without the old one opens those alone."""
    conversation: list[Any] = []
    with official(servers[0]) as before:
        turn(before, conversation, "One?")
    new = "another key of 32 characters or so, newer"
    with operating(configured(tmp_path, "rotated", model, [new, KEY])) as rotated, official(rotated) as client:
        turn(client, conversation, "Two?")
        assert [thought(0), thought(1), thought(2)] == given_back(model.asked[-1])
    late = conversation[-5:]  # what the new key sealed
    with operating(configured(tmp_path, "later", model, [new])) as later, official(later) as client:
        with pytest.raises(BadRequestError, match="could not be verified"):
            asked(client, [*conversation, {"role": "user", "content": "Three?"}])
        asked(client, [{"role": "user", "content": "Two?"}, *late, {"role": "user", "content": "Three?"}])
        assert [thought(2), thought(3)] == given_back(model.asked[-1])
