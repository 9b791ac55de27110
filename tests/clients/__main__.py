"""Run all clients, and keep what they could do for ``scripts.clients``: ``python -m tests.clients``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from scripts.clients import RESULTS
from tests.clients.running import run_all

with TemporaryDirectory(prefix="antiphon-") as folder:
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(run_all(Path(folder)))))
