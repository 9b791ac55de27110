"""Ask about an image that has a URL. Give one as an argument, or a picture is served from this machine."""

from __future__ import annotations

import os
import sys

import picture
from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)

response = client.responses.create(
    model="gpt-4o",  # replace with a deployment of a model that sees
    input=[
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is in this image?"},
                {
                    "type": "input_image",
                    "image_url": sys.argv[1] if len(sys.argv) > 1 else picture.served(),
                },
            ],
        }
    ],
)

print(response.output_text)
