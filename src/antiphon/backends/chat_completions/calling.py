"""Joins the fragments of function calls, which every upstream cuts and names in its own way."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Call


class Named(Struct, frozen=True):
    """A function's name and arguments, or fragments of them; some upstreams send the arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None


class Fragment(Struct, frozen=True):
    """A fragment of a call, or the whole of it."""

    index: int | None = None
    id: str | None = None
    function: Named | None = None


class Forming:
    """A call that is being heard. It is ``open`` once its start was handed on."""

    def __init__(self, key: str, *, id: str) -> None:
        self.key = key
        self.id = id
        self.name = ""
        self.open = False

    def feed(self, function: Named) -> list[Call]:
        """Take a fragment. The start waits for the first arguments, since the name may come in pieces or twice."""
        if function.name and not self.open and function.name != self.name:
            self.name += function.name
        arguments = function.arguments
        text = arguments if isinstance(arguments, str) else _encoded(arguments)
        if not text:
            return []
        return [self.start(text)] if not self.open else [Call(self.key, arguments=text)]

    def start(self, arguments: str) -> Call:
        """Open the call. Raises `UpstreamError` if its name never came."""
        if not self.name:
            raise UpstreamError("server_error", "The model called a function without naming it.")
        self.open = True
        return Call(self.key, self.name, arguments)


class Calls:
    """The calls of one turn.

    * An index tells calls apart. Where a new id *and* a name come under an old index, it is a new call nevertheless
      (some upstreams number every call 0); an id that is merely repeated, or changes without a name, changes nothing.
    * Without an index the id does. Without both, a name begins a new call and anything else continues the last one.
    * A call without arguments is told at the end.
    """

    def __init__(self) -> None:
        self._all: list[Forming] = []
        self._by_index: dict[int, Forming] = {}

    def feed(self, fragment: Fragment) -> list[Call]:
        """Take a fragment and give what it adds, if it can be told already."""
        function = fragment.function or Named()
        forming = self._find(fragment, function.name)
        return forming.feed(function)

    def end(self) -> list[Call]:
        """Give the calls that wait for arguments in vain."""
        return [forming.start("") for forming in self._all if not forming.open]

    def _find(self, fragment: Fragment, name: str | None) -> Forming:
        if fragment.index is None:
            return self._find_unnumbered(fragment.id, name) or self._begin(fragment)
        found = self._by_index.get(fragment.index)
        if found is None or (fragment.id and found.id and fragment.id != found.id and name):
            found = self._by_index[fragment.index] = self._begin(fragment)
        return found

    def _find_unnumbered(self, id: str | None, name: str | None) -> Forming | None:
        known = next((forming for forming in self._all if id and forming.id == id), None)
        if known is not None or name or not self._all:
            return known
        return self._all[-1]

    def _begin(self, fragment: Fragment) -> Forming:
        self._all.append(Forming(str(len(self._all)), id=fragment.id or ""))
        return self._all[-1]


def _encoded(arguments: dict[str, object] | None) -> str:
    return "" if arguments is None else msgspec.json.encode(arguments).decode()
