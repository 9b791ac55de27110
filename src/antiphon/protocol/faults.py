"""What the reader of JSON found wrong with a body, said in the live service's words.

The wordings and codes were recorded: ``invalid_type``, ``invalid_value``, ``missing_required_parameter``, and
``integer_below_min_value`` and its kin (Responses API reference, section 1.6).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import UNSET

from antiphon.protocol.errors import (
    ApiError,
    alternatives,
    invalid_request,
    invalid_type,
    invalid_value,
    missing_parameter,
    shown,
)
from antiphon.protocol.places import Kind, Place, Sent, below, find, long_key, members, origin

if TYPE_CHECKING:
    from msgspec import ValidationError

_AT = " - at "
_KEY = "`key` in "
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_BOUND = re.compile(r"Expected `(?P<kind>\w+)` (?P<length>of length )?(?P<relation><=|>=|<|>) (?P<limit>\S+)")
_PATTERN = re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'", re.DOTALL)
_TYPE = re.compile(r"Expected `[^`]+`, got `[^`]+`")
_PLURALS = frozenset(("object", "string", "integer", "decimal", "boolean"))

_WORDS: dict[Kind, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    list: "an array",
    dict: "an object",
}


def refusal(error: ValidationError, value: Sent, kind: Kind, *, sent: Sent = UNSET) -> ApiError:
    """Say what is wrong with ``value``, which could not be converted to the type ``kind``.

    ``sent`` is the body as the caller wrote it, where ``value`` is not: paths and lengths are told in its terms.
    """
    what, _, where = str(error).rpartition(_AT)
    if not what:
        what, where = str(error), "`$`"
    key_at_fault = where.startswith(_KEY)
    place = find(where.removeprefix(_KEY).strip("`").removeprefix("$"), value, kind)
    if sent is not UNSET:
        place = place.within(sent)
    return _long_key(place, what) if key_at_fault else _said(place, what)


def got(value: Sent) -> str:
    """Name the kind of JSON that was sent, with its article."""
    if value is None:
        return "null"
    return "a decimal number" if isinstance(value, float) else _WORDS.get(type(value), "an unknown value")


def _said(place: Place, what: str) -> ApiError:
    if missing := _MISSING.match(what):
        return missing_parameter(below(place, missing["name"]).param)
    if what.startswith(("Invalid enum value", "Invalid value")):
        return invalid_value(place.param, str(place.value), supported=place.literals)
    if bound := _BOUND.match(what):
        return _out_of_bounds(place, bound)
    if pattern := _PATTERN.match(what):
        return _no_match(place, pattern["pattern"])
    if _TYPE.match(what):
        return _wrong_type(place)
    return invalid_request(
        f"Invalid '{place.param}': {what[:1].lower()}{shown(what[1:])}.", param=place.param, code="invalid_value"
    )


def _wrong_type(place: Place) -> ApiError:
    return invalid_type(place.param, expected=_expected(place), got=got(place.value))


def _no_match(place: Place, pattern: str) -> ApiError:
    written = pattern.replace("\\\\", "\\").replace(r"\Z", "$")  # the same end, as other languages write it
    return invalid_request(
        f"Invalid '{place.param}': string does not match pattern. Expected a string that matches the pattern "
        f"'{written}'.",
        param=place.param,
        code="invalid_value",
    )


def _out_of_bounds(place: Place, bound: re.Match[str]) -> ApiError:
    if not bound["length"]:
        return _number_out_of_bounds(place, bound)
    at_most = bound["relation"].startswith("<")
    limit = int(bound["limit"]) - (bound["relation"] == "<") + (bound["relation"] == ">")
    size = len(place.value)
    match bound["kind"]:
        case "str":
            return _length(place, "string", at_most=at_most, limit=limit, size=size)
        case "array":
            return _length(place, "array", at_most=at_most, limit=limit, size=size)
        case _:
            return _properties(place, at_most=at_most, limit=limit, size=size)


def _number_out_of_bounds(place: Place, bound: re.Match[str]) -> ApiError:
    noun = "integer" if bound["kind"] == "int" else "decimal"
    side, code = ("above maximum", "above_max") if bound["relation"].startswith("<") else ("below minimum", "below_min")
    return invalid_request(
        f"Invalid '{place.param}': {noun} {side} value. Expected a value {bound['relation']} "
        f"{bound['limit'].removesuffix('.0')}, but got {shown(str(place.value))} instead.",
        param=place.param,
        code=f"{noun}_{code}_value",
    )


def _length(place: Place, noun: Literal["string", "array"], *, at_most: bool, limit: int, size: int) -> ApiError:
    article = "a" if noun == "string" else "an"
    if size == 0:
        fault, code, bound, sent = f"empty {noun}", f"empty_{noun}", "minimum", f"an empty {noun}"
    elif at_most:
        fault, code, bound, sent = f"{noun} too long", f"{noun}_above_max_length", "maximum", ""
    else:
        fault, code, bound, sent = f"{noun} too short", f"{noun}_below_min_length", "minimum", ""
    return invalid_request(
        f"Invalid '{place.param}': {fault}. Expected {article} {noun} with {bound} length {limit}, "
        f"but got {sent or f'{article} {noun} with length {size}'} instead.",
        param=place.param,
        code=code,
    )


def _properties(place: Place, *, at_most: bool, limit: int, size: int) -> ApiError:
    fault, bound, code = ("many", "most", "above_max") if at_most else ("few", "least", "below_min")
    return invalid_request(
        f"Invalid '{place.param}': too {fault} properties. Expected an object with at {bound} {limit} properties, "
        f"but got an object with {size} properties instead.",
        param=place.param,
        code=f"object_{code}_properties",
    )


def _long_key(place: Place, what: str) -> ApiError:
    key = long_key(place)
    bound = _BOUND.match(what)
    limit = bound["limit"] if bound else "0"
    return invalid_request(
        f"Invalid property name in '{place.param}': '{key[:3]}...{key[-3:]}' is too long. Expected a string with "
        f"maximum length {limit}, but got a string with length {len(key)} instead.",
        param=below(place, key).param,
        code="property_name_above_max_length",
    )


def _expected(place: Place) -> str:
    literals = [f"one of {alternatives([repr(word) for word in place.literals])}"] if place.literals else []
    words = list(dict.fromkeys([*literals, *(_word(kind) for kind in place.kinds if origin(kind) is not Literal)]))
    if len(words) == 1:
        return words[0]
    return f"one of {alternatives([*words[:1], *map(_without_article, words[1:])])}"


def _without_article(word: str) -> str:
    return word.removeprefix("an ").removeprefix("a ")


def _word(kind: Kind) -> str:
    if origin(kind) is list:
        return _word_of_array(get_args(kind)[0])
    return _WORDS.get(origin(kind) or kind, "an object")


def _word_of_array(element: Kind) -> str:
    words = {"string" if origin(kind) is Literal else _without_article(_word(kind)) for kind in members(element)}
    return f"an array of {word}s" if len(words) == 1 and (word := words.pop()) in _PLURALS else "an array"
