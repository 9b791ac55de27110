"""Let the model call a tool that takes text in place of JSON, and hold the text to a grammar."""

from __future__ import annotations

import os

from openai import OpenAI

GRAMMAR = r"""
start: "*** Begin Patch" LF file+ "*** End Patch" LF?
file: "*** Add File: " NAME LF line+
line: "+" TEXT? LF
NAME: /[^\n]+/
TEXT: /[^\n]+/
%import common.LF
"""

client = OpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
)

response = client.responses.create(
    model="gpt-4o",  # replace with your model deployment name
    tools=[
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Creates files. The input is a patch.",
            "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR},
        }
    ],
    input="Write a hello.py that greets the world.",
)

for item in response.output:
    if item.type == "custom_tool_call":
        print(item.input)
