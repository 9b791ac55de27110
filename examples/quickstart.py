"""The first ten lines: a text, word by word."""

from __future__ import annotations

import os

from openai import AzureOpenAI

url = os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080")
client = AzureOpenAI(base_url=f"{url}/openai/v1/", api_key="any", api_version="preview")

for event in client.responses.create(model="gpt-4o", input="Why is the sky blue?", stream=True):
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
print()
