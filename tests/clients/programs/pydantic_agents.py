"""Runs the features of Pydantic AI, with its model for the Responses API."""

from __future__ import annotations

from base64 import b64decode
from importlib.metadata import version
from typing import TYPE_CHECKING

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import (  # type: ignore[import-not-found]  # shown, and installed for this program alone
    Agent,
    BinaryContent,
    ModelHTTPError,
    NativeOutput,
    UsageLimitExceeded,
    UsageLimits,
)
from pydantic_ai.capabilities import NativeTool  # type: ignore[import-not-found]  # installed for this program alone
from pydantic_ai.models.openai import (  # type: ignore[import-not-found]  # shown, and installed for this program alone
    OpenAICompaction,
    OpenAIResponsesModel,
)
from pydantic_ai.native_tools import (  # type: ignore[import-not-found]  # installed for this program alone
    ImageGenerationTool,
    MCPServerTool,
)
from pydantic_ai.providers.azure import AzureProvider  # type: ignore[import-not-found]  # the same
from pydantic_ai.providers.openai import OpenAIProvider  # type: ignore[import-not-found]  # shown; the same

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


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Say how warm it is."""
    return f"22 degrees in {city}"


def official(**settings: Json) -> AsyncOpenAI:
    """A client of the official SDK, which this one stands on."""
    given: Json = {"base_url": f"{URL}/v1", "api_key": KEY, "timeout": SECONDS, "max_retries": 0, **settings}
    return AsyncOpenAI(**given)


def model(**settings: Json) -> Json:
    """The model of most runs."""
    return OpenAIResponsesModel("gpt-5", provider=OpenAIProvider(openai_client=official(**settings)))


def agent(**settings: Json) -> Json:
    """An agent with that model."""
    return Agent(**{"model": model(), **settings})


def text() -> None:
    """A question and its answer."""
    # The snippet pydantic-ai begins.
    provider = OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY)
    agent = Agent(OpenAIResponsesModel("gpt-5", provider=provider))
    print(agent.run_sync("Name one river in France.").output)  # noqa: T201 - what it prints is compared
    # The snippet ends.


async def stream() -> None:
    """An answer, piece by piece."""
    async with agent().run_stream("say one two three") as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    same(["one", " two", " three"], pieces)


async def chain() -> None:
    """A second turn by the id of the first."""
    chaining = agent(model_settings={"openai_previous_response_id": "auto"})
    first = await chaining.run("say one")
    second = await chaining.run("say {users}", message_history=first.all_messages())
    same("say one", second.output)


async def by_hand() -> None:
    """A second turn whose input is all that was said."""
    first = await agent(model_settings={"openai_store": False}).run("say one")
    second = await agent().run("say {users}, {answers}", message_history=first.all_messages())
    same("say one, one", second.output)


async def encrypted() -> None:
    """A thought goes back sealed, with the call that it led to, and nothing is stored."""
    stateless = {"openai_store": False, "openai_reasoning_summary": "auto"}
    result = await agent(tools=[get_weather], model_settings=stateless).run(THINK_AND_CALL)
    thoughts = [part for message in result.all_messages() for part in message.parts if part.part_kind == "thinking"]
    same([True], [bool(part.signature) for part in thoughts])
    same("Two and two.", result.output)


async def summary() -> None:
    """A thought, shown as a summary."""
    result = await agent(model_settings={"openai_reasoning_summary": "auto"}).run(THINK)
    same("Two and two.", result.all_messages()[-1].parts[0].content)


async def function() -> None:
    """A call, its output, and the answer."""
    same("It is 22 degrees in Paris.", (await agent(tools=[get_weather]).run(WEATHER_CALL)).output)


async def structured() -> None:
    """An answer in the form of a class, by way of a function."""
    result = await agent(output_type=Person).run('call final_result {"name":"Ada","age":36}')
    same(Person(name="Ada", age=36), result.output)
    native = await agent(output_type=NativeOutput(Person)).run(PERSON)
    same(Person(name="json_schema", age=36), native.output)


async def image_in() -> None:
    """A picture beside the question."""
    picture = BinaryContent(b64decode(PNG), media_type="image/png")
    same("1 picture", (await agent().run(["say {pictures} picture", picture])).output)


async def file_in() -> None:
    """A PDF beside the question."""
    file = BinaryContent(pdf(), media_type="application/pdf")
    same(f"found {WORD}", (await agent().run([f"find {WORD}", file])).output)


async def mcp() -> str:
    """A call of a server's tool."""
    tool = MCPServerTool(id="library", url=MCP_URL)
    same("5", (await agent(capabilities=[NativeTool(tool)]).run(ADD_CALL)).output)
    return "Never asks whether a call may be made."


async def background() -> None:
    """A response that runs in the background, and is looked after until it is there."""
    same("done", (await agent(model_settings={"openai_background": True}).run("say done")).output)


async def conversation() -> None:
    """Two turns of a conversation that the server keeps."""
    made = await official().conversations.create()
    keeping = agent(model_settings={"openai_conversation_id": made.id})
    await keeping.run("say one")
    same("say one", (await keeping.run("say {users}")).output)


async def draw() -> None:
    """A picture that the model has drawn."""
    drawing = agent(capabilities=[NativeTool(ImageGenerationTool())])
    result = await drawing.run('call image_generation {"prompt":"a red house"}\nthen\nsay Here.')
    same(["image/png", "Here."], [result.response.images[0].media_type, result.output])


async def count() -> None:
    """The tokens of a request are counted before it is made."""
    limits = UsageLimits(input_tokens_limit=100, count_tokens_before_request=True)
    same("one", (await agent().run("say one", usage_limits=limits)).output)
    try:
        await agent().run("word " * 1000, usage_limits=limits)
    except UsageLimitExceeded:
        return
    raise AssertionError("a thousand words are less than a hundred tokens")


async def compact() -> None:
    """A history that is made short before the next turn."""
    compacting = agent(capabilities=[OpenAICompaction(message_count_threshold=1)])
    first = await agent().run("say one")
    second = await compacting.run("say two", message_history=first.all_messages())
    kinds = {part.part_kind for message in second.all_messages() for part in message.parts}
    same([True, "two"], ["compaction" in kinds, second.output])


async def websocket() -> None:
    """A run of two turns over a WebSocket."""
    socketed = agent(tools=[get_weather], model_settings={"openai_transport": "websocket"})
    same("It is 22 degrees in Paris.", (await socketed.run(WEATHER_CALL)).output)


async def errors() -> None:
    """Each error arrives with its status."""
    for status, settings, said in ((401, {"api_key": "wrong"}, "say one"), (429, {}, "fail 429")):
        try:
            await agent(model=model(**settings)).run(said)
        except ModelHTTPError as error:
            same(status, error.status_code)
        else:
            raise AssertionError(f"no error {status}")


async def azure() -> None:
    """Azure's dated path."""
    provider = AzureProvider(azure_endpoint=URL, api_key=KEY, api_version="2025-04-01-preview")
    same("one", (await agent(model=OpenAIResponsesModel("gpt-5", provider=provider)).run("say one")).output)


RUNS = [
    *(text, stream, chain, by_hand, encrypted, summary, function, structured, image_in, file_in, mcp, background),
    *(conversation, draw, count, compact, websocket, errors, azure),
]
ABSENT = {
    "reference": "The client gives items back as a whole.",
    "custom": "The client has functions alone.",
    "namespaces": "The client has functions alone.",
    "patch_and_shell": "The client has functions alone.",
    "kept": "The client does not read responses back.",
    "cancel": "The client waits for every response.",
}

if __name__ == "__main__":
    tell(version("pydantic-ai-slim"), RUNS, ABSENT)
