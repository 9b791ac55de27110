"""Talk in a conversation: the server keeps it until it is deleted."""

from __future__ import annotations

import os

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

conversation = client.conversations.create(
    metadata={"topic": "memory"},
    items=[{"role": "developer", "content": "Answer in one sentence."}],
)

client.responses.create(
    model="gpt-4o",  # replace with your model deployment name
    conversation=conversation.id,
    input="Define and explain the concept of catastrophic forgetting?",
)
client.responses.create(
    model="gpt-4o",
    conversation=conversation.id,
    input="Explain this at a level that could be understood by a college freshman",
)

for item in client.conversations.items.list(conversation.id, order="asc"):
    if item.type == "message":
        print(f"{item.role}: {''.join(getattr(part, 'text', '') for part in item.content)}")

print(client.conversations.delete(conversation.id).deleted)
