"""What is shown and drawn: the parts for files, pictures and documents, joined."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from antiphon.config import MIB, ConfigError
from antiphon.documents import Documents
from antiphon.http.files import Files as FileRoutes
from antiphon.http.uploads import Uploads as UploadRoutes
from antiphon.lifecycle.allowance import Allowance
from antiphon.lifecycle.drawings import Drawings
from antiphon.lifecycle.filing import Filing, Terms
from antiphon.lifecycle.guarding import Guarding
from antiphon.lifecycle.screens import Screens
from antiphon.lifecycle.seeing import Seeing
from antiphon.lifecycle.shelf import Shelf
from antiphon.lifecycle.tallying import Book
from antiphon.lifecycle.uploading import Uploading
from antiphon.store import StoreUrlError
from antiphon.store.blobs import Blobs
from antiphon.store.erasing import Erasing
from antiphon.store.files import Files
from antiphon.store.uploads import Uploads
from antiphon.store.usage import Usage
from antiphon.wiring import describing, judge, studio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from antiphon.config import Config
    from antiphon.lifecycle import Deployment
    from antiphon.outbound import Outbound
    from antiphon.store import Database

log = logging.getLogger(__name__)


class Showing:
    """The parts by which callers show something, and are shown what was drawn. ``now`` gives unix seconds.

    In the ``book`` is counted what has no row of its own, such as what a model was asked about a picture.
    """

    def __init__(
        self,
        config: Config,
        database: Database,
        *,
        deployments: Mapping[str, Deployment],
        outbound: Outbound,
        now: Callable[[], int],
    ) -> None:
        self.book = Book(Usage(database), now=now)
        self._blobs = _blobs(config)
        self._erasing = Erasing(database, now)
        self._documents = Documents(config.documents)
        self._files = Files(database)
        self._uploads = Uploads(database)
        allowance = Allowance(config.limits, self._files.bytes_kept)
        self._filing = Filing(
            self._files, self._blobs, self._erasing, terms=_terms(config), now=now, allowance=allowance
        )
        self._uploading = Uploading(self._uploads, self._filing, self._blobs, self._erasing, now=now)
        self._now = now
        self._studio = studio(config, self._documents)
        self.shelf = Shelf(self._blobs, self._erasing, now)
        seeing = Seeing(
            outbound=outbound,
            filing=self._filing,
            documents=self._documents,
            shelf=self.shelf,
            describing=describing(config, deployments, self._documents, self.book),
        )
        self.drawings = Drawings(self._studio, seeing, self.shelf, deployments, self.book)
        guarding = Guarding(config.computer, judge(config, deployments), seeing)
        self.screens = Screens(seeing, guarding, most_repeats=config.computer.max_repeats)

    def routes(self) -> tuple[FileRoutes, UploadRoutes]:
        """What answers the routes of files and of uploads."""
        return FileRoutes(self._filing), UploadRoutes(self._uploading)

    async def sweep(self) -> None:
        """Erase what has expired, and what was left behind."""
        expired = await self._files.sweep(self._now()) + await self._uploads.sweep(self._now())
        erased = await self._erasing.erase(self._blobs)
        if expired or erased:
            log.info("files expired", extra={"action": "files_expired", "count": expired, "erased": erased})

    async def aclose(self) -> None:
        """Let go of child processes and connections."""
        await self._documents.aclose()
        await self._studio.aclose()
        await self._blobs.aclose()


def checks(config: Config, deployments: Mapping[str, Deployment]) -> list[Callable[[], object]]:
    """What looks for faults in the parts of a configuration, one at a time: each raises `ConfigError`."""
    documents = Documents(config.documents)
    return [
        lambda: studio(config, documents),
        lambda: describing(config, deployments, documents),
        lambda: judge(config, deployments),
        lambda: _blobs(config),
    ]


def painters(config: Config) -> list[str]:
    """Who draws."""
    return [str(raw["name"]) for raw in config.image_deployments] or ["the model that answers, as a sketch"]


def _blobs(config: Config) -> Blobs:
    try:
        place = config.store.blob_place
    except StoreUrlError as error:  # it is beside the database
        raise ConfigError(f"In [store] url: {error}") from error
    try:
        return Blobs(place)
    except StoreUrlError as error:
        raise ConfigError(f"In [store] blobs: {error}") from error


def _terms(config: Config) -> Terms:
    return Terms(most_file_bytes=config.files.max_file_mib * MIB, most_upload_bytes=config.files.max_upload_mib * MIB)
