"""Conversations on the wire: how bodies are read, and in whose terms what is wrong with them is told."""

from __future__ import annotations

import pytest

from antiphon.protocol.conversations import (
    Brought,
    in_terms_of_items,
    read_addition,
    read_creation,
    read_update,
)
from antiphon.protocol.errors import ApiError, invalid_value
from antiphon.protocol.items import Message
from antiphon.protocol.refusals import item_not_found

HELLO = b'{"role":"user","content":"Hello.","mine":1,"status":null}'


@pytest.mark.parametrize("body", [b"", b"{}", b'{"items":null}', b'{"items":[],"metadata":null}'])
def test_nothing_is_a_beginning(body: bytes) -> None:
    """However it is written."""
    assert Brought() == read_creation(body)


def test_items_come_with_what_only_their_caller_understands() -> None:
    """And with the parameters that have no effect."""
    body = b'{"size":1,"items":[%b],"metadata":{"a":"b"}}' % HELLO
    for brought in (read_creation(body), read_addition(body)):
        [item] = brought.items
        assert isinstance(item, Message)
        assert ([{"mine": 1}], "user") == (brought.extras, item.role)
    assert ({"a": "b"}, ["size"]) == (read_creation(body).metadata, read_creation(body).ignored)
    assert ["size", "metadata"] == read_addition(body).ignored


def test_an_update_replaces_all_metadata() -> None:
    """With nothing, where it says null."""
    assert {"a": "b"} == read_update(b'{"metadata":{"a":"b"}}').metadata
    assert {} == read_update(b'{"metadata":null}').metadata
    with pytest.raises(ApiError) as caught:
        read_update(b"{}")
    assert ("metadata", "missing_required_parameter") == (caught.value.param, caught.value.code)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ('{"role":"user","content":1}', "items[1].content"),
        ('{"role":"king","content":"x"}', "items[1].role"),
        ('{"role":"user","content":[{"type":"refusal","refusal":"x"}]}', "items[1].content[0].type"),
    ],
)
def test_a_place_is_told_as_its_caller_wrote_it(item: str, param: str) -> None:
    """Whoever finds it: the one that writes shorthand out, the reader of types, or the rules of inputs."""
    body = b'{"items":[%b,%b]}' % (HELLO, item.encode())
    for read in (read_creation, read_addition):
        with pytest.raises(ApiError) as caught:
            read(body)
        assert param == caught.value.param
        assert "input[" not in caught.value.message


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (item_not_found("msg_1"), (404, "items")),
        (invalid_value("input[0].role", "king", supported=["user"]), (400, "items[0].role")),
    ],
)
def test_an_error_keeps_all_but_the_name_of_its_place(error: ApiError, expected: tuple[int, str]) -> None:
    """The status and the code with it."""
    with pytest.raises(ApiError) as caught, in_terms_of_items():
        raise error
    assert (*expected, error.code) == (caught.value.status, caught.value.param, caught.value.code)
