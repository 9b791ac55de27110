"""The hosted tool ``image_generation``, and its ways to draw: an images API, or SVG that a language model writes."""

from __future__ import annotations

import asyncio
import difflib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from antiphon.tools.image_generation.drawer import KIND, Drawer, Subject
from antiphon.tools.image_generation.drawing import DrawingError, Drawn, Way, Wish
from antiphon.tools.image_generation.images import Config as Images
from antiphon.tools.image_generation.images import Painter
from antiphon.tools.image_generation.svg import Config as Svg
from antiphon.tools.image_generation.svg import Sketcher
from antiphon.tools.image_generation.svg.sketching import Unanswered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.documents import Documents
    from antiphon.protocol.parts import Json
    from antiphon.protocol.tools import ImageGenerationTool
    from antiphon.tools import Tool
    from antiphon.tools.image_generation.svg.sketching import Ask

__all__ = ["KIND", "DrawingError", "Drawn", "Images", "Studio", "Subject", "Svg", "Unanswered", "Way", "Wish"]

EVERY_OTHER = "*"
Deployment = Images | Svg

MOST_AT_ONCE = 16
"""Pictures that are drawn side by side; more wait for their turn."""

_NOT_SKETCHED = ("complexity", "frame_count", "frame_duration_ms", "input_fidelity", "moderation", "quality", "svg")
_BACKENDS: dict[str, type[Deployment]] = {"images": Images, "svg": Svg}

T = TypeVar("T", bound=Struct)


class Studio:
    """The ways to draw that are configured."""

    def __init__(self, deployments: list[dict[str, Any]], documents: Documents) -> None:  # tables as they are written
        """Takes the tables of ``[[image_deployments]]``; without any, ``svg`` answers every name.

        Raises ``ValueError``, with words for the operator, for one that cannot be used.
        """
        self._documents = documents
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        configs = [_config(table) for table in deployments] or [Svg(name=EVERY_OTHER)]
        self._configs = {config.name: config for config in configs}
        if len(self._configs) < len(configs):
            raise ValueError("Two image deployments have the same name.")
        self._painters = {config.name: Painter(config, documents) for config in configs if isinstance(config, Images)}

    def choose(self, *names: str | None) -> str:
        """The deployment that draws: the first name that is given decides; without any, the first deployment.

        Raises ``LookupError`` with the name that no deployment has.
        """
        name = next((name for name in names if name), None)
        if name is None:
            return next(iter(self._configs))
        if name in self._configs:
            return name
        if EVERY_OTHER not in self._configs:
            raise LookupError(name)
        return EVERY_OTHER

    def writer(self, name: str) -> str | None:
        """The deployment whose language model writes the drawings of this one; None: whoever answers the request."""
        match self._configs[name]:
            case Svg(deployment=deployment):
                return deployment
            case Images():
                return None

    def ignored(self, name: str, settings: ImageGenerationTool) -> list[str]:
        """The settings that a request gives and that have no effect with this deployment."""
        match self._configs[name]:
            case Svg():
                return [
                    setting
                    for setting in _NOT_SKETCHED
                    if getattr(settings, setting) not in {None, UNSET, "auto"}  # a struct's own fields
                ]
            case Images():
                return []

    def tool(  # noqa: PLR0913 - a drawing is made of all of these
        self,
        settings: ImageGenerationTool,
        *,
        name: str,
        subjects: Sequence[Subject],
        mask: Subject | None,
        ask: Ask,
        writer: str,
        party: str = "",
    ) -> Tool:
        """The tool for one request. ``name`` is what `choose` gave.

        ``ask`` asks a language model that is called ``writer``; it raises `Unanswered` where there is no answer.
        ``party``: for whom it is drawn.
        """
        way: Way
        match self._configs[name]:
            case Svg() as config:
                way = Sketcher(config, self._documents, ask=ask, writer=writer)
            case Images():
                way = self._painters[name]
        return Drawer(way, settings, subjects=subjects, mask=mask, turns=self._turns, party=party)

    async def aclose(self) -> None:
        """Close the connections to image servers."""
        for painter in self._painters.values():
            await painter.aclose()


def _config(table: dict[str, Json]) -> Deployment:
    """A table as the settings of its backend."""
    backend = table.get("backend", "svg")
    if not isinstance(backend, str) or backend not in _BACKENDS:
        raise ValueError(f"An image deployment has the unknown backend {backend!r}; there are: {', '.join(_BACKENDS)}.")
    type_ = _BACKENDS[backend]
    place = f"The image deployment {table.get('name', '?')!r}"
    for key in table:
        if key not in type_.__struct_fields__:
            near = difflib.get_close_matches(key, type_.__struct_fields__, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ValueError(f"{place} has the unknown key '{key}'.{hint}")
    try:
        return msgspec.convert(table, type_)
    except msgspec.ValidationError as error:
        raise ValueError(f"{place}: {error}.") from error
