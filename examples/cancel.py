"""Cancel a response that runs in the background."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

made = client.responses.create(
    model="o3",  # replace with your model deployment name
    input="Write me a very long story",
    background=True,
)

response = client.responses.cancel(made.id)

print(response.status)

# Once more changes nothing: it has ended, and stays as it ended.
print(client.responses.cancel(made.id).status)
