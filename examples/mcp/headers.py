"""Use an MCP server that wants a key: it is sent with every request to it, and kept nowhere."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

response = client.responses.create(
    model="gpt-4.1",  # replace with your model deployment name
    tools=[
        {
            "type": "mcp",
            "server_label": "notebook",
            "server_url": os.environ.get("MCP_URL", "http://127.0.0.1:9000/mcp"),
            "headers": {"Authorization": "Bearer " + os.environ.get("MCP_TOKEN", "secret")},
            "require_approval": "never",
        },
    ],
    input="What do my notes say about bread?",
)

print(response.output_text)
