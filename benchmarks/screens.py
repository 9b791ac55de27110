"""Screenshots to send: a page as browsers show it, and one that compresses badly; no two files are the same."""

from __future__ import annotations

import hashlib
import struct
import zlib
from io import BytesIO

from PIL import Image, ImageChops, ImageDraw, ImageFont

WIDTH = 1280
HEIGHT = 800
GRAIN = 8
CARD = (160, 110)
LINE = 18
WORDS = "Delivered within two days from our shop, in a box that fits through the door. "
MOST = 60_000
"""Files that differ."""
_HEAD = 33
"""Bytes of a PNG before its second part: its mark, and its header."""


def page() -> bytes:
    """A PNG of a shop: a bar, a column of links, four photographs and much text. About 200 kB."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    small, large = ImageFont.load_default(13), ImageFont.load_default(26)
    draw.rectangle((0, 0, WIDTH, 64), fill="#1d3557")
    draw.text((24, 16), "The shop", fill="white", font=large)
    for row in range(20):
        draw.text((24, 90 + 34 * row), f"Shelf {row + 1}: {WORDS[: 14 + row % 9]}", fill="#457b9d", font=small)
    for column in range(4):
        left = 250 + 256 * column
        image.paste(photograph(*CARD, b"%d" % column), (left, 90))
        draw.text((left, 250), f"Lamp {column + 1}", fill="black", font=large)
        for line in range(26):
            draw.text((left, 290 + LINE * line), f"{line + 1}. {WORDS[line:]}"[:36], fill="#333333", font=small)
        draw.rounded_rectangle((left, 764, left + 120, 790), radius=6, fill="#e63946")
        draw.text((left + 26, 769), "Add to cart", fill="white", font=small)
    return as_png(image)


def noisy() -> bytes:
    """A PNG of a page that is one photograph with grain."""
    noise = hashlib.shake_128(b"grain").digest(3 * WIDTH * HEIGHT).translate(bytes(range(GRAIN)) * (256 // GRAIN))
    grain = Image.frombytes("RGB", (WIDTH, HEIGHT), noise)
    return as_png(ImageChops.add(photograph(WIDTH, HEIGHT, b"a noisy screen"), grain))


def photograph(width: int, height: int, seed: bytes) -> Image.Image:
    """A picture without edges, as of something out of focus."""
    size = (max(1, width // GRAIN), max(1, height // GRAIN))
    small = Image.frombytes("RGB", size, hashlib.shake_128(seed).digest(3 * size[0] * size[1]))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def as_png(image: Image.Image) -> bytes:
    """A picture as browsers write their screenshots."""
    room = BytesIO()
    image.save(room, "PNG")
    return room.getvalue()


def another(png: bytes, number: int) -> bytes:
    """The same picture as another file: the date in it is a number."""
    date = b"tIME" + struct.pack(">HBBBBB", 1 + number % MOST, 1, 1, 0, 0, 0)
    part = (len(date) - 4).to_bytes(4, "big") + date + zlib.crc32(date).to_bytes(4, "big")
    return png[:_HEAD] + part + png[_HEAD:]
