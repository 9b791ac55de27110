"""Look at what is to be shared with an MCP server, and approve it; with ``deny`` as argument, refuse it."""

from __future__ import annotations

import os
import sys

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

# Without "require_approval" nothing is called before you have seen it.
tools = [
    {
        "type": "mcp",
        "server_label": "notebook",
        "server_url": os.environ.get("MCP_URL", "http://127.0.0.1:9000/mcp"),
    },
]

response = client.responses.create(
    model="gpt-4.1",  # replace with your model deployment name
    tools=tools,
    input="Note that the library closes at six.",
)

answers = []
for item in response.output:
    if item.type == "mcp_approval_request":
        print(f"{item.server_label}: {item.name} {item.arguments}")
        answers.append({
            "type": "mcp_approval_response",
            "approve": "deny" not in sys.argv,
            "approval_request_id": item.id,
        })

# The tools are sent again: the server keeps no headers and no keys.
second_response = client.responses.create(
    model="gpt-4.1",
    tools=tools,
    previous_response_id=response.id,
    input=answers,
)

print(second_response.output_text)
