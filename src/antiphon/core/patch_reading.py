"""What a model means with the arguments of a patch tool: one change of one file, its diff told as it is written.

The item begins when it is known what is to be done to which file; that a file is to be deleted is believed only when
all is written. A model that wraps its change in the envelope of a
patch (``*** Begin Patch`` ...) is understood if the envelope holds one change. What is no change of a file is told as
one that changes nothing, and not as completed: whatever a client does with it, no file is lost.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from antiphon.core.argument_reading import meant_text
from antiphon.core.drafts import PatchDraft
from antiphon.core.json_pieces import Ended, Grew, JsonReader, Piece
from antiphon.protocol.calls import ApplyPatchCall, CreateFile, DeleteFile, UpdateFile

if TYPE_CHECKING:
    from antiphon.core.calls import OpenCall
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import OutputItem

Beginning = Literal["unknown", "plain", "wrapped"]
Operation = CreateFile | UpdateFile | DeleteFile

_HEAD = 64
"""How much of a diff tells how it begins: white space may stand before."""
_OPENING = "*** Begin Patch"
_CLOSING = "*** End Patch"
_MOVE = "*** Move to:"
_SECTION = re.compile(r"^\*\*\* (Add|Update|Delete) File: *(.*)$", re.MULTILINE)
_TYPES = {"Add": "create_file", "Update": "update_file", "Delete": "delete_file"}


class _Member:
    """A string member of the arguments, as far as it is written. The first of a name counts."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.is_whole = False

    @property
    def text(self) -> str:
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    def hear(self, piece: Piece) -> None:
        match piece:
            case Grew(text=text) if not self.is_whole:
                self._pieces.append(text)
            case Ended():
                self.is_whole = True
            case _:
                pass

    def take(self) -> str:
        """What was not taken yet."""
        text, self._pieces = self.text, []
        return text


class PatchReading:
    """One change, from its first letter to its last."""

    def __init__(self, call: OpenCall) -> None:
        self._call = call
        self._reader = JsonReader()
        self._type, self._path, self._diff = _Member(), _Member(), _Member()
        self._draft: PatchDraft | None = None
        self._beginning: Beginning = "unknown"
        self._is_understood = True

    def item(self) -> OutputItem:
        """The call with the diff that was told."""
        draft = self._draft or PatchDraft(self._blank(self._nothing()), self._call.place)
        return draft.item(self._call.status if self._is_understood else "incomplete")

    def wrote(self, arguments: str) -> list[StreamEvent]:
        """The beginning as soon as it can be told, and a delta for each piece of the diff."""
        for piece in self._reader.feed(arguments):
            self._hear(piece)
        if self._draft is not None:
            return self._draft.write(self._diff.take())
        operation = self._named()
        if operation is None or isinstance(operation, DeleteFile):
            return []
        if self._beginning == "unknown":
            self._beginning = _beginning(self._diff.text)
        return self._begin(operation, self._diff.take()) if self._beginning == "plain" else []

    def wrote_all(self) -> list[StreamEvent]:
        """The diff whole; of what is no change, and of what was cut short too early, a change of nothing."""
        if self._call.status == "incomplete":
            events = self._begin(self._nothing(), "") if self._draft is None else []
        elif self._draft is None:
            operation = self._whole()
            self._is_understood = operation is not None
            diff = operation.diff if isinstance(operation, CreateFile | UpdateFile) else ""
            events = self._begin(operation or self._nothing(), diff)
        else:
            self._is_understood = self._reader.is_whole
            events = []
        return events if self._draft is None else [*events, *self._draft.close()]

    def _hear(self, piece: Piece) -> None:
        match piece.path[1:] if piece.path[:1] == ("operation",) else piece.path:
            case ("type",):
                self._type.hear(piece)
            case ("path",):
                self._path.hear(piece)
            case ("diff",):
                self._diff.hear(piece)
            case _:
                pass

    def _named(self) -> Operation | None:
        """The change without its diff, as soon as its type and its path are whole."""
        if not (self._type.is_whole and self._path.is_whole and self._path.text):
            return None
        return _operation(self._type.text, self._path.text, "")

    def _whole(self) -> Operation | None:
        """The change that whole arguments mean, if they mean one."""
        named, diff = self._named(), self._diff.text
        if named is not None and not diff.lstrip().startswith(_OPENING):
            return _operation(self._type.text, self._path.text, diff) if self._reader.is_whole else None
        patch = diff or meant_text(self._call.arguments)
        is_whole = self._reader.is_whole or patch.rstrip().endswith(_CLOSING)
        meant = unwrapped(patch) if is_whole else None
        if named is None or meant is None:
            return meant
        return replace(meant, path=named.path) if type(meant) is type(named) else None

    def _nothing(self) -> Operation:
        """A change that changes nothing, whoever makes it."""
        return UpdateFile(path=self._path.text if self._path.is_whole else "", diff="")

    def _blank(self, operation: Operation) -> ApplyPatchCall:
        return ApplyPatchCall(id=self._call.id, call_id=self._call.call_id, operation=operation)

    def _begin(self, operation: Operation, diff: str) -> list[StreamEvent]:
        draft = self._draft = PatchDraft(self._blank(operation), self._call.place)
        return [self._call.place.added(draft.item("in_progress")), *draft.write(diff)]


def _beginning(diff: str) -> Beginning:
    """Whether a diff is in an envelope, by how it begins."""
    head = diff[:_HEAD].lstrip()
    if head.startswith(_OPENING):
        return "wrapped"
    return "unknown" if _OPENING.startswith(head) and len(diff) < _HEAD else "plain"


def _operation(type_: str, path: str, diff: str) -> Operation | None:
    match type_:
        case "create_file":
            return CreateFile(path=path, diff=diff)
        case "update_file":
            return UpdateFile(path=path, diff=diff)
        case "delete_file":
            return DeleteFile(path=path)
        case _:
            return None


def unwrapped(patch: str) -> Operation | None:
    """The change in the envelope of a patch; None where it holds none or several, or one that moves a file."""
    if not patch.lstrip().startswith(_OPENING):
        return None
    text = patch.rstrip().removesuffix(_CLOSING)
    sections = list(_SECTION.finditer(text))
    if len(sections) != 1:
        return None
    kind, path = sections[0].group(1), sections[0].group(2).strip()
    diff = text[sections[0].end() :].removeprefix("\n")
    if not path or diff.startswith(_MOVE):
        return None
    return _operation(_TYPES[kind], path, diff)
