"""The page of errors: each made as the server makes it, with sample values, and written down as a client sees it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from antiphon import backends
from antiphon.backends import UpstreamError, UpstreamFault
from antiphon.http.faults import as_api_error
from antiphon.protocol import errors, refusals
from antiphon.protocol.errors import ApiError
from scripts.reference.tables import MEANINGS, expect_same, table, written

if TYPE_CHECKING:
    from collections.abc import Callable

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
    "reason": "the token has expired",
    "retry_after": 2.0,
    "second": "conversation",
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
    "missing_parameter": {"param": "model"},
    "unknown_parameter": {"param": "colour"},
    "unsupported_parameter": {"param": "background"},
    "invalid_type": {"param": "stream"},
    "invalid_value": {"param": "tool_choice"},
    "server_error": {},
}


def page() -> str:
    """Every error that this version sends."""
    makers = [maker for maker in all_makers() if is_used(maker.__name__)]
    expect_same("the errors", [maker.__name__ for maker in makers], MEANINGS.errors)
    return written(
        "errors",
        errors=table(["status", "code", "when", "message, for example", "below `/openai`"], map(row, makers)),
        faults=table(["what happened", "status", "code"], map(fault_row, get_args(UpstreamFault))),
    )


def all_makers() -> list[Callable[..., ApiError]]:
    """The functions that make errors, in the order in which they stand in their modules."""
    return [
        maker
        for module in (errors, refusals)
        for name, maker in vars(module).items()
        if inspect.isfunction(maker)
        and maker.__module__ == module.__name__
        and maker.__annotations__.get("return") == "ApiError"
        and not name.startswith("_")
        and name not in GENERIC - {"server_error"}
    ]


def is_used(name: str) -> bool:
    """Whether this version can send the error: something beside the two modules names it."""
    apart = {Path(errors.__file__), Path(refusals.__file__)}
    return any(f"{name}(" in file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py") if file not in apart)


def row(maker: Callable[..., ApiError]) -> list[str]:
    """One error as a row."""
    error = made(maker)
    azure = error.azure
    there = "" if azure is None else f"{azure.status}, `{azure.code}`: {azure.message}"
    return [str(error.status), code(error), MEANINGS.errors[maker.__name__], error.message, there]


def made(maker: Callable[..., ApiError]) -> ApiError:
    """The error with sample values for whatever it needs."""
    special = SPECIAL.get(maker.__name__)
    needed = [name for name, param in inspect.signature(maker).parameters.items() if param.default is param.empty]
    samples = {**{name: SAMPLES[name] for name in needed if name in SAMPLES}, **(special or {})}
    return maker(**samples)


def fault_row(fault: UpstreamFault) -> list[str]:
    """What a fault of an upstream's comes to."""
    error = as_api_error(UpstreamError(fault, "", retry_after=1.0))
    return [f"`{fault}`: {MEANINGS.faults[fault]}", str(error.status), code(error)]


def code(error: ApiError) -> str:
    """The code of an error, or nothing."""
    return f"`{error.code}`" if error.code else ""
