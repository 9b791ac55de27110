"""Let a long response run in the background, and look at it now and then until it has ended."""

from __future__ import annotations

import os
from time import sleep

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

response = client.responses.create(
    model="o3",  # replace with your model deployment name
    input="Write me a very long story",
    background=True,
)

while response.status in {"queued", "in_progress"}:
    print(f"Current status: {response.status}")
    sleep(2)
    response = client.responses.retrieve(response.id)

print(f"Final status: {response.status}\nOutput:\n{response.output_text}")
