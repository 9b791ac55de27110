"""Faults of what stands behind the server, in the words of the wire (Responses API reference, section 11, 26)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.protocol.errors import ApiError, ErrorObject, invalid_request, rate_limited
from antiphon.protocol.refusals import content_filtered, context_length_exceeded, server_error

if TYPE_CHECKING:
    from antiphon.backends import UpstreamError

NOT_AGAIN = {"x-should-retry": "false"}
"""Tells the official clients, which ask again after any 5xx, that only the operator can mend this one."""


def as_api_error(error: UpstreamError) -> ApiError:
    """The answer to a caller whose model could not be asked."""
    match error.fault:
        case "context_length_exceeded":
            return context_length_exceeded()
        case "content_filter":
            return content_filtered()
        case "invalid_request":
            return invalid_request(str(error), param=error.param, code=error.code)
        case "rate_limit_exceeded":
            return _rate_limited(error)
        case "timeout":
            return server_error(str(error), status=504)
        case "unavailable":
            return server_error(str(error), status=503)
        case "server_error":
            return server_error(str(error), status=502)
        case "misconfigured":
            failed = server_error(str(error), status=502)
            return ApiError(failed.status, failed.error, headers=NOT_AGAIN)


def _rate_limited(error: UpstreamError) -> ApiError:
    if error.retry_after is not None:
        return rate_limited("the model behind this server", retry_after=error.retry_after)
    return ApiError(429, ErrorObject(message=str(error), type="requests", code="rate_limit_exceeded"))
