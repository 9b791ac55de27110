"""Drives the official Python client, 1.99 or newer, against a server, and prints what it got as JSON.

The server is at ``ANTIPHON_URL`` and opens to ``ANTIPHON_KEY``. A scenario that the client ends with an error prints
the error's class, status, code and param.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import openai
from openai import APIStatusError, AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = Any  # what a scenario gives, and what the types of three versions call differently

URL = os.environ["ANTIPHON_URL"]
KEY = os.environ["ANTIPHON_KEY"]
MODEL = "gpt-4o"
WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
    "description": "Say how warm it is.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


class StrictAzure(AzureOpenAI):
    """The Azure client, which has no argument for strict validation."""

    def __init__(self, **settings: Json) -> None:  # those of the client
        super().__init__(**settings)
        self._strict_response_validation = True


def text(client: OpenAI) -> Json:
    """A question and its answer."""
    response = client.responses.create(model=MODEL, input="hello", instructions="be brief")
    usage = response.usage
    assert usage is not None
    return [response.output_text, response.status, usage.input_tokens, usage.output_tokens, usage.total_tokens]


def request_id(client: OpenAI) -> Json:
    """What the client shows users who ask for help."""
    return client.responses.create(model=MODEL, input="hello")._request_id


def stream(client: OpenAI) -> Json:
    """The bare stream."""
    return [event.type for event in client.responses.create(model=MODEL, input="hello", stream=True)]


def stream_helper(client: OpenAI) -> Json:
    """The stream that adds events up, and complains where they do not."""
    with client.responses.stream(model=MODEL, input="hello") as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        return [deltas, events.get_final_response().output_text]


def tool(client: OpenAI) -> Json:
    """A call, its output, and a next turn by the id of the response."""
    first = client.responses.create(model=MODEL, input="the weather?", tools=[WEATHER])
    call: Json = first.output[0]
    output: Json = {"type": "function_call_output", "call_id": call.call_id, "output": "22 degrees"}
    second = client.responses.create(model=MODEL, previous_response_id=first.id, input=[output], tools=[WEATHER])
    return [call.type, call.name, call.arguments, second.output_text]


def tool_stream(client: OpenAI) -> Json:
    """A call whose arguments are streamed, read by the client, and a next turn by hand."""
    if openai.__version__.startswith("2."):  # its type demands a name of the event that ends them: never recorded
        client = client.copy(_extra_kwargs={"_strict_response_validation": False})
    question: Json = {"role": "user", "content": "the weather?"}
    with client.responses.stream(model=MODEL, input=[question], tools=[WEATHER], store=False) as events:
        arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
        first = events.get_final_response()
    call: Json = first.output[0]
    told = [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in first.output]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "22 degrees"}
    second_input: Json = [question, *told, output]
    second = client.responses.create(model=MODEL, input=second_input, tools=[WEATHER], store=False)
    return [arguments, call.parsed_arguments, second.output_text]


def two_calls(client: OpenAI) -> Json:
    """Two calls of one turn."""
    response = client.responses.create(model=MODEL, input="both cities?", tools=[WEATHER])
    return [item.arguments for item in response.output if item.type == "function_call"]


def chain(client: OpenAI) -> Json:
    """Three turns by the id of the response, and what the server knows of them."""
    response = client.responses.create(model=MODEL, input="one")
    for word in ("two", "three"):
        response = client.responses.create(model=MODEL, input=word, previous_response_id=response.id)
    items: Json = client.responses.input_items.list(response.id, order="asc", limit=2)
    return [item.content[0].text for item in items]


def by_hand(client: OpenAI) -> Json:
    """A second turn whose input is all that was said."""
    said: Json = [{"role": "user", "content": "one"}]
    said += client.responses.create(model=MODEL, input=said, store=False).output
    said.append({"role": "user", "content": "two"})
    return client.responses.create(model=MODEL, input=said, store=False).output_text


def parsed(client: OpenAI) -> Json:
    """An answer in the form of a class."""
    person = client.responses.parse(model=MODEL, input="a person", text_format=Person).output_parsed
    assert isinstance(person, Person)
    return person.model_dump()


def parsed_stream(client: OpenAI) -> Json:
    """The same, streamed."""
    with client.responses.stream(model=MODEL, input="a person", text_format=Person) as events:
        person = events.get_final_response().output_parsed
    assert isinstance(person, Person)
    return person.model_dump()


def refused(client: OpenAI) -> Json:
    """A model that would rather not leaves nothing to parse."""
    response = client.responses.parse(model=MODEL, input="refuse", text_format=Person)
    message: Json = response.output[0]
    return [response.output_parsed, message.content[0].refusal]


def reasoning(client: OpenAI) -> Json:
    """A thought, shown as a summary."""
    response = client.responses.create(model=MODEL, input="think", reasoning={"summary": "auto"})
    thought: Json = response.output[0]
    return [[item.type for item in response.output], thought.summary[0].text]


def incomplete(client: OpenAI) -> Json:
    """An answer that was cut short."""
    events = list(client.responses.create(model=MODEL, input="long", stream=True))
    last: Json = events[-1]
    return [last.type, last.response.status, last.response.incomplete_details.reason, last.response.output_text]


def failed(client: OpenAI) -> Json:
    """A model that breaks in the middle."""
    events = list(client.responses.create(model=MODEL, input="break", stream=True))
    last: Json = events[-1]
    return [last.type, last.response.status, last.response.error.code, last.response.output_text]


def kept(client: OpenAI) -> Json:
    """A response is read back as it was, and is gone once deleted."""
    made = client.responses.create(model=MODEL, input="hello", metadata={"topic": "demo"})
    same = client.responses.retrieve(made.id).to_dict() == made.to_dict()
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
    except openai.NotFoundError as error:
        return [same, made.metadata, error.status_code]
    return "still there"


def background(client: OpenAI) -> Json:
    """A response that nobody waits for: created, polled, and read as a stream from its middle."""
    response = client.responses.create(model=MODEL, input="hello", background=True)
    statuses = [response.status]
    while response.status in {"queued", "in_progress"}:
        response = client.responses.retrieve(response.id)
    rest = client.responses.retrieve(response.id, stream=True, starting_after=5)
    return [*statuses, response.status, response.output_text, [event.type for event in rest]]


def background_stream(client: OpenAI) -> Json:
    """The same as a stream, which breaks off and is taken up again."""
    broken: Json = client.responses.create(model=MODEL, input="hello", background=True, stream=True)
    begun = [next(broken) for _ in range(3)]
    broken.close()
    last = begun[-1]
    with client.responses.stream(response_id=last.response.id, starting_after=last.sequence_number) as resumed:
        numbers = [event.sequence_number for event in resumed]
        final = resumed.get_final_response()
    return [[event.type for event in begun], numbers, final.output_text]


def cancelled(client: OpenAI) -> Json:
    """A response that would never end, stopped twice."""
    response = client.responses.create(model=MODEL, input="endless", background=True)
    while response.output_text != "So far":
        response = client.responses.retrieve(response.id)
    first, second = (client.responses.cancel(response.id) for _ in range(2))
    return [response.status, first.status, first.output_text, first.to_dict() == second.to_dict()]


def models(client: OpenAI) -> Json:
    """The names that the server answers to."""
    return sorted(model.id for model in client.models.list())


def asynchronous(_client: OpenAI) -> Json:
    """The asynchronous client, whole and streamed."""

    async def ask() -> Json:
        async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, _strict_response_validation=True) as client:
            whole = await client.responses.create(model=MODEL, input="hello")
            async with client.responses.stream(model=MODEL, input="hello") as events:
                final = await events.get_final_response()
        return [whole.output_text, final.output_text]

    return asyncio.run(ask())


def azure_key(_client: OpenAI) -> Json:
    """Azure with a key, at the path of version 1."""
    with StrictAzure(base_url=f"{URL}/openai/v1/", api_key=KEY, api_version="preview") as client:
        return client.responses.create(model=MODEL, input="hello").output_text


def azure_token(_client: OpenAI) -> Json:
    """Azure with a token, at the classic path, streamed."""
    with (
        StrictAzure(
            azure_endpoint=URL, azure_ad_token_provider=lambda: KEY, api_version="2025-04-01-preview"
        ) as client,
        client.responses.stream(model=MODEL, input="hello") as events,
    ):
        return events.get_final_response().output_text


def azure_deployment(_client: OpenAI) -> Json:
    """Azure with a deployment in the client's own settings."""
    with StrictAzure(
        azure_endpoint=URL, azure_deployment=MODEL, api_key=KEY, api_version="2025-03-01-preview"
    ) as client:
        return client.responses.create(model=MODEL, input="hello").output_text


def azure_unknown(_client: OpenAI) -> Json:
    """A deployment that is not there."""
    with StrictAzure(base_url=f"{URL}/openai/v1/", api_key=KEY, api_version="preview") as client:
        return client.responses.create(model="nothing", input="hello").output_text


def not_found(client: OpenAI) -> Json:
    """A response that is not there."""
    return client.responses.retrieve("resp_nothing").id


def bad_request(client: OpenAI) -> Json:
    """A chain that begins nowhere."""
    return client.responses.create(model=MODEL, input="hello", previous_response_id="resp_nothing").id


def bad_value(client: OpenAI) -> Json:
    """A number that is out of bounds."""
    return client.responses.create(model=MODEL, input="hello", temperature=3).id


def unknown_model(client: OpenAI) -> Json:
    """A model that is not there."""
    return client.responses.create(model="nothing", input="hello").id


def unauthorized(client: OpenAI) -> Json:
    """A wrong key."""
    return client.with_options(api_key="wrong").responses.create(model=MODEL, input="hello").id


def limited(client: OpenAI) -> Json:
    """A model that is busy, and a client that does not ask again."""
    return client.with_options(max_retries=0).responses.create(model=MODEL, input="limit").id


def limited_stream(client: OpenAI) -> Json:
    """The same, streamed: the error comes before any event."""
    return list(client.with_options(max_retries=0).responses.create(model=MODEL, input="limit", stream=True))


def retried(client: OpenAI) -> Json:
    """A model that is busy, once."""
    return client.responses.create(model="busy", input=f"openai {openai.__version__}").output_text


SCENARIOS: list[Callable[[OpenAI], Json]] = [
    *(text, request_id, stream, stream_helper, tool, tool_stream, two_calls, chain, by_hand, parsed, parsed_stream),
    *(refused, reasoning, incomplete, failed, kept, background, background_stream, cancelled, models, asynchronous),
    *(azure_key, azure_token, azure_deployment, azure_unknown),
    *(not_found, bad_request, bad_value, unknown_model, unauthorized, limited, limited_stream, retried),
]


def told(scenario: Callable[[OpenAI], Json], client: OpenAI) -> Json:
    """What a scenario gave, or the error that ended it."""
    try:
        return scenario(client)
    except APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it beside what it expects
        return [type(error).__name__, str(error)]


if __name__ == "__main__":
    with OpenAI(base_url=f"{URL}/v1", api_key=KEY, _strict_response_validation=True) as official:
        json.dump({scenario.__name__: told(scenario, official) for scenario in SCENARIOS}, sys.stdout)
