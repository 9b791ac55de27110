"""The embedded model: llama.cpp in a child process, spoken to as just another chat completions server."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from antiphon.backends import Backend, Counting, UpstreamError
from antiphon.backends.llama.asking import asked
from antiphon.backends.llama.catalog import CATALOG, DEFAULT, default_folder, locate, stand_in
from antiphon.backends.llama.forced import ForcedCall
from antiphon.backends.llama.refusals import explained, refuse
from antiphon.backends.llama.spawn import COMMAND, Access, Child
from antiphon.backends.llama.wire import Load
from antiphon.core.deltas import Finish, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

log = logging.getLogger(__name__)

DEATH_SECONDS = 0.5


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a deployment with ``backend = "llama"``.

    ``model`` is a name of the catalog or the path of any GGUF file. Each of ``parallel`` requests at a time has
    ``context`` tokens for its prompt and its answer. ``threads`` is one less than there are processors where it is
    not given. ``template`` is the text of a Jinja chat template; without it a catalog model gets one in which it calls
    functions well, and a file of your own its built-in one. ``mmproj`` is the path of the projector with which the
    model sees images.
    """

    model: str = DEFAULT
    context: Annotated[int, Meta(ge=256)] = 8192
    parallel: Annotated[int, Meta(ge=1, le=64)] = 4
    threads: Annotated[int, Meta(ge=1)] | None = None
    template: str | None = None
    mmproj: str | None = None


class _Link(Struct, frozen=True):
    """The way to the child that is running now."""

    access: Access
    backend: Backend


class Llama:
    """A model on this machine. Nothing is loaded before the first turn.

    ``connect`` makes the backend for a chat completions server from its base URL and its key. ``folder`` is where the
    catalog's files are kept, the user's cache folder if None; ``command`` starts the child. Where the default model was
    not fetched but the small one was, the small one answers. Raises `UnknownModelError` where ``config.model`` is no
    name of the catalog and no path.
    """

    def __init__(
        self,
        config: Config,
        connect: Callable[[str, str], Backend],
        *,
        folder: Path | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._config = config
        self._connect = connect
        folder = folder or default_folder()
        self._model = stand_in(config.model, folder)
        if self._model != config.model:
            log.warning(
                "%s was not fetched, %s answers", config.model, self._model, extra={"action": "model_stands_in"}
            )
        self._path = locate(self._model, folder)
        self._child = Child(_load(config, self._path), name=self._model, command=command)
        self._link: _Link | None = None

    @property
    def model(self) -> str:
        """The name of the model that answers: the small one where the large one was not fetched."""
        return self._model

    @property
    def pid(self) -> int | None:
        """The id of the process that runs the model, None where there is none."""
        return self._child.pid

    @property
    def sees(self) -> bool:
        """Whether the model takes images."""
        return self._config.mmproj is not None

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Ask the model; see `Backend.stream`."""
        refuse(turn, sees=self.sees)
        question = asked(turn)
        reader = ForcedCall() if question.forced else None
        lists = (await self._backend()).stream(question.turn)
        try:
            async for deltas in lists:
                if said := deltas if reader is None else _read(reader, deltas):
                    yield said
        except UpstreamError as error:
            raise await self._told(error, turn) from error
        finally:
            await lists.aclose()

    async def count(self, turn: Turn) -> int:
        """Count the tokens of a turn with the model's tokenizer, loading the model first where need be.

        Raises `UpstreamError`, ``unavailable`` where the connection cannot count.
        """
        refuse(turn, sees=self.sees)
        backend = await self._backend()
        if not isinstance(backend, Counting):  # what a stranger's connection can do is known only now
            raise UpstreamError("unavailable", "The tokenizer of this model cannot be asked.")
        try:
            return await backend.count(asked(turn).turn)
        except UpstreamError as error:
            raise await self._told(error, turn) from error

    async def aclose(self) -> None:
        """Close the connections and end the child process."""
        link, self._link = self._link, None
        try:
            if link is not None:
                await link.backend.aclose()
        finally:
            await self._child.aclose()

    async def _backend(self) -> Backend:
        if missing := _missing(self._model, self._path):
            raise UpstreamError("misconfigured", missing)
        access = await self._child.access()
        link = self._link
        if link is not None and link.access == access:
            return link.backend
        fresh = self._link = _Link(access, self._connect(f"{access.address}/v1", access.key))
        if link is not None:
            await link.backend.aclose()
        return fresh.backend

    async def _told(self, error: UpstreamError, turn: Turn) -> UpstreamError:
        if error.fault in ("server_error", "unavailable") and await self._child.ended(DEATH_SECONDS) is not None:
            message = "The embedded model stopped unexpectedly. Please try again: it is being started anew."
            return UpstreamError("unavailable", message, detail=error.detail)
        return explained(error, turn)


def _load(config: Config, path: Path) -> Load:
    template = config.template
    if template is None and config.model in CATALOG:
        template = Path(__file__).with_name("call-template.jinja").read_text(encoding="utf-8")
    return Load(
        path=str(path),
        context=config.context,
        parallel=config.parallel,
        threads=config.threads or max(1, (os.cpu_count() or 1) - 1),
        template=template,
        mmproj=config.mmproj,
    )


def _missing(model: str, path: Path) -> str:
    if path.is_file():
        return ""
    mend = f"run `antiphon models fetch {model}`" if model in CATALOG else "mend the path"
    return f"The embedded model {model} is not at {path}: {mend}."


def _read(reader: ForcedCall, deltas: list[Delta]) -> list[Delta]:
    read: list[Delta] = []
    for delta in deltas:
        match delta:
            case Text(text):
                read += reader.feed(text)
            case Finish(reason="stop") if not reader.begun:
                raise UpstreamError("server_error", "The embedded model did not make the call that was asked of it.")
            case _:
                read.append(delta)
    return read
