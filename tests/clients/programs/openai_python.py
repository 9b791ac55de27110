"""Runs the features of the official Python client, 1.99 or newer; ``ANTIPHON_CLIENT=azure`` runs its Azure client."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import TYPE_CHECKING

import openai
from openai import AzureOpenAI, OpenAI  # shown
from pydantic import BaseModel

from tests.clients.programs.telling import (
    ADD_CALL,
    KEY,
    MCP_URL,
    PERSON,
    PNG,
    SECONDS,
    THINK,
    THINK_AND_CALL,
    URL,
    WEATHER_CALL,
    WORD,
    needs,
    pdf,
    same,
    tell,
)

if TYPE_CHECKING:
    from tests.clients.programs.telling import Json

MODEL = "gpt-5"
IS_AZURE = os.environ.get("ANTIPHON_CLIENT") == "azure"
WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
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


def official() -> OpenAI:
    """The client of this program; the plain one checks all that it is sent."""
    if IS_AZURE:
        azure: OpenAI = AzureOpenAI(base_url=f"{URL}/openai/v1/", api_key=KEY, api_version="preview", timeout=SECONDS)
        return azure
    return OpenAI(base_url=f"{URL}/v1", api_key=KEY, timeout=SECONDS, _strict_response_validation=True)


client = official()
responses: Json = client.responses


def text() -> None:
    """A question and its answer, in two ways to name the server."""
    (_azure_text if IS_AZURE else _openai_text)()


def _openai_text() -> None:
    # The snippet openai-python begins.
    client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    response = client.responses.create(model="gpt-5", input="Name one river in France.")
    print(response.output_text)  # noqa: T201 - what it prints is compared
    # The snippet ends.


def _azure_text() -> None:
    # The snippet openai-python-azure begins.
    client = AzureOpenAI(azure_endpoint=URL, api_key=KEY, api_version="2025-04-01-preview")
    response = client.responses.create(model="gpt-5", input="Name one river in France.")
    print(response.output_text)  # noqa: T201 - what it prints is compared
    # The snippet ends.


def stream() -> None:
    """An answer, piece by piece, which the client adds up."""
    with responses.stream(model=MODEL, input="say one two three") as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        same(["one", " two", " three"], deltas)
        same("one two three", events.get_final_response().output_text)


def chain() -> None:
    """A second turn by the id of the first."""
    first = responses.create(model=MODEL, input="say one")
    second = responses.create(model=MODEL, input="say {users}", previous_response_id=first.id)
    same("say one", second.output_text)


def by_hand() -> None:
    """A second turn whose input is all that was said."""
    said: Json = [{"role": "user", "content": "say one"}]
    said += responses.create(model=MODEL, input=said, store=False).output
    said.append({"role": "user", "content": "say {users}, {answers}"})
    same("say one, one", responses.create(model=MODEL, input=said, store=False).output_text)


def reference() -> None:
    """A second turn that names an item of the first."""
    first = responses.create(model=MODEL, input="say one")
    item = {"type": "item_reference", "id": first.output[-1].id}
    second = responses.create(model=MODEL, input=[item, {"role": "user", "content": "say {answers}"}])
    same("one", second.output_text)


def encrypted() -> None:
    """A thought that is sealed, kept by the client alone, and shown to the model again."""
    settings: Json = {"model": MODEL, "store": False, "include": ["reasoning.encrypted_content"], "tools": [WEATHER]}
    said: Json = [{"role": "user", "content": THINK_AND_CALL}]
    first = responses.create(input=said, **settings)
    same(["reasoning", "function_call"], [item.type for item in first.output])
    same(True, bool(first.output[0].encrypted_content))
    output = {"type": "function_call_output", "call_id": first.output[1].call_id, "output": "22 degrees"}
    same("Two and two.", responses.create(input=[*said, *first.output, output], **settings).output_text)


def summary() -> None:
    """A thought, shown as a summary, whole and streamed."""
    settings: Json = {"model": MODEL, "input": THINK, "reasoning": {"summary": "auto"}}
    thought = responses.create(**settings).output[0]
    same(["reasoning", "Two and two."], [thought.type, thought.summary[0].text])
    events = list(responses.create(**settings, stream=True))
    deltas = [event.delta for event in events if event.type == "response.reasoning_summary_text.delta"]
    same("Two and two.", "".join(deltas))


def function() -> None:
    """A call, its output, and the answer."""
    first = responses.create(model=MODEL, input=WEATHER_CALL, tools=[WEATHER])
    call = first.output[0]
    same(["function_call", "get_weather", '{"city":"Paris"}'], [call.type, call.name, call.arguments])
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "22 degrees"}
    second = responses.create(model=MODEL, input=[output], previous_response_id=first.id, tools=[WEATHER])
    same("It is 22 degrees.", second.output_text)


def structured() -> None:
    """An answer in the form of a class."""
    person = responses.parse(model=MODEL, input=PERSON, text_format=Person).output_parsed
    same(Person(name="json_schema", age=36), person)


def image_in() -> None:
    """A picture beside the question."""
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    asked = {"role": "user", "content": [{"type": "input_text", "text": "say {pictures} picture"}, picture]}
    same("1 picture", responses.create(model=MODEL, input=[asked]).output_text)


def file_in() -> None:
    """A PDF beside the question, in the request and uploaded before."""
    sent = {"filename": "sales.pdf", "file_data": f"data:application/pdf;base64,{b64encode(pdf()).decode()}"}
    uploaded = client.files.create(file=("sales.pdf", pdf()), purpose="user_data")
    for file in (sent, {"file_id": uploaded.id}):
        parts = [{"type": "input_text", "text": f"find {WORD}"}, {"type": "input_file", **file}]
        asked = {"role": "user", "content": parts}
        same(f"found {WORD}", responses.create(model=MODEL, input=[asked]).output_text)


def mcp() -> None:
    """A call of a server's tool that the user allows."""
    tool = {"type": "mcp", "server_label": "library", "server_url": MCP_URL, "require_approval": "always"}
    first = responses.create(model=MODEL, input=ADD_CALL, tools=[tool])
    same(["mcp_list_tools", "mcp_approval_request"], [item.type for item in first.output])
    allowed = {"type": "mcp_approval_response", "approval_request_id": first.output[-1].id, "approve": True}
    second = responses.create(model=MODEL, input=[allowed], previous_response_id=first.id, tools=[tool])
    same(["mcp_call", "message"], [item.type for item in second.output])
    same("5", second.output_text)


def background() -> None:
    """A response that nobody waits for, looked after until it is there."""
    response = responses.create(model=MODEL, input="say done", background=True)
    while response.status in {"queued", "in_progress"}:
        response = responses.retrieve(response.id)
    same(["completed", "done"], [response.status, response.output_text])


def conversation() -> None:
    """Two turns of a conversation, its items, and its end."""
    needs(hasattr(client, "conversations"), "This version has no `client.conversations`.")
    conversations: Json = client.conversations
    kept = conversations.create(metadata={"topic": "demo"})
    responses.create(model=MODEL, input="say one", conversation=kept.id)
    second = responses.create(model=MODEL, input="say {users}", conversation=kept.id)
    same(["say one", kept.id], [second.output_text, second.conversation.id])
    items = list(conversations.items.list(kept.id, order="asc"))
    same(["user", "assistant", "user", "assistant"], [item.role for item in items])
    same(True, conversations.delete(kept.id).deleted)


def custom() -> None:
    """A call of a tool whose input is free text."""
    tool = {"type": "custom", "name": "run", "format": {"type": "grammar", "syntax": "regex", "definition": "[a-z ]+"}}
    first = responses.create(model=MODEL, input='call run {"input":"make tea"}\nthen\nsay {outputs}', tools=[tool])
    call = first.output[0]
    same(["custom_tool_call", "run", "make tea"], [call.type, call.name, call.input])
    output = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "tea"}
    second = responses.create(model=MODEL, input=[output], previous_response_id=first.id, tools=[tool])
    same("tea", second.output_text)


def namespaces() -> None:
    """A function of a namespace: the call names both."""
    needs(hasattr(openai.types.responses, "NamespaceTool"), "This version has no type for namespaces.")
    tool = {"type": "namespace", "name": "sky", "description": "The weather.", "tools": [WEATHER]}
    script = WEATHER_CALL.replace("get_weather", "sky__get_weather")
    first = responses.create(model=MODEL, input=script, tools=[tool])
    call = first.output[0]
    same(["function_call", "get_weather", "sky"], [call.type, call.name, call.namespace])
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "22 degrees"}
    said: Json = [{"role": "user", "content": script}, call, output]
    same("It is 22 degrees.", responses.create(model=MODEL, input=said, tools=[tool]).output_text)


def patch_and_shell() -> None:
    """A patch and a command, both carried out by the client."""
    needs(hasattr(openai.types.responses, "ApplyPatchTool"), "This version has no type for these tools.")
    tools = [{"type": "apply_patch"}, {"type": "shell", "environment": {"type": "local"}}]
    script = (
        'call apply_patch {"type":"create_file","path":"a.txt","diff":"+hello"}\n'
        'then\ncall shell {"commands":["ls"]}\nthen\nsay Done.'
    )
    first = responses.create(model=MODEL, input=script, tools=tools)
    call = first.output[0]
    same(["apply_patch_call", "create_file", "a.txt"], [call.type, call.operation.type, call.operation.path])
    patched = {"type": "apply_patch_call_output", "call_id": call.call_id, "status": "completed", "output": "Done."}
    second = responses.create(model=MODEL, input=[patched], previous_response_id=first.id, tools=tools)
    call = second.output[0]
    same(["shell_call", ["ls"]], [call.type, call.action.commands])
    listed = {"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    ran = {"type": "shell_call_output", "call_id": call.call_id, "output": [listed]}
    third = responses.create(model=MODEL, input=[ran], previous_response_id=second.id, tools=tools)
    same("Done.", third.output_text)


def draw() -> None:
    """A picture that the model has drawn."""
    script = 'call image_generation {"prompt":"a red house"}\nthen\nsay Here.'
    response = responses.create(model=MODEL, input=script, tools=[{"type": "image_generation"}])
    picture = next(item for item in response.output if item.type == "image_generation_call")
    same(["completed", b"\x89PNG", "Here."], [picture.status, b64decode(picture.result)[:4], response.output_text])


def kept() -> None:
    """A response is read back as it was, its input is listed, and it is gone once it is deleted."""
    made = responses.create(model=MODEL, input="say one", metadata={"topic": "demo"})
    same(made.to_dict(), responses.retrieve(made.id).to_dict())
    same(["say one"], [item.content[0].text for item in responses.input_items.list(made.id)])
    responses.delete(made.id)
    with suppress(openai.NotFoundError):
        responses.retrieve(made.id)
        raise AssertionError("it is still there")


def cancel() -> None:
    """A response that would take a minute, stopped."""
    begun = responses.create(model=MODEL, input="wait", background=True)
    same("cancelled", responses.cancel(begun.id).status)
    same("cancelled", responses.retrieve(begun.id).status)


def count() -> None:
    """How many tokens a request would have."""
    needs(hasattr(responses, "input_tokens"), "This version has no `responses.input_tokens`.")
    short, long = (responses.input_tokens.count(model=MODEL, input="word " * words) for words in (10, 1000))
    same([True, True], [0 < short.input_tokens < 100, 900 < long.input_tokens < 3000])


def compact() -> str:
    """A history made short, and a turn that goes on from it."""
    needs(hasattr(responses, "compact"), "This version has no `responses.compact`.")
    lenient: Json = client if IS_AZURE else client.copy(_extra_kwargs={"_strict_response_validation": False})
    said: Json = [{"role": "user", "content": "say one"}]
    said += responses.create(model=MODEL, input=said).output
    shorter = lenient.responses.compact(model=MODEL, input=said)
    same("compaction", shorter.output[-1].type)
    question = {"role": "user", "content": "say two"}
    same("two", responses.create(model=MODEL, input=[*shorter.output, question]).output_text)
    return "" if IS_AZURE else "Without `_strict_response_validation`: its type of the result has no user's message."


def websocket() -> None:
    """Two turns over one WebSocket, of which nothing is stored."""
    needs(hasattr(responses, "connect"), "This version has no `responses.connect`.")
    with responses.connect() as connection:
        connection.response.create(model=MODEL, input="say one", store=False)
        first = next(event.response for event in connection if event.type == "response.completed")
        same("one", first.output_text)
        settings: Json = {"previous_response_id": first.id, "store": False}
        connection.response.create(model=MODEL, input="say {users}", **settings)
        second = next(event.response for event in connection if event.type == "response.completed")
        same("say one", second.output_text)


def errors() -> None:
    """Each error arrives as the class that stands for it."""
    once: Json = client.with_options(max_retries=0)
    stranger: Json = once.with_options(api_key="wrong")
    asked: list[tuple[type[openai.APIStatusError], Json, Json]] = [
        (openai.AuthenticationError, stranger, {"input": "say one"}),
        (openai.BadRequestError, once, {"input": "say one", "temperature": 3}),
        (openai.BadRequestError, once, {"input": "say one", "previous_response_id": "resp_nothing"}),
        (openai.RateLimitError, once, {"input": "fail 429"}),
        (openai.NotFoundError, once, {"input": [{"type": "item_reference", "id": "msg_nothing"}]}),
    ]
    for expected, asking, request in asked:
        try:
            asking.responses.create(model=MODEL, **request)
        except openai.APIStatusError as error:
            same(expected, type(error))
        else:
            raise AssertionError(f"{request} is no {expected.__name__}")


def azure() -> None:
    """Azure's paths: the newer one with a key, the dated one with a token, and a deployment in the path."""
    settings: Json = {"timeout": SECONDS}
    dated = "2025-04-01-preview"
    for at in (
        AzureOpenAI(base_url=f"{URL}/openai/v1/", api_key=KEY, api_version="preview", **settings),
        AzureOpenAI(azure_endpoint=URL, azure_ad_token_provider=lambda: KEY, api_version=dated, **settings),
        AzureOpenAI(azure_endpoint=URL, azure_deployment=MODEL, api_key=KEY, api_version=dated, **settings),
    ):
        same("one", at.responses.create(model=MODEL, input="say one").output_text)


RUNS = [
    *(text, stream, chain, by_hand, reference, encrypted, summary, function, structured, image_in, file_in, mcp),
    *(background, conversation, custom, namespaces, patch_and_shell, draw, kept, cancel, count, compact, websocket),
    *(errors, azure),
]

if __name__ == "__main__":
    tell(openai.__version__, RUNS, {})
