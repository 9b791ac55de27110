"""Truncation, through a whole server and an upstream whose window is small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest

from antiphon.config import Config
from tests import patient
from tests.acceptance.window import window
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.window import Window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def narrow() -> Iterator[Window]:
    """A model that reads a hundred words."""
    with window(100) as made:
        yield made


@pytest.fixture(scope="module")
def address(narrow: Window) -> Iterator[str]:
    """A server that does not know how many, and one deployment that does."""
    known: dict[str, Any] = {"backend": "chat_completions", "base_url": narrow.url}
    deployments = [{"name": "m", **known}, {"name": "known", "context_window": 300, **known}]
    with serving(Config(store=MEMORY, deployments=deployments)) as url:
        yield url


def talk(turns: int) -> list[dict[str, Any]]:
    """A conversation of so many exchanges, of 20 words each, and a last word."""
    said = [{"role": role, "content": f"{number} " * 10} for number in range(turns) for role in ("user", "assistant")]
    return [*said, {"role": "user", "content": "And now?"}]


def asked(address: str, **body: Any) -> Any:  # JSON
    """What is answered."""
    return patient.post(f"{address}/v1/responses", json={"model": "m", **body})


@pytest.mark.parametrize("settings", [{}, {"truncation": "disabled"}])
def test_what_is_too_long_is_refused(address: str, settings: dict[str, str]) -> None:
    """Nothing is left out unasked."""
    answer = asked(address, input=talk(20), **settings)
    error = answer.json()["error"]
    assert (400, "context_length_exceeded", "input") == (answer.status_code, error["code"], error["param"])


def test_what_is_too_long_is_cut_where_that_is_asked_for(address: str, narrow: Window) -> None:
    """From its beginning; the instructions and the last word stay. The response says what was asked for."""
    answer = asked(address, input=talk(20), truncation="auto", instructions="Be brief.")
    assert 200 == answer.status_code, answer.text
    assert ("completed", "auto") == (answer.json()["status"], answer.json()["truncation"])
    assert "x-ignored-params" not in answer.headers
    heard = narrow.asked[-1]
    assert ("Be brief.", "And now?") == (heard[0]["content"], heard[-1]["content"])
    assert 3 < len(heard) < 20
    assert "19" in heard[-2]["content"]


def test_nothing_is_lost_for_later(address: str) -> None:
    """What was left out stands in the list of items all the same."""
    id = asked(address, input=talk(20), truncation="auto").json()["id"]
    items = patient.get(f"{address}/v1/responses/{id}/input_items?limit=100").json()["data"]
    assert 41 == len(items)


def test_a_call_and_its_output_are_cut_together(address: str, narrow: Window) -> None:
    """The upstream would refuse one of them alone."""
    calls = [
        part
        for number in range(20)
        for part in (
            {"type": "function_call", "call_id": f"c{number}", "name": "count", "arguments": "{}"},
            {"type": "function_call_output", "call_id": f"c{number}", "output": f"{number} " * 10},
        )
    ]
    answer = asked(address, input=[{"role": "user", "content": "Count."}, *calls], truncation="auto")
    assert 200 == answer.status_code, answer.text
    heard = narrow.asked[-1]
    assert "Count." == heard[0]["content"]
    made = [call["id"] for message in heard for call in message.get("tool_calls") or []]
    assert made == [message["tool_call_id"] for message in heard if message["role"] == "tool"]
    assert "c19" == made[-1]


def test_a_known_window_spares_the_upstream_the_question(address: str, narrow: Window) -> None:
    """It is asked once."""
    before = narrow.refused
    answer = asked(address, model="known", input=talk(20), truncation="auto", max_output_tokens=200)
    assert 200 == answer.status_code, answer.text
    assert before == narrow.refused


def test_what_cannot_be_cut_is_refused(address: str) -> None:
    """One message that is longer than the window."""
    answer = asked(address, input="word " * 200, truncation="auto")
    assert (400, "context_length_exceeded") == (answer.status_code, answer.json()["error"]["code"])


def test_a_stream_is_cut_like_a_body(address: str) -> None:
    """Before its first event."""
    with patient.stream(
        "POST", f"{address}/v1/responses", json={"model": "m", "input": talk(20), "truncation": "auto", "stream": True}
    ) as answer:
        text = "".join(answer.iter_text())
    assert text.startswith("event: response.created")
    assert 1 == text.count("event: response.completed")
