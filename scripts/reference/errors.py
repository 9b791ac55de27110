"""The page of errors: each made as the server makes it, with sample values, and written down as a client sees it."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from antiphon import backends
from antiphon.backends import UpstreamError, UpstreamFault
from antiphon.http.faults import as_api_error
from antiphon.protocol import errors, file_faults, frames, limit_faults, picture_faults, refusals
from antiphon.protocol.errors import ApiError
from antiphon.protocol.limit_faults import Level
from scripts.reference.tables import MEANINGS, expect_same, table, written

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = (errors, refusals, frames, file_faults, picture_faults, limit_faults)
SOURCE = Path(backends.__file__).parent.parent
GENERIC = {"invalid_request", "azure_error", "server_error"}
SAMPLES: dict[str, object] = {
    "allowed": ["DELETE", "GET"],
    "expected": "a boolean",
    "first": "previous_response_id",
    "got": "a string",
    "id": "resp_1",
    "key": "sk-0123456789abcdef",
    "kind": "web_search",
    "label": "docs",
    "lacking": "background",
    "limit": 134_217_728,
    "message": "This server has no keys and answers only to the names of this machine.",
    "method": "PUT",
    "model": "m",
    "name": "gpt-9",
    "param": "tools",
    "path": "/v1/responses",
    "reason": "it has expired.",
    "retry_after": 2.0,
    "second": "conversation",
    "role": "Responses.Use",
    "seconds": 120,
    "sent": "text/plain",
    "status": 500,
    "subject": "the model behind this server",
    "supported": ["auto", "none"],
    "value": "often",
}
SPECIAL: dict[str, dict[str, object]] = {
    "file_not_found": {"id": "file-1"},
    "item_not_found": {"id": "rs_1"},
    "conversation_not_found": {"id": "conv_1"},
    "prompt_not_found": {"id": "pmpt_1"},
    "invalid_encrypted_content": {"id": "cmp_1"},
    "no_call_for_output": {"call_id": "call_1", "kind": "function"},
    "no_output_for_call": {"call_id": "call_1", "kind": "function"},
    "missing_parameter": {"param": "id"},
    "old_api_version": {"first": "2025-03-01-preview"},
    "no_fitting_model": {"name": "model-router"},
    "unknown_parameter": {"param": "colour"},
    "invalid_type": {"param": "stream"},
    "invalid_value": {"param": "tool_choice"},
    "server_error": {},
    "conversation_item_not_found": {"id": "msg_1"},
    "no_following_item": {"id": "rs_1"},
    "unacknowledged": {"ids": ["cu_sc_1"]},
    "unsupported_parameter": {"param": "reasoning.effort"},
    "unsupported_value": {"param": "reasoning.effort", "value": "xhigh", "supported": ["low", "medium", "high"]},
    "life_over": {"seconds": 3600.0},
    "expects_form": {"sent": "application/json"},
    "malformed_form": {"reason": "its parts cannot be told apart"},
    "several_files": {"field": "file"},
    "field_too_long": {"limit": 65_536},
    "unknown_purpose": {"purpose": "fun"},
    "not_for_vision": {"media_type": "application/pdf", "supported": ["png", "jpeg", "webp", "gif"]},
    "no_such_cursor": {"after": "file-1"},
    "range_not_satisfiable": {"size": 1000},
    "upload_not_found": {"id": "upload_1"},
    "upload_closed": {"id": "upload_1", "status": "completed"},
    "upload_full": {"id": "upload_1"},
    "upload_too_large": {"size": 9_000_000_000, "limit": 8_589_934_592},
    "unknown_part": {"id": "part_1"},
    "repeated_part": {"id": "part_1"},
    "wrong_size": {"announced": 1000, "got": 900},
    "no_such_picture": {"id": "file-1"},
    "no_such_drawing": {"id": "ig_1"},
    "file_too_large": {"name": "report.pdf", "limit": 52_428_800},
    "too_many_shown": {"most": 500},
    "too_much_shown": {"most": 104_857_600},
    "nothing_to_edit": {"param": "tools[0].action"},
    "rate_exceeded": {
        "what": "requests",
        "subject": "gpt-4o",
        "level": Level(limit=600, remaining=0, reset=61.0),
        "requested": 1,
        "wait": 2.4,
        "levels": {},
    },
    "request_too_large": {"subject": "gpt-4o", "limit": 100_000, "requested": 200_000},
    "too_many_at_once": {"subject": "gpt-4o", "what": "concurrent responses", "limit": 32, "wait": 1.0},
    "storage_full": {"limit_mib": 10_240},
    "overloaded": {"wait": 1.0},
    "image_deployment_not_found": {"name": "gpt-image-9", "param": None},
}
CASES: dict[str, dict[str, dict[str, object]]] = {
    "picture_refused": {
        "not_an_image": {"message": "The file is not a PNG, JPEG, WebP or GIF image."},
        "image_too_large": {
            "message": "The image is too large: at most 50 megapixels, and 16384 pixels along an edge."
        },
        "image_parse_error": {"message": "The image cannot be read: it is damaged or cut off."},
        "empty": {"message": "The image is empty."},
        "timeout": {"message": "The file cannot be read: it took too long."},
        "busy": {"message": "The server has too many files to read. Please try again."},
    },
    "document_refused": {
        "unsupported": {"message": "The file is of an old Office format: save it as docx, pptx or xlsx."},
        "too_large": {"message": "The file holds more than 8000000 characters of text."},
        "encrypted": {"message": "The document is encrypted: it opens with a password alone."},
        "busy": {"message": "The server has too many files to read. Please try again."},
    },
    "not_downloaded": {
        "an image": {"is_picture": True, "message": "The server of the URL answered with status 404."},
        "a file": {"is_picture": False, "message": "The server of the URL answered with status 404."},
    },
}
"""Errors whose code is one of several: a case each, named as in ``meanings.toml`` behind a colon."""


def page() -> str:
    """Every error that this version sends."""
    makers = [maker for maker in all_makers() if is_used(maker.__name__)]
    found = {name: error for maker in makers for name, error in made(maker).items()}
    expect_same("the errors", found, MEANINGS.errors)
    rows = [row(error, MEANINGS.errors[name]) for name, error in found.items()]
    return written(
        "errors",
        errors=table(["status", "code", "when", "message, for example", "below `/openai`"], rows),
        faults=table(["what happened", "status", "code"], map(fault_row, get_args(UpstreamFault))),
    )


def all_makers() -> list[Callable[..., ApiError]]:
    """The functions that make errors, in the order in which they stand in their modules."""
    return [
        maker
        for module in MODULES
        for name, maker in vars(module).items()
        if inspect.isfunction(maker)
        and maker.__module__ == module.__name__
        and maker.__annotations__.get("return") == "ApiError"
        and not name.startswith("_")
        and name not in GENERIC - {"server_error"}
    ]


def is_used(name: str) -> bool:
    """Whether this version can send the error: something names it beside the modules of errors, or raises it there."""
    return re.search(rf"(?<!\")\b{name}\b(?!\")", code_beside()) is not None or any(
        f"raise {name}(" in Path(str(module.__file__)).read_text(encoding="utf-8") for module in MODULES
    )


@cache
def code_beside() -> str:
    """All code but the modules of errors."""
    apart = {Path(str(module.__file__)) for module in MODULES}
    return "\n".join(file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py") if file not in apart)


def row(error: ApiError, meaning: str) -> list[str]:
    """One error as a row."""
    azure = error.azure
    there = "" if azure is None else f"{', '.join(filter(None, [str(azure.status), code(azure)]))}: {azure.message}"
    return [str(error.status), code(error), meaning, error.message, there]


def made(maker: Callable[..., ApiError]) -> dict[str, ApiError]:
    """The error with sample values for whatever it needs, by its name in ``meanings.toml``; several where it varies."""
    name = maker.__name__
    needed = [each for each, param in inspect.signature(maker).parameters.items() if param.default is param.empty]
    samples = {**{each: SAMPLES[each] for each in needed if each in SAMPLES}, **SPECIAL.get(name, {})}
    if name not in CASES:
        return {name: maker(**samples)}
    given = {case: {**samples, "reason": case, "name": "report.pdf", **values} for case, values in CASES[name].items()}
    return {f"{name}: {case}": maker(**{each: values[each] for each in needed}) for case, values in given.items()}


def fault_row(fault: UpstreamFault) -> list[str]:
    """What a fault of an upstream's comes to."""
    error = as_api_error(UpstreamError(fault, "", retry_after=1.0))
    return [f"`{fault}`: {MEANINGS.faults[fault]}", str(error.status), code(error)]


def code(error: ApiError) -> str:
    """The code of an error, or nothing."""
    return f"`{error.code}`" if error.code else ""
