"""Patterns of pages: which addresses fit them, where an address is chosen by whoever wants to get past them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.pages import MOST_CHARACTERS, Page, Pages, read

LONG = "a" * 63


def surely(pattern: str, url: str) -> bool:
    """Whether a URL surely fits one pattern."""
    return Pages([pattern]).surely_have(url)


def maybe(pattern: str, url: str) -> bool:
    """Whether a URL may fit one pattern."""
    return Pages([pattern]).may_have(url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("example.com", "https://example.com"),
        ("example.com", "http://example.com/"),
        ("example.com", "https://example.com?a=b"),
        ("example.com", "https://example.com#a"),
        ("example.com", "https://example.com/a/b?c=https://d.example/#e"),
        ("example.com", "https://example.com/a%2Fb/../c//d"),
        ("example.com", "HTTPS://EXAMPLE.com./"),
        ("EXAMPLE.com.", "https://example.com/"),
        ("example.com", "https://example.com:8443/"),
        ("example.com:443", "https://example.com/"),
        ("example.com:80", "http://example.com/"),
        ("example.com:8443", "https://example.com:8443/a"),
        ("https://example.com", "https://example.com/"),
        ("HTTP://example.com", "http://example.com/"),
        ("*.example.org", "https://a.example.org/"),
        ("*.example.org", "https://a.b.example.org/"),
        ("*", "https://example.com/"),
        ("*:8000", "http://[::1]:8000/"),
        ("*/", "https://example.com/a%2Fb"),
        ("*/*", "https://example.com/a%2Fb"),
        ("127.0.0.1:8000/shop", "http://127.0.0.1:8000/shop"),
        ("127.0.0.1:8000/shop", "http://127.0.0.1:8000/shop/cart?id=..%2F"),
        ("127.0.0.1:8000/shop", "http://127.0.0.1:8000/shopping"),
        ("127.0.0.1/shop/", "http://127.0.0.1/shop/"),
        ("127.0.0.1/.well-known/", "http://127.0.0.1/.well-known/a..b/..c"),
        ("[::1]", "http://[0:0:0:0:0:0:0:1]/"),
        ("[0::1]:80", "http://[::1]/"),
        ("intra_net", "http://intra_net/"),
        ("münchen.example", "https://xn--mnchen-3ya.example/"),
        ("xn--MNCHEN-3ya.example", "https://münchen.example/"),
        ("MÜNCHEN.example", "https://münchen.example./"),
        ("example.com/café/ü", "https://example.com/caf%C3%A9/%c3%BC"),
        ("example.com/a b", "https://example.com/a%20b"),
        ("example.com/*/edit", "https://example.com/a/b/edit"),
        ("example.com/[ab]?", "https://example.com/b1"),
        ("example.com/[", "https://example.com/[a"),
        ("none.example", "about:blank"),
    ],
)
def test_a_page_that_fits_is_among_them(pattern: str, url: str) -> None:
    """Whatever spelling of the same address is used, and what is surely among them may be among them."""
    assert surely(pattern, url)
    assert url == "about:blank" or maybe(pattern, url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("example.com", "https://example.com.evil.example/"),
        ("example.com", "https://evil-example.com/"),
        ("example.com", "https://a.example.com/"),
        ("example.com", "https://example.co/"),
        ("example.com", "https://evil.example/example.com"),
        ("example.com", "https://evil.example/?https://example.com/"),
        ("example.com", "https://evil.example#example.com"),
        ("example.com:443", "http://example.com/"),
        ("example.com:443", "https://example.com:444/"),
        ("https://example.com", "http://example.com/"),
        ("*.example.org", "https://example.org/"),
        ("*.example.org", "https://evilexample.org/"),
        ("*.example.org", "https://a.example.org.evil.example/"),
        ("münchen.example", "https://munchen.example/"),
        ("xn--80ak6aa92e.com", "https://apple.com/"),
        ("apple.com", "https://xn--80ak6aa92e.com/"),
        ("apple.com", "https://аррlе.com/"),  # noqa: RUF001 - the letters are Cyrillic
        ("apple.com", "https://xn--pple-43d.com/"),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/"),
        ("127.0.0.1:8000/shop", "http://127.0.0.1:8000/"),
        ("127.0.0.1:8000/shop", "http://127.0.0.1:8000/admin?/shop"),
        ("127.0.0.1:8000/shop", "http://127.0.0.1:8000/admin#/shop"),
        ("example.com/*/edit", "https://example.com/edit"),
    ],
)
def test_a_page_that_only_looks_alike_is_not_among_them(pattern: str, url: str) -> None:
    """Surely not, and not in any reading."""
    assert not surely(pattern, url)
    assert not maybe(pattern, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com@evil.example/",
        "https://example.com:443@evil.example/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://evil.example\\@example.com/",
        "https://example.com\\.evil.example/",
        "https://example.com/\\..\\a",
        "https:\\\\example.com/",
        "https:example.com/",
        "https:/example.com/",
        "https:///example.com/",
        "https://",
        "https://?example.com",
        "//example.com/",
        "example.com/",
        "",
        " https://example.com/",
        "https://example.com/ ",
        "https://exam\tple.com/",
        "https://example.com\n/",
        "https://example.com/\x00",
        "https://example.com/\x7f",
        "https://example.com/\u2028",
        "https://example.com/\u202egnp.exe",
        "https://exa\u00admple.com/",
        "https://example\u200b.com/",
        "https://ex%61mple.com/",
        "https://example.com%2f@evil.example/",
        "https://example.com:/",
        "https://example.com:0443/",
        "https://example.com:65536/",
        "https://example.com:443:443/",
        "https://example.com:-1/",
        "https://example.com:\u0664\u0664\u0663/",
        "https://example..com/",
        "https://münchen..example/",
        "https://.example.com/",
        "https://example.com../",
        "https://-example.com/",
        "https://exam!ple.com/",
        "https://*.example.com/",
        f"https://{LONG}a.example.com/",
        f"https://{'.'.join([LONG] * 4)}.com/",
        f"https://{'ü.' * 130}com/",
        "https://faß.example/",
        "https://example。com/",
        "https://ｅxample.com/",  # noqa: RUF001 - a wide letter
        "https://exa\u2100mple.com/",
        "https://mu\u0308nchen.example/",
        "https://\u0378.example/",
        "https://\u2024.example/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0x/",
        "https://127.0.0.01/",
        "https://1.2.3.256/",
        "https://a.1/",
        "https://[::1/",
        "https://::1/",
        "https://[::1]a/",
        "https://[::1%25eth0]/",
        "https://[:::1]/",
        "https://[example.com]/",
        "http\u017f://example.com/",
        "https+unix://example.com/",
        "javascript:alert(1)//https://example.com/",
        "data:text/html,https://example.com/",
        "blob:https://example.com/0",
        "view-source:https://example.com/",
        f"https://example.com/{'a' * MOST_CHARACTERS}",
    ],
)
def test_what_cannot_be_read_for_certain_is_surely_nothing(url: str) -> None:
    """It may be anything, unless there are no patterns at all."""
    assert read(url) is None
    assert not surely("*", url)
    assert maybe("example.com", url)
    assert not Pages([]).may_have(url)


@pytest.mark.parametrize("url", ["about:blank", "ABOUT:config", "chrome://newtab/", "file:///a/b", "devtools://a"])
def test_pages_of_the_browser_are_none_of_theirs(url: str) -> None:
    """They have no host, so no pattern names them, and only the empty one is surely harmless."""
    assert (url == "about:blank") == surely("*", url)
    assert not maybe("*", url)


def test_without_patterns_only_the_empty_page_is_among_them() -> None:
    """An empty list allows nothing."""
    assert Pages([]).surely_have("about:blank")
    assert not Pages([]).surely_have("https://example.com/")
    assert not Pages([]).may_have("https://example.com/")


@pytest.mark.parametrize(
    "path",
    [
        "/shop/../admin",
        "/shop/..",
        "/shop/./a",
        "/shop/%2e%2e/admin",
        "/shop/.%2E/admin",
        "/shop/..;/admin",
        "/shop/..%3B/admin",
        "/shop/..%2Fadmin",
        "/shop/a%2fb",
        "/shop/..%5cadmin",
        "/shop/%252e%252e/admin",
        "/shop/%00",
        "/shop/%0d%0a",
        "/shop/%7F",
        "/shop//admin",
        "/shop/%C0%AE%C0%AE/admin",
    ],
)
def test_a_path_that_hides_its_steps_is_surely_nowhere(path: str) -> None:
    """Servers differ in what they make of it. Where any path of the host is allowed, that is no matter."""
    assert not surely("example.com/shop", f"https://example.com{path}")
    assert surely("example.com", f"https://example.com{path}")


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/Login",
        "/LOGIN/",
        "/%6cogin",
        "/%256cogin",
        "/%25256cogin",
        "//login",
        "/a/..//login",
        "/a/%2e%2e/login",
        "/a%2F..%2Flogin",
        "/a%5c..%5clogin",
        "/;a=b/login;c",
    ],
)
def test_a_path_may_be_read_in_every_way(path: str) -> None:
    """Where one reading is the sensitive page, the page is sensitive."""
    assert maybe("example.com/login", f"https://example.com{path}")
    assert maybe("*/*Login", f"https://example.com/en{path}?next=/")
    assert not maybe("example.com/login", f"https://example.com{path.replace('in', 'out').replace('IN', 'OUT')}")


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        " ",
        "/",
        "/login",
        "https://",
        "ftp://example.com",
        "https:example.com",
        "exa mple.com",
        " example.com",
        "example.com ",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:*",
        "user@example.com",
        "**",
        "*example.com",
        "a.*.example.com",
        "*.*",
        "*.",
        "*.127.0.0.1",
        "*.[::1]",
        "[::1",
        "[example.com]",
        "::1",
        "10.0.0",
        "faß.example",
        "-a",
        "a..b",
        "example.com?a=b",
        "example.com#a",
        "example.com/a#b",
        "example.com/a%20b",
        "example.com\\a",
        "example.com/a\\b",
        "example.com/a\n",
        "http\u017f://example.com",
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """A pattern that could never fit would be a hole, or a wall, that nobody knows of."""
    with pytest.raises(ValueError, match=re.escape(repr(pattern)[:4])):
        Pages(["example.com", pattern])


def test_a_page_has_a_place_that_can_be_shown() -> None:
    """The port is named where it is not that of the scheme."""
    shown = {
        "https://Example.com/a": "example.com",
        "https://example.com:80/": "example.com:80",
        "http://example.com:80/": "example.com",
        "http://[::0:1]:8000/": "[::1]:8000",
        "https://münchen.example/": "xn--mnchen-3ya.example",
    }
    assert shown == {url: page.place for url in shown if (page := read(url))}
    assert Page("https", "example.com", 443, "/a") == read("https://EXAMPLE.com/a?b#c")


HOSTILE = st.lists(
    st.sampled_from([
        *("https://", "http:", "//", "good.example", "evil.example", "GOOD.example", "@", "\\", ":", "443", "/", "?"),
        *("#", "..", ".", "%2e", "%2F", "%40", "%5c", ";", "[", "]", "::1", "\t", " ", "\u3002", "ß", "\uff0f", "a"),
    ]),
    max_size=9,
).map("".join)


@given(HOSTILE.map("https://{}".format) | HOSTILE | st.text())
def test_a_url_that_surely_leads_to_a_host_leads_there_for_others(url: str) -> None:
    """Another reader finds the same host, and neither a user nor a way out of the path."""
    is_there = surely("good.example/a", url) and url != "about:blank"
    assert not is_there or maybe("good.example/a", url)
    if is_there:
        split = urlsplit(url)
        assert "good.example" == (split.hostname or "").removesuffix(".")
        assert split.username is None
        assert split.path.startswith("/a")
        assert ".." not in split.path.split("/")


@given(st.text(max_size=200), st.text(max_size=20))
def test_no_address_breaks_a_pattern(url: str, path: str) -> None:
    """Whatever it is made of; and a pattern is read or refused."""
    pages = Pages(["*/*login*a*b*c", "*.example.org", "example.com/[a-c]*"])
    assert pages.surely_have(url) in {True, False}
    assert pages.may_have(f"https://example.com/{path}") in {True, False}
    assert not pages.surely_have(f"https://{path}/") or not path.startswith("@")


def test_a_long_path_is_matched_in_no_time() -> None:
    """Patterns with many stars do not go back over what they have seen."""
    pages = Pages([f"*/{'*a' * 20}z"])
    assert not pages.may_have(f"https://example.com/{'a' * (MOST_CHARACTERS - 30)}")
