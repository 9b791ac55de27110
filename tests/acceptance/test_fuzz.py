"""Whatever is sent: no fault of the server's own, every error in form, nothing of it logged, nothing refused kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # JSON
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.acceptance.mutations import ODD, VALID, garbled, mutated, written
from tests.acceptance.observed import BODY_MIB, CANARY, HOST, JSON, Header, Observed, observed, posted, request

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = settings(max_examples=150)
MANY = settings(max_examples=1_500)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A server that speaks from a script and is watched."""
    with observed(tmp_path_factory.mktemp("fuzz")) as watched:
        yield watched


def test_what_is_accepted_is_kept_and_logged_without_its_content(server: Observed) -> None:
    """The watch sees what it must not see elsewhere: rows that come, and lines in the log."""
    for body in VALID[:-2]:
        before, _ = server.rows(), server.journal.read()
        answer = server.send(posted(json.dumps(body).encode()))
        logged = server.journal.read()
        busy = "busy" in str(body["input"])
        assert (429 if busy else 200) == answer.status, answer
        assert ("request_refused" if busy else "response_finished") in logged
        assert CANARY not in logged
        assert busy or server.rows() > before


@EXAMPLES
@given(body=st.one_of(st.binary(max_size=200), garbled()))
def test_bytes_that_are_no_request(server: Observed, body: bytes) -> None:
    """Arbitrary bytes, cut and spotted requests, and other encodings."""
    server.judge(posted(body))


@EXAMPLES
@given(text=mutated())
def test_requests_with_parts_that_are_wrong(server: Observed, text: str) -> None:
    """A valid request in which something has another type, size or shape, is missing, doubled or null."""
    server.judge(posted(text.encode()))


@pytest.mark.slow
@MANY
@given(text=mutated())
def test_many_requests_with_parts_that_are_wrong(server: Observed, text: str) -> None:
    """The same for longer."""
    server.judge(posted(text.encode()))


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(written(odd))[:40])
def test_an_odd_body(server: Observed, odd: Any) -> None:  # JSON, and worse
    """No odd value is a request, and none of the parameters of a request may be any odd value at all."""
    assert 400 == server.judge(posted(written(odd).encode())).status
    for body in VALID:
        for key in body:
            server.judge(posted(written({**body, key: odd}).encode()))


ODD_IDS = [
    b"resp_" + CANARY.encode(),
    b"%00",
    b"resp_%00%01%ff",
    b"%",
    b"%zz",
    b"%ff%fe",
    b"..%2f..%2fetc%2fpasswd",
    b"%2e%2e",
    b"..",
    b"a" * 8_000,
    b"%F0%9F%98%80",
    "ünïcödé".encode(),
    b"\xff\xfe",
    b"'%20OR%20'1'='1",
    b"%25s%25n",
    b"{id}",
    b"*",
    b"~",
    b"resp_%0d%0aset-cookie:%20a=b",
    b"a;b=c",
    b"%E2%80%AE",
    b"null",
    b"0",
]
ROUTES = [
    ("GET", b"/v1/responses/%b"),
    ("DELETE", b"/v1/responses/%b"),
    ("POST", b"/v1/responses/%b/cancel"),
    ("GET", b"/v1/responses/%b/input_items"),
    ("GET", b"/v1/models/%b"),
    ("GET", b"/openai/v1/responses/%b"),
    ("GET", b"/openai/deployments/%b/responses/x"),
    ("PATCH", b"/v1/responses/%b"),
    ("GET", b"/%b"),
    ("GET", b"/v1/%b"),
]


@pytest.mark.parametrize("id", ODD_IDS, ids=lambda each: ascii(each)[:30])
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
def test_odd_ids(server: Observed, method: str, path: bytes, id: bytes) -> None:
    """An id that cannot be is not found, whatever it looks like."""
    answer = server.judge(request(method, path % id))
    assert answer.status in ({200, 400, 404} if path == b"/v1/models/%b" else {400, 404, 405})
    assert "set-cookie" not in answer.headers


@EXAMPLES
@given(route=st.sampled_from(ROUTES), id=st.one_of(st.text(min_size=1).map(quote), st.text(min_size=1)))
def test_any_text_as_an_id(server: Observed, route: tuple[str, bytes], id: str) -> None:
    """Any text at all in a path, escaped or in bytes that no path may hold."""
    method, path = route
    server.judge(request(method, path % id.encode("utf-8", "replace").translate(None, b" \r\n\t")))


QUERIES = [
    "limit=abc",
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=1e2",
    "limit=1.0",
    "limit=" + "9" * 5_000,
    "limit=NaN",
    "limit=%00",
    "limit[]=1",
    "limit=1&limit=x",
    "limit=x&limit=1",
    "limit=",
    "limit",
    "order=x",
    "order=ASC",
    "order=asc&order=up",
    "order[]=asc",
    "after=msg_unknown",
    "after=%00",
    "after=%ff",
    "after=" + "a" * 5_000,
    "after=" + CANARY,
    "include=bogus",
    "include[]=bogus",
    "include[]=reasoning.encrypted_content&include[]=" + CANARY,
    "include=reasoning.encrypted_content,bogus",
    "include[0]=bogus",
    "include[a][b]=c",
    "include=,,,",
    "include[]=" + "&include[]=reasoning.encrypted_content" * 500,
    "include",
    "stream=maybe",
    "stream=true",
    "starting_after=-1",
    "starting_after=x",
    "starting_after=" + "1" * 30,
    "include_obfuscation=2",
    "&&&===&",
    "=",
    "%",
    "%zz=%zz",
    "a=b" * 2_000,
    "api-version=1999-01-01",
    "api-version=%00",
    "?" * 50,
    ";".join(["a=b"] * 50),
]


@pytest.fixture(scope="module")
def kept(server: Observed) -> str:
    """The id of a response that is there, with items to page through."""
    answer = server.send(posted(json.dumps(VALID[2]).encode()))
    id: str = answer.json["id"]
    return id


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
@pytest.mark.parametrize("path", ["/v1/responses/{}", "/v1/responses/{}/input_items", "/openai/v1/responses/{}"])
def test_odd_queries(server: Observed, kept: str, path: str, query: str) -> None:
    """A query that asks for what cannot be is refused, and what means nothing has no effect."""
    for id in (kept, "resp_unknown"):
        server.judge(request("GET", f"{path.format(id)}?{query}".encode()))


def test_a_query_that_is_wrong_is_named(server: Observed, kept: str) -> None:
    """The parameter at fault is in the error."""
    for query in ("limit=abc", "limit=0", "order=x", "after=nothing", "include[]=bogus"):
        answer = server.judge(request("GET", f"/v1/responses/{kept}/input_items?{query}".encode()))
        assert (400, query.partition("=")[0].removesuffix("[]")) == (
            answer.status,
            (answer.json["error"]["param"] or "").partition("[")[0],
        )


@EXAMPLES
@given(query=st.one_of(st.text(), st.lists(st.sampled_from(QUERIES)).map("&".join)))
def test_any_text_as_a_query(server: Observed, kept: str, query: str) -> None:
    """Any text at all behind the question mark, and any of the odd queries together."""
    sent = query.encode("utf-8", "replace").translate(None, b" \r\n\t#")[:20_000]
    server.judge(request("GET", f"/v1/responses/{kept}/input_items?".encode() + sent))


HEADERS: dict[str, list[Header]] = {
    "no host": [JSON],
    "an empty host": [(b"host", b""), JSON],
    "another host": [(b"host", b"evil.example"), JSON],
    "a host with a port that is none": [(b"host", b"localhost:port"), JSON],
    "a host that is cut": [(b"host", b"["), JSON],
    "two hosts": [HOST, (b"host", b"evil.example"), JSON],
    "a host in other bytes": [(b"host", b"\xff\xfe"), JSON],
    "a key in other bytes": [HOST, JSON, (b"api-key", b"\xff\xfe\xf0\x9f\x98\x80")],
    "a key that says something": [HOST, JSON, (b"api-key", CANARY.encode())],
    "a token that says something": [HOST, JSON, (b"authorization", b"Bearer " + CANARY.encode())],
    "a token in other bytes": [HOST, JSON, (b"authorization", b"Bearer \xff\x80")],
    "a scheme alone": [HOST, JSON, (b"authorization", b"Bearer")],
    "a scheme that is none": [HOST, JSON, (b"authorization", b"\xe2\x80\xae x y z")],
    "many headers": [HOST, JSON, *((b"x-%d" % number, b"y") for number in range(500))],
    "a long header": [HOST, JSON, (b"x-long", b"y" * 30_000)],
    "a client's request id in other bytes": [HOST, JSON, (b"x-ms-client-request-id", b"\xff\xfea")],
    "a long request id of a client": [HOST, JSON, (b"x-ms-client-request-id", b"y" * 5_000)],
    "no type": [HOST],
    "an empty type": [HOST, (b"content-type", b"")],
    "text": [HOST, (b"content-type", b"text/plain")],
    "a form": [HOST, (b"content-type", b"application/x-www-form-urlencoded")],
    "many parts": [HOST, (b"content-type", b"multipart/form-data; boundary=x")],
    "a type in other bytes": [HOST, (b"content-type", b"\xff/\xfe")],
    "a long type": [HOST, (b"content-type", b"a/" + b"b" * 9_000)],
    "a type in capitals": [HOST, (b"content-type", b"Application/JSON; Charset=UTF-8")],
    "another charset": [HOST, (b"content-type", b"application/json; charset=utf-16")],
    "a type of JSON": [HOST, (b"content-type", b"application/vnd.api+json")],
    "two types": [HOST, (b"content-type", b"text/plain"), JSON],
    "gzip": [HOST, JSON, (b"content-encoding", b"gzip")],
    "an encoding that is none": [HOST, JSON, (b"content-encoding", b"\xff")],
    "no encoding": [HOST, JSON, (b"content-encoding", b"identity")],
    "nothing but accept": [HOST, JSON, (b"accept", b"image/png")],
    "an upgrade": [HOST, JSON, (b"upgrade", b"websocket"), (b"sec-websocket-key", b"x")],
    "another upgrade": [HOST, JSON, (b"upgrade", b"h2c"), (b"http2-settings", b"AAMAAABkAAQAoAAAAAIAAAAA")],
    "a method in disguise": [HOST, JSON, (b"x-http-method-override", b"DELETE")],
    "a forwarded host": [HOST, JSON, (b"x-forwarded-host", b"evil.example"), (b"forwarded", b"host=evil.example")],
}
REFUSED = {
    "no host": 403,
    "an empty host": 403,
    "another host": 403,
    "a host that is cut": 403,
    "a host in other bytes": 403,
    "no type": 415,
    "an empty type": 415,
    "text": 415,
    "a form": 415,
    "many parts": 415,
    "a type in other bytes": 415,
    "a long type": 415,
    "two types": 415,
    "gzip": 400,
    "an encoding that is none": 400,
}


@pytest.mark.parametrize("name", HEADERS)
def test_odd_headers(server: Observed, name: str) -> None:
    """What a header may say is refused with its own status, or has no effect."""
    answer = server.judge(posted(json.dumps(VALID[0]).encode(), *HEADERS[name]))
    assert REFUSED.get(name, 200) == answer.status


METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY"]


@pytest.mark.parametrize("method", METHODS)
def test_odd_methods(server: Observed, method: str) -> None:
    """A method that a path does not answer is refused, and the answer says which it does."""
    answer = server.send(request(method, b"/v1/responses"))
    assert answer.status in {400, 405}, answer
    if answer.status == 405:
        assert "POST" == answer.headers["allow"]


def test_a_long_body_is_refused_while_it_arrives(server: Observed) -> None:
    """A body over the limit is a 413, whether its length is told or not."""
    body = written({"model": "m", "input": "a" * (BODY_MIB * 1_048_576)}).encode()
    assert 413 == server.judge(posted(body)).status
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = request("POST", b"/v1/responses", [HOST, JSON, (b"transfer-encoding", b"chunked")])
    assert 413 == server.judge(head.replace(b"content-length: 0\r\n", b"") + chunked).status


BROKEN = {
    "no HTTP": b"hello\r\n\r\n",
    "no version": b"GET /v1/models\r\n\r\n",
    "a version that is none": request("GET", b"/v1/models", version=b"9.9"),
    "a path that is none": request("GET", b"v1/models"),
    "a path with a NUL": request("GET", b"/v1/mod\0els"),
    "a name with a space": request("GET", b"/v1/models", [HOST, (b"a b", b"c")]),
    "a name in other bytes": request("GET", b"/v1/models", [HOST, (b"\xff", b"c")]),
    "a value with a NUL": request("GET", b"/v1/models", [HOST, (b"a", b"b\0c")]),
    "no name": request("GET", b"/v1/models", [HOST, (b"", b"c")]),
    "two lengths": request("POST", b"/v1/responses", [HOST, JSON, (b"content-length", b"5")], body=b"{}"),
    "a length that is none": request("GET", b"/v1/models", [HOST, (b"content-length", b"x")]),
    "a length and chunks": request(
        "POST", b"/v1/responses", [HOST, JSON, (b"transfer-encoding", b"chunked")], body=b"{}"
    ),
    "a chunk that is none": request("GET", b"/v1/models", [HOST, (b"transfer-encoding", b"chunked")]) + b"zz\r\n\r\n",
    "TLS": bytes.fromhex("160301020001000fff"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a header that does not end": b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"y" * 2_000_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_http(server: Observed, name: str) -> None:
    """What no client of HTTP would send is refused as well, and in the same form."""
    answer = server.judge(BROKEN[name])
    assert 400 <= answer.status, answer
