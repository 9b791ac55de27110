"""Runs the features of LiteLLM as a client: its calls for the Responses API, and its bridge from chat completions."""

from __future__ import annotations

from base64 import b64encode
from importlib.metadata import version
from typing import TYPE_CHECKING

import litellm  # type: ignore[import-not-found]  # shown, and installed for this program alone
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
    pdf,
    same,
    tell,
)

if TYPE_CHECKING:
    from tests.clients.programs.telling import Json

PLACE: Json = {"api_base": f"{URL}/v1", "api_key": KEY, "timeout": SECONDS, "custom_llm_provider": "openai"}
WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


def ask(said: Json, **settings: Json) -> Json:
    """What the client makes of a response."""
    return litellm.responses(**{"model": "openai/gpt-5", "input": said, "num_retries": 0, **PLACE, **settings})


def user(content: Json) -> Json:
    """What the user says."""
    return {"role": "user", "content": content}


def text() -> None:
    """A question and its answer."""
    # The snippet litellm begins.
    response = litellm.responses(
        model="openai/gpt-5", input="Name one river in France.", api_base=f"{URL}/v1", api_key=KEY
    )
    print(response.output_text)  # noqa: T201 - what it prints is compared
    # The snippet ends.


def stream() -> None:
    """An answer, piece by piece."""
    events = ask("say one two three", stream=True)
    same(["one", " two", " three"], [each.delta for each in events if each.type == "response.output_text.delta"])


def chain() -> None:
    """A second turn by the id of the first, which this client wraps into one of its own."""
    first = ask("say one")
    same("say one", ask("say {users}", previous_response_id=first.id).output_text)


def by_hand() -> None:
    """A second turn whose input is all that was said."""
    said = [user("say one")]
    said += [item.model_dump(exclude_none=True) for item in ask(said, store=False).output]
    same("say one, one", ask([*said, user("say {users}, {answers}")], store=False).output_text)


def reference() -> None:
    """A second turn that names an item of the first."""
    item = {"type": "item_reference", "id": ask("say one").output[-1].id}
    same("one", ask([item, user("say {answers}")]).output_text)


def encrypted() -> None:
    """A thought that is sealed, kept by the client alone, and shown to the model again."""
    settings: Json = {"store": False, "include": ["reasoning.encrypted_content"], "tools": [WEATHER]}
    said = [user(THINK_AND_CALL)]
    items = [item.model_dump(exclude_none=True) for item in ask(said, **settings).output]
    same(["reasoning", "function_call"], [item["type"] for item in items])
    same(True, bool(items[0].get("encrypted_content")))
    output = {"type": "function_call_output", "call_id": items[1]["call_id"], "output": "22 degrees"}
    same("Two and two.", ask([*said, *items, output], **settings).output_text)


def summary() -> None:
    """A thought, shown as a summary."""
    thought = ask(THINK, reasoning={"summary": "auto"}).output[0]
    same(["reasoning", "Two and two."], [thought.type, thought.summary[0].text])


def function() -> None:
    """A call, its output, and the answer; and the same told as chat completions."""
    first = ask(WEATHER_CALL, tools=[WEATHER])
    output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "22 degrees"}
    same("It is 22 degrees.", ask([output], previous_response_id=first.id, tools=[WEATHER]).output_text)
    chat_tool = {"type": "function", "function": {key: WEATHER[key] for key in ("name", "parameters")}}
    settings: Json = {"model": "openai/responses/gpt-5", "tools": [chat_tool], **PLACE}
    said = [user(WEATHER_CALL)]
    message = litellm.completion(messages=said, **settings).choices[0].message
    said += [message.model_dump(), {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "22 degrees"}]
    same("It is 22 degrees.", litellm.completion(messages=said, **settings).choices[0].message.content)


def structured() -> None:
    """An answer in the form of a class."""
    response = ask(PERSON, text_format=Person)
    same(Person(name="json_schema", age=36), Person.model_validate_json(response.output_text))


def image_in() -> None:
    """A picture beside the question."""
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    same("1 picture", ask([user([{"type": "input_text", "text": "say {pictures} picture"}, picture])]).output_text)


def file_in() -> None:
    """A PDF beside the question."""
    content = f"data:application/pdf;base64,{b64encode(pdf()).decode()}"
    file = {"type": "input_file", "filename": "sales.pdf", "file_data": content}
    same(f"found {WORD}", ask([user([{"type": "input_text", "text": f"find {WORD}"}, file])]).output_text)


def mcp() -> None:
    """A call of a server's tool that the user allows."""
    tool = {"type": "mcp", "server_label": "library", "server_url": MCP_URL, "require_approval": "always"}
    first = ask(ADD_CALL, tools=[tool])
    request = next(item for item in first.output if item.type == "mcp_approval_request")
    allowed = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    same("5", ask([allowed], previous_response_id=first.id, tools=[tool]).output_text)


def background() -> None:
    """A response that nobody waits for, looked after until it is there."""
    response = ask("say done", background=True)
    while response.status in {"queued", "in_progress"}:
        response = litellm.get_responses(response.id, **PLACE)
    same(["completed", "done"], [response.status, response.output_text])


def custom() -> None:
    """A call of a tool whose input is free text."""
    tool = {"type": "custom", "name": "run", "format": {"type": "grammar", "syntax": "regex", "definition": "[a-z ]+"}}
    first = ask('call run {"input":"make tea"}\nthen\nsay {outputs}', tools=[tool])
    call = first.output[0]
    same(["custom_tool_call", "make tea"], [call.type, call.input])
    output = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "tea"}
    same("tea", ask([output], previous_response_id=first.id, tools=[tool]).output_text)


def namespaces() -> None:
    """A function of a namespace: the call names both."""
    tool = {"type": "namespace", "name": "sky", "description": "The weather.", "tools": [WEATHER]}
    call = ask(WEATHER_CALL.replace("get_weather", "sky__get_weather"), tools=[tool]).output[0]
    same(["function_call", "get_weather", "sky"], [call.type, call.name, call.namespace])


def patch_and_shell() -> None:
    """A patch that the client carries out."""
    tools = [{"type": "apply_patch"}]
    script = 'call apply_patch {"type":"create_file","path":"a.txt","diff":"+hello"}\nthen\nsay Done.'
    first = ask(script, tools=tools)
    call = first.output[0].model_dump()
    same(["apply_patch_call", "a.txt"], [call["type"], call["operation"]["path"]])
    done = {"type": "apply_patch_call_output", "call_id": call["call_id"], "status": "completed", "output": "Done."}
    same("Done.", ask([done], previous_response_id=first.id, tools=tools).output_text)


def draw() -> None:
    """A picture that the model has drawn."""
    script = 'call image_generation {"prompt":"a red house"}\nthen\nsay Here.'
    response = ask(script, tools=[{"type": "image_generation"}])
    kinds = [item.type for item in response.output]
    same([True, "Here."], ["image_generation_call" in kinds, response.output_text])


def kept() -> None:
    """A response is read back, its input is listed, and it is gone once it is deleted."""
    made = ask("say one")
    same(made.output_text, litellm.get_responses(made.id, **PLACE).output_text)
    same(1, len(litellm.list_input_items(made.id, **PLACE)["data"]))
    litellm.delete_responses(made.id, **PLACE)
    try:
        litellm.get_responses(made.id, **PLACE)
    except litellm.NotFoundError:
        return
    raise AssertionError("it is still there")


def cancel() -> None:
    """A response that would take a minute, stopped."""
    same("cancelled", litellm.cancel_responses(ask("wait", background=True).id, **PLACE).status)


def compact() -> None:
    """A history made short, and a turn that goes on from it."""
    said = [user("say one")]
    shorter = litellm.compact_responses(input=said, model="openai/gpt-5", **PLACE)
    items = [item if isinstance(item, dict) else item.model_dump(exclude_none=True) for item in shorter.output]
    same("compaction", items[-1]["type"])
    same("two", ask([*items, user("say two")]).output_text)


def errors() -> None:
    """Each error arrives as the class that stands for it."""
    for expected, said, settings in (
        (litellm.AuthenticationError, "say one", {"api_key": "wrong"}),
        (litellm.BadRequestError, "say one", {"temperature": 3, "model": "openai/gpt-4o"}),
        (litellm.RateLimitError, "fail 429", {}),
    ):
        try:
            ask(said, **settings)
        except expected as error:
            same(expected, type(error))
        else:
            raise AssertionError(f"no {expected.__name__}")


def azure() -> None:
    """Azure's newer path and its dated one."""
    for api_version in ("preview", "2025-04-01-preview"):
        settings: Json = {"api_base": URL, "api_key": KEY, "api_version": api_version, "timeout": SECONDS}
        same("one", litellm.responses(model="azure/gpt-5", input="say one", **settings).output_text)


RUNS = [
    *(text, stream, chain, by_hand, reference, encrypted, summary, function, structured, image_in, file_in, mcp),
    *(background, custom, namespaces, patch_and_shell, draw, kept, cancel, compact, errors, azure),
]
ABSENT = {
    "conversation": "LiteLLM has no call for it.",
    "count": "LiteLLM counts by itself.",
    "websocket": "LiteLLM speaks WebSocket as a proxy alone.",
}

if __name__ == "__main__":
    litellm.suppress_debug_info = True
    tell(version("litellm"), RUNS, ABSENT)
