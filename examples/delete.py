"""Delete a response: from then on nobody finds it."""

from __future__ import annotations

import os

from openai import AzureOpenAI, NotFoundError

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

made = client.responses.create(model="gpt-4o", input="This is a test")

response = client.responses.delete(made.id)

print(response)

try:
    client.responses.retrieve(made.id)
except NotFoundError as error:
    print(error.message)
