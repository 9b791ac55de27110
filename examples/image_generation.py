"""Let the model draw. The deployment that draws is named in a header, as Azure OpenAI has it."""

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

response = client.responses.create(
    model="o3",
    input="Generate an image of gray tabby cat hugging an otter with an orange scarf",
    tools=[{"type": "image_generation"}],
)

# Save the image to a file
image_data = [output.result for output in response.output if output.type == "image_generation_call"]

if image_data:
    image_base64 = image_data[0]
    with Path("otter.png").open("wb") as f:
        f.write(base64.b64decode(image_base64))
    print("otter.png")
else:
    print(response.output_text)
