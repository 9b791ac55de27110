"""Bad input, over HTTP: refused in words that people understand, before any model is asked, and nothing is kept."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any  # JSON
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from msgspec import Struct

from antiphon.config import Config, Server, Storage
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from tests.acceptance.bad_requests import ALL
from tests.acceptance.upstreams import upstream
from tests.backends.upstream.raw_server import RawServer
from tests.patient import HANG_SECONDS
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.bad_bodies import Refused

pytestmark = pytest.mark.slow

KEY = {"api-key": "k"}
JSON = {"content-type": "application/json"}
GOOD: dict[str, Any] = {"model": "m", "input": "hi"}
BEFORE = "Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later"
LIMIT = 1_048_576
NO_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
)
REFUSED_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)


class Guarded(Struct, frozen=True):
    """A server, a client of its own, the upstream behind it, and its database."""

    address: str
    client: httpx.Client
    model: RawServer
    database: Path

    def rows(self) -> int:
        """How many rows there are that a request could have made."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            query = "SELECT (SELECT count(*) FROM responses) + (SELECT count(*) FROM items)"
            [(count,)] = connection.execute(query)
        return int(count)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server with a key, one deployment and a small limit of bodies; its limits of strings need a larger one."""
    yield from _served(tmp_path_factory.mktemp("bad"), Server(max_body_mib=32))


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The same with bodies of a mebibyte at most."""
    yield from _served(tmp_path_factory.mktemp("narrow"), Server(max_body_mib=1))


def _served(folder: Path, server: Server) -> Iterator[Guarded]:
    database = folder / "antiphon.db"
    with upstream() as model:
        config = Config(
            server=server,
            store=Storage(url=f"sqlite://{database}"),
            auth=Auth(keys=[Key(key="k", tenant="a")]),
            deployments=[{"name": "m", "backend": "chat_completions", "base_url": model.url}],
        )
        with serving(config) as address, httpx.Client(base_url=address, headers=KEY, timeout=HANG_SECONDS) as client:
            yield Guarded(address, client, model, database)


@pytest.fixture(autouse=True)
def nothing_came_of_it(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test no model was asked and nothing was stored."""
    yield
    for name in {"served", "narrow"} & set(request.fixturenames):
        guarded: Guarded = request.getfixturevalue(name)
        assert ([], 0) == (guarded.model.requests, guarded.rows())


def error(answer: httpx.Response) -> Any:  # JSON
    """The error of an answer, which is nothing but an error."""
    body = answer.json()
    assert ["error"] == list(body)
    assert {"message", "type", "param", "code"} == body["error"].keys()
    return body["error"]


def called(refused: Refused) -> str:
    """A name for a case."""
    return f"{refused.param}-{refused.code or refused.message[:30]}"


def unordered(message: str) -> tuple[str, list[str]]:
    """A message with the words that it lists in any order.

    Python keeps one object for `Literal` types of the same words. In a process that has imported the official client,
    that may be the client's, with its words in another order.
    """
    first, _, listed = message.partition("Supported values are: ")
    return first, sorted(re.findall(r"'[^']*'", listed))


@pytest.mark.parametrize("stream", [False, True], ids=["body", "stream"])
@pytest.mark.parametrize("refused", ALL, ids=called)
def test_a_body_that_breaks_a_rule_is_refused(served: Guarded, refused: Refused, *, stream: bool) -> None:
    """Status, type, code, param and message, for streams as for bodies."""
    if stream and {"stream", "stream_options"} & refused.body.keys():
        return
    body = GOOD | {"stream": stream} | refused.body
    answer = served.client.post("/v1/responses", json=body)
    assert unordered(refused.message) == unordered(error(answer)["message"])
    assert (refused.param, refused.code) == (error(answer)["param"], error(answer)["code"])
    assert (refused.status, "invalid_request_error") == (answer.status_code, error(answer)["type"])


# The body as a whole.

DEEP = b"[" * 200 + b"]" * 200
NO_OBJECT: dict[str, bytes] = {
    "nothing": b"",
    "blank": b"  \n",
    "words": b"hello",
    "half": b'{"model":"m","input":"h',
    "single quotes": b"{'model':'m'}",
    "a comma too many": b'{"model":"m","input":"hi",}',
    "a comment": b'{"model":"m","input":"hi" /* hi */}',
    "two": b'{"model":"m","input":"hi"}{}',
    "a list": b"[]",
    "a string": b'"hi"',
    "a number": b"1",
    "null": b"null",
    "no number": b'{"model":"m","input":"hi","temperature":NaN}',
    "a number beyond all": b'{"model":"m","input":"hi","temperature":1e999}',
    "a number of many digits": b'{"model":"m","input":"hi","seed":' + b"9" * 5000 + b"}",
    "half a surrogate pair": b'{"model":"m","input":"\\ud800"}',
    "a control character": b'{"model":"m","input":"\x01"}',
    "UTF-16": '{"model":"m","input":"hi"}'.encode("utf-16"),
    "Latin-1": '{"model":"m","input":"\xe9"}'.encode("latin-1"),
    "overlong UTF-8": b'{"model":"m","input":"\xc0\xaf"}',
    "a byte order mark": b'\xef\xbb\xbf{"model":"m","input":"hi"}',
    "a form": b"model=m&input=hi",
    "200 levels": b'{"model":"m","input":"hi","metadata":{"k":' + DEEP + b"}}",
    "200 levels that nobody reads": b'{"model":"m","input":"hi","other":' + DEEP + b"}",
    "100000 levels": b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "open brackets": b"[" * 150_000,
    "open braces": b'{"a":' * 200_000,
}


@pytest.mark.parametrize("what", NO_OBJECT)
def test_a_body_that_is_no_json_object_is_refused(served: Guarded, what: str) -> None:
    """Whatever it is instead, the words are the same."""
    answer = served.client.post("/v1/responses", content=NO_OBJECT[what], headers=JSON)
    assert 400 == answer.status_code
    assert {"message": NO_JSON, "type": "invalid_request_error", "param": None, "code": None} == error(answer)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 415, "unsupported_content_type"),
        ({"content-type": ""}, 415, "unsupported_content_type"),
        ({"content-type": "text/plain"}, 415, "unsupported_content_type"),
        ({"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_content_type"),
        ({"content-type": "multipart/form-data; boundary=x"}, 415, "unsupported_content_type"),
        ({"content-type": "application/jsonp"}, 415, "unsupported_content_type"),
        ({**JSON, "content-encoding": "gzip"}, 400, "unsupported_content_encoding"),
        ({**JSON, "content-encoding": "br"}, 400, "unsupported_content_encoding"),
    ],
)
def test_a_body_in_another_form_is_refused(served: Guarded, headers: dict[str, str], status: int, code: str) -> None:
    """A media type other than JSON, and compression, are named as the fault."""
    answer = served.client.post("/v1/responses", content=json.dumps(GOOD).encode(), headers=headers)
    assert (status, code) == (answer.status_code, error(answer)["code"])


# The size of a body.


def connected(guarded: Guarded) -> socket.socket:
    """A connection."""
    parts = urlsplit(guarded.address)
    return socket.create_connection((parts.hostname, parts.port), timeout=HANG_SECONDS)


def opening(*headers: str) -> bytes:
    """The head of a request."""
    lines = ["POST /v1/responses HTTP/1.1", "host: localhost", "api-key: k", "content-type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def received(connection: socket.socket) -> bytes:
    """An answer with an error, or what came of it until the server closed the connection."""
    got = b""
    while not got.endswith(b"}}") and (block := connection.recv(65_536)):
        got += block
    return got


TOO_LARGE = {
    "message": f"Maximum content size limit ({LIMIT}) exceeded.",
    "type": "invalid_request_error",
    "param": None,
    "code": None,
}


def test_a_body_that_is_announced_as_too_large_is_refused_before_it_comes(narrow: Guarded) -> None:
    """Its length is enough to know; what was not asked for is not awaited."""
    with connected(narrow) as connection:
        connection.sendall(opening(f"content-length: {LIMIT + 1}"))
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert TOO_LARGE == json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_a_body_without_a_length_is_refused_while_it_arrives(narrow: Guarded) -> None:
    """A chunked upload is answered as soon as it is over the limit, though its end was not sent."""
    piece = b"%x\r\n%b\r\n" % (65_536, b" " * 65_536)
    with connected(narrow) as connection:
        connection.sendall(opening("transfer-encoding: chunked"))
        for _ in range(LIMIT // 65_536):
            connection.sendall(piece)
        connection.sendall(b"1\r\n \r\n")
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert TOO_LARGE == json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_a_client_that_sends_all_of_it_hears_why_it_was_refused(narrow: Guarded) -> None:
    """Many clients write a whole body before they read, so the rest of it is swallowed, and no reset cuts them off."""
    parts = urlsplit(narrow.address)
    pieces = [b" " * LIMIT] * 16
    for body in (b"".join(pieces), iter(pieces)):
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=HANG_SECONDS)
        with closing(connection):
            connection.request("POST", "/v1/responses", body, {**KEY, **JSON}, encode_chunked=True)
            answer = connection.getresponse()
            assert (413, TOO_LARGE) == (answer.status, json.loads(answer.read())["error"])


def test_a_client_that_goes_on_sending_is_cut_off(narrow: Guarded) -> None:
    """What is too large is not swallowed for ever."""
    with connected(narrow) as connection, pytest.raises(ConnectionError):
        upload(connection)


def upload(connection: socket.socket) -> None:
    """Send a body without end."""
    connection.sendall(opening("transfer-encoding: chunked"))
    while True:
        connection.sendall(b"%x\r\n%b\r\n" % (65_536, b" " * 65_536))


@pytest.mark.parametrize("headers", [("expect: 100-continue",), ("expect: 100-Continue",)])
def test_a_client_that_asks_first_is_told_to_go_on_or_not(narrow: Guarded, headers: tuple[str, ...]) -> None:
    """What would be refused anyway is refused instead of asked for; else the body is asked for, and then judged."""
    with connected(narrow) as connection:
        connection.sendall(opening(*headers, f"content-length: {LIMIT + 1}"))
        assert received(connection).startswith(b"HTTP/1.1 413 ")
    with connected(narrow) as connection:
        connection.sendall(opening(*headers, "content-length: 2").replace(b"api-key: k", b"api-key: x"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")
    with connected(narrow) as connection:
        connection.sendall(opening(*headers, "content-length: 2", "connection: close"))
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == connection.recv(65_536)
        connection.sendall(b"{}")
        assert received(connection).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_never_ends_is_not_waited_for_by_others(narrow: Guarded) -> None:
    """A client that leaves in the middle of its body is forgotten."""
    with connected(narrow) as connection:
        connection.sendall(opening("content-length: 100") + b"{")
        assert 400 == narrow.client.post("/v1/responses", json={}).status_code
    assert 200 == narrow.client.get("/health").status_code


# Keys, paths, methods, versions and queries.


@pytest.mark.parametrize("headers", [{"api-key": ""}, {"api-key": "wrong"}, {"authorization": "Bearer wrong"}])
def test_a_wrong_key_is_refused_in_the_words_of_the_path(served: Guarded, headers: dict[str, str]) -> None:
    """OpenAI's words and Azure's, before the body is looked at."""
    given = {"api-key": "", **headers, **JSON}
    plain = served.client.post("/v1/responses", content=b"no JSON", headers=given)
    azure = served.client.post("/openai/v1/responses", content=b"no JSON", headers=given)
    assert (401, "invalid_request_error") == (plain.status_code, error(plain)["type"])
    assert error(plain)["code"] == ("invalid_api_key" if "wrong" in str(headers) else None)
    assert {"message": REFUSED_KEY, "type": None, "param": None, "code": "401"} == error(azure)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/x"),
        ("POST", "/v1/response"),
        ("GET", "/v1/responses/"),
        ("GET", "/v1/responses/a/b"),
        ("POST", "/v1/responses/a/input_items/b"),
        ("GET", "/v1//responses/a"),
        ("GET", "/v2/responses/a"),
        ("GET", "/v1/responses/%2e%2e/%2e%2e/health"),
        ("POST", "/v1/chat/completions"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(served: Guarded, method: str, path: str) -> None:
    """In OpenAI's words, with the method; under Azure's paths in Azure's."""
    plain = served.client.request(method, path)
    azure = served.client.request(method, f"/openai{path}")
    assert 404 == plain.status_code == azure.status_code
    assert error(plain)["message"].startswith(f"Invalid URL ({method} /v")
    assert ("invalid_request_error", None, None) == (error(plain)["type"], error(plain)["param"], error(plain)["code"])
    assert {"message": "Resource not found", "type": None, "param": None, "code": "404"} == error(azure)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/responses", "POST"),
        ("PUT", "/v1/responses", "POST"),
        ("OPTIONS", "/v1/responses", "POST"),
        ("POST", "/v1/responses/a", "DELETE, GET"),
        ("PATCH", "/v1/responses/a", "DELETE, GET"),
        ("GET", "/v1/responses/a/cancel", "POST"),
        ("DELETE", "/v1/responses/a/input_items", "GET"),
        ("POST", "/v1/models", "GET"),
        ("TRACE", "/v1/models", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_named(served: Guarded, method: str, path: str, allowed: str) -> None:
    """With those that it has."""
    plain = served.client.request(method, path)
    azure = served.client.request(method, f"/openai{path}")
    assert (405, 405) == (plain.status_code, azure.status_code)
    assert (allowed, allowed) == (plain.headers["allow"], azure.headers["allow"])
    assert f"Invalid method for URL ({method} {path})" == error(plain)["message"]
    assert {"message": "Method not allowed", "type": None, "param": None, "code": "405"} == error(azure)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        *((version, BEFORE) for version in ("2024-02-01", "2025-02-28-preview")),
        *((version, "API version not supported") for version in ("v2", "latest-preview", "2025-4-1", "%00", "é")),
    ],
)
def test_an_api_version_without_this_api_is_refused(served: Guarded, version: str, words: str) -> None:
    """Azure's dated versions had no Responses before March 2025, and others do not exist."""
    for path in ("/openai/v1/responses", "/openai/responses", "/openai/deployments/m/responses"):
        answer = served.client.post(f"{path}?api-version={version}", content=b"{}", headers=JSON)
        assert (400, "api-version") == (answer.status_code, error(answer)["param"])
        assert words == error(answer)["message"]


def test_azure_names_an_unknown_deployment_as_azure_does(served: Guarded) -> None:
    """In the body, and in the path."""
    named = served.client.post("/openai/v1/responses", json=GOOD | {"model": "nobody"})
    pathed = served.client.post("/openai/deployments/nobody/responses", json={"input": "hi"})
    for answer in (named, pathed):
        assert (404, "DeploymentNotFound") == (answer.status_code, error(answer)["code"])


BELOW = "Invalid '{0}': integer below minimum value. Expected a value >= {1}, but got {2} instead."
ORDER = "Invalid value: 'up'. Supported values are: 'asc' and 'desc'."


@pytest.mark.parametrize(
    ("query", "code", "param", "message"),
    [
        ("limit=0", "integer_below_min_value", "limit", BELOW.format("limit", 1, 0)),
        ("limit=-1", "integer_below_min_value", "limit", BELOW.format("limit", 1, -1)),
        (
            "limit=101",
            "integer_above_max_value",
            "limit",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
        ),
        (
            "limit=x",
            "invalid_type",
            "limit",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
        ),
        ("order=up", "invalid_value", "order", ORDER),
        ("include=x", "invalid_value", "include[0]", None),
        ("include[]=x", "invalid_value", "include[0]", None),
    ],
)
def test_a_query_that_breaks_a_rule_is_refused(
    served: Guarded, query: str, code: str, param: str, message: str | None
) -> None:
    """Before anything is looked up."""
    answer = served.client.get(f"/v1/responses/resp_x/input_items?{query}")
    assert (400, code, param) == (answer.status_code, error(answer)["code"], error(answer)["param"])
    assert message in {None, error(answer)["message"]}


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("stream=maybe", "invalid_type", "stream"),
        ("starting_after=-1", "integer_below_min_value", "starting_after"),
        ("starting_after=x", "invalid_type", "starting_after"),
        ("include[]=x", "invalid_value", "include[0]"),
    ],
)
def test_a_retrieval_that_breaks_a_rule_is_refused(served: Guarded, query: str, code: str, param: str) -> None:
    """Before anything is looked up."""
    answer = served.client.get(f"/v1/responses/resp_x?{query}")
    assert (400, code, param) == (answer.status_code, error(answer)["code"], error(answer)["param"])


@pytest.mark.parametrize(
    "id", ["resp_x", "%00", "%ff", "a" * 5000, "'; DROP TABLE responses; --", "..", "*", "%F0%9F%8E%B5"]
)
def test_a_response_that_is_not_there_is_not_found(served: Guarded, id: str) -> None:
    """By any method, whatever stands in its place."""
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        answer = served.client.request(method, f"/v1/responses/{id.replace('..', '%2e%2e')}{path}")
        assert 404 == answer.status_code
        assert error(answer)["message"].startswith(("Response with id '", "Invalid URL"))
        assert len(answer.content) < 400
