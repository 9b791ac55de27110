"""Make one picture from four: two as data URLs, two as uploaded files; then have it changed. Paths may be given."""

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
    default_headers={"x-ms-oai-image-generation-deployment": "gpt-image-1"},
)


def create_file(file_path: str) -> str:
    """Upload a picture, and give its id."""
    with Path(file_path).open("rb") as file_content:
        result = client.files.create(
            file=file_content,
            purpose="vision",
        )
        return result.id


def encode_image(file_path: str) -> str:
    """Read a file as Base64 text."""
    with Path(file_path).open("rb") as f:
        return base64.b64encode(f.read()).decode("utf-8")


prompt = """Generate a photorealistic image of a gift basket on a white background
labeled 'Relax & Unwind' with a ribbon and handwriting-like font,
containing all the items in the reference pictures."""

image1, image2, image3, image4 = sys.argv[1:5] or [picture.saved() for _ in range(4)]
base64_image1 = encode_image(image1)
base64_image2 = encode_image(image2)
file_id1 = create_file(image3)
file_id2 = create_file(image4)

response = client.responses.create(
    model="gpt-4.1",
    input=[
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": prompt},
                {
                    "type": "input_image",
                    "image_url": f"data:image/jpeg;base64,{base64_image1}",
                },
                {
                    "type": "input_image",
                    "image_url": f"data:image/jpeg;base64,{base64_image2}",
                },
                {
                    "type": "input_image",
                    "file_id": file_id1,
                },
                {
                    "type": "input_image",
                    "file_id": file_id2,
                },
            ],
        }
    ],
    tools=[{"type": "image_generation"}],
)

image_generation_calls = [output for output in response.output if output.type == "image_generation_call"]

image_data = [output.result for output in image_generation_calls]

if image_data:
    image_base64 = image_data[0]
    with Path("gift-basket.png").open("wb") as f:
        f.write(base64.b64decode(image_base64))
    print("gift-basket.png")
else:
    print(response.output_text)

# The picture of the turn before is what the next turn changes.
changed = client.responses.create(
    model="gpt-4.1",
    previous_response_id=response.id,
    input="Now make the ribbon blue",
    tools=[{"type": "image_generation", "action": "edit"}],
)
for output in changed.output:
    if output.type == "image_generation_call" and output.result:
        Path("gift-basket-blue.png").write_bytes(base64.b64decode(output.result))
        print("gift-basket-blue.png")
