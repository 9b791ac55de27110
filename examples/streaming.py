"""Print a text while the model writes it."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

response = client.responses.create(
    input="This is a test",
    model="o4-mini",  # replace with model deployment name
    stream=True,
)

for event in response:
    if event.type == "response.output_text.delta":
        print(event.delta, end="")
