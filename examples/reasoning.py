"""Let a model that reasons call a function, with nothing stored: its thoughts travel sealed, and it sees them again."""

from __future__ import annotations

import json
import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
)

divide = {
    "type": "function",
    "name": "divide",
    "description": "Divides two whole numbers",
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "by": {"type": "integer"}},
        "required": ["number", "by"],
    },
}

history = [{"role": "user", "content": "Is 1001 a prime number? Divide to find out."}]

while True:
    response = client.responses.create(
        model="gpt-4o",  # replace with your model deployment name
        tools=[divide],
        input=history,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        store=False,
    )
    history += response.output  # reasoning items go back as they came, with what is sealed in them

    for item in response.output:
        if item.type == "reasoning":
            print("Thought:", *(part.text for part in item.summary))
    calls = [item for item in response.output if item.type == "function_call"]
    if not calls:
        break
    for call in calls:
        asked = json.loads(call.arguments)
        quotient, remainder = divmod(asked["number"], asked["by"])
        history.append({
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": f"{quotient}, and {remainder} is left",
        })

print(response.output_text)
