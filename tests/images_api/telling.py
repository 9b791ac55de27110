"""The server's answers, as they should be; its errors hold what nobody may read."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any  # JSON

from aiohttp import web

from tests.images_api.drawing import blurred, drawn, edited, encoded

if TYPE_CHECKING:
    from PIL import Image

    from tests.images_api.asked import Asked

    Json = dict[str, Any]

SECRET = "sk-the-key-that-nobody-may-see"
DEFAULT_SIZE = (256, 256)
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"image_tokens": 2, "text_tokens": 7},
    "output_tokens": 100,
    "total_tokens": 109,
}


async def well(request: web.Request, asked: Asked) -> web.StreamResponse:
    """Answer as one should."""
    try:
        picture, form, quality = painted(asked)
    except ValueError as reason:
        return error(400, "invalid_value", str(reason), param="mask")
    final = {**told(asked, picture, form), "b64_json": b64(encoded(picture, form, quality))}
    if not asked.streams:
        revised = {"b64_json": final.pop("b64_json"), "revised_prompt": f"{asked.fields['prompt']}, revised"}
        return web.json_response({"created": 1, "data": [revised], "usage": USAGE, **final})
    kind = "image_edit" if asked.path.endswith("edits") else "image_generation"
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for index in range(int(asked.fields.get("partial_images", 0))):
        part = b64(encoded(blurred(picture, index), form, quality))
        event = {**told(asked, picture, form), "b64_json": part, "partial_image_index": index}
        await response.write(framed(f"{kind}.partial_image", event))
    await response.write(framed(f"{kind}.completed", {**final, "usage": USAGE}))
    return response


def painted(asked: Asked) -> tuple[Image.Image, str, int]:
    """The picture that is asked for, its format and its quality."""
    fields = asked.fields
    prompt, form = str(fields["prompt"]), str(fields.get("output_format", "png"))
    size = None if fields.get("size", "auto") == "auto" else tuple(map(int, str(fields["size"]).split("x")))
    wanted = (size[0], size[1]) if size else None
    quality = int(fields.get("output_compression", 100))
    if not asked.path.endswith("edits"):
        transparent = fields.get("background") == "transparent"
        return drawn(prompt, wanted or DEFAULT_SIZE, transparent=transparent), form, quality
    pictures = [file.picture for file in asked.files if file.field in {"image", "image[]"}]
    masks = [file.picture for file in asked.files if file.field == "mask"]
    if not pictures:
        raise ValueError("there is no image")
    return edited(prompt, pictures, masks[0] if masks else None, wanted), form, quality


def told(asked: Asked, picture: Image.Image, form: str) -> Json:
    """What is said of a picture beside itself."""
    return {
        "size": f"{picture.width}x{picture.height}",
        "quality": asked.fields.get("quality", "medium"),
        "background": "transparent" if asked.fields.get("background") == "transparent" else "opaque",
        "output_format": form,
    }


def error(status: int, code: str, message: str, **more: Any) -> web.Response:  # JSON
    """An error as the hosted service words it; what it says holds what nobody may read."""
    body = {"message": f"{message} (key {SECRET})", "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": {**body, **more}}, status=status)


def framed(type_: str, event: Json) -> bytes:
    """An event of a stream."""
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **event})}\n\n".encode()


def b64(content: bytes) -> str:
    """Base64 as text."""
    return b64encode(content).decode()
