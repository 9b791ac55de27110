"""Upload a PDF and ask about one of its pages. Give a path as an argument, or a report of 30 pages is made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import report
from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

path = Path(sys.argv[1] if len(sys.argv) > 1 else report.saved())
file = client.files.create(file=path, purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600})

response = client.responses.create(
    model="gpt-4o",
    input=[
        {
            "role": "user",
            "content": [
                {"type": "input_file", "file_id": file.id},
                {"type": "input_text", "text": "What does page 17 say? Name the page."},
            ],
        }
    ],
)

print(response.output_text)
client.files.delete(file.id)
