"""Go on from a summary: a long conversation is summed up, and what the user said stays word for word."""

from __future__ import annotations

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
)

conversation = [
    {"role": "user", "content": "Plan the choir's tour: Brno on Friday, Olomouc on Saturday."},
    {"role": "assistant", "content": "The bus leaves at nine each morning, and concerts begin at seven. " * 40},
    {"role": "user", "content": "The Saturday concert has to begin at six."},
]

counted = client.responses.input_tokens.count(model="gpt-4o", input=conversation)
print("as many tokens as in a page:", counted.input_tokens // 100 * 100)

compacted = client.responses.compact(model="gpt-4o", input=conversation)
print(*(item.type for item in compacted.output))

response = client.responses.create(
    model="gpt-4o",
    input=[*compacted.output, {"role": "user", "content": "This is a test: when do we sing on Saturday?"}],
)
print(response.output_text)
