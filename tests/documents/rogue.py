"""A child as any other, but for files that tell it how to misbehave. What confines it is what confines all."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from antiphon.documents import child
from antiphon.documents.wire import Described, Report, Unchanged, framed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from antiphon.documents.wire import Job, Outcome


def carry_out(job: Job, contents: list[bytes]) -> Outcome:
    """Do as the file says, or what is asked."""
    verb, _, rest = (contents or [b""])[0].partition(b":")
    if verb == b"astray":
        return Unchanged("image/png", 1, 1) if type(job).__name__ != "CheckPicture" else Described("x")
    if verb in MISDEEDS:
        return Described(MISDEEDS[verb](rest))
    return child.perform(job, contents)


def hang(gate: bytes) -> str:
    """Say so, and do nothing for ever."""
    write(gate)
    threading.Event().wait()
    return "never"


def spin(_: bytes) -> str:
    """Work for ever."""
    return str(sum(1 for _ in itertools.count()))


def eat(_: bytes) -> str:
    """Take all memory there is."""
    return str(len([bytearray(1 << 20) for _ in itertools.count()]))


def die(_: bytes) -> str:
    """End at once."""
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def once(path: bytes) -> str:
    """End at once, but not where that was done before."""
    try:
        Path(os.fsdecode(path)).touch(exist_ok=False)
    except FileExistsError:
        return "survived"
    return die(b"")


def fade(path: bytes) -> str:
    """End at once, and hang where that was done before; the file that tells is beside the gate."""
    once(path + b".died")
    return hang(path)


def flood(filth: bytes) -> str:
    """Write for ever."""
    while True:
        say(filth * 65536)


def foreign(_: bytes) -> str:
    """Answer a job that nobody gave."""
    say(framed(Report(10**6, is_fit=True, outcome=Described("of another"))))
    return "late"


def stray(number: bytes) -> str:
    """Answer twice."""
    say(framed(Report(int(number), is_fit=True, outcome=Described("x"))) * 2)
    threading.Event().wait()
    return "never"


def fall(_: bytes) -> str:
    """Break as a parser does."""
    raise KeyError("a secret of the file")


def write(path: bytes) -> str:
    """Write a file."""
    Path(os.fsdecode(path)).write_bytes(b"x" * 10)
    return "written"


def see(_: bytes) -> str:
    """Tell of its surroundings."""
    limits = {name: getattr(resource, f"RLIMIT_{name}") for name in ("CORE", "FSIZE", "NOFILE", "CPU", "AS")}
    seen = {
        "environment": sorted(os.environ),
        "open": list(links()),
        "limits": {name: resource.getrlimit(number)[0] for name, number in limits.items()},
        "leads": os.getsid(0) == os.getpid(),
        "standard": [str(Path(f"/proc/self/fd/{name}").readlink()) for name in range(3)],
        "pid": os.getpid(),
    }
    return msgspec.json.encode(seen).decode()


def links() -> Iterator[str]:
    """What the open descriptors lead to."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            yield str(descriptor.readlink())


def say(words: bytes) -> None:
    """Write where reports go."""
    while words:
        words = words[os.write(child.FIRST + 1, words) :]


MISDEEDS: dict[bytes, Callable[[bytes], str]] = {
    misdeed.__name__.encode(): misdeed
    for misdeed in (hang, spin, eat, die, once, fade, flood, foreign, stray, fall, write, see)
}

if __name__ == "__main__":
    child.main(carry_out)
