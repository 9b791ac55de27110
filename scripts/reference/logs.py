"""The page of logs: every line that the server writes, found in its source."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon import backends
from scripts.reference.tables import MEANINGS, expect_same, table, written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE = Path(backends.__file__).parent.parent
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


class Line(Struct, frozen=True, order=True):
    """One kind of line: its key, how bad it is, and what it carries."""

    action: str
    level: str
    keys: tuple[str, ...]


def page() -> str:
    """Every kind of line."""
    lines = sorted(set(found()))
    expect_same("the logs", {line.action for line in lines}, MEANINGS.logs)
    rows = [
        [f"`{line.action}`", line.level, ", ".join(f"`{key}`" for key in line.keys), MEANINGS.logs[line.action]]
        for line in lines
    ]
    return written("logs", lines=table(["action", "level", "keys", "when"], rows))


def found() -> list[Line]:
    """Every call of a logger's, in every file."""
    return [line for file in sorted(SOURCE.rglob("*.py")) for line in found_in(ast.parse(file.read_bytes()))]


def found_in(tree: ast.Module) -> list[Line]:
    """Every call of a logger's in a module. What it adds is a dict there, or one that the module names or makes."""
    assigned = [
        (node.lineno, target.id, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    made = {
        node.name: node.body[-1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return)
    }
    lines: list[Line] = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=level), keywords=keywords) if level in LEVELS:
                extra = next((keyword.value for keyword in keywords if keyword.arg == "extra"), None)
                named = {name: value for at, name, value in sorted(assigned, key=first) if at < node.lineno}
                lines.append(line(LEVELS[level], extra, named, made))
            case _:
                pass
    return lines


def first(assigned: tuple[int, str, ast.expr]) -> int:
    """Where an assignment stands: the last one before a call is the one that counts."""
    return assigned[0]


def line(
    level: str, extra: ast.expr | None, named: Mapping[str, ast.expr], made: Mapping[str, ast.expr | None]
) -> Line:
    """A call as a line. Raises `LookupError` where it has no plain action."""
    match extra:
        case ast.Dict(keys=keys, values=[ast.Constant(value=str(action)), *_]):
            return Line(action, level, rest(keys))
        case ast.Name(id=name) if name in named:
            return line(level, named[name], {}, made)
        case ast.Dict(keys=[None, *keys], values=[ast.Call(func=ast.Name(id=name)), *_]) if name in made:
            begun = line(level, made[name], {}, {})
            return Line(begun.action, level, (*begun.keys, *rest(keys)))
        case ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant(value=str(action))]):
            match made.get(name):
                case ast.Dict(keys=keys):
                    return Line(action, level, rest(keys))
                case _:
                    pass
        case _:
            pass
    raise LookupError(f"a line of the log without a plain action: {ast.unparse(extra) if extra else level}")


def rest(keys: Sequence[ast.expr | None]) -> tuple[str, ...]:
    """The names of a dict's keys, without the action."""
    return tuple(str(key.value) for key in keys if isinstance(key, ast.Constant) and key.value != "action")
