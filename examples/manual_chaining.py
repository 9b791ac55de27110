"""Go on from a response by sending all that was said before: the server keeps nothing for it."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

inputs = [{"type": "message", "role": "user", "content": "Define and explain the concept of catastrophic forgetting?"}]

response = client.responses.create(
    model="gpt-4o",  # replace with your model deployment name
    input=inputs,
)

inputs += response.output

inputs.append({
    "role": "user",
    "type": "message",
    "content": "Explain this at a level that could be understood by a college freshman",
})

second_response = client.responses.create(
    model="gpt-4o",
    input=inputs,
)

print(second_response.model_dump_json(indent=2))
