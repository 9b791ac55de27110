"""Runs the features of the OpenAI Agents SDK."""

from __future__ import annotations

from base64 import b64encode
from importlib.metadata import version
from typing import TYPE_CHECKING

from agents import (  # type: ignore[import-not-found]  # shown, and installed for this program alone
    Agent,
    ApplyPatchTool,
    CustomTool,
    HostedMCPTool,
    ImageGenerationTool,
    ModelSettings,
    OpenAIConversationsSession,
    OpenAIResponsesCompactionSession,
    OpenAIResponsesModel,
    OpenAIResponsesWSModel,
    Runner,
    ShellTool,
    SQLiteSession,
    function_tool,
    set_default_openai_client,
    set_tracing_disabled,
    tool_namespace,
)
from openai import APIStatusError, AsyncAzureOpenAI, AsyncOpenAI  # shown
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

STATELESS = {"store": False, "response_include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"}}


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


@function_tool  # type: ignore[untyped-decorator]  # the types are not installed where types are checked
def get_weather(city: str) -> str:
    """Say how warm it is."""
    return f"22 degrees in {city}"


def model(**settings: Json) -> Json:
    """The model of most runs, with a client of its own: an event loop must not meet another's."""
    client = AsyncOpenAI(**{"base_url": f"{URL}/v1", "api_key": KEY, "timeout": SECONDS, "max_retries": 0, **settings})
    return OpenAIResponsesModel(model="gpt-5", openai_client=client)


async def run(said: Json, *, settings: Json = None, **given: Json) -> Json:
    """What an agent makes of what is said; those of ``given`` that a run takes go to it, the others to the agent."""
    for_run = {name: given.pop(name) for name in ("previous_response_id", "session") if name in given}
    agent = Agent(**{"name": "Guide", "model": model(), "model_settings": ModelSettings(**(settings or {})), **given})
    return await Runner.run(agent, said, **for_run)


def message(*parts: Json) -> Json:
    """What the user says, in parts."""
    return [{"role": "user", "content": list(parts)}]


def text() -> None:
    """A question and its answer."""
    # The snippet openai-agents begins.
    set_default_openai_client(AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY))
    set_tracing_disabled(True)
    result = Runner.run_sync(Agent(name="Guide", model="gpt-5"), "Name one river in France.")
    print(result.final_output)  # noqa: T201 - what it prints is compared
    # The snippet ends.


async def stream() -> None:
    """An answer, piece by piece."""
    result = Runner.run_streamed(Agent(name="Guide", model=model()), "say one two three")
    events = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
    same(["one", " two", " three"], [each.delta for each in events if each.type == "response.output_text.delta"])
    same("one two three", result.final_output)


async def chain() -> None:
    """A second turn by the id of the first."""
    first = await run("say one")
    same("say one", (await run("say {users}", previous_response_id=first.last_response_id)).final_output)


async def by_hand() -> None:
    """A second turn whose input is all that was said."""
    first = await run("say one", settings={"store": False})
    said = [*first.to_input_list(), *message({"type": "input_text", "text": "say {users}, {answers}"})]
    same("say one, one", (await run(said, settings={"store": False})).final_output)


async def encrypted() -> None:
    """A thought goes back sealed, with the call that it led to, and nothing is stored."""
    result = await run(THINK_AND_CALL, tools=[get_weather], settings=STATELESS)
    same("Two and two.", result.final_output)


async def summary() -> None:
    """A thought, shown as a summary."""
    first, *_ = (await run(THINK, settings={"reasoning": {"summary": "auto"}})).new_items
    same(["reasoning_item", "Two and two."], [first.type, first.raw_item.summary[0].text])


async def function() -> None:
    """A call, its output, and the answer."""
    same("It is 22 degrees in Paris.", (await run(WEATHER_CALL, tools=[get_weather])).final_output)


async def structured() -> None:
    """An answer in the form of a class."""
    same(Person(name="json_schema", age=36), (await run(PERSON, output_type=Person)).final_output)


async def image_in() -> None:
    """A picture beside the question."""
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    said = message({"type": "input_text", "text": "say {pictures} picture"}, picture)
    same("1 picture", (await run(said)).final_output)


async def file_in() -> None:
    """A PDF beside the question."""
    content = f"data:application/pdf;base64,{b64encode(pdf()).decode()}"
    file = {"type": "input_file", "filename": "sales.pdf", "file_data": content}
    same(f"found {WORD}", (await run(message({"type": "input_text", "text": f"find {WORD}"}, file))).final_output)


async def mcp() -> None:
    """A call of a server's tool that the user allows."""
    config = {"type": "mcp", "server_label": "library", "server_url": MCP_URL, "require_approval": "always"}
    asked = []

    def allow(request: Json) -> Json:
        asked.append(request.data.name)
        return {"approve": True}

    result = await run(ADD_CALL, tools=[HostedMCPTool(tool_config=config, on_approval_request=allow)])
    same([["add"], "5"], [asked, result.final_output])


async def conversation() -> None:
    """Two turns of a conversation that the server keeps."""
    client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, timeout=SECONDS)
    session = OpenAIConversationsSession(openai_client=client)
    await run("say one", session=session)
    same("say one", (await run("say {users}", session=session)).final_output)
    same(["user", "assistant", "user", "assistant"], [item["role"] for item in await session.get_items()])
    await session.clear_session()


async def custom() -> None:
    """A call of a tool whose input is free text."""

    async def carry_out(_context: Json, words: str) -> str:
        return f"did {words}"

    grammar = {"type": "grammar", "syntax": "regex", "definition": "[a-z ]+"}
    tool = CustomTool(name="run", description="Run.", on_invoke_tool=carry_out, format=grammar)
    result = await run('call run {"input":"make tea"}\nthen\nsay {outputs}', tools=[tool])
    same("did make tea", result.final_output)


async def namespaces() -> None:
    """A function of a namespace."""
    tools = tool_namespace(name="sky", description="The weather.", tools=[get_weather])
    result = await run(WEATHER_CALL.replace("get_weather", "sky__get_weather"), tools=tools)
    same("It is 22 degrees in Paris.", result.final_output)


class Editor:
    """Notes what it is told to change."""

    def __init__(self) -> None:
        self.done: list[Json] = []

    def create_file(self, operation: Json) -> str:
        """Note a new file."""
        self.done.append([operation.type, operation.path, operation.diff])
        return "Done."

    update_file = delete_file = create_file


async def patch_and_shell() -> None:
    """A patch and a command, both carried out by the client."""
    editor = Editor()

    def list_files(request: Json) -> str:
        editor.done.append(request.data.action.commands)
        return "a.txt"

    patch = 'call apply_patch {"type":"create_file","path":"a.txt","diff":"+hello"}'
    script = f'{patch}\nthen\ncall shell {{"commands":["ls"]}}\nthen\nsay Done.'
    result = await run(script, tools=[ApplyPatchTool(editor=editor), ShellTool(executor=list_files)])
    same([["create_file", "a.txt", "+hello"], ["ls"]], editor.done)
    same("Done.", result.final_output)


async def draw() -> None:
    """A picture that the model has drawn."""
    tool = ImageGenerationTool(tool_config={"type": "image_generation"})
    result = await run('call image_generation {"prompt":"a red house"}\nthen\nsay Here.', tools=[tool])
    pictures = [item.raw_item for item in result.new_items if item.raw_item.type == "image_generation_call"]
    same([["completed"], "Here."], [[picture.status for picture in pictures], result.final_output])


async def compact() -> None:
    """A session that is made short on the way."""
    client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, timeout=SECONDS)
    session = OpenAIResponsesCompactionSession(
        "s", SQLiteSession("s"), client=client, model="gpt-5", should_trigger_compaction=lambda _context: True
    )
    await run("say one", session=session)
    same(True, "compaction" in [item.get("type") for item in await session.get_items()])
    same("two", (await run("say two", session=session)).final_output)


async def websocket() -> None:
    """A run of two turns over a WebSocket."""
    client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, timeout=SECONDS, max_retries=0)
    over_socket = OpenAIResponsesWSModel(model="gpt-5", openai_client=client)
    result = await run(WEATHER_CALL, tools=[get_weather], model=over_socket)
    same("It is 22 degrees in Paris.", result.final_output)


async def errors() -> None:
    """Each error arrives as the class of the official client that stands for it."""
    for status, settings, said in (
        (401, {"api_key": "wrong"}, "say one"),
        (429, {}, "fail 429"),
        (404, {}, [{"type": "item_reference", "id": "msg_nothing"}]),
    ):
        try:
            await run(said, model=model(**settings))
        except APIStatusError as error:
            same(status, error.status_code)
        else:
            raise AssertionError(f"no error {status}")


async def azure() -> None:
    """Azure's dated path."""
    client = AsyncAzureOpenAI(azure_endpoint=URL, api_key=KEY, api_version="2025-04-01-preview", timeout=SECONDS)
    same("one", (await run("say one", model=OpenAIResponsesModel(model="gpt-5", openai_client=client))).final_output)


RUNS = [
    *(text, stream, chain, by_hand, encrypted, summary, function, structured, image_in, file_in, mcp, conversation),
    *(custom, namespaces, patch_and_shell, draw, compact, websocket, errors, azure),
]
ABSENT = {
    "reference": "The SDK gives items back as a whole.",
    "background": "The SDK waits for every response.",
    "kept": "The SDK does not read responses back.",
    "cancel": "The SDK waits for every response.",
    "count": "The SDK counts nothing beforehand.",
}

if __name__ == "__main__":
    set_tracing_disabled(disabled=True)
    tell(version("openai-agents"), RUNS, ABSENT)
