"""Runs the features of the Microsoft Agent Framework, with its client for the Responses API."""

from __future__ import annotations

import asyncio  # shown
from base64 import b64decode
from importlib.metadata import version
from typing import TYPE_CHECKING

from agent_framework import Agent, Content, Message  # type: ignore[import-not-found]  # shown; for this program alone
from agent_framework.exceptions import (  # type: ignore[import-not-found]  # installed for this program alone
    ChatClientException,
)
from agent_framework.openai import OpenAIChatClient  # type: ignore[import-not-found]  # shown; for this program alone
from openai import APIStatusError, AsyncOpenAI
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


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """Say how warm it is."""
    return f"22 degrees in {city}"


def client(**settings: Json) -> Json:
    """The client of most runs."""
    given: Json = {"base_url": f"{URL}/v1", "api_key": KEY, "timeout": SECONDS, "max_retries": 0, **settings}
    return OpenAIChatClient(model="gpt-5", async_client=AsyncOpenAI(**given))


def agent(**settings: Json) -> Json:
    """An agent with that client; settings that it does not know are options of its requests."""
    known: Json = {name: settings.pop(name) for name in ("client", "tools") if name in settings}
    return Agent(**{"client": client(), "default_options": settings, **known})


def asked(words: str, *parts: Json) -> Json:
    """What the user says, in parts."""
    return Message("user", [Content.from_text(words), *parts])


def text() -> None:
    """A question and its answer."""

    # The snippet agent-framework begins.
    async def main() -> None:
        client = OpenAIChatClient(model="gpt-5", base_url=f"{URL}/v1", api_key=KEY)
        response = await Agent(client=client).run("Name one river in France.")
        print(response.text)  # noqa: T201 - what it prints is compared

    asyncio.run(main())
    # The snippet ends.


async def stream() -> None:
    """An answer, piece by piece."""
    contents = [part async for update in agent().run("say one two three", stream=True) for part in update.contents]
    pieces = [part.text for part in contents if part.type == "text" and part.merge_mode == "append" and part.text]
    same(["one", " two", " three"], pieces)  # what is not appended is the whole once more, in place of them


async def chain() -> None:
    """A session: its second turn goes by the id of the first."""
    chaining = agent()
    session = chaining.create_session()
    await chaining.run("say one", session=session)
    same("say one", (await chaining.run("say {users}", session=session)).text)
    same("resp_", session.service_session_id[:5])


async def by_hand() -> None:
    """A session of which the server keeps nothing."""
    stateless = agent(store=False)
    session = stateless.create_session()
    await stateless.run("say one", session=session)
    same("say one, one", (await stateless.run("say {users}, {answers}", session=session)).text)


async def encrypted() -> None:
    """A thought goes back sealed, with the call that it led to, and nothing is stored."""
    stateless = agent(tools=[get_weather], store=False, reasoning={"summary": "auto"})
    same("Two and two.", (await stateless.run(THINK_AND_CALL)).text)


async def summary() -> None:
    """A thought, shown as a summary."""
    response = await agent(reasoning={"summary": "auto"}).run(THINK)
    contents = [content for message in response.messages for content in message.contents]
    same(["Two and two."], [content.text for content in contents if content.type == "text_reasoning"])


async def function() -> None:
    """A call, its output, and the answer."""
    same("It is 22 degrees in Paris.", (await agent(tools=[get_weather]).run(WEATHER_CALL)).text)


async def structured() -> None:
    """An answer in the form of a class."""
    same(Person(name="json_schema", age=36), (await agent(response_format=Person).run(PERSON)).value)


async def image_in() -> None:
    """A picture beside the question."""
    picture = Content.from_data(b64decode(PNG), media_type="image/png")
    same("1 picture", (await agent().run(asked("say {pictures} picture", picture))).text)


async def file_in() -> None:
    """A PDF beside the question."""
    file = Content.from_data(pdf(), media_type="application/pdf", additional_properties={"filename": "sales.pdf"})
    same(f"found {WORD}", (await agent().run(asked(f"find {WORD}", file))).text)


async def mcp() -> None:
    """A call of a server's tool that the user allows."""
    tool = OpenAIChatClient.get_mcp_tool(name="library", url=MCP_URL, approval_mode="always_require")
    asking = agent(tools=[tool])
    session = asking.create_session()
    first = await asking.run(ADD_CALL, session=session)
    same(1, len(first.user_input_requests))
    allowed = first.user_input_requests[0].to_function_approval_response(approved=True)
    same("5", (await asking.run(Message("user", [allowed]), session=session)).text)


async def background() -> None:
    """A response that nobody waits for, looked after until it is there."""
    waiting = agent()
    session = waiting.create_session()
    response = await waiting.run("say done", session=session, options={"background": True})
    while response.continuation_token is not None:
        token = {"continuation_token": response.continuation_token}
        response = await waiting.run(session=session, options=token)
    same("done", response.text)


async def conversation() -> None:
    """A session over a conversation that the server keeps."""
    made = await AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY).conversations.create()
    keeping = agent()
    session = keeping.get_session(made.id)
    await keeping.run("say one", session=session)
    same("say one", (await keeping.run("say {users}", session=session)).text)


async def patch_and_shell() -> str:
    """A command that the client runs."""
    done = []

    def run(command: str) -> str:
        """Run a command."""
        done.append(command)
        return "a.txt"

    tool = OpenAIChatClient.get_shell_tool(func=run, approval_mode="never_require")
    same("Done.", (await agent(tools=[tool]).run('call shell {"commands":["ls"]}\nthen\nsay Done.')).text)
    same(["ls"], done)
    return "The shell alone."


async def draw() -> None:
    """A picture that the model has drawn."""
    drawing = agent(tools=[OpenAIChatClient.get_image_generation_tool()])
    response = await drawing.run('call image_generation {"prompt":"a red house"}\nthen\nsay Here.')
    kinds = [content.type for message in response.messages for content in message.contents]
    same([True, "Here."], ["image_generation_tool_result" in kinds, response.text])


async def errors() -> None:
    """Each error arrives as the framework's own, with that of the official client behind it."""
    for status, settings, said in ((401, {"api_key": "wrong"}, "say one"), (429, {}, "fail 429")):
        try:
            await agent(client=client(**settings)).run(said)
        except ChatClientException as error:
            cause = error.__cause__
            same([True, status], [isinstance(cause, APIStatusError), getattr(cause, "status_code", None)])
        else:
            raise AssertionError(f"no error {status}")


async def azure() -> None:
    """Azure's newer path."""
    at_azure = OpenAIChatClient(model="gpt-5", azure_endpoint=URL, api_key=KEY)
    same("one", (await Agent(client=at_azure).run("say one")).text)


RUNS = [
    *(text, stream, chain, by_hand, encrypted, summary, function, structured, image_in, file_in, mcp, background),
    *(conversation, patch_and_shell, draw, errors, azure),
]
ABSENT = {
    "reference": "The framework gives items back as a whole.",
    "custom": "The framework has functions alone.",
    "namespaces": "The framework has functions alone.",
    "kept": "The framework does not read responses back.",
    "cancel": "The framework has no call for it.",
    "count": "The framework counts by itself.",
    "compact": "The framework shortens histories by itself.",
    "websocket": "The framework speaks HTTP.",
}

if __name__ == "__main__":
    tell(version("agent-framework-openai"), RUNS, ABSENT)
