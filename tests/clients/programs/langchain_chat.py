"""Runs the features of LangChain's chat models for OpenAI and Azure OpenAI."""

from __future__ import annotations

from base64 import b64encode
from importlib.metadata import version
from typing import TYPE_CHECKING

from langchain_core.messages import (  # type: ignore[import-not-found]  # installed for this program alone
    AIMessageChunk,
    HumanMessage,
    ToolMessage,
)
from langchain_openai import (  # type: ignore[import-not-found]  # shown, and installed for this program alone
    AzureChatOpenAI,
    ChatOpenAI,
    custom_tool,
)
from openai import APIStatusError, OpenAI
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

STATELESS: Json = {"store": False, "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Say how warm it is."""
    return f"22 degrees in {city}"


def chat(**settings: Json) -> Json:
    """The model of most runs."""
    given = {"model": "gpt-5", "base_url": f"{URL}/v1", "api_key": KEY, "timeout": SECONDS, "use_responses_api": True}
    return ChatOpenAI(**{**given, **settings})


def text() -> None:
    """A question and its answer."""
    # The snippet langchain begins.
    model = ChatOpenAI(model="gpt-5", base_url=f"{URL}/v1", api_key=KEY, use_responses_api=True)
    print(model.invoke("Name one river in France.").text)  # noqa: T201 - what it prints is compared
    # The snippet ends.


def stream() -> None:
    """An answer, piece by piece."""
    same(["one", " two", " three"], [chunk.text for chunk in chat().stream("say one two three") if chunk.text])


def chain() -> None:
    """A second turn by the id of the first."""
    model = chat(use_previous_response_id=True)
    said: Json = [HumanMessage("say one")]
    said += [model.invoke(said), HumanMessage("say {users}, {answers}")]
    same("say one, one", model.invoke(said).text)


def by_hand() -> None:
    """A second turn whose input is all that was said."""
    model = chat(store=False)
    said: Json = [HumanMessage("say one")]
    said += [model.invoke(said), HumanMessage("say {users}, {answers}")]
    same("say one, one", model.invoke(said).text)


def answered(model: Json, script: str, *, streamed: bool = False) -> Json:
    """The answer after one call of the weather, whose output is given by hand."""
    said: Json = [HumanMessage(script)]
    message = AIMessageChunk(content="")
    for chunk in model.stream(said) if streamed else [model.invoke(said)]:
        message = chunk if not streamed else message + chunk
    call = message.tool_calls[0]
    said += [message, ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])]
    return model.invoke(said).text


def encrypted() -> None:
    """A thought goes back sealed, with the call that it led to, and nothing is stored."""
    same("Two and two.", answered(chat(**STATELESS).bind_tools([get_weather]), THINK_AND_CALL))
    same("Two and two.", answered(chat(**STATELESS).bind_tools([get_weather]), THINK_AND_CALL, streamed=True))


def summary() -> None:
    """A thought, shown as a summary."""
    message = chat(reasoning={"summary": "auto"}).invoke(THINK)
    same(["Two and two."], [block["reasoning"] for block in message.content_blocks if block["type"] == "reasoning"])


def function() -> None:
    """A call, its output, and the answer; by hand and by the id of the response."""
    same("It is 22 degrees in Paris.", answered(chat().bind_tools([get_weather]), WEATHER_CALL))
    chaining = chat(use_previous_response_id=True).bind_tools([get_weather])
    same("It is 22 degrees in Paris.", answered(chaining, WEATHER_CALL, streamed=True))


def structured() -> None:
    """An answer in the form of a class."""
    structured = chat().with_structured_output(Person, method="json_schema")
    same(Person(name="json_schema", age=36), structured.invoke(PERSON))


def image_in() -> None:
    """A picture beside the question."""
    picture = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    same("1 picture", chat().invoke([HumanMessage([{"type": "text", "text": "say {pictures} picture"}, picture])]).text)


def file_in() -> None:
    """A PDF beside the question."""
    content = b64encode(pdf()).decode()
    file = {"type": "file", "base64": content, "mime_type": "application/pdf", "filename": "sales.pdf"}
    same(f"found {WORD}", chat().invoke([HumanMessage([{"type": "text", "text": f"find {WORD}"}, file])]).text)


def mcp() -> None:
    """A call of a server's tool that the user allows."""
    tool = {"type": "mcp", "server_label": "library", "server_url": MCP_URL, "require_approval": "always"}
    model = chat(use_previous_response_id=True).bind_tools([tool])
    first = model.invoke(ADD_CALL)
    request = next(block for block in first.content if block["type"] == "mcp_approval_request")
    allowed = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
    same("5", model.invoke([HumanMessage(ADD_CALL), first, HumanMessage([allowed])]).text)


def background() -> None:
    """The pieces of an answer that runs in the background."""
    chunks = chat(model_kwargs={"background": True}).stream("say all done")
    same(["all", " done"], [chunk.text for chunk in chunks if chunk.text])


def conversation() -> None:
    """Two turns of a conversation that the server keeps."""
    made = OpenAI(base_url=f"{URL}/v1", api_key=KEY).conversations.create()
    model = chat(model_kwargs={"conversation": made.id})
    model.invoke("say one")
    same("say one", model.invoke("say {users}").text)


def custom() -> None:
    """A call of a tool whose input is free text."""

    @custom_tool  # type: ignore[untyped-decorator]  # the types are not installed where types are checked
    def run(words: str) -> str:
        """Run."""
        return f"did {words}"

    model = chat().bind_tools([run])
    said: Json = [HumanMessage('call run {"input":"make tea"}\nthen\nsay {outputs}')]
    said.append(model.invoke(said))
    said.append(run.invoke(said[-1].tool_calls[0]))
    same("did make tea", model.invoke(said).text)


def namespaces() -> None:
    """A function of a namespace."""
    weather = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {}}}}
    tool = {"type": "namespace", "name": "sky", "description": "The weather.", "tools": [weather]}
    script = WEATHER_CALL.replace("get_weather", "sky__get_weather")
    same("It is 22 degrees in Paris.", answered(chat().bind_tools([tool]), script))


def patch_and_shell() -> None:
    """A patch that the client carries out, told as blocks of a message."""
    model = chat(use_previous_response_id=True).bind_tools([{"type": "apply_patch"}])
    patch = 'call apply_patch {"type":"create_file","path":"a.txt","diff":"+hello"}'
    script = HumanMessage(f"{patch}\nthen\nsay {{outputs}}")
    first = model.invoke([script])
    call = next(block for block in first.content if block["type"] == "apply_patch_call")
    same(["create_file", "a.txt"], [call["operation"]["type"], call["operation"]["path"]])
    done = {"type": "apply_patch_call_output", "call_id": call["call_id"], "status": "completed", "output": "Patched."}
    same(True, "Patched." in model.invoke([script, first, HumanMessage([done])]).text)


def draw() -> None:
    """A picture that the model has drawn."""
    model = chat().bind_tools([{"type": "image_generation"}])
    message = model.invoke('call image_generation {"prompt":"a red house"}\nthen\nsay Here.')
    pictures = [block for block in message.content_blocks if block["type"] == "image"]
    same([1, "Here."], [len(pictures), message.text])


def errors() -> None:
    """Each error arrives with the status and the code of the server."""
    for status, settings, said in (
        (401, {"api_key": "wrong"}, "say one"),
        (400, {"previous_response_id": "resp_nothing"}, "say one"),
        (429, {}, "fail 429"),
    ):
        try:
            chat(max_retries=0, **settings).invoke(said)
        except APIStatusError as error:
            same([status, True], [error.status_code, bool(error.code)])
        else:
            raise AssertionError(f"no error {status}")


def azure() -> None:
    """Azure's dated path, whole and streamed."""
    # The snippet langchain-azure begins.
    model = AzureChatOpenAI(
        azure_endpoint=URL,
        azure_deployment="gpt-5",
        api_key=KEY,
        api_version="2025-04-01-preview",
        use_responses_api=True,
    )
    for chunk in model.stream("Name one river in France."):
        print(chunk.text, end="")  # noqa: T201 - shown
    # The snippet ends.
    same(["one", "one"], [model.invoke("say one").text, "".join(chunk.text for chunk in model.stream("say one"))])


RUNS = [
    *(text, stream, chain, by_hand, encrypted, summary, function, structured, image_in, file_in, mcp, background),
    *(conversation, custom, namespaces, patch_and_shell, draw, errors, azure),
]
ABSENT = {
    "reference": "LangChain gives items back as a whole.",
    "kept": "LangChain does not read responses back.",
    "cancel": "LangChain has no call for it.",
    "count": "LangChain counts by itself.",
    "compact": "LangChain has no call for it.",
    "websocket": "LangChain speaks HTTP.",
}

if __name__ == "__main__":
    tell(version("langchain-openai"), RUNS, ABSENT)
