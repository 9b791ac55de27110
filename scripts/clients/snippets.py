"""Snippets of the documentation, cut out of the programs that ran: the marked region and the imports that it needs."""

from __future__ import annotations

import ast
import re
import textwrap
from functools import cache

from scripts.clients import PROGRAMS

URL = "http://127.0.0.1:8080"
KEY = "any"
LANGUAGES = {".py": "python", ".mjs": "js"}

_REGION = re.compile(
    r"^[ ]*(?:#|//) The snippet (?P<name>[\w-]+) begins\.\n(?P<code>.*?)^[ ]*(?:#|//) The snippet ends\.$",
    re.MULTILINE | re.DOTALL,
)
_JS_IMPORT = re.compile(r"^import (?P<names>.*) from '(?P<module>[^']+)'; // shown$", re.MULTILINE)
_WORD = re.compile(r"\w+")


def block(program: str, name: str) -> str:
    """A region of a program as a block of Markdown, complete, for a server at its usual place.

    Raises ``LookupError`` where the program has no region of that name.
    """
    source = (PROGRAMS / program).read_text(encoding="utf-8")
    code = textwrap.dedent(_regions(source)[name])
    if 'wire_api = "' in code:
        return f"```toml\n{code.replace('{URL}', URL)}```\n"
    language = LANGUAGES[PROGRAMS.joinpath(program).suffix]
    imports = _python_imports(source, code) if language == "python" else _js_imports(source, code)
    whole = f"{imports}\n{_told(code)}"
    return f"```{language}\n{_spaced(whole) if language == 'python' else whole}```\n"


@cache
def _regions(source: str) -> dict[str, str]:
    return {found["name"]: found["code"] for found in _REGION.finditer(source)}


def _told(code: str) -> str:
    """The code as a user would write it: the address and the key as they are, and no marks for our own tools."""
    code = re.sub(r"  # noqa.*$", "", code, flags=re.MULTILINE)
    code = re.sub(r'f"\{URL\}([^"]*)"', rf'"{URL}\1"', code)
    code = re.sub(r"`\$\{URL\}([^`]*)`", rf"'{URL}\1'", code)
    quote = "'" if "const " in code else '"'
    code = re.sub(r"\bURL\b(?!:)", f"{quote}{URL}{quote}", code)
    return re.sub(r"\bKEY\b", f"{quote}{KEY}{quote}", code)


def _spaced(code: str) -> str:
    """Python with two empty lines around a function that stood within another."""
    code = re.sub(r"\n+(?=(?:async )?def )", "\n\n\n", code)
    return re.sub(r"(?<=\n)( +[^\n]*\n)\n(?=\S)", r"\1\n\n", code) if "\ndef " in code or "async def " in code else code


def _python_imports(source: str, code: str) -> str:
    """The imports that are marked as shown, with the names that the code uses."""
    lines, used, imports = source.splitlines(), set(_WORD.findall(code)), []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Import | ast.ImportFrom) or not re.search(r"# .*\bshown\b", lines[node.lineno - 1]):
            continue
        names = [alias.name for alias in node.names if alias.name in used]
        if names and isinstance(node, ast.Import):
            imports.append(f"import {', '.join(names)}\n")
        elif names and isinstance(node, ast.ImportFrom):
            imports.append(f"from {node.module} import {', '.join(names)}\n")
    return "".join(imports)


def _js_imports(source: str, code: str) -> str:
    used, imports = set(_WORD.findall(code)), []
    for found in _JS_IMPORT.finditer(source):
        whole, _, braced = found["names"].partition("{")
        default = [name for name in _WORD.findall(whole) if name in used]
        named = [name for name in _WORD.findall(braced) if name in used]
        names = ", ".join([*default, *([f"{{ {', '.join(named)} }}"] if named else [])])
        if names:
            imports.append(f"import {names} from '{found['module']}';\n")
    return "".join(imports)
