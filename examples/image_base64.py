"""Ask about an image of your disk. Give its path as an argument, or a picture is made."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import picture
from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
)


def encode_image(image_path: str) -> str:
    """Read a file as Base64 text."""
    with Path(image_path).open("rb") as image_file:
        return base64.b64encode(image_file.read()).decode("utf-8")


# Path to your image
image_path = sys.argv[1] if len(sys.argv) > 1 else picture.saved()

# Getting the Base64 string
base64_image = encode_image(image_path)

response = client.responses.create(
    model="gpt-4o",  # replace with a deployment of a model that sees
    input=[
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is in this image?"},
                {
                    "type": "input_image",
                    "image_url": f"data:image/png;base64,{base64_image}",
                },
            ],
        }
    ],
)

print(response.output_text)
