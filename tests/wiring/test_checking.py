"""The check of a configuration: what it finds, what it tries, and how it says so."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from io import StringIO
from typing import TYPE_CHECKING, Any  # JSON

import anyio
import pytest

from antiphon.config import Config, Server, Storage
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Oidc
from antiphon.lifecycle.filtering import Config as ContentFilter
from antiphon.lifecycle.guarding import Config as Computer
from antiphon.wiring import open_database, read_deployments
from antiphon.wiring.checking import check
from antiphon.wiring.trying import UNTRUSTED, shown, tried
from tests.backends.upstream.raw_server import answering, raw_server
from tests.backends.upstream.test_upstream import PEM
from tests.issuer import issuing
from tests.serving import MEMORY
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from antiphon.wiring.trying import Trial

pytestmark = pytest.mark.anyio

SCRIPTED: dict[str, Any] = {"name": "m", "backend": "scripted"}
CLOSED = "http://user:secret@127.0.0.1:9/v1"
"""Nobody listens on the port for what is discarded."""


def upstream(url: str, name: str = "up") -> dict[str, Any]:
    """A deployment whose model is elsewhere."""
    return {"name": name, "backend": "chat_completions", "base_url": url}


async def checked(config: Config, *, is_offline: bool = False) -> tuple[bool, str, str]:
    """Whether all is well, and what was written where."""
    out, err = StringIO(), StringIO()
    is_sound = await check(config, is_offline=is_offline, out=out, err=err)
    return is_sound, out.getvalue(), err.getvalue()


async def trial(config: Config, part: str, *, seconds: float = 15.0) -> Trial:
    """What came of one part."""
    deployments = {each.name: each for each in read_deployments(config)}
    [found] = [each for each in await tried(config, deployments, seconds=seconds) if each.part == part]
    return found


class Answering(BaseHTTPRequestHandler):
    """A model server that answers one word, or refuses with the status that its path names."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        status = int(self.path.split("/")[2]) if self.path.split("/")[2].isdigit() else 200
        chunk = {"choices": [{"index": 0, "delta": {"content": "pong"}, "finish_reason": "stop"}]}
        body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode() if status == 200 else b"{}"
        self.send_response(status)
        self.send_header("content-type", "text/event-stream" if status == 200 else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@asynccontextmanager
async def silent() -> AsyncGenerator[str]:
    """A server that takes connections and never says a word."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_a_configuration_that_works_is_sound() -> None:
    """What was tried stands in a table, and then what is served, where."""
    is_sound, out, err = await checked(Config(store=MEMORY, deployments=[SCRIPTED]))
    assert (True, "") == (is_sound, err)
    assert "answers from its script" in out
    assert "The configuration is sound. It serves m\non 127.0.0.1:8080" in out


async def test_offline_nobody_is_asked() -> None:
    """Only what can be read is judged."""
    is_sound, out, err = await checked(Config(store=MEMORY, deployments=[upstream(CLOSED)]), is_offline=True)
    assert (True, "") == (is_sound, err)
    assert "tried" not in out


async def test_every_fault_is_a_line_that_says_how_to_mend_it() -> None:
    """One does not hide the next."""
    routers: list[dict[str, Any]] = [
        {"name": "r", "backend": "router", "rules": [{"tools": True, "deployment": "nobody"}, {"deployment": "none"}]},
        {"name": "s", "backend": "router", "rules": [{"deployment": "s"}]},
    ]
    broken: list[dict[str, Any]] = [{"name": "a", "backend": "chat"}, {"name": "b", "backend": "scripted", "model": 1}]
    config = Config(
        store=Storage(url="sqlite://", blobs="gopher://x"),
        server=Server(default_deployment="gone", host="192.0.2.1"),
        deployments=[SCRIPTED, *broken, *routers],
        content_filter=ContentFilter(deployment="judge"),
        computer=Computer(judge="gone"),
    )
    is_sound, out, err = await checked(config, is_offline=True)
    assert (False, "") == (is_sound, out)
    words = [
        "There is no backend called 'chat'",
        "In [[deployments]] b",
        "192.0.2.1 can be reached",
        "[computer] judge names the deployment 'gone', and there is none. There are: m, a, b.",
        "In [store] blobs",
        "[content_filter] deployment names 'judge', and no model is called so. There are: m, a, b.",
        "names 'nobody', and there is none. There are: a, b, m, r, s.",
        "names 'none', and there is none. There are: a, b, m, r, s.",
        "lead in a circle: s > s.",
        "[server] default_deployment names 'gone', and there is none. There are: a, b, m, r, s.",
    ]
    assert [True] * len(words) == [word in line for word, line in zip(words, err.splitlines(), strict=True)]


async def test_what_was_read_to_be_wrong_is_not_said_again_when_it_is_tried() -> None:
    """Nor is a deployment that cannot be read one that is not there."""
    config = Config(
        store=Storage(url="sqlite://", blobs="gopher://x"),
        deployments=[SCRIPTED, {"name": "judge", "backend": "chat"}],
        content_filter=ContentFilter(deployment="judge"),
    )
    _, out, err = await checked(config)
    assert 2 == len(err.splitlines())
    assert "There is no backend called 'chat'" in err
    assert "In [store] blobs" in err
    assert "answers from its script" in out


async def test_a_server_that_cannot_be_trusted_is_told_so() -> None:
    """It is up, so nobody has to look for it."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(PEM)
    async with raw_server(answering(), tls=tls) as server:
        url = f"https://localhost:{server.port}/v1"
        painter = {"name": "i", "backend": "images", "base_url": url}
        config = Config(store=MEMORY, deployments=[SCRIPTED, upstream(url)], image_deployments=[painter])
        mends = [(await trial(config, part)).mend for part in ("deployment up", "image deployment i")]
    assert [UNTRUSTED, UNTRUSTED] == mends


async def test_a_model_that_answers_is_well() -> None:
    """It is asked for a few tokens."""
    with listening(Answering) as url:
        found = await trial(Config(store=MEMORY, deployments=[upstream(url)]), "deployment up")
    assert ("ok", True) == (found.outcome, found.said.startswith("answered within "))


async def test_a_server_that_is_not_there_is_wrong() -> None:
    """The line names the key to look at, and no password."""
    is_sound, out, err = await checked(Config(store=MEMORY, deployments=[upstream(CLOSED)]))
    assert not is_sound
    assert "deployment up: The model server cannot be reached." in err
    assert "Check its `base_url`" in err
    assert "secret" not in out + err


async def test_a_server_that_says_nothing_is_wrong() -> None:
    """Nobody waits for it longer than some seconds."""
    async with silent() as url:
        found = await trial(Config(store=MEMORY, deployments=[upstream(url)]), "deployment up", seconds=0.2)
    assert ("wrong", "no answer within 0.2 s.") == (found.outcome, found.said)


@pytest.mark.parametrize(
    ("status", "outcome", "mend"),
    [(401, "wrong", "`api_key`"), (404, "wrong", "`model`"), (429, "note", ""), (500, "wrong", "log of that server")],
)
async def test_a_model_that_refuses_is_told_by_its_reason(status: int, outcome: str, mend: str) -> None:
    """A refused key is another thing than a server that is busy."""
    with listening(Answering) as url:
        found = await trial(Config(store=MEMORY, deployments=[upstream(f"{url}/{status}")]), "deployment up")
    assert outcome == found.outcome
    assert mend in found.mend


async def test_a_model_that_was_not_fetched_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any configuration the embedded model answers, if it is here."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    found = await trial(Config(store=MEMORY), "deployment *")
    assert ("wrong", "Run `antiphon models fetch qwen2.5-coder-1.5b`.") == (found.outcome, found.mend)


async def test_a_store_that_is_not_there_yet_is_well_where_it_can_be_made(tmp_path: Path) -> None:
    """And the check leaves none behind."""
    config = Config(store=Storage(url=f"sqlite://{tmp_path}/new/antiphon.db", blobs="memory:"), deployments=[SCRIPTED])
    found = await trial(config, "store")
    assert ("ok", True) == (found.outcome, f"in {tmp_path}/new" in found.said)
    assert [] == [each async for each in anyio.Path(tmp_path).iterdir()]


async def test_a_store_that_is_none_is_wrong(tmp_path: Path) -> None:
    """A file that is no database."""
    (tmp_path / "antiphon.db").write_text("not a database, but long enough to be looked into" * 10)
    config = Config(store=Storage(url=f"sqlite://{tmp_path}/antiphon.db", blobs="memory:"), deployments=[SCRIPTED])
    found = await trial(config, "store")
    assert ("wrong", True) == (found.outcome, "[store] url" in found.mend)


async def test_blobs_that_cannot_be_written_are_wrong(tmp_path: Path) -> None:
    """A probe is written, read and deleted; here a file is in the way of the folder."""
    (tmp_path / "blobs").write_text("in the way")
    config = Config(store=Storage(url="sqlite://", blobs=f"file://{tmp_path}/blobs"), deployments=[SCRIPTED])
    assert "wrong" == (await trial(config, "blobs")).outcome
    fine = Config(store=Storage(url="sqlite://", blobs=f"file://{tmp_path}/others"), deployments=[SCRIPTED])
    assert "ok" == (await trial(fine, "blobs")).outcome
    assert [] == [each for each in (tmp_path / "others").rglob("*") if each.is_file()]


async def test_a_judge_that_does_not_judge_is_wrong() -> None:
    """As with it every request would be refused."""
    mute = {"name": "judge", "backend": "scripted", "replies": [{"steps": [{"text": "No."}]}]}
    config = Config(store=MEMORY, deployments=[SCRIPTED, mute], content_filter=ContentFilter(deployment="judge"))
    assert ("wrong", True) == (
        (found := await trial(config, "content filter")).outcome,
        "answered with no verdict" in found.said,
    )
    judging = Config(store=MEMORY, deployments=[SCRIPTED], content_filter=ContentFilter(deployment="m"))
    assert "ok" == (await trial(judging, "content filter")).outcome


async def test_an_image_server_is_dialled() -> None:
    """Nothing is drawn."""
    with listening(Answering) as url:
        painters = [
            {"name": "there", "backend": "images", "base_url": url},
            {"name": "gone", "backend": "images", "base_url": "http://127.0.0.1:9/v1"},
            {"name": "here", "backend": "svg"},
        ]
        config = Config(store=MEMORY, deployments=[SCRIPTED], image_deployments=painters)
        found = [(await trial(config, f"image deployment {name}")).outcome for name in ("there", "gone", "here")]
    assert ["ok", "wrong", "ok"] == found


def test_a_url_is_shown_without_its_secrets() -> None:
    """Neither a password nor a signature in the query."""
    assert "https://a.example:8443/v1" == shown("https://me:secret@a.example:8443/v1?sig=secret#x")
    assert "svg" == shown("svg")


async def test_an_issuer_is_asked_for_its_keys() -> None:
    """Who is down, or has none, is wrong: nobody could sign in."""
    with issuing() as local:
        config = Config(store=MEMORY, deployments=[SCRIPTED], auth=Auth(oidc=Oidc(issuer=local.url)))
        well = await trial(config, "issuer")
        local.is_down = True
        down = await trial(config, "issuer")
    assert ("ok", "has keys: 3") == (well.outcome, well.said)
    assert ("wrong", True) == (down.outcome, "[auth.oidc]" in down.mend)


async def test_a_store_that_is_there_is_only_read(tmp_path: Path) -> None:
    """It is as it was afterwards."""
    config = Config(store=Storage(url=f"sqlite://{tmp_path}/antiphon.db", blobs="memory:"), deployments=[SCRIPTED])
    database = await open_database(config.store)
    await database.aclose()
    before = (tmp_path / "antiphon.db").read_bytes()
    found = await trial(config, "store")
    assert ("ok", "can be read, and its schema is this version's") == (found.outcome, found.said)
    assert before == (tmp_path / "antiphon.db").read_bytes()
