"""What a child takes from itself, each in a process of its own."""

from __future__ import annotations

import pytest

from tests.documents.crews import run

OPENING = "import os, resource as r; from antiphon.documents import cage; cpu = r.getrlimit(r.RLIMIT_CPU); "


def printed(code: str) -> str:
    """What a confined process says. Files are bounded so that its coverage can be written."""
    return run("-c", OPENING + code).stdout.strip()


def test_limits_hold_for_good() -> None:
    """Soft and hard, and the process cannot be looked into."""
    code = (
        "cage.enclose(parent=os.getppid(), file_bytes=1 << 30); "
        "print(r.getrlimit(r.RLIMIT_CORE), r.getrlimit(r.RLIMIT_FSIZE), r.getrlimit(r.RLIMIT_NOFILE)); "
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith('NoNewPrivs')])"
    )
    assert f"(0, 0) ({1 << 30}, {1 << 30}) (64, 64)\n['1']" == printed(code)


def test_a_lower_limit_is_kept() -> None:
    """What the operator took is not given back."""
    code = (
        "r.setrlimit(r.RLIMIT_NOFILE, (32, 32)); r.setrlimit(r.RLIMIT_CPU, (50, 50)); "
        "cage.enclose(parent=os.getppid(), file_bytes=1 << 30); cage.confine(memory=1 << 30, seconds=100); "
        "print(r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CPU))"
    )
    assert "(32, 32) (50, 50)" == printed(code)


def test_a_process_whose_parent_is_gone_ends() -> None:
    """Before it does anything."""
    assert "" == printed("cage.enclose(parent=1, file_bytes=1 << 30); print('alive')")


def test_memory_is_bounded_for_a_job_and_given_back() -> None:
    """Beyond what is taken already; a library of our own moves the bound on."""
    code = """
cage.confine(memory=100 << 20, seconds=100)
try: bytearray(200 << 20); print('too much')
except MemoryError: print('bounded')
with cage.lifted():
    library = bytearray(200 << 20)
try: bytearray(150 << 20); print('too much')
except MemoryError: print('bounded')
print(len(bytearray(50 << 20)) >> 20)
cage.release()
print(len(bytearray(200 << 20)) >> 20, r.getrlimit(r.RLIMIT_CPU)[0] == cpu[1])
with cage.lifted():
    print('free')
"""
    assert ["bounded", "bounded", "50", "200 True", "free"] == run("-c", OPENING + code).stdout.split("\n")[:-1]


@pytest.mark.slow
def test_time_is_bounded_for_a_job() -> None:
    """Of the processor, beyond what was used."""
    done = run("-c", OPENING + "cage.confine(memory=1 << 30, seconds=1)\nwhile True: pass")
    assert done.returncode < 0
