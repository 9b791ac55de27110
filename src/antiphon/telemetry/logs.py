"""Logs: one JSON object a line on stderr. ``action`` is the stable key; what callers said and keys are never logged.

The one exception is ``[logs] content``, by which an operator asks for what was said. Every line of a request bears its
id (``request``) and the ``tenant``, wherever it is written: see `antiphon.telemetry.trail`.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import msgspec

from antiphon.telemetry import trail

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class JsonFormatter(logging.Formatter):
    """A record as JSON: when (unix seconds), how bad, what, for whose request, and whatever ``extra`` was given."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {  # what a log call adds is open
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        work = trail.current()
        if work.request:
            line["request"] = work.request
        if work.client_request:
            line["client_request"] = work.client_request
        if work.tenant:
            line["tenant"] = work.tenant
        if work.span is not None:
            line["trace"] = work.span.traceparent[3:35]
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _text(line)


def _text(line: dict[str, Any]) -> str:  # as above
    try:
        return _encode(line).decode()
    except UnicodeEncodeError:  # half a character, as the name of a file or a model's word may have it
        text = json.dumps(line, default=str, skipkeys=True, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace").decode()


def log_to_stderr(level: str) -> None:
    """Send the logs of this process to stderr from ``level`` (``debug``, ``info``, ...) on."""
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[stderr], force=True)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line tells of them
    logging.captureWarnings(capture=True)  # or they would be lines that are no JSON
    for chatty in ("asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
