"""What goes over a WebSocket beside the events of responses: what a client sends, and what the server says to it.

Every frame is one JSON object with a ``type``. Source: Responses API reference, section 5.9, and the types of the
official clients.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from antiphon.protocol.content import InputFile, InputImage, InputText
from antiphon.protocol.errors import (
    ApiError,
    ErrorObject,
    FilteredError,
    InnerError,
    invalid_json,
    invalid_request,
    invalid_type,
    invalid_value,
    missing_parameter,
    shown,
)
from antiphon.protocol.faults import got
from antiphon.protocol.items import Message
from antiphon.protocol.parts import Tagged
from antiphon.protocol.reading import Received, read_request

ClientType = Literal["response.create", "response.steer", "response.inject"]
CLIENT_TYPES: tuple[ClientType, ...] = ("response.create", "response.steer", "response.inject")
MOST_LANES = 32

_STREAM_ID = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_PARTS = frozenset({InputText, InputImage, InputFile})
_LIST, _SILENCE = b"[", b'""'
_STEER_KEYS = frozenset({"type", "previous_response_id", "input"})

SteerCode = Literal[
    "response_not_found",
    "invalid_input",
    "steering_not_supported",
    "too_many_pending_steers",
    "response_already_completed",
    "response_not_active",
    "successor_creation_failed",
]
InjectCode = Literal["response_already_completed", "response_not_found"]


class Envelope(Struct, frozen=True):
    """What is looked at of a frame before its turn comes: its lane, and what stands for its type."""

    sent: object
    lane: str | None

    @property
    def type(self) -> ClientType:
        """The type of the frame. Raises ``ApiError`` 400 where it is none."""
        for known in CLIENT_TYPES:
            if self.sent == known:
                return known
        if isinstance(self.sent, str):
            raise invalid_value("type", self.sent, supported=CLIENT_TYPES)
        raise missing_parameter("type")


class SteerFrame(Struct, frozen=True, kw_only=True):
    """``response.steer``: what a user says into a response that is being made.

    ``input`` is as it was sent, and ``stray`` are the keys that a steer must not have.
    """

    previous_response_id: str
    input: Raw
    stray: list[str] = []


class InjectFrame(Struct, frozen=True, kw_only=True):
    """``response.inject``: outputs for a response that waits for them."""

    response_id: str
    input: Raw


class InvalidSteer(Exception):
    """The input of a steer is none; the message says why."""


class ErrorWords(Struct, frozen=True, kw_only=True):
    """An error in a frame: the four keys of every error, and the headers that its answer would have had.

    ``status`` and ``innererror`` are those of a `FilteredError`.
    """

    message: str
    type: str
    param: str | None
    code: str | None
    headers: dict[str, str] | UnsetType = UNSET
    status: int | UnsetType = UNSET
    innererror: InnerError | UnsetType = UNSET


class ErrorFrame(Tagged, frozen=True, kw_only=True, tag="error"):
    """A create, or a whole frame, was refused; the connection goes on."""

    status: int
    error: ErrorWords
    stream_id: str | UnsetType = UNSET


class SteerRef(Struct, frozen=True, kw_only=True):
    """A steer that the server owns, and the response that it steers."""

    id: str
    previous_response_id: str


class SteerAccepted(Tagged, frozen=True, kw_only=True, tag="response.steer.accepted"):
    """A steer was taken; that it counts is said by the ``response.created`` of the successor."""

    sequence_number: int
    steer: SteerRef
    stream_id: str | UnsetType = UNSET


class RequiredInput(Struct, frozen=True, kw_only=True):
    """What a response waits for, for the client to fill in."""

    type: str
    call_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    execution: Literal["client"] | UnsetType = UNSET
    approval_request_id: str | UnsetType = UNSET


class SteerPending(Tagged, frozen=True, kw_only=True, tag="response.steer.pending"):
    """A steer waits with its response for outputs of the client's."""

    sequence_number: int
    steer: SteerRef
    required_input: list[RequiredInput]
    reason: Literal["waiting_for_required_input"] = "waiting_for_required_input"
    stream_id: str | UnsetType = UNSET


class SteerError(Struct, frozen=True, kw_only=True):
    """Why a steer does not count."""

    code: SteerCode
    message: str
    type: Literal["invalid_request_error"] = "invalid_request_error"


class Unsteered(Struct, frozen=True, kw_only=True):
    """A steer that does not count, with its input as it was sent."""

    input: Raw
    previous_response_id: str
    id: str | UnsetType = UNSET


class SteerFailed(Tagged, frozen=True, kw_only=True, tag="response.steer.failed"):
    """A steer was refused, or could not be kept."""

    sequence_number: int
    error: SteerError
    steer: Unsteered
    stream_id: str | UnsetType = UNSET


class InjectError(Struct, frozen=True, kw_only=True):
    """Why nothing was injected."""

    code: InjectCode
    message: str


class InjectFailed(Tagged, frozen=True, kw_only=True, tag="response.inject.failed"):
    """What was to be injected was not."""

    sequence_number: int
    response_id: str
    input: Raw
    error: InjectError


ServerFrame = ErrorFrame | SteerAccepted | SteerPending | SteerFailed | InjectFailed


class _Head(Struct, frozen=True):
    type: Raw = Raw(b"null")
    stream_id: Raw = Raw(b"null")


class _Said(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a message that steers."""

    type: Raw = Raw()
    role: Raw = Raw()
    content: Raw = Raw()


_head = msgspec.json.Decoder(_Head).decode
_messages = msgspec.json.Decoder(list[_Said]).decode
_any = msgspec.json.Decoder().decode
_raw = msgspec.json.Decoder(dict[str, Raw]).decode


def read_envelope(body: bytes) -> Envelope:
    """Look at the type and the lane of a frame. Raises ``ApiError`` 400 where it has no lane that could be told."""
    try:
        head = _head(body)
        kind, lane = _any(head.type), _any(head.stream_id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_json() from error
    if lane is not None and not (isinstance(lane, str) and _STREAM_ID.fullmatch(lane)):
        raise invalid_stream_id()
    return Envelope(kind, lane)


def read_create(body: bytes) -> Received:
    """Read a ``response.create``: a request that is streamed, without what is HTTP's alone. Raises ``ApiError`` 400."""
    received = read_request(body)
    request = received.request
    if request.background:
        raise invalid_request(
            "Background mode is not available over WebSocket.", param="background", code="unsupported_parameter"
        )
    return Received(
        request=replace(request, background=None, stream=True, stream_id=None),
        ignored=[name for name in received.ignored if name != "type"],
        extras=received.extras,
    )


def read_steer(body: bytes) -> SteerFrame:
    """Read a ``response.steer``, but for its input. Raises ``ApiError`` 400."""
    sent = _members(body)
    target = _named(sent, "previous_response_id")
    return SteerFrame(
        previous_response_id=target,
        input=sent.get("input", Raw(b"null")),
        stray=[name for name in sent if name not in _STEER_KEYS],
    )


def read_inject(body: bytes) -> InjectFrame:
    """Read a ``response.inject``, but for its input. Raises ``ApiError`` 400."""
    sent = _members(body)
    return InjectFrame(response_id=_named(sent, "response_id"), input=sent.get("input", Raw(b"[]")))


def read_steered(frame: SteerFrame) -> Received:
    """Read the input of a steer: what a user says. Raises `InvalidSteer`."""
    if frame.stray:
        raise InvalidSteer(f"Unknown parameter: '{shown(frame.stray[0])}'.")
    try:
        received = read_request(b"".join((b'{"input":', memoryview(frame.input), b"}")))
    except ApiError as error:
        raise InvalidSteer(error.message) from error
    begins = bytes(memoryview(frame.input)[:2])
    if not received.request.input or begins == _SILENCE:
        raise InvalidSteer("'input' must not be empty.")
    for index, item in enumerate(received.request.input):
        match item:
            case Message(role="user", content=content) if _PARTS.issuperset(map(type, content)):
                pass
            case _:
                raise InvalidSteer(f"'input[{index}]' is no message of a user's, and nothing else can steer.")
    if begins.startswith(_LIST):
        _check_keys(frame.input)
    return received


def _check_keys(messages: Raw) -> None:
    try:
        _messages(messages)
    except msgspec.ValidationError as error:
        raise InvalidSteer("A message that steers has nothing but 'type', 'role' and 'content'.") from error


def _members(body: bytes) -> dict[str, Raw]:
    """The members of a frame, whose values are not looked into."""
    try:
        return _raw(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid_json() from error


def _named(sent: dict[str, Raw], name: str) -> str:
    match _any(sent.get(name, Raw(b"null"))):
        case str(target):
            return target
        case None:
            raise missing_parameter(name)
        case other:
            raise invalid_type(name, expected="a string", got=got(other))


def refused(error: ApiError, lane: str | None = None) -> ErrorFrame:
    """An error as a frame. Some errors of HTTP have no type; those of frames always have one."""
    words = error.error
    found = words if isinstance(words, FilteredError) else None
    return ErrorFrame(
        status=error.status,
        error=ErrorWords(
            message=words.message,
            type=words.type or "invalid_request_error",
            param=words.param,
            code=words.code,
            headers=dict(error.headers) or UNSET,
            status=UNSET if found is None else found.status,
            innererror=UNSET if found is None else found.innererror,
        ),
        stream_id=lane or UNSET,
    )


def invalid_stream_id() -> ApiError:
    """A lane cannot be called so."""
    return invalid_request(
        "The 'stream_id' field must be a non-empty string with at most 256 characters and may only contain letters, "
        "numbers, underscores, hyphens, and periods.",
        param="stream_id",
        code="invalid_stream_id",
    )


def too_many_lanes() -> ApiError:
    """The connection has as many lanes as it may have."""
    return invalid_request(
        f"This WebSocket connection has reached its maximum number of distinct stream IDs ({MOST_LANES}). Reuse an "
        "existing stream_id or open a new WebSocket connection.",
        param="stream_id",
        code="websocket_stream_limit_reached",
    )


def life_over(seconds: float) -> ApiError:
    """The connection was open for as long as one may be."""
    minutes = f"{seconds / 60:g} minute{'s' if seconds != 60 else ''}"  # noqa: PLR2004 - one minute
    return invalid_request(
        f"Responses websocket connection limit reached ({minutes}). Create a new websocket connection to continue.",
        code="websocket_connection_limit_reached",
    )


def binary_frame() -> ApiError:
    """A frame was sent as binary."""
    return ApiError(400, ErrorObject(message="Frames are JSON text; a binary frame cannot be read."))
