"""Go on from a response: the server has kept what was said before."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

response = client.responses.create(
    model="gpt-4o",  # replace with your model deployment name
    input="Define and explain the concept of catastrophic forgetting?",
)

second_response = client.responses.create(
    model="gpt-4o",  # replace with your model deployment name
    previous_response_id=response.id,
    input=[{"role": "user", "content": "Explain this at a level that could be understood by a college freshman"}],
)
print(second_response.model_dump_json(indent=2))
