"""Let the model use the tools of an MCP server: the server that runs the model calls them."""

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
            "require_approval": "never",
        },
    ],
    input="What do my notes say about the wind?",
)

print(response.output_text)
