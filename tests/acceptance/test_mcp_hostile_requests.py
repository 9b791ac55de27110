"""What callers try with MCP tools in one request, in lists: URLs, headers, labels, limits, tools that are not there.

After each try all is judged as in `tests.acceptance.test_mcp_hostile_caller`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest

from tests.acceptance import test_mcp_hostile_caller as callers
from tests.acceptance.test_mcp_hostile_caller import FORMS, HEADER, TOKEN, Stand

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]

pytestmark = pytest.mark.slow
running, stand = callers.running, callers.stand

BAD_URLS = [
    "",
    "books",
    "//127.0.0.1:PORT/mcp",
    "http://",
    "http:///mcp",
    "http://127.0.0.1:0/mcp",
    "http://127.0.0.1:99999/mcp",
    "http://127.0.0.1:x/mcp",
    "http://[::1/mcp",
    "file:///etc/passwd",
    "ftp://127.0.0.1:PORT/mcp",
    "gopher://127.0.0.1:PORT/_x",
    "javascript:alert(1)",
    "ws://127.0.0.1:PORT/mcp",
    "http+unix://127.0.0.1:PORT/mcp",
    f"http://user:{TOKEN}@127.0.0.1:PORT/mcp",
    "http://user@127.0.0.1:PORT/mcp",
    "http://@127.0.0.1:PORT/mcp",
    "http://books.example@127.0.0.1:PORT/mcp",
    " http://127.0.0.1:PORT/mcp",
    "http://127.0.0.1:PORT/m cp",
    "http://127.0.0.1:PORT/mcp\n",
    "http://127.0.0.1:PORT/\r\nX-Key: x",
    "http://127.0.0.1\t:PORT/mcp",
    "http://127.0.0.1:PORT/\x00",
    "http://127.0.0.1:PORT/\u200b",
    "http://127.0.0.1:PORT/\u2028",
]
"""URLs that can be no server's; PORT is one of this machine that may not be reached."""

PRIVATE_URLS = [
    "http://127.0.0.1:PORT/mcp",
    "http://localhost:PORT/mcp",
    "http://LOCALHOST.:PORT/mcp",
    "http://2130706433:PORT/mcp",
    "http://0x7f000001:PORT/mcp",
    "http://0x7f.1:PORT/mcp",
    "http://017700000001:PORT/mcp",
    "http://0177.0.0.1:PORT/mcp",
    "http://127.1:PORT/mcp",
    "http://127.000.000.001:PORT/mcp",
    "http://0:PORT/mcp",
    "http://0.0.0.0:PORT/mcp",
    "http://[::1]:PORT/mcp",
    "http://[::]:PORT/mcp",
    "http://[::ffff:127.0.0.1]:PORT/mcp",
    "http://[::ffff:7f00:1]:PORT/mcp",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/mcp",
    "http://[64:ff9b::7f00:1]:PORT/mcp",
    "http://[fe80::1%25lo]:PORT/mcp",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:PORT/mcp",
    "http://127。0。0。1:PORT/mcp",
    "http://ⓛocalhost:PORT/mcp",
    "http://%31%32%37.0.0.1:PORT/mcp",
    "http://127.0.0.1:PORT\\@example.com/mcp",
    "http://example.com#@127.0.0.1:PORT/mcp",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://168.63.129.16/metadata",
    "http://100.100.100.200/latest/meta-data/",
    "http://10.0.0.1/mcp",
    "http://192.168.0.1/mcp",
    "http://172.16.0.1/mcp",
    "http://[fc00::1]/mcp",
    "http://localhost:22/",
    "https://localhost:PORT/mcp",
]
"""URLs that lead, or seem to lead, to where the server does not go."""


def at(stand: Stand, url: str) -> Json:
    """The library at another URL."""
    return stand.tool(server_url=url.replace("PORT", str(stand.trap.getsockname()[1])))


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_is_none_is_refused_at_once(stand: Stand, url: str) -> None:
    """Whoever asks, and however, is told which parameter is wrong."""
    for form in FORMS.values():
        refused = stand.post({"tools": [at(stand, url)], **form})
        assert (400, "tools[0].server_url") == (refused.status_code, refused.json()["error"]["param"]), refused.text


@pytest.mark.parametrize("url", PRIVATE_URLS)
def test_a_private_place_is_not_reached(stand: Stand, url: str) -> None:
    """However it is spelled. A stream and a run in the background end as failed, without a word of the address."""
    tool = at(stand, url)
    refused = stand.post({"tools": [tool]})
    assert refused.status_code in {400, 424}, refused.text
    error = refused.json()["error"]
    assert error["param"] in {"tools", "tools[0].server_url"}
    assert "127.0" not in error["message"]
    streamed = stand.post({"tools": [tool], "stream": True})
    assert streamed.status_code == 400 or '"type":"response.failed"' in streamed.text
    queued = stand.post({"tools": [tool], "background": True})
    assert queued.status_code == 400 or "failed" == stand.ended(queued.json()["id"])["status"]


def test_a_redirect_to_a_private_place_is_not_followed(stand: Stand) -> None:
    """Not even where the place that it stands at may be reached."""
    refused = stand.post({"tools": [stand.tool(server_url=stand.away.url)]})
    assert (424, "http_error") == (refused.status_code, refused.json()["error"]["code"])
    assert stand.away.methods


@pytest.mark.parametrize("length", [9_000, 100_000])
def test_a_long_url_is_sent_and_not_repeated(stand: Stand, length: int) -> None:
    """The MCP server says what it thinks of it."""
    url = stand.books.url + "?" + "x" * length
    answer = stand.post({"tools": [stand.tool(server_url=url)]})
    assert answer.status_code in {200, 400, 424}


BAD_HEADERS: dict[str, Json] = {
    **{
        name: {name: "x"}
        for name in (
            *("Host", "host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer"),
            *("Upgrade", "Expect", "Accept", "Accept-Encoding", "Content-Type", "Mcp-Session-Id", "Last-Event-ID"),
            *("Mcp-Protocol-Version", "Proxy-Authorization", "Proxy-Connection", "", " ", "X Key", "X:Key", "Ä", "🔑"),
            *("X-Key\r\nX-More", "X-Key\x00"),
        )
    },
    **{
        f"value {value!r}": {"X-Key": value} for value in ("a\r\nX-More: b", "a\nb", "\r", "\x00", "\x7f", "\x1b", "名")
    },
    "1,000 headers": {f"X-{number}": "x" for number in range(1000)},
    "40 kB": {"X-Key": "x" * 40_000},
    "40 kB of names": {f"X-{number}-{'x' * 1000}": "" for number in range(40)},
    "twice": {"X-Key": "a", "x-key": "b"},
    "authorization twice": {"Authorization": f"Bearer {HEADER}"},
    "authorization twice, in small letters": {"authorization": ""},
    "a long name": {"X " + "x" * 100_000: "x"},
    "a secret for a name": {f"Authorization: Bearer {HEADER}": ""},
}


@pytest.mark.parametrize("how", BAD_HEADERS)
def test_headers_that_cannot_be_sent_are_refused_at_once(stand: Stand, how: str) -> None:
    """The MCP server hears nothing, and the refusal repeats no value, and no more than a little of a name."""
    before = len(stand.books.headers)
    for form in FORMS.values():
        refused = stand.post({"tools": [stand.tool(headers=BAD_HEADERS[how])], **form})
        assert (400, "tools[0].headers") == (refused.status_code, refused.json()["error"]["param"]), refused.text
    assert before == len(stand.books.headers)


GOOD_HEADERS: dict[str, Json] = {
    "none": {},
    "empty value": {"X-Key": ""},
    "latin": {"X-Key": "Zürich"},
    "spaces": {"X-Key": " a\tb "},
    "cookie": {"Cookie": f"a={HEADER}"},
    "user agent": {"User-Agent": "mine"},
    "forwarded": {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
    "60 headers": {f"X-{number}": "x" for number in range(60)},
}


@pytest.mark.parametrize("how", GOOD_HEADERS)
def test_other_headers_are_sent_and_told_to_nobody(stand: Stand, how: str) -> None:
    """They reach the MCP server once each, with every request, and stand redacted in what is kept."""
    before = len(stand.books.headers)
    answer = stand.post({"tools": [stand.tool(headers=GOOD_HEADERS[how])]})
    assert 200 == answer.status_code, answer.text
    sent = stand.books.headers[before:]
    assert sent
    assert {f"Bearer {TOKEN}"} == {headers["authorization"] for headers in sent}
    echoed = stand.get(answer.json()["id"]).json()["tools"][0]
    assert dict.fromkeys(GOOD_HEADERS[how], "<redacted>") == echoed["headers"]
    assert "<redacted>" == echoed["authorization"]


@pytest.mark.parametrize("authorization", ["a\r\nX-More: b", "\x00", "名", "a\n"])
def test_an_authorization_that_cannot_be_sent_is_refused(stand: Stand, authorization: str) -> None:
    """As a header would be."""
    refused = stand.post({"tools": [stand.tool(authorization=authorization)]})
    assert (400, "tools[0].headers") == (refused.status_code, refused.json()["error"]["param"])


LABELS = [
    "x" * 10_000,
    "a\"b'c\\",
    "\x00\n\x1b[31m",
    "名前",
    "🔑" * 50,
    "a__b",
    "__",
    " ",
    "books__search",
    "../..",
    "\u202e",
]


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_any_text(stand: Stand, label: str) -> None:
    """The call of its server's tool arrives, and is told under the label as it was given."""
    before = len(stand.books.calls)
    choice = {"type": "mcp", "server_label": label, "name": "no_arguments"}
    tool = stand.tool(server_label=label, require_approval="never")
    answer = stand.post({"tools": [tool], "tool_choice": choice}).json()
    assert [label, label] == [item["server_label"] for item in answer["output"][:2]]
    assert ("mcp_call", "completed") == (answer["output"][1]["type"], answer["output"][1]["status"])
    assert [("no_arguments", {})] == stand.books.calls[before:]
    asked = stand.post({"tools": [{**tool, "require_approval": "always"}], "tool_choice": choice}).json()
    approval = callers.yes(asked)
    done = stand.post({"tools": [tool], "previous_response_id": asked["id"], "input": [approval]}).json()
    assert 2 == len(stand.books.calls[before:]), done


GMAIL = {"server_url": None, "connector_id": "connector_gmail"}
TUNNEL = {"server_url": None, "tunnel_id": "tunnel_" + "a" * 32}
REFUSED: dict[str, tuple[str, Callable[[Stand], Json]]] = {
    "the same label twice": ("tools[1].server_label", lambda stand: {"tools": [stand.tool(), stand.tool()]}),
    "no label": ("tools[0].server_label", lambda stand: {"tools": [stand.tool(server_label=None)]}),
    "an empty label": ("tools[0].server_label", lambda stand: {"tools": [stand.tool(server_label="")]}),
    "a number for a label": ("tools[0].server_label", lambda stand: {"tools": [stand.tool(server_label=5)]}),
    "a connector that nobody has": (
        "tools[0].connector_id",
        lambda stand: {"tools": [stand.tool(server_url=None, connector_id="connector_nothing")]},
    ),
    "a connector that is not configured": ("tools[0].connector_id", lambda stand: {"tools": [stand.tool(**GMAIL)]}),
    "a tunnel": ("tools[0].tunnel_id", lambda stand: {"tools": [stand.tool(**TUNNEL)]}),
    "a tunnel and a URL": (  # of two that exclude each other neither is named
        "",
        lambda stand: {"tools": [stand.tool(tunnel_id=TUNNEL["tunnel_id"])]},
    ),
    "nowhere": ("tools[0].server_url", lambda stand: {"tools": [stand.tool(server_url=None)]}),
    "another word for an approval": (
        "tools[0].require_approval",
        lambda stand: {"tools": [stand.tool(require_approval="sometimes")]},
    ),
    "a number of allowed tools": ("tools[0].allowed_tools", lambda stand: {"tools": [stand.tool(allowed_tools=5)]}),
    "headers in a list": ("tools[0].headers", lambda stand: {"tools": [stand.tool(headers=[HEADER])]}),
    "a header that is no text": ("tools[0].headers", lambda stand: {"tools": [stand.tool(headers={"X": [HEADER]})]}),
    "no calls at all": ("max_tool_calls", lambda stand: {"tools": [stand.tool()], "max_tool_calls": 0}),
    "a choice of another server": (
        "tool_choice",
        lambda stand: {"tools": [stand.tool()], "tool_choice": {"type": "mcp", "server_label": "notes"}},
    ),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_cannot_be_meant_is_refused_at_once(stand: Stand, how: str) -> None:
    """In every form of asking, before any MCP server hears of it."""
    param, body = REFUSED[how]
    before = len(stand.books.headers)
    for form in FORMS.values():
        refused = stand.post({**body(stand), **form})
        told = refused.json()["error"]["param"] or ""
        assert (400, True) == (refused.status_code, told.startswith(param)), refused.text
    assert before == len(stand.books.headers)
