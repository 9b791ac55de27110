"""The house rules that no other tool knows.

Each finding is a line ``file:line: what``. The rules and their reasons are in CONTRIBUTING.md; a limit is never
raised in passing.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "antiphon"
PURE = (SOURCE / "core", SOURCE / "protocol")

FILE_LINES = 400
FUNCTION_LINES = 40
NESTING = 3

BANNED_WORDS = {
    "manager",
    "handler",
    "helper",
    "util",
    "utils",
    "common",
    "base",
    "service",
    "processor",
    "data",
    "info",
}
BANNED_STARTS = ("do_", "process_", "get_")
ASKS = {"get", "post", "put", "patch", "delete", "request", "stream", "Client", "AsyncClient"}
NAMES_OF_OTHERS = {
    "base_url",  # the key of the configuration file and of every SDK
    "data_received",  # asyncio calls a protocol so
    "models.data",  # the key of every list of the API
    "wire.data",  # asyncio names what it received so
    "server.data",  # the same
    "framing._data",  # the field of a server-sent event
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
NESTS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
WAITS = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)

SILENCED = re.compile(r"\bnoqa\b|\b(?:type|pyright|mypy): ?ignore\b|\bpragma: no (?:cover|branch)\b")
SILENCED_WITH_REASON = re.compile(
    r"(?:noqa: [A-Z0-9, ]*[0-9]|(?:type|pyright): ?ignore\[[\w, -]+\]|pragma: no (?:cover|branch)) *[-#—:] *\w.{4,}"
)

# In pieces, so that this file does not find itself.
FOREIGN_ADDRESSES = [
    "pypi" + ".org",
    "python" + "hosted",
    "npm" + "js.",
    "debian" + ".org",
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/opt/" + "pypi",
    "/home/" + "user",
    ".library" + "/",
]


@cache
def tree(file: Path) -> ast.Module:
    """Parse a file once for all rules."""
    return ast.parse(file.read_bytes())


@cache
def python_files(*folders: str) -> list[Path]:
    """All Python files of these folders of the repository, in order."""
    return sorted(
        file for folder in folders for file in (ROOT / folder).rglob("*.py") if "node_modules" not in file.parts
    )


def functions(file: Path) -> Iterator[Function]:
    """All functions of a file, methods and nested ones included."""
    return (node for node in ast.walk(tree(file)) if isinstance(node, Function))


def at(file: Path, line: int, what: str) -> str:
    """Write one finding."""
    return f"{file.relative_to(ROOT)}:{line}: {what}"


def expect_none(findings: list[str]) -> None:
    """Fail with all findings, and nothing around them."""
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def tracked_files() -> list[Path]:
    """What git tracks; in an unpacked archive, what the project's own folders hold."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    folders = ("src", "tests", "docs", "benchmarks", "examples", "requirements", "scripts")
    return [*ROOT.glob("*"), *(file for folder in folders for file in (ROOT / folder).rglob("*"))]


def test_the_pure_floors_wait_for_nothing() -> None:
    """Core and protocol hold neither ``async`` nor ``await``."""
    waits = [
        at(file, getattr(node, "lineno", 1), type(node).__name__)  # a foreign type: ast declares it on the subclasses
        for folder in PURE
        for file in sorted(folder.rglob("*.py"))
        for node in ast.walk(tree(file))
        if isinstance(node, WAITS) or (isinstance(node, ast.comprehension) and node.is_async)
    ]
    expect_none(waits)


@cache
def event_classes() -> set[str]:
    """The names of all classes that descend from ``Event``."""
    classes = [node for node in tree(SOURCE / "protocol" / "events.py").body if isinstance(node, ast.ClassDef)]
    names = {"Event"}
    for node in classes:  # parents stand above their children
        if any(isinstance(parent, ast.Name) and parent.id in names for parent in node.bases):
            names.add(node.name)
    return names


@cache
def event_names(file: Path) -> set[str]:
    """What a file calls the events that it imports, as ``TextDelta`` or as ``events.TextDelta``."""
    names: set[str] = set()
    for node in ast.walk(tree(file)):
        match node:
            case ast.ImportFrom(module="antiphon.protocol.events", names=aliases):
                names |= {alias.asname or alias.name for alias in aliases if alias.name in event_classes()}
            case ast.ImportFrom(module="antiphon.protocol", names=aliases):
                modules = [alias.asname or alias.name for alias in aliases if alias.name == "events"]
                names |= {f"{module}.{name}" for module in modules for name in event_classes()}
            case _:
                pass
    return names


def test_events_are_made_in_the_core_alone() -> None:
    """No file outside ``core`` constructs an event, whatever it calls the class."""
    made = [
        at(file, node.lineno, ast.unparse(node.func))
        for file in python_files("src")
        if SOURCE / "core" not in file.parents
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in event_names(file)
    ]
    expect_none(made)


def test_no_source_file_is_longer_than_400_lines() -> None:
    """A file is one noun or one verb; a long one holds two."""
    long = [
        at(file, lines, f"{lines} lines")
        for file in python_files("src")
        if (lines := len(file.read_text().splitlines())) > FILE_LINES
    ]
    expect_none(long)


def length(function: Function) -> int:
    """Lines of a function from ``def`` to its end, without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_no_function_is_longer_than_40_lines() -> None:
    """A function that needs scrolling does two things."""
    long = [
        at(file, function.lineno, f"{function.name}: {length(function)} lines")
        for file in python_files("src")
        for function in functions(file)
        if length(function) > FUNCTION_LINES
    ]
    expect_none(long)


def depth(node: ast.AST, level: int = 0) -> int:
    """The deepest nesting below a node; an ``elif`` is on the level of its ``if``, a nested function starts anew."""
    deepest = level
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and [child] == node.orelse
        deeper = isinstance(child, NESTS) and not is_elif
        deepest = max(deepest, depth(child, level + deeper))
    return deepest


def test_no_function_nests_deeper_than_three() -> None:
    """Three levels of ``if``, ``for``, ``while``, ``with``, ``try`` and ``match`` are enough."""
    deep = [
        at(file, function.lineno, f"{function.name}: {depth(function)} levels")
        for file in python_files("src")
        for function in functions(file)
        if depth(function) > NESTING
    ]
    expect_none(deep)


def kinds(annotation: ast.expr | None) -> list[str]:
    """The members of a union, without those that say that there is none."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*kinds(left), *kinds(right)]
        case ast.Subscript(value=ast.Name("Union"), slice=ast.Tuple(members)):
            return [kind for member in members for kind in kinds(member)]
        case None | ast.Constant(None) | ast.Name("UnsetType"):
            return []
        case _:
            return [ast.unparse(annotation)]


def test_no_function_returns_two_kinds_of_thing() -> None:
    """A caller that must ask what it got was given two functions in one; ``X | None`` says that there may be none."""
    undecided = [
        at(file, function.lineno, f"{function.name} -> {ast.unparse(function.returns)}")
        for file in python_files("src")
        for function in functions(file)
        if function.returns and len(kinds(function.returns)) > 1
    ]
    expect_none(undecided)


def tokens(file: Path) -> Iterator[tokenize.TokenInfo]:
    """The tokens of a file."""
    return tokenize.tokenize(io.BytesIO(file.read_bytes()).readline)


def test_a_silenced_check_says_why() -> None:
    """A ``noqa``, ``type: ignore`` or ``pragma: no cover`` names its rule and gives its reason on its own line."""
    bare = [
        at(file, token.start[0], token.string)
        for file in python_files("src", "tests", "benchmarks", "examples", "scripts")
        for token in tokens(file)
        if token.type == tokenize.COMMENT
        and SILENCED.search(token.string)
        and not SILENCED_WITH_REASON.search(token.string)
    ]
    expect_none(bare)


def untyped(file: Path) -> Iterator[int]:
    """The lines on which a file says ``Any`` or casts, imports apart."""
    for node in ast.walk(tree(file)):
        match node:
            case ast.Name(id="Any") | ast.Call(func=ast.Name(id="cast")):
                yield node.lineno
            case ast.Attribute(value=ast.Name(id="typing"), attr="Any" | "cast"):
                yield node.lineno
            case _:
                pass


def test_any_and_cast_say_why() -> None:
    """A hole in the types of the product has its reason on the same line; that of a test may stand at its import."""
    bare = [
        at(file, line, "Any or cast")
        for file in python_files("src", "tests", "benchmarks")
        if file in python_files("src") or not told(file).intersection(imported(file))
        for line in sorted(set(untyped(file)) - told(file))
    ]
    expect_none(bare)


@cache
def told(file: Path) -> set[int]:
    """The lines with a comment."""
    return {token.start[0] for token in tokens(file) if token.string[:1] == "#"}


def imported(file: Path) -> Iterator[int]:
    """The lines that import ``Any`` or ``cast``."""
    for node in ast.walk(tree(file)):
        match node:
            case ast.ImportFrom(module="typing", names=names) if {"Any", "cast"} & {name.name for name in names}:
                yield node.lineno
            case _:
                pass


def defined(file: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file gives: to functions, classes, arguments, variables and attributes."""
    for node in ast.walk(tree(file)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case _:
                pass


def mirrors_a_wire(file: Path) -> bool:
    """Whether a file declares structs whose names the API, or an upstream, has chosen."""
    return SOURCE / "protocol" in file.parents or file.stem == "shapes"


def is_banned(name: str) -> bool:
    """Whether a name holds a word that says nothing."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
    return snake.startswith(BANNED_STARTS) or bool(BANNED_WORDS & set(snake.split("_")))


def test_names_are_taken_from_the_glossary() -> None:
    """No name holds a word that fits anything; fields of the wire keep the names that the wire gives them."""
    vague = [
        at(file, line, name)
        for file in python_files("src")
        for line, name in sorted(defined(file))
        if is_banned(name) and not mirrors_a_wire(file) and not NAMES_OF_OTHERS & {name, f"{file.stem}.{name}"}
    ]
    vague += [at(file, 1, file.stem) for file in python_files("src") if is_banned(file.stem)]
    expect_none(vague)


def test_every_test_says_what_it_shows() -> None:
    """A test's docstring is one sentence that a stranger understands."""
    mute = [
        at(file, function.lineno, function.name)
        for file in python_files("tests")
        for function in functions(file)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    expect_none(mute)


def is_impatient(call: ast.Call, line: str) -> bool:
    """Whether a call waits by a client's own default, of five seconds, or by a number that nobody explains."""
    match call.func:
        case ast.Attribute(ast.Name("httpx" | "httpx2"), verb) if verb in ASKS:
            return all(keyword.arg != "timeout" for keyword in call.keywords)
        case ast.Attribute(ast.Name("anyio"), "fail_after"):
            return isinstance(call.args[0], ast.Constant) and "#" not in line
        case _:
            return False


def test_tests_wait_until_it_is_certain_that_something_hangs() -> None:
    """`tests.patient` says how long that is; whoever tests time itself says so on the line."""
    impatient = [
        at(file, node.lineno, "wait for HANG_SECONDS, or ask by tests.patient")
        for file in python_files("tests")
        if (lines := file.read_text().splitlines())
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and is_impatient(node, lines[node.lineno - 1])
    ]
    expect_none(impatient)


def test_tests_stand_outside_of_classes() -> None:
    """What tests share is a fixture."""
    classes = [
        at(file, node.lineno, node.name)
        for file in python_files("tests")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    expect_none(classes)


def opening_faults(file: Path) -> list[str]:
    """What is missing at the top of a module."""
    body = tree(file).body
    faults = [] if ast.get_docstring(tree(file)) else ["no docstring"]
    future = [node for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if len(body) > 1 and "annotations" not in {alias.name for node in future for alias in node.names}:
        faults.append("no `from __future__ import annotations`")
    return faults


def test_every_module_opens_with_what_it_is_for() -> None:
    """A module has a docstring, and its annotations are not evaluated while it is imported."""
    faults = [
        at(file, 1, fault)
        for file in python_files("src", "tests", "benchmarks", "examples", "scripts")
        if file.stat().st_size or SOURCE in file.parents  # the mark of a test folder may be empty
        for fault in opening_faults(file)
    ]
    expect_none(faults)


def test_no_file_names_a_registry_or_a_machine() -> None:
    """A clone builds anywhere: no tracked text holds a package registry's host or a path of one machine."""
    found = [
        at(file, number, needle)
        for file in tracked_files()
        if file.is_file() and b"\0" not in (raw := file.read_bytes())
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1)
        for needle in FOREIGN_ADDRESSES
        if needle in line
    ]
    expect_none(found)


def named(requirement: str) -> str:
    """The name of a requirement, as locks spell it."""
    return re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_every_dependency_is_in_its_lock() -> None:
    """What pyproject.toml asks for is pinned with hashes: `make lock` was run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    asked = {"runtime": [*project["project"]["dependencies"], *groups.pop("build")], **groups}
    missing = [
        f"{requirement} in requirements/{lock}.txt"
        for lock, requirements in asked.items()
        for requirement in requirements
        if f"\n{named(requirement)}==" not in "\n" + (ROOT / "requirements" / f"{lock}.txt").read_text()
    ]
    expect_none(missing)
