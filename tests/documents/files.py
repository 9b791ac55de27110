"""Files as callers send them, sound and hostile, made in memory."""

from __future__ import annotations

import hashlib
import struct
import zlib
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

from docx import Document
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont
from pptx import Presentation
from pptx.util import Inches

if TYPE_CHECKING:
    from collections.abc import Mapping

openpyxl: Any = import_module("openpyxl")  # ships no types
TYPES = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file."""
    room = BytesIO()
    image.save(room, kind, **options)
    return room.getvalue()


def noise(width: int, height: int, *, grain: int = 8) -> Image.Image:
    """A picture like a photograph: it does not shrink to nothing."""
    size = (max(1, width // grain), max(1, height // grain))
    small = Image.frombytes("RGB", size, hashlib.shake_128(b"noise").digest(3 * size[0] * size[1]))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def quarters(width: int = 160, height: int = 80) -> Image.Image:
    """A picture of which no turn looks like another."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2, height // 2), fill="red")
    draw.rectangle((width // 2, 0, width, height // 2), fill="green")
    draw.rectangle((0, height // 2, width // 2, height), fill="blue")
    return image


def lettered(text: str, *, size: tuple[int, int] = (900, 300)) -> Image.Image:
    """Black text on white."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((40, 40), text, fill="black", font=ImageFont.load_default(40))
    return image


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *, bits: int = 8, colour: int = 0, pixels: bytes = b"", extra: bytes = b"") -> bytes:
    """A PNG that says of itself what it is told to say."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def animation(kind: str, frames: int = 3) -> bytes:
    """A moving picture whose first frame is red."""
    images = [Image.new("RGB", (40, 20), colour) for colour in ["red", "green", "blue"] * (frames // 3 + 1)][:frames]
    return saved(images[0], kind, save_all=True, append_images=images[1:], duration=10)


def pdf(pages: int = 1, *, text: str = "This is page {}.", password: str | None = None) -> bytes:
    """A PDF, a line of text on each page."""
    made = FPDF()
    made.set_font("helvetica", size=12)
    if password is not None:
        made.set_encryption(owner_password=password, user_password=password)
    for number in range(1, pages + 1):
        made.add_page()
        if text:
            made.multi_cell(0, 8, text.format(number))
    return bytes(made.output())


def scan(text: str) -> bytes:
    """A PDF of one page that holds a picture of text, and no text."""
    made = FPDF()
    made.add_page()
    made.image(lettered(text), x=10, y=10, w=180)
    return bytes(made.output())


def raw_pdf(*objects: bytes) -> bytes:
    """A PDF of these objects, numbered from 1, the first of them its catalogue."""
    body, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<< /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(objects) + 1, table) + trailer


def one_page(content: bytes, *others: bytes, box: bytes = b"0 0 600 800", resources: bytes = b"") -> bytes:
    """A PDF of one page with that content, object 4; ``others`` are numbered from 5."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [%b] /Contents 4 0 R /Resources << %b >> >>" % (box, resources)
    catalogue, tree = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return raw_pdf(catalogue, tree, page, content, *others)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """A stream object."""
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), entries, content)


def docx() -> bytes:
    """A Word document with a heading, a table and a picture."""
    made, room = Document(), BytesIO()
    made.add_heading("Report", level=1)
    made.add_paragraph("All is well.")
    made.add_paragraph("first", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for cell, text in zip([*table.rows[0].cells, *table.rows[1].cells], ["a", "b", "1", "2"], strict=True):
        cell.text = text
    made.add_picture(BytesIO(saved(quarters(), "PNG")))
    made.save(room)
    return room.getvalue()


def pptx(slides: int = 2) -> bytes:
    """A presentation with titles, a table, a group and notes."""
    made, room = Presentation(), BytesIO()
    for number in range(1, slides + 1):
        slide = made.slides.add_slide(made.slide_layouts[5])
        slide.shapes.title.text = f"Title {number}"
        table = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
        for row, texts in enumerate([["k|ey", "value"], ["x", str(number)]]):
            for column, text in enumerate(texts):
                table.cell(row, column).text = text
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(Inches(1), Inches(4), Inches(2), Inches(1)).text_frame.text = "grouped"
        slide.notes_slide.notes_text_frame.text = f"Say {number}"
    made.slides.add_slide(made.slide_layouts[6]).shapes.add_picture(BytesIO(saved(quarters(), "PNG")), 0, 0)
    made.save(room)
    return room.getvalue()


def xlsx(sheets: Mapping[str, list[list[object]]]) -> bytes:
    """A workbook of these sheets."""
    made, room = openpyxl.Workbook(), BytesIO()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made.save(room)
    return room.getvalue()


def archive(entries: Mapping[str, bytes | str]) -> bytes:
    """A zip of these entries."""
    room = BytesIO()
    with ZipFile(room, "w", ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return room.getvalue()


def replaced(content: bytes, entries: Mapping[str, bytes | str]) -> bytes:
    """An archive with some of its entries replaced, and others added."""
    with ZipFile(BytesIO(content)) as old:
        kept = {name: old.read(name) for name in old.namelist()}
    return archive({**kept, **entries})
