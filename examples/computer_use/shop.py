"""A small shop to try computer use on: a library that brings books, in three forms and a page with the order's number.

``python shop.py --port 8001``. The number is made of what was typed, so that a wrong letter shows in it.
"""

from __future__ import annotations

import argparse
import html
import zlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES = Path(__file__).parent / "pages"
FORM_BYTES = 10_000
"""More than any form of the shop holds."""

FIELDS = {
    "delivery": ("title", "reader"),
    "checkout": ("title", "reader", "address"),
    "done": ("title", "reader", "address", "card"),
}
"""What must be known before a page is shown."""

SEGMENTS = {
    "a": (8, 0, 44, 10),
    "b": (50, 8, 10, 40),
    "c": (50, 56, 10, 40),
    "d": (8, 94, 44, 10),
    "e": (0, 56, 10, 40),
    "f": (0, 8, 10, 40),
    "g": (8, 47, 44, 10),
}
"""The bars of a digit, as on a pocket calculator: left, top, width and height."""

DIGITS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")
"""The bars that shine, by digit."""


def order_number(answers: Mapping[str, str]) -> str:
    """Give the six digits of an order: they tell of every letter that was typed."""
    told = [answers.get(name, "no") for name in ("title", "reader", "address", "neighbour", "card")]
    return str(100_000 + zlib.crc32("\n".join(told).encode()) % 900_000)


def shining(number: str) -> str:
    """Draw digits as a pocket calculator shows them."""
    bars = [
        f'<rect class="{"lit" if bar in DIGITS[int(digit)] else "dim"}" x="{80 * place + left}" y="{top}" '
        f'width="{width}" height="{height}"/>'
        for place, digit in enumerate(number)
        for bar, (left, top, width, height) in SEGMENTS.items()
    ]
    return f'<svg viewBox="0 0 {80 * len(number) - 20} 104">{"".join(bars)}</svg>'


def page(name: str, answers: Mapping[str, str]) -> str:
    """Give a page that knows what was answered on those before it."""
    shown = {key: html.escape(text) for key, text in answers.items()}
    hidden = "".join(f'<input type="hidden" name="{key}" value="{text}">' for key, text in shown.items())
    number = shining(order_number(answers))
    return Template((PAGES / f"{name}.html").read_text()).substitute(shown, hidden=hidden, number=number)


class Shop(BaseHTTPRequestHandler):
    """Shows the first form, and after each form the next page. Remembers nothing: a form brings all answers along."""

    def do_GET(self) -> None:
        """Show the first form, or what it is styled with."""
        match self.path.partition("?")[0]:
            case "/":
                self._answer(page("book", {}), "text/html")
            case "/shop.css":
                self._answer((PAGES / "shop.css").read_text(), "text/css")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Take a form, and show what comes after it."""
        name = self.path.strip("/")
        length = int(self.headers.get("content-length") or 0)
        if name not in FIELDS or length > FORM_BYTES:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        known = {*FIELDS[name], "neighbour"}
        form = parse_qs(self.rfile.read(length).decode(errors="replace"))
        answers = {key: texts[0].strip() for key, texts in form.items() if key in known}
        if all(answers.get(key) for key in FIELDS[name]):
            self._answer(page(name, answers), "text/html")
        else:
            self.send_error(HTTPStatus.BAD_REQUEST, "An answer is missing.")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", f"{kind}; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8001)
    with ThreadingHTTPServer(("127.0.0.1", arguments.parse_args().port), Shop) as server:
        print(f"The library is open: http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
