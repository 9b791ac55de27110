"""The program that reads files: jobs come in on stdin, reports go out on stdout, one after another.

``python -m antiphon.documents.child TERMS``: see `antiphon.documents.wire`. It ends with its parent, at the end of
stdin, after some idle time and after some jobs. It imports what its jobs need, when they need it.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from antiphon.documents import cage
from antiphon.documents.nouns import Picture, Unreadable
from antiphon.documents.wire import (
    LENGTH,
    LONGEST_JOB,
    CheckPicture,
    Describe,
    Described,
    Draw,
    Job,
    Judge,
    Outcome,
    ReadDocument,
    Redrawn,
    Refused,
    Report,
    Terms,
    Told,
    Unchanged,
    decode_errand,
    framed,
)

if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from types import TracebackType

PIPE_BYTES = 1024 * 1024
COLLECTED_AFTER = 200_000
"""Objects, instead of hundreds: a large document is all live, and looking through it doubled the time it takes."""
FAULT = 300
FIRST = 3
MOST_DESCRIPTORS = 1 << 20
TOO_LARGE = "The file takes more memory than there is for one."


def main(carry_out: Callable[[Job, list[bytes]], Outcome] | None = None) -> None:
    """Do jobs as the terms in the first argument say, each by ``carry_out``."""
    terms = msgspec.json.decode(sys.argv[1], type=Terms)
    jobs, reports = _doors()
    cage.enclose(parent=terms.parent)
    gc.set_threshold(COLLECTED_AFTER, 10, 10)
    with open(jobs, "rb") as files, open(reports, "wb") as answers:  # noqa: PTH123 - descriptors
        serve(files, answers, terms, carry_out or perform)


def serve(
    jobs: io.BufferedReader, reports: io.BufferedWriter, terms: Terms, carry_out: Callable[[Job, list[bytes]], Outcome]
) -> None:
    """Do jobs until their stream ends, none comes for a while, or it was enough."""
    for left in range(terms.most_jobs - 1, -1, -1):
        ready, _, _ = select.select([jobs], [], [], terms.idle_seconds)
        if not ready:
            return
        try:
            errand = decode_errand(_read(jobs, _length(jobs)))
            contents = [_read(jobs, size) for size in errand.sizes]
        except EOFError:
            return
        cage.confine(memory=terms.memory_mib * cage.MIB, seconds=2 * terms.seconds)  # two threads, at most
        frame, is_fit = _report(errand.number, errand.job, contents, carry_out, is_last=left == 0)
        del contents
        reports.write(frame)
        reports.flush()
        if not is_fit:
            return
        cage.release()


def perform(job: Job, contents: list[bytes]) -> Outcome:
    """Do a job. Raises `Unreadable`, and whatever a parser raises."""
    match job:
        case CheckPicture(side):
            from antiphon.documents import pictures  # noqa: PLC0415 - a child imports what its job needs

            return _shown(pictures.picture(contents[0], side=side), contents[0])
        case ReadDocument():
            from antiphon.documents import reading  # noqa: PLC0415 - as above

            return Told(reading.document(contents[0], job))
        case Describe():
            from antiphon.documents import describing  # noqa: PLC0415 - as above

            return Described(describing.description(contents[0]))
        case Draw():
            return Redrawn(_drawn(job, list(contents)))
        case Judge():
            raise Unreadable("unsupported", "Grammars are judged by children of another kind.")


def _shown(picture: Picture, content: bytes) -> Outcome:
    if picture.content is content:
        return Unchanged(picture.media_type, picture.width, picture.height)
    return Redrawn(picture)


def _drawn(job: Draw, contents: list[bytes]) -> Picture:
    from antiphon.documents.sketches import SketchOrder, sketch  # noqa: PLC0415 - a child imports what its job needs

    order = msgspec.msgpack.decode(job.order, type=SketchOrder)
    under = contents.pop(0) if job.has_under else None
    mask = contents.pop(0) if job.has_mask else None
    try:
        content = sketch(order, under, mask)
    except ValueError as error:
        raise Unreadable("broken", str(error)) from error
    return Picture(content, f"image/{order.format}", order.width, order.height)


def _report(
    number: int, job: Job, contents: list[bytes], carry_out: Callable[[Job, list[bytes]], Outcome], *, is_last: bool
) -> tuple[bytes, bool]:
    """The frame that tells what came of a job, and whether another may come."""
    is_fit = not is_last
    outcome: Outcome
    try:
        return framed(Report(number, is_fit, carry_out(job, contents))), is_fit
    except Unreadable as error:
        outcome = Refused(error.reason, str(error))
    except MemoryError:
        is_fit = False  # what is left of its memory is no start for another
        outcome = Refused("image_too_large" if isinstance(job, CheckPicture | Describe) else "too_large", TOO_LARGE)
    except Exception as error:  # noqa: BLE001 - parsers of foreign formats raise anything where a file is hostile
        outcome = _broken(job, error)
    return framed(Report(number, is_fit, outcome)), is_fit


def _broken(job: Job, error: Exception) -> Refused:
    if isinstance(job, CheckPicture | Describe):
        return Refused("image_parse_error", "The image cannot be read: it is damaged.", fault(error))
    return Refused("broken", "The file cannot be read: it is damaged.", fault(error))


def fault(error: Exception) -> str:
    """Where an error came up, without its words, which may hold what the file says."""
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = "" if last is None else f" at {last.tb_frame.f_globals.get('__name__', '')}:{last.tb_lineno}"
    return f"{type(error).__name__}{place}"[:FAULT]


def _doors() -> tuple[int, int]:
    """The descriptors of jobs and reports. Those that libraries write to, 0, 1 and 2, lead nowhere."""
    jobs, reports = os.dup2(0, FIRST), os.dup2(1, FIRST + 1)
    os.closerange(FIRST + 2, MOST_DESCRIPTORS)  # a loop may hand on the sockets of a server
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    for pipe in (jobs, reports):
        with suppress(AttributeError, OSError):  # not of Linux, or no pipe
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return jobs, reports


def _length(jobs: io.BufferedReader) -> int:
    (length,) = LENGTH.unpack(_read(jobs, LENGTH.size))
    if length > LONGEST_JOB:
        raise EOFError
    return int(length)


def _read(jobs: io.BufferedReader, size: int) -> bytes:
    """Exactly so many bytes. Raises `EOFError` where the stream ends before."""
    content = jobs.read(size)
    if len(content) < size:
        raise EOFError
    return content


if __name__ == "__main__":
    main()
