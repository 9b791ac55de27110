"""The page of clients: what each can do with this server, by a run of each, and a snippet that ran.

``python -m tests.clients`` runs the programs in ``tests/clients/programs`` and writes ``build/clients/results.json``;
``python -m scripts.clients`` writes ``docs/clients.md`` from that and from the programs.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "clients.md"
RESULTS = ROOT / "build" / "clients" / "results.json"
PROGRAMS = ROOT / "tests" / "clients" / "programs"


class Client(Struct, frozen=True):
    """A client that others wrote, and how it is run."""

    id: str
    title: str
    program: str
    """The name of its file, with ``.py`` or ``.mjs``."""
    place: str = ""
    """A folder of ``build/clients``, or "" for the environment of the tests."""
    variant: str = ""
    """What the program finds in ``ANTIPHON_CLIENT``."""
    snippets: list[str] = []
    """The marked regions of its program that are shown."""


class Feature(Struct, frozen=True):
    """What a client may be able to do; programs name it by its id."""

    id: str
    title: str
    meaning: str


class Cell(Struct, frozen=True):
    """How the run of a feature went: yes, no and why, or None and what the client lacks."""

    ok: bool | None
    note: str = ""


class Row(Struct, frozen=True):
    """What a program told."""

    version: str
    features: dict[str, Cell]


Results = dict[str, Row]
"""What every client told, by the client's id."""

CLIENTS = [
    Client("openai-python-3", "openai-python 3", "openai_python.py", "frameworks", snippets=["openai-python"]),
    Client("openai-python-2", "openai-python 2", "openai_python.py", "openai-2"),
    Client("openai-python-1", "openai-python 1", "openai_python.py", "openai-1"),
    Client(
        "openai-python-azure",
        "AzureOpenAI (Python)",
        "openai_python.py",
        "frameworks",
        "azure",
        ["openai-python-azure"],
    ),
    Client("openai-node", "openai-node", "openai_node.mjs", "node", snippets=["openai-node"]),
    Client("openai-node-azure", "AzureOpenAI (Node)", "openai_node.mjs", "node", "azure", ["openai-node-azure"]),
    Client("openai-agents", "OpenAI Agents SDK", "openai_agents.py", "frameworks", snippets=["openai-agents"]),
    Client("langchain", "LangChain", "langchain_chat.py", "frameworks", snippets=["langchain", "langchain-azure"]),
    Client("pydantic-ai", "Pydantic AI", "pydantic_agents.py", "frameworks", snippets=["pydantic-ai"]),
    Client(
        "agent-framework",
        "Microsoft Agent Framework",
        "agent_framework_client.py",
        "frameworks",
        snippets=["agent-framework"],
    ),
    Client("litellm", "LiteLLM", "litellm_client.py", "frameworks", snippets=["litellm"]),
    Client("ai-sdk", "Vercel AI SDK", "ai_sdk.mjs", "node", snippets=["ai-sdk"]),
    Client("codex", "Codex CLI", "codex.py", snippets=["codex"]),
]

FEATURES = [
    Feature("text", "Text", "A question, and its answer."),
    Feature("stream", "Streaming", "An answer, piece by piece."),
    Feature("chain", "Chains", "A next turn by `previous_response_id`."),
    Feature("by_hand", "History by hand", "A next turn whose input is all that was said, with `store: false`."),
    Feature("reference", "References", "A next turn that names earlier items with `item_reference`."),
    Feature(
        "encrypted",
        "Sealed reasoning",
        "With `store: false`, a thought goes back as `encrypted_content` and the model sees it again.",
    ),
    Feature("summary", "Reasoning summaries", "What the model thought, shown as a summary."),
    Feature("function", "Functions", "A call that the client answers, and what the model makes of it."),
    Feature("structured", "Structured output", "An answer in the form of a JSON schema."),
    Feature("image_in", "Images in", "A picture beside the question."),
    Feature("file_in", "Files in", "A PDF beside the question."),
    Feature("mcp", "MCP with approval", "A tool of an MCP server, called by this server after the user allowed it."),
    Feature("background", "Background", "A response that nobody waits for, and that is read when it is there."),
    Feature("conversation", "Conversations", "Turns of a conversation that this server keeps."),
    Feature("custom", "Custom tools", "A call whose input is free text, held to a grammar."),
    Feature("namespaces", "Namespaces", "Tools in a namespace."),
    Feature("patch_and_shell", "Patches and shell", "`apply_patch` and `shell`, carried out by the client."),
    Feature("draw", "Images out", "A picture that the model has drawn with `image_generation`."),
    Feature("kept", "Stored responses", "Retrieve, list the input of, and delete a response."),
    Feature("cancel", "Cancel", "A background response, stopped."),
    Feature("count", "Token count", "`POST /responses/input_tokens`."),
    Feature("compact", "Compact", "`POST /responses/compact`, and a turn that goes on from the result."),
    Feature("websocket", "WebSocket", "Turns over one WebSocket."),
    Feature("errors", "Errors", "401, 400, 404 and 429 arrive as what stands for them in the client."),
    Feature("azure", "Azure's paths", "The paths, headers and versions of Azure OpenAI."),
]


def read_results() -> Results:
    """What the last runs gave. Raises ``FileNotFoundError`` where there were none."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=Results)
