"""Bytes become a request or an error, and never anything else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from antiphon.protocol.checks import check
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message
from antiphon.protocol.reading import MAX_DEPTH, MAX_OPENED, Received, decode, read, read_query, read_request
from antiphon.protocol.request import CreateResponse, Include
from antiphon.protocol.settings import Reasoning
from tests.protocol.recorded_items import RECORDED

Json = dict[str, Any]  # what a client may send


class Listing(Struct, frozen=True, kw_only=True):
    """A query of every kind of parameter."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    stream: bool = False
    include: list[Include] = []


def refused(body: bytes) -> ApiError:
    """Read what must be refused."""
    with pytest.raises(ApiError) as caught:
        read_request(body)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":}',
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\ud800 and more"}',
        b'{"a":"\\udc00"}',
        b'{"a":1,}',
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """Broken, endless, too deep or of another kind: the answer is the same."""
    error = refused(body)
    assert (error.status, error.type, error.code, error.param) == (400, "invalid_request_error", None, None)
    assert error.message.startswith("We could not parse the JSON body of your request.")


def test_json_may_be_deep_within_reason() -> None:
    """Schemas nest; so many levels are read."""
    deep = b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH
    assert list(decode(deep)) == ["a"]


def test_many_shallow_objects_are_not_deep() -> None:
    """Only nesting counts, not how much there is."""
    assert len(decode(msgspec.json.encode({"a": [{}] * 1000}))["a"]) == 1000


def test_the_last_of_a_repeated_key_counts() -> None:
    """As JSON is read everywhere."""
    assert read_request(b'{"model":"a","model":"b"}').request.model == "b"


def test_a_large_integer_is_a_number() -> None:
    """Schemas of unsigned 64-bit integers hold such bounds."""
    schema = {"type": "integer", "maximum": 2**64 - 1}
    received = read_request(msgspec.json.encode({"tools": [{"type": "function", "name": "f", "parameters": schema}]}))
    assert msgspec.to_builtins(received.request.tools[0])["parameters"] == schema


def test_nulls_of_the_top_level_are_absent() -> None:
    """SDKs send null for what was not set."""
    received = read_request(msgspec.json.encode(dict.fromkeys(CreateResponse.__struct_encode_fields__)))
    assert received == Received(request=CreateResponse(), ignored=[], extras=[])


def test_nulls_of_settings_are_absent() -> None:
    """The settings right below the top are written by the same SDKs."""
    received = read_request(b'{"reasoning":{"effort":"low","summary":null,"generate_summary":null,"context":null}}')
    assert received.request.reasoning == Reasoning(effort="low")


def test_unknown_parameters_are_named_and_have_no_effect() -> None:
    """A client that sends parameters of its own is served; they are named in the order sent."""
    received = read_request(b'{"zeta":1,"model":"m","client_metadata":{"a":"b"},"alpha":null}')
    assert (received.request.model, received.ignored) == ("m", ["zeta", "client_metadata"])


def test_another_body_is_read_by_the_same_rules() -> None:
    """Every route refuses in the same words."""
    assert read(b'{"limit":5,"after":null,"other":1}', Listing) == Listing(limit=5)
    with pytest.raises(ApiError) as caught:
        read(b'{"limit":0}', Listing)
    assert (caught.value.param, caught.value.code) == ("limit", "integer_below_min_value")


def test_a_list_in_a_query_is_written_in_three_ways() -> None:
    """SDKs use brackets, people repeat names or write commas."""
    pairs = [
        ("include[]", "file_search_call.results"),
        ("include", "reasoning.encrypted_content,message.output_text.logprobs,"),
        ("include[1]", "code_interpreter_call.outputs"),
    ]
    assert read_query(pairs, Listing).include == [
        "file_search_call.results",
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
        "code_interpreter_call.outputs",
    ]


def test_text_of_a_query_becomes_what_its_type_says() -> None:
    """The last of a repeated name counts; empty and unknown names have no effect."""
    pairs = [("limit", "5"), ("limit", "7"), ("stream", "true"), ("after", ""), ("api-version", "v1"), ("order", "asc")]
    assert read_query(pairs, Listing) == Listing(limit=7, stream=True, order="asc")


@pytest.mark.parametrize(
    ("name", "value", "code", "param", "message"),
    [
        (
            "limit",
            "1000",
            "integer_above_max_value",
            "limit",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 1000 instead.",
        ),
        (
            "limit",
            "many",
            "invalid_type",
            "limit",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
        ),
        ("order", "up", "invalid_value", "order", "Invalid value: 'up'. Supported values are: 'asc' and 'desc'."),
        ("stream", "maybe", "invalid_type", "stream", None),
        ("include[]", "all", "invalid_value", "include[0]", None),
    ],
)
def test_a_wrong_query_is_refused_like_a_wrong_body(
    name: str, value: str, code: str, param: str, *, message: str | None
) -> None:
    """The same words, for what cannot be read from text."""
    with pytest.raises(ApiError) as caught:
        read_query([(name, value)], Listing)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert message is None or caught.value.message == message


def fault(body: bytes) -> ApiError | None:
    """Read and check a body; None if it is a request."""
    try:
        received = read_request(body)
        check(received.request)
    except ApiError as error:
        return error
    assert len(received.extras) == len(received.request.input)
    assert msgspec.json.encode(received.request)
    return None


def assert_answered(error: ApiError | None) -> None:
    """What is no request is the caller's fault, and says why."""
    if error is not None:
        assert error.status == 400
        assert error.message
        assert msgspec.json.encode(error.body)


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(body: bytes) -> None:
    """No bytes make this server stumble."""
    assert_answered(fault(body))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "input_image", "input_file", "output_text", "refusal", "other"])},
    optional={
        "text": SCALARS,
        "refusal": SCALARS,
        "image_url": st.sampled_from([
            "https://a.example",
            "data:image/png;base64,AAAA",
            "data:,",
            "ftp://x",
            "",
            None,
        ]),
        "file_id": st.none() | st.text(max_size=3),
        "file_data": st.sampled_from(["AAAA", "data:text/plain;base64,AAA", "data:audio/mpeg;base64,AAAA", "é", None]),
        "filename": SCALARS,
        "annotations": st.none() | st.lists(SCALARS, max_size=2),
    },
)
NAMES = sorted({key for item in RECORDED.values() for key in item})
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "function_call_output", None]),
        "role": st.sampled_from(["user", "assistant", "system", "developer", "tool"]),
        "call_id": st.text(max_size=70),
        "content": SCALARS | st.lists(PARTS, max_size=3),
        "output": SCALARS | st.lists(PARTS, max_size=3),
    },
)
CHANGED = st.builds(
    lambda item, changes: {**item, **changes},
    st.sampled_from(sorted(RECORDED.values(), key=repr)),
    st.dictionaries(st.sampled_from(NAMES), SCALARS | st.lists(SCALARS, max_size=2), max_size=2),
)
ANYTHING = st.recursive(
    SCALARS | PARTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TOOLS = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "mcp", "custom", "web_search", "namespace", "image_generation"])},
    optional={
        "name": st.sampled_from(["f", "g", "a b", ""]),
        "server_label": st.sampled_from(["s", "t"]),
        "server_url": st.none() | st.just("https://h.example"),
        "parameters": ANYTHING,
        "strict": st.sampled_from([True, False, None]),
        "tools": ANYTHING,
        "input_image_mask": ANYTHING,
    },
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(CreateResponse.__struct_encode_fields__, ANYTHING),
        "input": ANYTHING | st.lists(MESSAGES | CHANGED | PARTS, max_size=4),
        "tools": ANYTHING | st.lists(TOOLS, max_size=3),
        "tool_choice": ANYTHING | TOOLS,
        "metadata": st.dictionaries(st.text(max_size=70), SCALARS, max_size=18),
    },
)


@given(BODIES)
def test_any_object_of_real_parameters_is_answered(body: Json) -> None:
    """Whatever stands at the parameters' names, the answer is a request or a 400 that says something."""
    assert_answered(fault(msgspec.json.encode(body)))


@given(st.lists(MESSAGES | CHANGED, max_size=4))
def test_any_input_of_almost_right_items_is_answered(items: list[Json]) -> None:
    """Items that differ from real ones in a key or two are the ones that clients send by mistake."""
    assert_answered(fault(msgspec.json.encode({"model": "m", "input": items})))


@given(st.text())
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    """A caller's words reach the model unchanged."""
    match read_request(msgspec.json.encode({"input": text})).request.input:
        case [Message() as message]:
            assert msgspec.to_builtins(message.content) == [{"type": "input_text", "text": text}]
        case other:
            pytest.fail(repr(other))


@given(st.lists(st.tuples(st.sampled_from(["limit", "order", "after", "stream", "include[]", "x"]), st.text())))
def test_any_query_is_answered(pairs: list[tuple[str, str]]) -> None:
    """A query is refused in the same way as a body, or read."""
    try:
        read_query(pairs, Listing)
    except ApiError as error:
        refusal = error
    else:
        return
    assert refusal.status == 400
    assert refusal.param


def test_a_body_of_too_many_objects_is_refused_before_it_is_read() -> None:
    """Reading them would keep the server from everybody else."""
    with pytest.raises(ApiError, match="too many objects and arrays") as refused:
        decode(b'{"input":[' + b"{}," * MAX_OPENED + b"{}]}")
    assert "request_too_complex" == refused.value.code
