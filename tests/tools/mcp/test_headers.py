"""Which headers of callers are sent to MCP servers."""

from __future__ import annotations

import pytest

from antiphon.protocol.tools import McpTool
from antiphon.tools.mcp import checked_headers
from antiphon.tools.mcp.headers import redacted, secrets_in


def tool(headers: dict[str, str] | None = None, authorization: str | None = None) -> McpTool:
    """A tool with these headers."""
    return McpTool(server_label="x", headers=headers, authorization=authorization)


def test_headers_and_authorization_go_out_together() -> None:
    """The authorization is a bearer token, unless it says so itself."""
    assert {"X-Key": "v", "Authorization": "Bearer secret"} == checked_headers(tool({"X-Key": "v"}, "secret"))
    assert {"Authorization": "bearer secret"} == checked_headers(tool(authorization="bearer secret"))
    assert {"authorization": "Basic abc"} == checked_headers(tool({"authorization": "Basic abc"}))
    assert {} == checked_headers(tool())
    assert {} == checked_headers(McpTool(server_label="x"))


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "a\0", 'a"'])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    """It could not be sent."""
    with pytest.raises(ValueError, match="is no name of a header"):
        checked_headers(tool({name: "v"}))


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "\0", "\x7f", "€"])
def test_a_value_that_cannot_be_sent_is_refused_and_not_repeated(value: str) -> None:
    """Neither in a header nor as authorization."""
    for asked in (tool({"X-Key": value}), tool(authorization=value)):
        with pytest.raises(ValueError, match="characters that cannot be sent") as refused:
            checked_headers(asked)
        assert value not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "TE",
        "upgrade",
        "expect",
        "keep-alive",
        "Proxy-Authorization",
        "proxy-anything",
        "trailer",
        "accept",
        "Accept-Encoding",
        "content-type",
        "Mcp-Session-Id",
        "mcp-protocol-version",
        "last-event-id",
    ],
)
def test_headers_of_the_connection_cannot_be_set(name: str) -> None:
    """They are ours."""
    with pytest.raises(ValueError, match="belongs to the connection"):
        checked_headers(tool({name: "v"}))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (tool({f"X-{number}": "v" for number in range(65)}), "more than 64"),
        (tool({"X-Key": "v" * 32768}), "longer than 32768"),
        (tool({"X-Key": "v", "x-key": "w"}), "given twice"),
        (tool({"AUTHORIZATION": "v"}, "w"), "The authorization is given twice"),
    ],
)
def test_headers_have_limits(asked: McpTool, message: str) -> None:
    """In number and in length, and none is given twice."""
    with pytest.raises(ValueError, match=message):
        checked_headers(asked)


def test_secrets_are_redacted_whole_and_without_their_scheme() -> None:
    """What is shorter than four characters is no secret."""
    secrets = secrets_in(["Bearer topsecret", "abcd", "abc", ""])
    assert ["Bearer topsecret", "topsecret", "abcd"] == secrets
    assert "no <redacted>, <redacted>, <redacted>, abc" == redacted(
        "no Bearer topsecret, topsecret, abcd, abc", secrets
    )
