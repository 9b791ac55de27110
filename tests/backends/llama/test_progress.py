"""How far a fetch is."""

from __future__ import annotations

import io

from rich.console import Console

from antiphon.backends.llama.progress import bar, lines

MIB = 1 << 20


def test_a_line_is_said_at_every_tenth_once() -> None:
    """A log does not fill with progress."""
    said: list[str] = []
    watch = lines("x", said.append)
    for arrived in range(0, 100 * MIB + 1, MIB):
        watch(arrived, 100 * MIB)
    assert said == [f"x: {tenth} of 100 MiB" for tenth in range(0, 101, 10)]


def test_a_pipe_gets_lines() -> None:
    """No control characters where nobody looks."""
    out = io.StringIO()
    with bar("x", Console(file=out)) as watch:
        watch(MIB, 2 * MIB)
    assert out.getvalue() == "x: 1 of 2 MiB\n"


def test_a_terminal_gets_a_bar() -> None:
    """Drawn by rich, with the size and the speed."""
    out = io.StringIO()
    with bar("tiny", Console(file=out, force_terminal=True, width=100)) as watch:
        watch(MIB, 2 * MIB)
    assert "tiny" in out.getvalue()
    assert "1.0/2.1 MB" in out.getvalue()
