"""What a person sees in the terminal while the model works: each step, why it is made, and how long it took."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from openai.types.responses.response_computer_tool_call import PendingSafetyCheck


class View:
    """The terminal. What models and pages say is shown as it is, and never as anything that the terminal obeys."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._began = monotonic()
        self._turns = 0

    def task(self, text: str, url: str) -> None:
        """What is to be done, and where it begins."""
        self._console.print(
            Panel(_plain(text), title="task", title_align="left", subtitle=_plain(url), border_style="cyan")
        )

    @contextmanager
    def thinking(self) -> Generator[None]:
        """The model looks at the screen; meanwhile a clock runs."""
        self._turns += 1
        columns = (SpinnerColumn(), TextColumn("turn {task.fields[turn]}: the model looks"), TimeElapsedColumn())
        before = monotonic()
        is_still = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=is_still) as progress:
            progress.add_task("", turn=self._turns)
            yield
        now = monotonic()
        took = f"turn {self._turns}, {now - before:.1f} s, {now - self._began:.0f} s in all"
        self._console.rule(Text(took, "dim"), style="dim", align="left")

    def thought(self, text: str) -> None:
        """The summary of what the model thought."""
        self._console.print(_plain(text, "italic dim"))

    def step(self, text: str) -> None:
        """What the model wants to be done."""
        self._console.print(Text("> ", "green"), _plain(text), sep="")

    def note(self, text: str) -> None:
        """What a person should know besides."""
        self._console.print(Text("! ", "bold yellow"), _plain(text, "yellow"), sep="")

    def allows(self, checks: Sequence[PendingSafetyCheck], url: str) -> bool:
        """Show why a person is asked, and on which page; give whether that person says yes."""
        for check in checks:
            title, page = _plain(check.code or "check"), _plain(url)
            panel = Panel(
                _plain(check.message or ""), title=title, title_align="left", subtitle=page, border_style="red"
            )
            self._console.print(panel)
        try:
            answer = self._console.input("Go on? [bold](y/N)[/bold] ")
        except EOFError:  # nobody is there
            answer = ""
        return answer.strip().lower() in {"y", "yes"}

    def said(self, text: str) -> None:
        """What the model says in the end."""
        self._console.print(Panel(_plain(text), title="answer", title_align="left", border_style="green"))

    def stopped(self, why: str) -> None:
        """Why it ends without an answer."""
        self._console.print(Text("Stopped: ", "bold red"), _plain(why), sep="")


def _plain(text: str, style: str = "") -> Text:
    """A text without what would move the cursor or change colours."""
    return Text("".join(letter for letter in text if letter.isprintable() or letter == "\n"), style)
