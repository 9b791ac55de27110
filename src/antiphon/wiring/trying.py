"""Trying: each part of a configuration that is elsewhere is asked for a little, all at once, each for some seconds."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import anyio
from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.backends.llama import catalog
from antiphon.backends.upstream import NOT_TRUSTED
from antiphon.config import ConfigError, shown_blobs_url, shown_store_url
from antiphon.core.turn import Turn
from antiphon.http.auth.config import URLS, is_trusted
from antiphon.http.auth.ring import FetchError, read_keys
from antiphon.lifecycle.judging import JudgeError
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Message
from antiphon.store import StoreError, StoreTooOld, sqlite_files
from antiphon.store.blobs import Blobs
from antiphon.store.sqlite_guest import visit
from antiphon.wiring import filtering, open_database

if TYPE_CHECKING:
    from antiphon.config import Config
    from antiphon.http.auth import Oidc
    from antiphon.lifecycle import Deployment

SECONDS = 15.0
"""How long each part may take to answer."""
MOST_TOKENS = 16
"""Of an answer that nobody reads; several upstreams refuse to say less."""
AT_ONCE = 8

MENDING = {
    "misconfigured": "Check its `api_key` and its `model`.",
    "unavailable": "Check its `base_url`, and that the server there is up and can be reached from here.",
    "timeout": "Check its `base_url`, and that the server there is not overloaded.",
    "server_error": "Look into the log of that server.",
    "invalid_request": "Check its `model`, and that the server speaks the dialect that `backend` names.",
    "context_length_exceeded": "Its `model` takes no text at all: check it.",
    "content_filter": "A filter of that server refused the word 'ping': check its policy.",
}
UNTRUSTED = (
    "Check that the server at its `base_url` speaks https, and that its certificate names that host and is of an "
    "authority that this machine trusts (SSL_CERT_FILE)."
)


class Trial(Struct, frozen=True):
    """What was tried, where that is, what came of it, and how to mend it."""

    part: str
    place: str
    outcome: Literal["ok", "wrong", "note"]
    said: str
    mend: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether it has to be mended."""
        return self.outcome == "wrong"


class Fault(Exception):
    """What is wrong with a part; without ``mend`` the words say how to mend it. ``is_noted``: it may be right so."""

    def __init__(self, said: str, mend: str = "", *, is_noted: bool = False) -> None:
        super().__init__(said)
        self.mend = mend
        self.is_noted = is_noted


class Attempt(Struct, frozen=True):
    """What is to be tried. ``ask`` says what came of it or raises `Fault`; ``mend`` is for one that takes too long."""

    part: str
    place: str
    ask: Callable[[], Awaitable[str]]
    mend: str


async def tried(config: Config, deployments: Mapping[str, Deployment], *, seconds: float = SECONDS) -> list[Trial]:
    """Ask every part, each for at most so many seconds, and let go of what was asked."""
    attempts = list(_attempts(config, deployments))
    trials: dict[int, Trial] = {}
    room = anyio.CapacityLimiter(AT_ONCE)

    async def work(number: int, attempt: Attempt) -> None:
        async with room:
            trials[number] = await _tried(attempt, seconds)

    async with anyio.create_task_group() as group:
        for number, attempt in enumerate(attempts):
            group.start_soon(work, number, attempt)
    for deployment in deployments.values():
        await deployment.backend.aclose()
    return [trials[number] for number in range(len(attempts))]


async def _tried(attempt: Attempt, seconds: float) -> Trial:
    try:
        with anyio.fail_after(seconds):
            return Trial(attempt.part, attempt.place, "ok", await attempt.ask())
    except TimeoutError:
        return Trial(attempt.part, attempt.place, "wrong", f"no answer within {seconds:g} s.", attempt.mend)
    except Fault as fault:
        return Trial(attempt.part, attempt.place, "note" if fault.is_noted else "wrong", str(fault), fault.mend)


def _attempts(config: Config, deployments: Mapping[str, Deployment]) -> Iterator[Attempt]:
    """All that there is to try."""
    rights = "that this user may read and write there."
    yield Attempt("store", shown_store_url(config), partial(_store, config), f"Check [store] url, and {rights}")
    yield Attempt("blobs", shown_blobs_url(config), partial(_blobs, config), f"Check [store] blobs, and {rights}")
    if config.auth is not None and (terms := config.auth.oidc) is not None:
        place = terms.jwks if terms.jwks is not None and terms.jwks.startswith(URLS) else terms.issuer
        yield Attempt("issuer", place, partial(_issuer, terms), "Check `issuer` and `jwks` in [auth.oidc].")
    for deployment in deployments.values():
        yield _of_deployment(config, deployment)
    judging = config.content_filter
    if judging is not None and (judging.endpoint is not None or judging.deployment in deployments):
        place = judging.deployment or shown(judging.endpoint or "")
        yield Attempt("content filter", place, partial(_judge, config, deployments), "Check [content_filter].")
    for raw in config.image_deployments:
        url = str(raw.get("base_url", ""))
        part, mend = f"image deployment {raw.get('name', '?')}", MENDING["unavailable"]
        yield Attempt(part, shown(url) or "svg", partial(_painter, url), mend)


def _of_deployment(config: Config, deployment: Deployment) -> Attempt:
    raw = next((raw for raw in config.deployments if raw.get("name") == deployment.name), {"backend": "llama"})
    part, backend = f"deployment {deployment.name}", str(raw["backend"])
    match backend:
        case "llama":
            folder = catalog.default_folder()
            name = catalog.stand_in(str(raw.get("model") or config.embedded.model), folder)
            path = catalog.locate(name, folder)
            return Attempt(part, str(path), partial(_embedded, name, path), "")
        case "scripted":
            return Attempt(part, backend, _scripted, "")
        case _:
            place = shown(str(raw.get("base_url", backend)))
            return Attempt(part, place, partial(_upstream, deployment), MENDING["timeout"])


async def _upstream(deployment: Deployment) -> str:
    began = perf_counter()
    try:
        await _asked(deployment)
    except UpstreamError as error:
        said = f"{error} ({error.detail})" if error.detail else str(error)
        if error.fault == "rate_limit_exceeded":
            raise Fault(f"is there, and takes no more just now: {said}", is_noted=True) from error
        raise Fault(said, UNTRUSTED if str(error) == NOT_TRUSTED else MENDING[error.fault]) from error
    return f"answered within {(perf_counter() - began) * 1000:.0f} ms"


async def _asked(deployment: Deployment) -> None:
    """Have a model begin to answer, as far as that shows that it can."""
    question = Message(role="user", content=[InputText(text="ping")])
    turn = Turn(items=[question], model=deployment.model or deployment.name, max_output_tokens=MOST_TOKENS)
    async with aclosing(deployment.backend.stream(turn)) as heard:
        async for _ in heard:
            return


async def _scripted() -> str:
    return "answers from its script"


async def _embedded(name: str, path: Path) -> str:
    if await anyio.Path(path).is_file():
        return f"{name} is here; it is loaded with the first request"
    mend = f"Run `antiphon models fetch {name}`." if name in catalog.CATALOG else "Put the GGUF file there."
    raise Fault(f"the model {name} is not here.", mend)


async def _store(config: Config) -> str:
    try:
        return await _looked_at(config)
    except StoreTooOld as error:
        if config.store.is_lone_file:
            raise Fault("it is of an older version; a server mends that when it starts.", is_noted=True) from error
        raise Fault(str(error)) from error
    except StoreError as error:
        raise Fault(str(error), "Check [store] url, and that this user may read and write there.") from error


async def _looked_at(config: Config) -> str:
    """What is to be said of the store. Raises `StoreError`."""
    if config.store.is_lone_file:
        file = sqlite_files.path(config.store.place)
        if file == sqlite_files.MEMORY:
            return "is in memory: everything is forgotten when the server stops"
        if not await anyio.Path(file).exists():
            return f"is not there yet; a server makes it, in {await anyio.to_thread.run_sync(_writable, file)}"
        database = await visit(config.store.place)
    else:
        database = await open_database(config.store)
    await database.aclose()
    return "can be read, and its schema is this version's"


def _writable(file: str) -> str:
    """The folder of a file, where one can be made. Raises `StoreError`."""
    folder = Path(f"/{str(Path(file).absolute().parent).lstrip('/')}")
    there = next(each for each in [folder, *folder.parents] if each.exists())
    try:
        probe = there / f".antiphon-{secrets.token_hex(8)}"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise StoreError(f"nothing can be written in {there}: {error.strerror}.") from error
    return str(folder)


async def _blobs(config: Config) -> str:
    key = f"checks/{secrets.token_hex(16)}"
    try:
        blobs = Blobs(config.store.blob_place)
    except StoreError as error:
        raise Fault(str(error)) from error
    try:
        await blobs.put(key, key.encode())
        read = await blobs.read(key)
        await blobs.delete([key])
    except StoreError as error:
        mend = "Check [store] blobs, the rights of its credentials, and that there is room."
        raise Fault(str(error), mend) from error
    finally:
        await blobs.aclose()
    if read != key.encode():
        raise Fault("what was written is not what is read.", "Check what stands behind [store] blobs.")
    return "a probe was written, read and deleted"


async def _issuer(terms: Oidc) -> str:
    try:
        text = terms.jwks if terms.jwks and not terms.jwks.startswith(URLS) else await _fetched(terms)
        return f"has keys: {len(read_keys(text))}"
    except (FetchError, ValueError) as error:
        mend = "Check `issuer` and `jwks` in [auth.oidc], and that they can be reached from here."
        raise Fault(f"{error}.", mend) from error


async def _fetched(terms: Oidc) -> bytes:
    """The set of keys of an issuer. Raises `FetchError`."""
    from antiphon.http.auth.fetching import Fetcher  # noqa: PLC0415 - aiohttp takes a quarter of a second

    fetcher = Fetcher(terms.issuer, terms.jwks, is_trusted=is_trusted)
    try:
        return await fetcher.fetch()
    finally:
        await fetcher.aclose()


async def _judge(config: Config, deployments: Mapping[str, Deployment]) -> str:
    try:
        judging = filtering(config, deployments)
    except ConfigError as error:
        raise Fault(str(error)) from error
    if judging is None:
        return "is not configured"
    try:
        await judging.probe()
    except JudgeError as error:
        raise Fault(f"{error}.", "Mend the judge: what it cannot judge is refused.") from error
    finally:
        await judging.aclose()
    return "judged a word"


async def _painter(url: str) -> str:
    if not url:
        return "drawn here, by a language model"
    parts = urlsplit(url)
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if tls else 80), ssl=tls)
    except socket.gaierror as error:
        raise Fault(f"there is no host {parts.hostname}.", MENDING["unavailable"]) from error
    except ssl.SSLError as error:
        raise Fault(f"could not be trusted: {error}.", UNTRUSTED) from error
    except (OSError, ValueError) as error:
        raise Fault(f"cannot be reached: {error}.", MENDING["unavailable"]) from error
    writer.close()
    return "can be reached; nothing was drawn"


def shown(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    if not parts.hostname:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
