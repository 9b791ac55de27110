"""Watch a picture while it is drawn: each partial image is written to a file as it comes."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from openai import AzureOpenAI

client = AzureOpenAI(
    base_url=os.environ.get("ANTIPHON_URL", "http://127.0.0.1:8080") + "/openai/v1/",
    api_key=os.environ.get("ANTIPHON_KEY", "any"),
    api_version="preview",
    default_headers={"x-ms-oai-image-generation-deployment": "gpt-image-1"},
)

stream = client.responses.create(
    model="gpt-4.1",
    input="Draw a gorgeous image of a river made of white owl feathers, snaking its way through a serene winter "
    "landscape",
    stream=True,
    tools=[{"type": "image_generation", "partial_images": 2}],
)

for event in stream:
    if event.type == "response.image_generation_call.partial_image":
        idx = event.partial_image_index
        image_base64 = event.partial_image_b64
        image_bytes = base64.b64decode(image_base64)
        with Path(f"river{idx}.png").open("wb") as f:
            f.write(image_bytes)
        print(f"river{idx}.png")
