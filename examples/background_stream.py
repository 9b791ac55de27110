"""Stream a response that runs in the background, lose the connection, and go on where it broke off."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

stream = client.responses.create(
    model="o3",  # replace with your model deployment name
    input="Write me a very long story",
    background=True,
    stream=True,
)

id, cursor = "", 0
with stream:
    for event in stream:
        cursor = event.sequence_number
        if event.type == "response.created":
            id = event.response.id
        elif event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
            break  # as if the connection were lost: the response goes on

# Later, from another program or another machine: the id and the last number are all that it takes.
for event in client.responses.retrieve(id, stream=True, starting_after=cursor):
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
print()
