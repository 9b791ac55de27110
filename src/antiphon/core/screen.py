"""The screen that a model acts on: how its picture and the client's display measure, and what is shown of its past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.image_size import Pixels
from antiphon.protocol.computer import (
    Action,
    Click,
    ComputerCall,
    ComputerCallOutput,
    DoubleClick,
    Drag,
    Move,
    Point,
    Scroll,
)
from antiphon.protocol.content import ComputerScreenshot, InputImage
from antiphon.protocol.items import FunctionCallOutput, Message, ReasoningItem, called

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from antiphon.protocol.items import Item

Coordinates: TypeAlias = Literal["pixels", "thousandths"]
"""How a model points: in pixels of the picture that it is shown, or in thousandths of its width and height."""

Shot: TypeAlias = ComputerScreenshot | InputImage
"""What shows a screen."""

THOUSAND = 1000
FARTHEST = 32_768
"""No display that can be asked for has more pixels in a direction."""
NOT_SHOWN = "[An earlier screenshot, which is not shown any more.]"


class Screen(Struct, frozen=True):
    """The screen as it is now.

    ``display`` is what the client's actions are measured in, ``picture`` what the model is shown of it; None where it
    is not known. ``is_seen``: the model was shown it at all.
    """

    display: Pixels | None = None
    picture: Pixels | None = None
    coordinates: Coordinates = "pixels"
    is_seen: bool = False

    @property
    def unit(self) -> Pixels | None:
        """What the model's coordinates are parts of."""
        if self.coordinates == "thousandths":
            return Pixels(THOUSAND, THOUSAND)
        return self.picture or self.display

    @property
    def is_measured(self) -> bool:
        """Whether the model's places can be told to the client: parts of an unknown whole are none."""
        return self.coordinates == "pixels" or self.display is not None

    def holds(self, point: Point) -> bool:
        """Whether a place of the model's is on the screen."""
        unit, edge = self.unit, int(self.coordinates == "thousandths")
        if unit is None:
            return 0 <= point.x < FARTHEST and 0 <= point.y < FARTHEST
        return 0 <= point.x < unit.width + edge and 0 <= point.y < unit.height + edge

    def to_display(self, action: Action) -> Action:
        """An action of the model's as the client makes it."""
        return _moved(action, self._scaled(self.unit, self.display), self._stretched(self.picture, self.display))

    def to_picture(self, action: Action) -> Action:
        """An action of the client's as the model would have said it."""
        return _moved(action, self._scaled(self.display, self.unit), self._stretched(self.display, self.picture))

    def _scaled(self, here: Pixels | None, there: Pixels | None) -> Callable[[Point], Point]:
        def scale(point: Point) -> Point:
            if here is None or there is None:
                return point
            return Point(
                x=min(_part(point.x, there.width, here.width), there.width - 1),
                y=min(_part(point.y, there.height, here.height), there.height - 1),
            )

        return scale

    def _stretched(self, here: Pixels | None, there: Pixels | None) -> Callable[[Point], Point]:
        """How far is scrolled, which is told in pixels however the model points."""

        def stretch(way: Point) -> Point:
            if here is None or there is None or here == there:
                return way
            return Point(x=_part(way.x, there.width, here.width), y=_part(way.y, there.height, here.height))

        return stretch


def _part(length: int, of: int, whole: int) -> int:
    """The nearest whole number; what a client sends may be larger than any fraction."""
    return (2 * length * of + whole) // (2 * whole)


def places(action: Action) -> list[Point]:
    """Where on the screen an action takes place."""
    match action:
        case Click(x=x, y=y) | DoubleClick(x=x, y=y) | Move(x=x, y=y) | Scroll(x=x, y=y):
            return [Point(x=x, y=y)]
        case Drag(path=path):
            return path
        case _:
            return []


def _moved(action: Action, scale: Callable[[Point], Point], stretch: Callable[[Point], Point]) -> Action:
    match action:
        case Click() | DoubleClick() | Move():
            place = scale(Point(x=action.x, y=action.y))
            return replace(action, x=place.x, y=place.y)
        case Scroll():
            place = scale(Point(x=action.x, y=action.y))
            way = stretch(Point(x=action.scroll_x, y=action.scroll_y))
            return replace(action, x=place.x, y=place.y, scroll_x=way.x, scroll_y=way.y)
        case Drag():
            return replace(action, path=[scale(point) for point in action.path])
        case _:
            return action


# The past of a screen


def actions_of(call: ComputerCall) -> list[Action]:
    """The actions of a call, whichever tool it was made with."""
    return call.actions or ([] if not call.action else [call.action])


def last_screen(items: Sequence[Item]) -> Shot | None:
    """What shows the screen as it is now: the last screenshot, or before the first one the user's last picture."""
    picture: InputImage | None = None
    for item in reversed(items):
        match item:
            case ComputerCallOutput(output=screenshot):
                return screenshot
            case Message(role="user", content=parts) if picture is None:
                picture = next((part for part in reversed(parts) if isinstance(part, InputImage)), None)
            case _:
                pass
    return picture


def last_url(items: Sequence[Item]) -> str | None:
    """The page that the screen shows, if its client has said so."""
    for item in reversed(items):
        if isinstance(item, ComputerCallOutput):
            return item.output.current_url or item.current_url or None
    return None


def old_screens(items: Sequence[Item], most: int) -> list[ComputerCallOutput]:
    """The outputs of a computer but for the ``most`` newest, oldest first."""
    shown = [item for item in items if isinstance(item, ComputerCallOutput)]
    return shown[: max(0, len(shown) - most)]


def in_words(items: Sequence[Item], old: Container[str]) -> list[Item]:
    """The items without the screenshots that answer these calls: that they were made is told, not what they showed."""
    return [
        FunctionCallOutput(id=item.id, call_id=item.call_id, output=NOT_SHOWN)
        if isinstance(item, ComputerCallOutput) and item.call_id in old
        else item
        for item in items
    ]


def left_out(items: Sequence[Item], old: Container[str]) -> list[Item]:
    """The items without these calls, what came of them, and the thoughts that led to nothing else."""
    kept: list[Item] = []
    leads_on = leads_nowhere = False
    for item in reversed(items):
        match item:
            case ComputerCallOutput() if item.call_id in old:
                leads_on = leads_nowhere = False
            case ComputerCall() if item.call_id in old:
                leads_nowhere = not leads_on
            case ReasoningItem() if leads_nowhere:
                pass
            case _:
                leads_on, leads_nowhere = called(item) is not None, False
                kept.append(item)
    return kept[::-1]


class Run(Struct, frozen=True):
    """What was done last, and what the screen showed after each of the times in a row that it was done.

    ``calls`` are the ids of the calls that did it.
    """

    actions: list[Action] = []
    calls: list[str] = []
    screens: list[ComputerScreenshot] = []


def last_run(items: Sequence[Item]) -> Run:
    """What was done in a row, since the user's last words, without anything else in between."""
    run = Run()
    for item in items:
        match item:
            case Message(role="user"):
                run = Run()
            case ComputerCall():
                actions = actions_of(item)
                before = run if actions == run.actions else Run()
                run = Run(actions, [*before.calls, item.call_id], before.screens)
            case ComputerCallOutput(output=screen) if item.call_id in run.calls:
                run = Run(run.actions, run.calls, [*run.screens, screen])
            case _ if called(item) is not None:
                run = Run()
            case _:
                pass
    return run
