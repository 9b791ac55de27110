"""Describing: pictures in words, for a model that cannot see, by another that can or by what can be told offline."""

from __future__ import annotations

import hashlib
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Text
from antiphon.core.turn import Turn
from antiphon.documents import Unreadable
from antiphon.documents.marks import lined
from antiphon.lifecycle.asides import asked
from antiphon.lifecycle.shelf import inlined
from antiphon.protocol import picture_faults as faults
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.items import Message
from antiphon.protocol.refusals import server_error

if TYPE_CHECKING:
    from antiphon.backends import Backend
    from antiphon.documents import Documents, Picture
    from antiphon.lifecycle import Deployment
    from antiphon.lifecycle.tallying import Book

log = logging.getLogger(__name__)

LOCAL = "local"
SECONDS = 120.0
"""How long a model may look at a picture."""

MOST_TOKENS = 400
MOST_CHARACTERS = 4_000
"""Of a description. What is said beyond is not listened to."""

REMEMBERED = 256
"""Descriptions that are kept: a chain shows its pictures again with every turn."""

_ASKED = (
    "Describe this image for someone who cannot see it. Say what it shows, then read out all text in it word for word. "
    "Use plain sentences and no introduction."
)


class Describing:
    """Tells what pictures show. ``deployment`` has the model that looks; ``is_local``: what offline parts can tell.

    With neither nothing is described. What the model took is counted in the ``book``.
    """

    def __init__(
        self,
        documents: Documents,
        deployment: Deployment | None = None,
        *,
        is_local: bool = False,
        book: Book | None = None,
    ) -> None:
        self._documents = documents
        self._book = book
        self.deployment = deployment
        self._told: dict[str, str] = {}
        self.is_on = is_local or deployment is not None

    async def told(self, picture: Picture, *, party: str = "") -> str:
        """A picture in words, marked as such, for a ``party``; what it says can forge no mark.

        Raises ``ApiError`` where it cannot be described.
        """
        key = hashlib.sha256(picture.content).hexdigest()
        if key not in self._told:
            if len(self._told) >= REMEMBERED:
                del self._told[next(iter(self._told))]
            self._told[key] = await self._describe(picture, party)
        return self._told[key]

    async def _describe(self, picture: Picture, party: str) -> str:
        if self.deployment is None:
            try:
                told = await self._documents.description(picture.content, party=party)
            except Unreadable as error:
                raise faults.picture_refused(error.reason, str(error)) from error
            words = lined(told, most=MOST_CHARACTERS)
            return f"[An image, which you cannot see. What could be told without a model that sees: {words}]"
        told = await self._asked(self.deployment, picture, party)
        return f"[An image, which you cannot see. The model '{self.deployment.name}' describes it so: {told}]"

    async def _asked(self, deployment: Deployment, picture: Picture, party: str) -> str:
        shown = InputImage(image_url=await inlined(picture.content, picture.media_type))
        question = Message(role="user", content=[InputText(text=_ASKED), shown])
        turn = Turn(items=[question], model=deployment.name, max_output_tokens=MOST_TOKENS)
        try:
            with anyio.fail_after(SECONDS):
                told = lined(await _said(asked(deployment, self._book, party), turn), most=MOST_CHARACTERS)
        except (UpstreamError, TimeoutError) as error:
            log.warning(
                "image not described",
                extra={"action": "image_not_described", "deployment": deployment.name, "error": str(error)},
            )
            raise server_error("The model that describes images could not be asked.", status=502) from error
        if not told:
            raise server_error("The model that describes images said nothing.", status=502)
        return told


async def _said(backend: Backend, turn: Turn) -> str:
    """What a model says, as far as it is listened to."""
    said = ""
    async with aclosing(backend.stream(turn)) as heard:
        async for deltas in heard:
            said = f"{said}{''.join(delta.text for delta in deltas if isinstance(delta, Text))}".lstrip()
            if len(said) > MOST_CHARACTERS:
                break
    return said
