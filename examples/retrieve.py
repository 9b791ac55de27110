"""Fetch a response that was made earlier."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

made = client.responses.create(model="gpt-4o", input="This is a test")

response = client.responses.retrieve(made.id)

print(response.model_dump_json(indent=2))
