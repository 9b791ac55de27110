"""What an images API may do wrong. Each way is a function that answers, or gives None: then all goes well."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from tests.images_api.drawing import encoded
from tests.images_api.telling import b64, error, framed, painted

if TYPE_CHECKING:
    from tests.images_api.asked import Asked
    from tests.images_api.serving import ImagesApi

PIECE = 65_536
DRIP_SECONDS = 0.01
HUGE_BYTES = 3 << 20
ELSEWHERE = "http://127.0.0.1:1/picture.png"


class Exchange:
    """A request, what was read of it, whose it is, and the end of the server."""

    def __init__(self, request: web.Request, asked: Asked, api: ImagesApi, stop: asyncio.Event) -> None:
        self.request = request
        self.asked = asked
        self.api = api
        self.stop = stop

    async def begin(self, kind: str | None = "application/json") -> web.StreamResponse:
        """Begin an answer that ends with its connection."""
        response = web.StreamResponse(headers={} if kind is None else {"content-type": kind})
        response.force_close()
        await response.prepare(self.request)
        return response

    def close(self) -> None:
        """Close the connection."""
        assert self.request.transport is not None
        self.request.transport.close()


Behaviour = Callable[[Exchange], Awaitable[web.StreamResponse | None]]


def _error(status: int, code: str, message: str, **more: object) -> Behaviour:
    async def refuse(exchange: Exchange) -> web.StreamResponse:
        return error(status, code, message, **more)

    return refuse


async def _hangs(exchange: Exchange) -> None:
    await exchange.stop.wait()


async def _hangs_in_body(exchange: Exchange) -> web.StreamResponse:
    response = await exchange.begin()
    await response.write(b'{"created": 1, "data": [')
    await exchange.stop.wait()
    return response


async def _drips(exchange: Exchange) -> web.StreamResponse:
    response = await exchange.begin("text/event-stream")
    while not exchange.stop.is_set():
        await response.write(b": still drawing\n\n")
        await asyncio.sleep(DRIP_SECONDS)
    return response


async def _closes(exchange: Exchange) -> web.StreamResponse:
    exchange.close()
    return web.Response()


async def _closes_in_body(exchange: Exchange) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-length": "1000000"})
    await response.prepare(exchange.request)
    await response.write(b'{"created": 1, "data": [{"b64_json": "')
    exchange.close()
    return response


def _body(body: bytes, kind: str = "application/json", status: int = 200) -> Behaviour:
    async def say(exchange: Exchange) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind, status=status)

    return say


def _picture(b64: str) -> Behaviour:
    return _body(json.dumps({"created": 1, "data": [{"b64_json": b64}]}).encode())


async def _broken_picture(exchange: Exchange) -> web.StreamResponse:
    content = encoded(painted(exchange.asked)[0])
    return web.json_response({"created": 1, "data": [{"b64_json": b64(content[: len(content) // 2])}]})


async def _endless(exchange: Exchange) -> web.StreamResponse:
    response = await exchange.begin("text/event-stream" if exchange.asked.streams else "application/json")
    await response.write(b'{"created": 1, "data": [{"b64_json": "')
    while not exchange.stop.is_set():
        await response.write(b"A" * PIECE)
        await asyncio.sleep(0)
    return response


async def _endless_events(exchange: Exchange) -> web.StreamResponse:
    response = await exchange.begin("text/event-stream")
    comment = b": " + b"x" * PIECE + b"\n"
    while not exchange.stop.is_set():
        await response.write(comment)
        await asyncio.sleep(0)
    return response


def _refusing(status: int, body: Mapping[str, object]) -> Behaviour:
    async def refuse(exchange: Exchange) -> web.StreamResponse | None:
        return web.json_response(body, status=status) if exchange.asked.streams else None

    return refuse


async def _json_to_stream(exchange: Exchange) -> web.StreamResponse:
    picture, form, quality = painted(exchange.asked)
    return web.json_response({"created": 1, "data": [{"b64_json": b64(encoded(picture, form, quality))}]})


def _url(url: str) -> Behaviour:
    async def name(exchange: Exchange) -> web.StreamResponse:
        exchange.api.kept["/v1/kept.png"] = encoded(painted(exchange.asked)[0])
        return web.json_response({"created": 1, "data": [{"url": url.replace("ROOT", exchange.api.root)}]})

    return name


async def _url_huge(exchange: Exchange) -> web.StreamResponse:
    exchange.api.kept["/v1/huge.png"] = b"\x89PNG\r\n\x1a\n" + bytes(HUGE_BYTES)
    return web.json_response({"created": 1, "data": [{"url": "/v1/huge.png"}]})


def _streaming(*, ends: str, crlf: bool = False, kind: str | None = "text/event-stream") -> Behaviour:
    async def stream(exchange: Exchange) -> web.StreamResponse:
        picture, form, quality = painted(exchange.asked)
        part = {"b64_json": b64(encoded(picture, form, quality))}
        endings = {
            "early": b"",
            "done": b"data:[DONE]\n\n",
            "error": framed("error", {"error": {"code": "server_error", "message": "the inside"}}),
            "refusal": framed("error", {"error": {"code": "moderation_blocked", "message": "the inside"}}),
            "empty": framed("image_generation.completed", {}),
            "well": framed("image_generation.completed", part) + b"data: [DONE]\n\n",
            "nonsense": b"<html>\n\n",
        }
        text = b": hello\n\n" + framed("image_generation.partial_image", part) + endings[ends]
        response = await exchange.begin(kind)
        await response.write(text.replace(b"\n", b"\r\n") if crlf else text)
        return response

    return stream


async def _bad_partials(exchange: Exchange) -> web.StreamResponse:
    picture, form, quality = painted(exchange.asked)
    response = await exchange.begin("text/event-stream")
    await response.write(framed("image_generation.partial_image", {"b64_json": "AAAA"}))
    await response.write(framed("image_generation.completed", {"b64_json": b64(encoded(picture, form, quality))}))
    return response


async def _compressed(exchange: Exchange) -> web.StreamResponse:
    return web.Response(body=gzip.compress(bytes(1 << 20)), headers={"content-encoding": "gzip"})


async def _other_format(exchange: Exchange) -> web.StreamResponse:
    content = encoded(painted(exchange.asked)[0], "webp")
    return web.json_response({"created": 1, "data": [{"b64_json": f"data:image/webp;base64,{b64(content)}"}]})


async def _many_partials(exchange: Exchange) -> web.StreamResponse:
    picture, form, quality = painted(exchange.asked)
    part = {"b64_json": b64(encoded(picture, form, quality))}
    response = await exchange.begin("text/event-stream")
    for index in range(5):
        await response.write(framed("image_generation.partial_image", {**part, "partial_image_index": index}))
    await response.write(framed("image_generation.completed", part))
    return response


_DRAWN = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 32"><script/></svg>'
_UNKNOWN_STREAM = {"error": {"message": "Unknown parameter: 'stream'.", "param": "stream", "code": "unknown_parameter"}}
_UNKNOWN_PARTIALS = {"detail": [{"loc": ["body", "partial_images"], "msg": "Extra inputs are not permitted"}]}

BEHAVIOURS: dict[str, Behaviour] = {
    "moderation": _error(
        400,
        "moderation_blocked",
        "Rejected: the inside",
        type="image_generation_user_error",
        moderation_details={"categories": ["violence", "<b>"], "moderation_stage": "input"},
    ),
    "moderation_of_unknown_stage": _error(
        400, "content_policy_violation", "the inside", moderation_details={"moderation_stage": "later"}
    ),
    "azure_filter": _error(400, "content_filter", "Filtered: the inside"),
    "bad_size": _error(400, "invalid_value", "Invalid size: the inside", param="size"),
    "unauthorized": _error(401, "invalid_api_key", "Incorrect API key: the inside"),
    "forbidden": _error(403, "forbidden", "the inside"),
    "not_found": _error(404, "DeploymentNotFound", "the inside"),
    "limited": _error(429, "rate_limit_exceeded", "the inside"),
    "quota": _error(400, "insufficient_quota", "the inside"),
    "failing": _error(500, "server_error", "the inside"),
    "late": _error(504, "timeout", "the inside"),
    "plain_failure": _body(b"the inside", "text/plain", 502),
    "endless_refusal": _body(b'{"error": "' + b"x" * (1 << 20), status=400),
    "redirects": _body(b"", status=307),
    "hangs": _hangs,
    "hangs_in_body": _hangs_in_body,
    "drips": _drips,
    "closes": _closes,
    "closes_in_body": _closes_in_body,
    "html": _body(b"<html>the inside</html>", "text/html"),
    "empty": _body(b""),
    "bad_json": _body(b'{"data": [{"b64_json": "AAAA'),
    "other_json": _body(b'{"data": {"b64_json": 7}}'),
    "deep_json": _body(b'{"data": ' + b"[" * 100_000),
    "no_picture": _body(b'{"created": 1, "data": []}'),
    "bad_b64": _picture("?no base64?"),
    "not_a_picture": _picture("dGhlIGluc2lkZQ=="),
    "broken_picture": _broken_picture,
    "huge": _picture("A" * (HUGE_BYTES * 4 // 3)),
    "endless": _endless,
    "endless_events": _endless_events,
    "compressed": _compressed,
    "refuses_stream": _refusing(400, _UNKNOWN_STREAM),
    "refuses_partials": _refusing(422, _UNKNOWN_PARTIALS),
    "json_to_stream": _json_to_stream,
    "url_here": _url("ROOT/v1/kept.png"),
    "url_without_host": _url("/v1/kept.png"),
    "url_elsewhere": _url(ELSEWHERE),
    "url_moves": _url("/moved.png"),
    "url_missing": _url("/v1/lost.png"),
    "url_bad": _url("http://[::1/x"),
    "url_file": _url("file:///etc/passwd"),
    "url_huge": _url_huge,
    "stream_ends_early": _streaming(ends="early"),
    "stream_is_done": _streaming(ends="done"),
    "error_event": _streaming(ends="error"),
    "refusal_event": _streaming(ends="refusal"),
    "empty_event": _streaming(ends="empty"),
    "nonsense_event": _streaming(ends="nonsense"),
    "crlf": _streaming(ends="well", crlf=True),
    "no_content_type": _streaming(ends="well", kind=None),
    "bad_partials": _bad_partials,
    "other_format": _other_format,
    "many_partials": _many_partials,
    "svg": _picture(b64(_DRAWN.encode())),
    "bad_svg": _picture(b64(b"<svg>the inside")),
    "svg_with_doctype": _picture(b64(b'<!DOCTYPE svg [<!ENTITY x "the inside">]><svg>&x;</svg>')),
    "html_as_svg": _picture(b64(b"<html/>")),
}

HOW = list(BEHAVIOURS)
"""The names of all ways to behave badly."""
