"""Screens: what a model is shown of a computer that the client moves, and what is known of it before the next step."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.core.image_size import Pixels, image_size, size_of
from antiphon.core.screen import Screen, in_words, last_run, last_screen, last_url, left_out, old_screens
from antiphon.engine.driving import Drive, Driving, Repeats
from antiphon.lifecycle.guarding import MOST_TASK
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Item, Message
from antiphon.protocol.picture_faults import TooMuchShown
from antiphon.protocol.tools import ComputerUsePreviewTool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.backends import Backend
    from antiphon.core.concerns import Concern
    from antiphon.core.offer import Computer, Offer
    from antiphon.core.screen import Shot
    from antiphon.lifecycle import Caller, Deployment
    from antiphon.lifecycle.guarding import Guarding
    from antiphon.lifecycle.seeing import Seeing

log = logging.getLogger(__name__)


class Screens:
    """Joins requests that bring a computer with who shows screens and who guards them.

    ``most_repeats``: how often the same is done while the screen stays as it is.
    """

    def __init__(self, seeing: Seeing, guarding: Guarding, *, most_repeats: int) -> None:
        self._seeing = seeing
        self._guarding = guarding
        self._most_repeats = most_repeats

    async def seen(
        self, items: list[Item], offered: Offer, deployment: Deployment, caller: Caller, *, truncates: bool = False
    ) -> list[Item]:
        """The items as the deployment's model takes them, with as many screenshots as it is shown.

        ``truncates``: of more than can be shown together the older half is left out, and again. Raises ``ApiError`` as
        `Seeing.seen` does.
        """
        most, whole_steps = deployment.screenshots, is_native(offered.computer, deployment)
        while True:
            recent = items if most is None else _recent(items, most, whole_steps=whole_steps)
            try:
                return await self._seeing.seen(recent, deployment, caller, draws=offered.drawing is not None)
            except TooMuchShown:
                most = sum(isinstance(item, ComputerCallOutput) for item in recent) // 2
                if not truncates or not most:
                    raise
            log.info("screenshots left out", extra={"action": "screenshots_left_out", "kept": most})

    async def driven(
        self, backend: Backend, computer: Computer, past: Past, deployment: Deployment, caller: Caller
    ) -> Backend:
        """The backend, with what its model does on the screen checked. Raises ``ApiError``."""
        drive = Drive(
            screen=await self._screen(computer, past, deployment, caller),
            past=await self._repeats(past.items, caller),
            most_repeats=self._most_repeats,
            is_native=is_native(computer, deployment),
        )
        return Driving(backend, computer, drive, partial(self._concerns, past.items, caller))

    async def _screen(self, computer: Computer, past: Past, deployment: Deployment, caller: Caller) -> Screen:
        shown, whole = last_screen(past.seen), last_screen(past.items)
        picture = image_size(shown.image_url) if shown is not None and isinstance(shown.image_url, str) else None
        if isinstance(computer.tool, ComputerUsePreviewTool):
            display: Pixels | None = Pixels(computer.tool.display_width, computer.tool.display_height)
        elif picture is None or whole is None or max(picture.width, picture.height) < deployment.side(whole.detail):
            display = picture  # it was not made smaller
        else:
            display = await self._measured(whole, caller)
        return Screen(display, picture, deployment.coordinates, is_seen=whole is not None)

    async def _repeats(self, items: Sequence[Item], caller: Caller) -> Repeats:
        """What was done last. Only where that was often are the screens after it compared."""
        run, most = last_run(items), self._most_repeats
        unchanged = 0
        if len(run.screens) >= most:
            digests = [await self._seeing.digest(screen, caller) for screen in run.screens[-most:]]
            unchanged = most if len(set(digests)) == 1 else 1
        return Repeats(run.actions, len(run.screens), unchanged)

    async def _measured(self, part: Shot, caller: Caller) -> Pixels | None:
        """The size of a picture as the client sent it."""
        inline = image_size(part.image_url) if isinstance(part.image_url, str) else None
        return inline or size_of(await self._seeing.content(part, caller))

    async def _concerns(self, items: Sequence[Item], caller: Caller) -> list[Concern]:
        if not self._guarding.is_on:
            return []
        return await self._guarding.concerns(last_screen(items), last_url(items), _task(items), caller)


class Past(Struct, frozen=True):
    """A conversation that a step follows: its items whole, and as the model is shown them."""

    items: list[Item]
    seen: list[Item]


def is_native(computer: Computer | None, deployment: Deployment) -> bool:
    """Whether the deployment's upstream knows the tool itself."""
    return computer is not None and computer.tool.type in deployment.native_tools


def _recent(items: list[Item], most: int, *, whole_steps: bool) -> list[Item]:
    """The items with the ``most`` newest screenshots; ``whole_steps``: of the others their calls go as well."""
    old = {output.call_id for output in old_screens(items, most)}
    if not old:
        return items
    return left_out(items, old) if whole_steps else in_words(items, old)


def _task(items: Sequence[Item]) -> str:
    """What the user said, as far as it was said last."""
    said = [item for item in items if isinstance(item, Message) and item.role == "user"]
    texts = [part.text for message in said for part in message.content if isinstance(part, InputText)]
    return "\n".join(texts)[-MOST_TASK:]
