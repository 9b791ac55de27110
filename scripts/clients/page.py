"""The page itself: the table, and a section for each client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.clients import CLIENTS, FEATURES
from scripts.clients.snippets import block

if TYPE_CHECKING:
    from scripts.clients import Cell, Client, Results, Row

HEAD = """\
<!-- Written from runs by `python -m scripts.clients`: do not edit. -->

# Clients, and what each can do here

Every cell is what a run gave: each client does each thing against a running server, over the wire, and
`tests/test_clients_page.py` fails where this page says anything else. Behind the server stands a model that does what
it is told, over chat completions, so what is tried is the client and the server.

**yes**: it works. **yes\\***: it works, with the condition that the client's section names. **no**: it does not, and
the section says why. **-**: the client has no such thing. How to connect: [base URLs and keys](how-to/clients.md).
"""


def page(results: Results) -> str:
    """The whole page."""
    parts = [HEAD, _table(results), _meanings()]
    parts += [_section(client, results[client.id]) for client in CLIENTS]
    return "\n".join(parts)


def _table(results: Results) -> str:
    titles = [f"[{client.title}](#{_anchor(client, results[client.id])})" for client in CLIENTS]
    lines = ["| |" + "".join(f" {title} |" for title in titles), "| --- |" + " --- |" * len(CLIENTS)]
    for feature in FEATURES:
        cells = [_word(results[client.id].features[feature.id]) for client in CLIENTS]
        lines.append(f"| {feature.title} |" + "".join(f" {cell} |" for cell in cells))
    return "\n".join(lines) + "\n"


def _word(cell: Cell) -> str:
    match cell.ok:
        case True:
            return "yes\\*" if cell.note else "yes"
        case False:
            return "no"
        case None:
            return "-"


def _meanings() -> str:
    lines = [f"- **{feature.title}**: {feature.meaning}" for feature in FEATURES]
    return "\n".join(["## What was tried", "", *lines, ""])


def _heading(client: Client, row: Row) -> str:
    return f"{client.title.rstrip(' 0123456789')} {row.version}"


def _anchor(client: Client, row: Row) -> str:
    letters = _heading(client, row).lower().replace(" ", "-")
    return "".join(letter for letter in letters if letter.isalnum() or letter in "-_")


def _section(client: Client, row: Row) -> str:
    blocks = [block(client.program, name) for name in client.snippets] or [f"{_alike(client)}\n"]
    notes = [line for feature in FEATURES for line in _note(feature.title, row.features[feature.id])]
    return "\n".join([f"## {_heading(client, row)}\n", *blocks, *([*notes, ""] if notes else [])])


def _alike(client: Client) -> str:
    shown = next(each for each in CLIENTS if each.program == client.program and each.snippets)
    return f"As {shown.title} above."


def _note(title: str, cell: Cell) -> list[str]:
    if not cell.note:
        return []
    told = f"`{cell.note.replace('`', '')}`" if cell.ok is False else cell.note
    return [f"- {title} ({_word(cell)}): {told}"]
