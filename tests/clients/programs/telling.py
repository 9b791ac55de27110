"""What every program in Python shares: where the server is, what it is shown, and how it tells how each run went."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Json: TypeAlias = Any  # what clients give is of types that are installed for one program alone

URL = os.environ.get("ANTIPHON_URL", "")
KEY = os.environ.get("ANTIPHON_KEY", "")
MCP_URL = os.environ.get("ANTIPHON_MCP_URL", "")
SECONDS = 30.0
"""After so many seconds a client gives up."""

WORD = "umbrellas"
"""What stands in the PDF, and nowhere else."""

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
"""A picture, in base64."""

ANSWER = "You said: Name one river in France."
"""What the model answers to what every snippet asks."""

WEATHER_CALL = 'call get_weather {"city":"Paris"}\nthen\nsay It is {outputs}.'
ADD_CALL = 'call library__add {"a":2,"b":3}\nthen\nsay {outputs}'
THINK = "think Two and two.\nsay Four."
THINK_AND_CALL = 'think Two and two.\ncall get_weather {"city":"Paris"}\nthen\nsay {thoughts}'
PERSON = 'say {"name":"{format}","age":36}'

_ID = re.compile(r"\b(resp|msg|req|rs|fc|call|conv|mcp[lr]?|file|ctc)_[\w-]{8,}|https?://[\w.]+:\d+|0x[0-9a-f]+")
_LONGEST = 200


class Absent(Exception):
    """The client has no such thing; the message says what it lacks."""


def pdf() -> bytes:
    """A page with `WORD` on it."""
    words = f"BT /F1 24 Tf 72 720 Td (In April we sold 42 {WORD}.) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(words), words),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    written, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj%b\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 6\n0000000000 65535 f \n%btrailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return written + end % (table, len(written))


def same(expected: Json, actual: Json) -> None:
    """Fail with both, where they differ."""
    if expected != actual:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def needs(there: bool, what: str) -> None:  # noqa: FBT001 - it reads as a sentence: needs(hasattr(...), "...")
    """Say that the client has no such thing, where it has not."""
    if not there:
        raise Absent(what)


def tell(version: str, runs: Sequence[Callable[[], object]], absent: Mapping[str, str]) -> None:
    """Run every feature, each named as its function, and print a line of JSON each.

    A run that returns a text has a condition to tell. What the run of ``text`` prints must be `ANSWER`: it is what the
    documentation shows. ``absent`` are the features that the client does not have, and what it lacks; a run may find
    out too, and raise `Absent`.
    """
    _line(version=version)
    with asyncio.Runner() as loop:  # one for all, as clients keep connections
        for run in runs:
            ok, note = _outcome(run, loop)
            _line(feature=run.__name__, ok=ok, note=note)
    for name, reason in absent.items():
        _line(feature=name, ok=None, note=reason)


def _line(**told: Json) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _outcome(run: Callable[[], object], loop: asyncio.Runner) -> tuple[bool | None, str]:
    try:
        with redirect_stdout(StringIO()) as heard:
            note = loop.run(run()) if inspect.iscoroutinefunction(run) else run()
        if run.__name__ == "text":
            same(ANSWER, heard.getvalue().strip())
    except Absent as lack:
        return None, str(lack)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is why this cell says no
        return False, plain(f"{type(error).__name__}: {error}")
    return True, str(note or "")


def plain(words: str) -> str:
    """An error in one short line, the same in every run: without ids and addresses."""
    return _ID.sub("...", " ".join(words.split()))[:_LONGEST]
