"""How calls of a client's tools show themselves: to a chat model each is a function, to the client an item of its own.

The arguments that a model writes for them are read as they come (`antiphon.core.argument_reading`,
`antiphon.core.patch_reading`) and told in the events of the item.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from antiphon.core.actions import steps_of
from antiphon.core.argument_reading import CustomReading, LocalShellReading, SearchReading, ShellReading
from antiphon.core.calls import ClientFunction, Late, Quiet
from antiphon.core.drafts import CustomDraft, ShellDraft
from antiphon.core.patch_reading import PatchReading
from antiphon.protocol.calls import LocalEnvironment, ShellAction, ShellCall
from antiphon.protocol.computer import ComputerCall
from antiphon.protocol.items import CustomToolCall

if TYPE_CHECKING:
    from antiphon.core.calls import OpenCall, Reading
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import OutputItem


class Named(ClientFunction):
    """A function whose name for the model is not its own: a member of a namespace, or one of a hidden name."""

    def __init__(self, name: str, namespace: str | None = None) -> None:
        super().__init__(name, namespace)


class ClientKind(ABC):
    """A tool of the client's that is none of the type ``function``."""

    prefix: str
    hosted = False

    @abstractmethod
    def reading(self, call: OpenCall) -> Reading:
        """What will read the arguments of a call that begins."""

    def item(self, call: OpenCall) -> OutputItem:
        """The item as far as it is told."""
        return self._reading(call).item()

    def began(self, call: OpenCall) -> list[StreamEvent]:
        """Nothing but the item itself."""
        return []

    def wrote(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        """What the fragment lets be told."""
        return self._reading(call).wrote(arguments)

    def wrote_all(self, call: OpenCall) -> list[StreamEvent]:
        """What is left to be told."""
        return self._reading(call).wrote_all()

    def _reading(self, call: OpenCall) -> Reading:
        if call.reading is None:
            call.reading = self.reading(call)
        return call.reading


class CustomKind(ClientKind):
    """A custom tool: the string ``input`` is its free text, told as it grows."""

    prefix = "ctc"

    def __init__(self, name: str, namespace: str | None = None) -> None:
        self._name = name
        self._namespace: str | UnsetType = UNSET if namespace is None else namespace

    def reading(self, call: OpenCall) -> Reading:
        """Reads ``input``."""
        blank = CustomToolCall(id=call.id, call_id=call.call_id, input="", name=self._name, namespace=self._namespace)
        return CustomReading(call, CustomDraft(blank, call.place))


class ShellKind(ClientKind):
    """A shell: the strings of ``commands`` are told as they grow, ``timeout_ms`` and ``max_output_length`` at the end.

    It runs on the client's machine; the skills there are no part of a call.
    """

    prefix = "sh"

    def reading(self, call: OpenCall) -> Reading:
        """Reads ``commands``."""
        blank = ShellCall(
            id=call.id, call_id=call.call_id, action=ShellAction(commands=[]), environment=LocalEnvironment()
        )
        return ShellReading(call, ShellDraft(blank, call.place))


class LocalShellKind(ClientKind):
    """The older shell: one command, told when it is whole."""

    prefix = "lsh"

    def reading(self, call: OpenCall) -> Reading:
        """Reads all at the end."""
        return LocalShellReading(call)


class ClientSearchKind(ClientKind):
    """A search for tools that the client makes: its arguments are told when they are whole."""

    prefix = "tsc"

    def reading(self, call: OpenCall) -> Reading:
        """Reads all at the end."""
        return SearchReading(call)


class ApplyPatchKind(ClientKind, Late):
    """The patch tool: ``type``, ``path`` and ``diff`` in any order. The item begins when type and path are known."""

    prefix = "apc"

    def reading(self, call: OpenCall) -> Reading:
        """Reads them as they come."""
        return PatchReading(call)


class ComputerKind(Late, Quiet):
    """A computer: what is to be done on it is told when it is whole and checked, as `antiphon.core.actions` writes it.

    ``is_single``: with the older tool, a call has one action and no list.
    """

    prefix = "cu"
    hosted = False

    def __init__(self, *, is_single: bool) -> None:
        self._is_single = is_single

    def item(self, call: OpenCall) -> ComputerCall:
        """The call; one that is not whole has no actions, and is never completed."""
        steps = steps_of(call.arguments) if call.status == "completed" else None
        if steps is None or not steps.actions:
            status = "incomplete" if call.status == "completed" else call.status
            return ComputerCall(id=call.id, call_id=call.call_id, status=status)
        checks = [
            check if check.id else replace(check, id=f"cu_sc_{call.id.partition('_')[2]}{index:x}")
            for index, check in enumerate(steps.pending_safety_checks)
        ]
        blank = ComputerCall(id=call.id, call_id=call.call_id, status=call.status, pending_safety_checks=checks)
        return replace(blank, action=steps.actions[0]) if self._is_single else replace(blank, actions=steps.actions)

    def wrote_all(self, call: OpenCall) -> list[StreamEvent]:
        """The item itself, which begins and ends at once."""
        return [call.place.added(replace(self.item(call), status="in_progress"))]
