"""A PDF for the examples: a report of 30 pages, each with a figure of its own, made with nothing but Python."""

from __future__ import annotations

import tempfile
from pathlib import Path

PAGES = 30
FIRST_OF_A_PAGE = 4
"""The number of the first object of a page; those before are the catalog, the tree of pages and the font."""


def pdf() -> bytes:
    """Write the report."""
    tree = " ".join(f"{_page(number)} 0 R" for number in range(1, PAGES + 1))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{tree}] /Count {PAGES} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number in range(1, PAGES + 1):
        text = f"BT /F1 24 Tf 72 720 Td ({line(number)}) Tj ET"
        contents, fonts = f"/Contents {_page(number) + 1} 0 R", "/Resources << /Font << /F1 3 0 R >> >>"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {contents} {fonts} >>",
            f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        ]
    return _written(objects)


def line(number: int) -> str:
    """Give what stands on a page."""
    return f"In month {number} we sold {number * 137} umbrellas."


def saved() -> str:
    """Write the report to a file of its own, and give its path."""
    path = Path(tempfile.mkdtemp()) / "report.pdf"
    path.write_bytes(pdf())
    return str(path)


def _page(number: int) -> int:
    return FIRST_OF_A_PAGE + 2 * (number - 1)


def _written(objects: list[str]) -> bytes:
    content = b"%PDF-1.4\n"
    places: list[int] = []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return content + end.encode() + f"startxref\n{len(content)}\n%%EOF\n".encode()
