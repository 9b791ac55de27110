"""Show how far a fetch is on stderr: a bar on a terminal, a line every tenth elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from antiphon.backends.llama.fetching import Watch


@contextmanager
def bar(title: str, console: Console | None = None) -> Generator[Watch]:
    """Yield a watch for `fetch` that draws on the console, stderr if None."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lines(title, lambda line: print(line, file=console.file, flush=True))
        return
    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield lambda arrived, whole: progress.update(task, completed=arrived, total=whole)


def lines(title: str, say: Callable[[str], None]) -> Watch:
    """Return a watch that says a line at every tenth of the way, each once."""
    said = -1

    def watch(arrived: int, whole: int) -> None:
        nonlocal said
        if (tenth := arrived * 10 // whole) > said:
            said = tenth
            say(f"{title}: {arrived >> 20} of {whole >> 20} MiB")

    return watch
