"""Drives langchain-openai over the Responses API, and prints what it got as JSON.

The server is at ``ANTIPHON_URL`` and opens to ``ANTIPHON_KEY``. A scenario that the client ends with an error prints
the error's class, status, code and param.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import (  # type: ignore[import-not-found]  # installed for this driver alone
    AIMessageChunk,
    HumanMessage,
    ToolMessage,
)
from langchain_openai import (  # type: ignore[import-not-found]  # installed for this driver alone
    AzureChatOpenAI,
    ChatOpenAI,
)
from openai import APIStatusError
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = Any  # the client's types are not installed where types are checked

URL = os.environ["ANTIPHON_URL"]
KEY = os.environ["ANTIPHON_KEY"]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Say how warm it is."""
    return f"{city}: 22 degrees"


def chat(**settings: Json) -> Json:
    """The client, over the Responses API."""
    return ChatOpenAI(**{
        "model": "gpt-4o",
        "base_url": f"{URL}/v1",
        "api_key": KEY,
        "use_responses_api": True,
        **settings,
    })


def text() -> Json:
    """A question and its answer."""
    message = chat().invoke("hello")
    usage = message.usage_metadata
    return [message.text, message.response_metadata["status"], usage["input_tokens"], usage["output_tokens"]]


def stream() -> Json:
    """The pieces of an answer, and their sum."""
    total = AIMessageChunk(content="")
    pieces = []
    for chunk in chat().stream("hello"):
        total += chunk
        pieces += [chunk.text] if chunk.text else []
    return [pieces, total.text, total.usage_metadata["output_tokens"]]


def background() -> Json:
    """The pieces of an answer that runs in the background."""
    chunks = chat(model_kwargs={"background": True}).stream("hello")
    return [chunk.text for chunk in chunks if chunk.text]


def tool() -> Json:
    """A call and its output, by hand: the client gives back what it was told."""
    model = chat().bind_tools([get_weather])
    said: list[Json] = [HumanMessage("the weather?")]
    said.append(model.invoke(said))
    call = said[-1].tool_calls[0]
    said.append(ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]))
    return [call["name"], call["args"], model.invoke(said).text]


def tool_stream() -> Json:
    """The same, streamed, and by the id of the response."""
    model = chat(use_previous_response_id=True).bind_tools([get_weather])
    said: list[Json] = [HumanMessage("the weather?")]
    message = AIMessageChunk(content="")
    for chunk in model.stream(said):
        message += chunk
    call = message.tool_calls[0]
    said += [message, ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])]
    return [call["name"], call["args"], model.invoke(said).text]


def chain() -> Json:
    """A second turn by the id of the response; the test looks at what the server knows of it."""
    model = chat(use_previous_response_id=True)
    said: list[Json] = [HumanMessage("one")]
    said += [model.invoke(said), HumanMessage("two")]
    message = model.invoke(said)
    return [message.text, message.response_metadata["id"]]


def by_hand() -> Json:
    """A second turn whose input is all that was said."""
    said: list[Json] = [HumanMessage("one")]
    said += [chat().invoke(said), HumanMessage("two")]
    message = chat().invoke(said)
    return [message.text, message.response_metadata["id"]]


def parsed() -> Json:
    """An answer in the form of a class."""
    return chat().with_structured_output(Person, method="json_schema").invoke("a person").model_dump()


def reasoning() -> Json:
    """A thought, shown as a summary, and given back in the next turn without anything stored."""
    model = chat(reasoning={"summary": "auto"}, store=False, include=["reasoning.encrypted_content"])
    said: list[Json] = [HumanMessage("think")]
    said.append(model.invoke(said))
    blocks = [block for block in said[-1].content_blocks if block["type"] == "reasoning"]
    said.append(HumanMessage("hello"))
    return [blocks[0]["reasoning"], said[-2].text, model.invoke(said).text]


def azure() -> Json:
    """Azure, at the classic path."""
    model = AzureChatOpenAI(
        azure_endpoint=URL,
        azure_deployment="gpt-4o",
        api_key=KEY,
        api_version="2025-04-01-preview",
        use_responses_api=True,
    )
    return [model.invoke("hello").text, "".join(chunk.text for chunk in model.stream("hello"))]


def bad_request() -> Json:
    """A chain that begins nowhere."""
    return chat(previous_response_id="resp_nothing").invoke("hello").text


def unauthorized() -> Json:
    """A wrong key."""
    return chat(api_key="wrong").invoke("hello").text


def limited() -> Json:
    """A model that is busy, and a client that does not ask again."""
    return chat(max_retries=0).invoke("limit").text


def retried() -> Json:
    """A model that is busy, once."""
    return chat(model="busy", max_retries=2).invoke("langchain").text


def azure_unknown() -> Json:
    """A deployment that is not there."""
    model = AzureChatOpenAI(
        azure_endpoint=URL,
        azure_deployment="nothing",
        api_key=KEY,
        api_version="2025-04-01-preview",
        use_responses_api=True,
    )
    return model.invoke("hello").text


SCENARIOS: list[Callable[[], Json]] = [
    *(text, stream, background, tool, tool_stream, chain, by_hand, parsed, reasoning, azure),
    *(azure_unknown, bad_request, unauthorized, limited, retried),
]


def told(scenario: Callable[[], Json]) -> Json:
    """What a scenario gave, or the error that ended it."""
    try:
        return scenario()
    except APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it beside what it expects
        return [type(error).__name__, str(error)]


if __name__ == "__main__":
    json.dump({scenario.__name__: told(scenario) for scenario in SCENARIOS}, sys.stdout)
