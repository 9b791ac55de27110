"""Let the model call a function of yours, and answer it."""

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
    tools=[
        {
            "type": "function",
            "name": "get_weather",
            "description": "Get the weather for a location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string"},
                },
                "required": ["location"],
            },
        }
    ],
    input=[{"role": "user", "content": "What's the weather in San Francisco?"}],
)

print(response.model_dump_json(indent=2))

# To provide output to tools, add a response for each tool call to an array passed
# to the next response as `input`
input = []
for output in response.output:
    if output.type == "function_call":
        match output.name:
            case "get_weather":
                input.append({
                    "type": "function_call_output",
                    "call_id": output.call_id,
                    "output": '{"temperature": "70 degrees"}',
                })
            case _:
                raise ValueError(f"Unknown function call: {output.name}")

second_response = client.responses.create(
    model="gpt-4o",
    previous_response_id=response.id,
    input=input,
)

print(second_response.model_dump_json(indent=2))
