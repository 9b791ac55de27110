"""The names of keys: those of the hosted service, and what else models call them."""

from __future__ import annotations

NAMED = frozenset({
    "ALT",
    "ARROWDOWN",
    "ARROWLEFT",
    "ARROWRIGHT",
    "ARROWUP",
    "BACKSPACE",
    "CAPSLOCK",
    "CMD",
    "CTRL",
    "DELETE",
    "END",
    "ENTER",
    "ESC",
    "HOME",
    "INSERT",
    "OPTION",
    "PAGEDOWN",
    "PAGEUP",
    "SHIFT",
    "SPACE",
    "SUPER",
    "TAB",
    "WIN",
    *(f"F{number}" for number in range(1, 25)),
})  # fmt: skip
"""The keys that have a name; any other is the one character that it writes."""

_ALSO = {
    " ": "SPACE",
    "COMMAND": "CMD",
    "CONTROL": "CTRL",
    "DEL": "DELETE",
    "DOWN": "ARROWDOWN",
    "DOWNARROW": "ARROWDOWN",
    "ESCAPE": "ESC",
    "INS": "INSERT",
    "LEFT": "ARROWLEFT",
    "LEFTARROW": "ARROWLEFT",
    "META": "CMD",
    "MINUS": "-",
    "PGDN": "PAGEDOWN",
    "PGUP": "PAGEUP",
    "PLUS": "+",
    "RETURN": "ENTER",
    "RIGHT": "ARROWRIGHT",
    "RIGHTARROW": "ARROWRIGHT",
    "SPACEBAR": "SPACE",
    "UP": "ARROWUP",
    "UPARROW": "ARROWUP",
    "WINDOWS": "WIN",
}
_LONGEST = 32


def keys_of(name: str) -> list[str]:
    """The keys that a name means: one, or those of a combination such as ``ctrl+a``. Raises ``KeyError``."""
    whole = _key(name)
    if whole is not None:
        return [whole]
    parts = [_key(part) for part in name[:_LONGEST].split("+")]
    keys = [part for part in parts if part is not None]
    if len(keys) < len(parts) or len(name) > _LONGEST:
        raise KeyError(name)
    return keys


def _key(name: str) -> str | None:
    if len(name) == 1 and name.isprintable() and name != " ":
        return name
    bare = name.upper().replace("_", "").replace("-", "").replace(" ", "") or name
    known = _ALSO.get(bare, bare)
    return known if known in NAMED or (len(known) == 1 and known.isprintable() and bare in _ALSO) else None
