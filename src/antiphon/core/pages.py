"""Pages by their addresses: whether the URL of a page, which chooses it itself, fits a pattern of the operator's.

A pattern is ``[scheme://]host[:port][/path]``. The host is a name, an address (IPv6 in brackets), ``*.name`` for all
names below it, or ``*``. Without a port any fits, and without a scheme both http and https do. The path is a glob for
its beginning, so ``/shop`` fits ``/shop/cart`` and ``/shopping`` as well; the query and what follows count for nothing.
Hosts are compared in lower case, as ASCII, without a dot at their end.
"""

from __future__ import annotations

import re
from fnmatch import translate
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CHARACTERS = 16_384
"""Of a URL that is read: what is longer is no address that a person could know."""

EMPTY = "about:blank"
"""The page that shows nothing."""

_MOST_DECODED = 3
"""How often servers behind one another may decode a path."""
_HIGHEST_PORT = 65_535
_LONGEST_HOST = 253
_PORTS = {"http": 80, "https": 443}
_PORT = r"(?::(?P<port>0|[1-9][0-9]{0,4}))?"
_V6 = r"\[[0-9a-f:.]+\]"
_NAMED = r"[^\[\]/?#@:*]+"
_FLAGS = re.ASCII | re.IGNORECASE  # without the first, a long s is the same letter as an s
_URL = re.compile(rf"(?P<scheme>https?)://(?P<host>{_V6}|{_NAMED}){_PORT}(?P<path>/[^?#]*)?(?:[?#].*)?", _FLAGS)
_PATTERN = re.compile(
    rf"(?:(?P<scheme>https?)://)?(?P<host>{_V6}|\*|(?:\*\.)?{_NAMED}){_PORT}(?P<path>/[^%#\\]*)?", _FLAGS
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_OWN_PAGES = re.compile(r"(?:about|chrome|chrome-error|devtools|edge|file):", _FLAGS)
_UNCERTAIN = re.compile(r"//|%(?:2[ef5]|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
_DOTS = re.compile(r"/\.\.?(?:[/;]|\Z)")


class Page(Struct, frozen=True):
    """Where a page lies: its host in the form in which hosts are compared, its path as the URL has it."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """The host, and the port where it is not that of the scheme."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


class Pattern(Struct, frozen=True):
    """What fits: None is anything. ``host`` is None, a host, or a dot and the name that stands above."""

    scheme: str | None
    host: str | None
    port: int | None
    path: re.Pattern[str] | None

    def has(self, page: Page) -> bool:
        """Whether a page lies there, whatever its path."""
        is_below = self.host is not None and self.host.startswith(".") and page.host.endswith(self.host)
        return (
            self.scheme in {None, page.scheme}
            and self.port in {None, page.port}
            and (is_below or self.host in {None, page.host})
        )


class Pages:
    """The pages that fit any of the patterns. Raises `ValueError` for a text that is no pattern, and says why."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact = [pattern(text) for text in patterns]
        self._loose = [_loose(each) for each in self._exact]

    def surely_have(self, url: str) -> bool:
        """Whether the page of a URL is one of them however browsers and servers read it, or shows nothing at all."""
        page = read(url)
        if page is None:
            return url == EMPTY
        path = _certain(page.path)
        near = [each for each in self._exact if each.has(page)]
        return any(each.path is None or (path is not None and each.path.match(path) is not None) for each in near)

    def may_have(self, url: str) -> bool:
        """Whether the page of a URL is one of them in some reading: whatever their case, encoding and dots.

        What cannot be read may be any page, but for the browser's own pages and files.
        """
        page = read(url)
        if page is None:
            return bool(self._loose) and _OWN_PAGES.match(url) is None
        near = [each for each in self._loose if each.has(page)]
        readings = _readings(page.path) if near else []
        return any(each.path is None or any(map(each.path.match, readings)) for each in near)


def read(url: str) -> Page | None:
    """Where a URL leads; None where it is none of http or https, or where readers might differ."""
    if len(url) > MOST_CHARACTERS or not url.isprintable() or " " in url or "\\" in url:
        return None
    found = _URL.fullmatch(url)
    host = _host(found["host"]) if found else None
    if found is None or host is None:
        return None
    scheme = found["scheme"].lower()
    port = int(found["port"] or _PORTS[scheme])
    return Page(scheme, host, port, found["path"] or "/") if port <= _HIGHEST_PORT else None


def pattern(text: str) -> Pattern:
    """A pattern by its text. Raises `ValueError`."""
    found = _PATTERN.fullmatch(text) if text.isprintable() else None
    if found is None:
        raise ValueError(f"{text!r} is no [scheme://]host[:port][/path], without percent-encoding and fragment")
    scheme, port = found["scheme"], found["port"]
    if port is not None and not 0 < int(port) <= _HIGHEST_PORT:
        raise ValueError(f"{text!r} names no port")
    return Pattern(
        scheme=None if scheme is None else scheme.lower(),
        host=_host_pattern(found["host"]),
        port=None if port is None else int(port),
        path=_path_pattern(found["path"] or "/"),
    )


def _host_pattern(text: str) -> str | None:
    if text == "*":
        return None
    is_wide = text.startswith("*.")
    host = _host(text.removeprefix("*."))
    if host is None or (is_wide and _NUMBER.fullmatch(host)):
        raise ValueError(f"{text!r} is no host: write a name, in ASCII (xn--...) if in doubt, *.name, an address or *")
    return f".{host}" if is_wide else host


def _path_pattern(glob: str) -> re.Pattern[str] | None:
    """A glob for the beginning of a path; None where it fits every path."""
    return None if glob.rstrip("*") == "/" else re.compile(translate(f"{glob}*"))


def _loose(exact: Pattern) -> Pattern:
    path = None if exact.path is None else re.compile(exact.path.pattern, re.IGNORECASE)
    return Pattern(exact.scheme, exact.host, exact.port, path)


def _host(text: str) -> str | None:
    """A host as it is compared; None where it is none, or where browsers might make another of it."""
    if text.startswith("["):
        return _address(text[1:-1])
    lower = text.lower().removesuffix(".")
    name = lower if lower.isascii() else _ascii(lower)
    if name is None or len(name) > _LONGEST_HOST or not _NAME.fullmatch(name):
        return None
    return name if not _NUMBER.fullmatch(name) or _is_address(name) else None


def _ascii(name: str) -> str | None:
    """An international name; None where it is not the only spelling: the rules for the others have changed."""
    if len(name) > _LONGEST_HOST:
        return None
    try:
        encoded = name.encode("idna")
        return encoded.decode("ascii") if encoded.decode("idna") == name else None
    except UnicodeError:
        return None


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True


def _address(text: str) -> str | None:
    try:
        return f"[{IPv6Address(text)}]"
    except AddressValueError:
        return None


def _certain(path: str) -> str | None:
    """A path, decoded; None where it hides a slash, a dot or an escape, and servers may differ."""
    decoded = unquote(path)
    if _UNCERTAIN.search(path) or _DOTS.search(decoded) or "\ufffd" in decoded:
        return None
    return decoded


def _readings(path: str) -> list[str]:
    """A path as it stands, and as servers may understand it."""
    readings = [path]
    for _ in range(_MOST_DECODED):
        readings.append(unquote(readings[-1]))
    return [*readings, *map(_tidied, readings)]


def _tidied(path: str) -> str:
    """A path without parameters, dots and empty steps."""
    steps: list[str] = []
    for written in path.replace("\\", "/").split("/"):
        step = written.partition(";")[0]
        if step == "..":
            del steps[-1:]
        elif step not in {"", "."}:
            steps.append(step)
    return f"/{'/'.join(steps)}"
