"""Errors as a caller sees them: a status, and an object of exactly four keys.

This module holds the errors of a request by itself; those that come of what the server keeps, or of other servers, are
in `antiphon.protocol.refusals`. Clients tell errors apart by their wording, so the words are those of the live service
wherever these were recorded (Responses API reference, section 1.6). Azure answers some situations in its own way; such
an error carries that answer as well.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.protocol.response import FilterVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN_CHARACTERS = 100
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
CHALLENGE = 'Bearer realm="OpenAI API"'


class ErrorObject(Struct, frozen=True, kw_only=True):
    """What went wrong: words for people, and a ``code`` and the path of a parameter for programs."""

    message: str
    type: str | None = "invalid_request_error"
    param: str | None = None
    code: str | None = None


class InnerError(Struct, frozen=True, kw_only=True):
    """Azure: what a content filter found, and which policy that is about."""

    code: str = "ResponsibleAIPolicyViolation"
    content_filter_result: dict[str, FilterVerdict]


class FilteredError(ErrorObject, frozen=True, kw_only=True):
    """The one error that says more: Azure's, of a prompt that its content filter stopped."""

    status: int
    innererror: InnerError


class ErrorBody(Struct, frozen=True, kw_only=True):
    """The JSON of every error: all four keys, always."""

    error: ErrorObject


class ApiError(Exception):
    """A request ends here: with an HTTP status, an error object and the headers that go with it.

    ``azure`` is the answer to a caller who speaks Azure's dialect (paths under ``/openai``) where it differs.
    """

    def __init__(
        self,
        status: int,
        error: ErrorObject,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        azure: ApiError | None = None,
    ) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers
        self.azure = azure

    @property
    def message(self) -> str:
        """The words for people."""
        return self.error.message

    @property
    def type(self) -> str | None:
        """The class of the error, such as ``invalid_request_error``."""
        return self.error.type

    @property
    def code(self) -> str | None:
        """The word for programs."""
        return self.error.code

    @property
    def param(self) -> str | None:
        """The path of the parameter that is at fault, such as ``input[0].content``."""
        return self.error.param

    @property
    def body(self) -> ErrorBody:
        """What is sent."""
        return ErrorBody(error=self.error)

    def in_azure_words(self) -> ApiError:
        """The same error for a caller under ``/openai``."""
        return self if self.azure is None else self.azure


def shown(value: str) -> str:
    """Cut a caller's text so that an error never sends back much of it."""
    return value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}..."


def listed(values: Sequence[str]) -> str:
    """Write quoted values as the live service does: ``'a'``, ``'a' and 'b'``, ``'a', 'b', and 'c'``."""
    return _joined([f"'{value}'" for value in values], "and")


def alternatives(words: Sequence[str]) -> str:
    """Write a choice as the live service does: ``a``, ``a or b``, ``a, b, or c``."""
    return _joined(words, "or")


def _joined(words: Sequence[str], link: str) -> str:
    if len(words) > 2:  # noqa: PLR2004 - from three on there are commas
        return f"{', '.join(words[:-1])}, {link} {words[-1]}"
    return f" {link} ".join(words)


def invalid_request(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """A 400 in the caller's request."""
    return ApiError(400, ErrorObject(message=message, param=param, code=code))


def azure_error(status: int, code: str, message: str, *, headers: Mapping[str, str] = NO_HEADERS) -> ApiError:
    """An error in Azure's words, which have no ``type``."""
    return ApiError(status, ErrorObject(message=message, type=None, code=code), headers=headers)


# The request as a whole


def invalid_json() -> ApiError:
    """The body is no JSON object."""
    return invalid_request(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
        "correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"
    )


def body_too_large(limit: int) -> ApiError:
    """The body is longer than ``limit`` bytes."""
    return ApiError(413, ErrorObject(message=f"Maximum content size limit ({limit}) exceeded."))


def body_too_slow(seconds: int) -> ApiError:
    """The body did not arrive within so many seconds."""
    return ApiError(408, ErrorObject(message=f"The request body did not arrive within {seconds} seconds."))


def unsupported_content_type(sent: str) -> ApiError:
    """The body is declared as something other than JSON."""
    return ApiError(
        415,
        ErrorObject(
            message=f"Unsupported content type: '{shown(sent)}'. This API method only accepts 'application/json' "
            "requests.",
            code="unsupported_content_type",
        ),
    )


def unknown_url(method: str, path: str) -> ApiError:
    """There is nothing at this path."""
    return ApiError(
        404,
        ErrorObject(message=f"Invalid URL ({method} {shown(path)})"),
        azure=azure_error(404, "404", "Resource not found"),
    )


def method_not_allowed(method: str, path: str, *, allowed: Sequence[str]) -> ApiError:
    """There is something at this path, and this is not a method of it."""
    headers = {"allow": ", ".join(allowed)}
    return ApiError(
        405,
        ErrorObject(message=f"Invalid method for URL ({method} {shown(path)})"),
        headers=headers,
        azure=azure_error(405, "405", "Method not allowed", headers=headers),
    )


def bad_api_version() -> ApiError:
    """``api-version`` is none that has this API."""
    return invalid_request("API version not supported", param="api-version")


def old_api_version(first: str) -> ApiError:
    """``api-version`` is of before there was this API, which begins with ``first``."""
    return invalid_request(
        f"Azure OpenAI Responses API is enabled only for api-version {first} and later", param="api-version"
    )


# The caller


def bad_key(key: str) -> ApiError:
    """The key opens nothing; of a long one the first and last characters are shown, for its owner to know it."""
    return _unauthorized(
        f"Incorrect API key provided: {_hidden(key)}. You can ask whoever runs this server for a key.",
        code="invalid_api_key",
    )


def expired_key(key: str) -> ApiError:
    """The key opened until it expired."""
    return _unauthorized(f"This API key has expired: {_hidden(key)}.", code="invalid_api_key")


def revoked_key(key: str) -> ApiError:
    """The key opened until somebody revoked it."""
    return _unauthorized(f"This API key was revoked: {_hidden(key)}.", code="invalid_api_key")


def _hidden(key: str) -> str:
    return f"{key[:4]}{'*' * 8}{key[-4:]}" if len(key) >= 16 else "*" * len(key)  # noqa: PLR2004 - half of it at most


def missing_key() -> ApiError:
    """The request has neither ``Authorization`` nor ``api-key``."""
    return _unauthorized(
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY) or in an api-key header.",
        code=None,
    )


def bad_token(reason: str) -> ApiError:
    """A signed token is not accepted; ``reason`` says why in words that hold nothing secret."""
    headers = {"www-authenticate": f'{CHALLENGE}, error="invalid_token"'}
    azure = azure_error(
        401,
        "401",
        f"Unauthorized. Access token is missing, invalid, audience is incorrect, or have expired: {reason}",
        headers=headers,
    )
    error = ErrorObject(message=f"Invalid access token: {reason}", code="invalid_token")
    return ApiError(401, error, headers=headers, azure=azure)


def lacks_role(role: str) -> ApiError:
    """A signed token is good, and does not give its bearer the role that callers need."""
    headers = {"www-authenticate": f'{CHALLENGE}, error="insufficient_scope"'}
    azure = azure_error(
        403,
        "PermissionDenied",
        f"Principal does not have access to API/Operation: its token lacks the role '{shown(role)}'.",
        headers=headers,
    )
    message = f"Your access token lacks the role '{shown(role)}', which callers of this server need."
    return ApiError(403, ErrorObject(message=message, code="insufficient_permissions"), headers=headers, azure=azure)


def issuer_unavailable(*, retry_after: float) -> ApiError:
    """A token cannot be checked now, as its issuer's keys cannot be had; after so many seconds it is tried again."""
    message = "The server cannot check your access token now: its issuer's keys cannot be had. Please try again."
    return ApiError(
        503,
        ErrorObject(message=message, type="server_error", code="server_error"),
        headers={"retry-after": str(max(1, round(retry_after)))},
    )


def _unauthorized(message: str, *, code: str | None) -> ApiError:
    headers = {"www-authenticate": CHALLENGE}
    azure = azure_error(
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
        "active subscription and use a correct regional API endpoint for your resource.",
        headers=headers,
    )
    return ApiError(401, ErrorObject(message=message, code=code), headers=headers, azure=azure)


def forbidden(message: str) -> ApiError:
    """The caller is known and may not do this."""
    return ApiError(403, ErrorObject(message=message, code="forbidden"))


def rate_limited(subject: str, *, retry_after: float) -> ApiError:
    """Too many requests for ``subject`` (a model, or a caller); after so many seconds it is worth trying again."""
    headers = {"retry-after": str(max(1, round(retry_after))), "retry-after-ms": str(round(retry_after * 1000))}
    wait = f"{retry_after:g}"
    return ApiError(
        429,
        ErrorObject(
            message=f"Rate limit reached for {shown(subject)}. Please try again in {wait}s.",
            type="requests",
            code="rate_limit_exceeded",
        ),
        headers=headers,
        azure=azure_error(429, "429", f"Rate limit is exceeded. Please retry after {wait} seconds.", headers=headers),
    )


def quota_exceeded() -> ApiError:
    """Nothing is left to spend, and trying again does not help."""
    return ApiError(
        429,
        ErrorObject(
            message="You exceeded your current quota, please check your plan and billing details.",
            type="insufficient_quota",
            code="insufficient_quota",
        ),
        headers={"x-should-retry": "false"},
    )


# One parameter


def missing_model() -> ApiError:
    """Nothing says which deployment is to answer. Azure's words are as recorded."""
    asked = missing_parameter("model")
    return ApiError(
        asked.status,
        asked.error,
        azure=ApiError(asked.status, ErrorObject(message="Missed model deployment", type=None)),
    )


def missing_parameter(param: str) -> ApiError:
    """A parameter that is needed is absent."""
    return invalid_request(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def unknown_parameter(param: str) -> ApiError:
    """A parameter that does not exist was sent."""
    return invalid_request(f"Unknown parameter: '{shown(param)}'.", param=shown(param), code="unknown_parameter")


def unsupported_parameter(param: str) -> ApiError:
    """The model at hand cannot be told this."""
    return invalid_request(
        f"Unsupported parameter: '{param}' is not supported with this model.",
        param=param,
        code="unsupported_parameter",
    )


def unsupported_value(param: str, value: str, *, model: str, supported: Sequence[str]) -> ApiError:
    """The model at hand takes other values only."""
    return invalid_request(
        f"Unsupported value: '{shown(value)}' is not supported with the '{shown(model)}' model. "
        f"Supported values are: {listed(supported)}.",
        param=param,
        code="unsupported_value",
    )


def invalid_type(param: str, *, expected: str, got: str) -> ApiError:
    """JSON of another kind; both kinds are given in words with their articles."""
    return invalid_request(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param=param, code="invalid_type"
    )


def invalid_value(param: str, value: str, *, supported: Sequence[str]) -> ApiError:
    """A word that is not in the list."""
    return invalid_request(
        f"Invalid value: '{shown(value)}'. Supported values are: {listed(supported)}.",
        param=param,
        code="invalid_value",
    )


def mutually_exclusive(first: str, second: str) -> ApiError:
    """Only one of two parameters may be given."""
    return invalid_request(
        f"Mutually exclusive parameters. Ensure you are only providing one of: '{first}' or '{second}'.",
        code="mutually_exclusive_parameters",
    )


def background_needs_store() -> ApiError:
    """A background run is fetched later, so it must be kept."""
    return invalid_request(
        "Background mode requires 'store' to be true.", param="background", code="unsupported_parameter"
    )
