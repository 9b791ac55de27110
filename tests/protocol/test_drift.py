"""Our wire types against the official package's own: what it knows, we know, name by name and value by value."""

from __future__ import annotations

import types
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin, get_type_hints

import pytest
from msgspec import Struct, UnsetType
from msgspec.structs import fields
from openai.types import (
    FileDeleted,
    FileObject,
    Upload,
    file_create_params,
    responses,
    upload_complete_params,
    upload_create_params,
)
from openai.types.responses import response as their_response
from openai.types.responses import response_create_params
from openai.types.uploads import UploadPart
from pydantic import BaseModel
from typing_extensions import is_typeddict

from antiphon.protocol import files
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.items import Item, OutputItem
from antiphon.protocol.request import CreateResponse, Include
from antiphon.protocol.response import Response
from antiphon.protocol.tools import FunctionTool, Tool, ToolChoice

WHO = "one caller owns an item here, so there is nobody else to name"
SHORT = "written out as items before a request is read"
WHOLE = "the live service sends whole seconds"
NESTED = "the live service nests it under `error`"

KNOWN = {
    "ApplyPatchCall.created_by: missing": WHO,
    "ApplyPatchCallOutput.created_by: missing": WHO,
    "CommandDelta.obfuscation: missing": "padding is added to any delta while it is written, it is no part of an event",
    "Compaction.created_by: missing": WHO,
    "ComputerCallOutput.created_by: missing": WHO,
    "CreateResponse.input: no str": SHORT,
    "CreateResponse.prompt_cache_retention: only ours has 'in-memory'": "Azure spells it so",
    "CustomToolCall.created_by: missing": WHO,
    "CustomToolCallOutput.created_by: missing": WHO,
    "FileForm.file: missing": "the file itself is no field: it is written while it arrives",
    "FileObject.purpose: only ours has 'evals'": "the package takes it, and does not expect it back",
    "FunctionCall.created_by: missing": WHO,
    "FunctionCallOutput.created_by: missing": WHO,
    "Message.content: no str": SHORT,
    "Response.completed_at: no float": WHOLE,
    "Response.created_at: no float": WHOLE,
    "ShellCall.created_by: missing": WHO,
    "ShellCallOutput.created_by: missing": WHO,
    "ShellOutput.created_by: missing": WHO,
    "StreamError.code: missing": NESTED,
    "StreamError.message: missing": NESTED,
    "StreamError.param: missing": NESTED,
    "ToolSearchCall.created_by: missing": WHO,
    "ToolSearchOutput.created_by: missing": WHO,
}

Annotation = object  # whatever may stand behind a colon
Record = type[Any]  # a pydantic model, a TypedDict or one of our structs

ROOTS: dict[str, tuple[Annotation, Annotation]] = {
    "input items": (responses.ResponseInputItemParam, Item),
    "kept items": (responses.ResponseItem, Item),
    "output items": (responses.ResponseOutputItem, OutputItem),
    "tools": (responses.Tool, Tool),
    "tools sent": (responses.ToolParam, Tool),
    "choices": (their_response.ToolChoice, ToolChoice),
    "choices sent": (response_create_params.ToolChoice, ToolChoice),
    "request": (response_create_params.ResponseCreateParamsNonStreaming, CreateResponse),
    "streamed request": (response_create_params.ResponseCreateParamsStreaming, CreateResponse),
    "response": (responses.Response, Response),
    "events": (responses.ResponseStreamEvent, StreamEvent),
    "include": (responses.ResponseIncludable, Include),
    "file": (FileObject, files.FileObject),
    "deleted file": (FileDeleted, files.FileDeleted),
    "file sent": (file_create_params.FileCreateParams, files.FileForm),
    "upload": (Upload, files.UploadObject),
    "upload sent": (upload_create_params.UploadCreateParams, files.CreateUpload),
    "upload completed": (upload_complete_params.UploadCompleteParams, files.CompleteUpload),
    "part": (UploadPart, files.UploadPart),
}


class Shape(Struct, frozen=True):
    """An annotation taken apart: what values it allows, of which kinds."""

    literals: frozenset[str] = frozenset()
    scalars: frozenset[type] = frozenset()
    records: tuple[Record, ...] = ()
    elements: tuple[Annotation, ...] = ()
    anything: bool = False


class Comparison:
    """Walks two annotations side by side and gathers where theirs says more than ours, and ours more than theirs."""

    def __init__(self) -> None:
        self.lacking: set[str] = set()
        self._seen: set[tuple[Record, Record]] = set()
        self._their_words: dict[str, frozenset[str]] = {}
        self._our_words: dict[str, frozenset[str]] = {}

    @property
    def differences(self) -> set[str]:
        """What we lack, and the words of ours that they do not know."""
        added = {
            f"{place}: only ours has {word!r}"
            for place, theirs in self._their_words.items()
            for word in self._our_words[place] - theirs
        }
        return self.lacking | added

    @property
    def pairs(self) -> int:
        """How many records were compared with one of ours."""
        return len(self._seen)

    def walk(self, place: str, theirs: Annotation, ours: Annotation) -> None:
        """Compare two annotations; ``place`` names them in what is found."""
        their, our = shape(theirs), shape(ours)
        if our.anything or their.anything:
            return
        self._words(place, their, our)
        self.lacking |= {f"{place}: no {kind.__name__}" for kind in their.scalars if not our.scalars & widened(kind)}
        for record in their.records:
            self._choose(place, record, our.records)
        if their.elements and not our.elements:
            self.lacking.add(f"{place}: no list")
        elif their.elements:
            self.walk(place, Union[their.elements], Union[our.elements])  # noqa: UP007 - of a tuple

    def _words(self, place: str, their: Shape, our: Shape) -> None:
        if their.literals and str not in their.scalars and str not in our.scalars:
            self._their_words[place] = self._their_words.get(place, frozenset()) | their.literals
            self._our_words[place] = our.literals
            self.lacking |= {f"{place}: no {word!r}" for word in their.literals - our.literals}

    def _choose(self, place: str, theirs: Record, ours: tuple[Record, ...]) -> None:
        tags = their_tags(theirs)
        if not tags:
            if len(ours) != 1:
                self.lacking.add(f"{place}: no {theirs.__name__}")
            for record in ours[:1]:
                self._records(theirs, record)
        for tag in tags:
            found = [record for record in ours if tag in our_tags(record)]
            if not found:
                self.lacking.add(f"{place}: no type {tag!r}")
            for record in found:
                self._records(theirs, record)

    def _records(self, theirs: Record, ours: Record) -> None:
        if (theirs, ours) in self._seen:
            return
        self._seen.add((theirs, ours))
        our_fields = {field.encode_name: field.type for field in fields(ours)}
        for name, annotation in their_fields(theirs).items():
            if name == "type" and our_tags(ours):
                continue
            if name not in our_fields:
                self.lacking.add(f"{ours.__name__}.{name}: missing")
            else:
                self.walk(f"{ours.__name__}.{name}", annotation, our_fields[name])


def shape(annotation: Annotation) -> Shape:
    """Take an annotation apart. None and "not sent" say nothing about the wire's words and are left out."""
    literals: set[str] = set()
    scalars: set[type] = set()
    records: list[Record] = []
    elements: list[Annotation] = []
    anything = False
    for member in members(annotation):
        origin, arguments = get_origin(member), get_args(member)
        if origin is Literal:
            literals |= {word for word in arguments if isinstance(word, str)}
        elif member in (str, int, float, bool):
            scalars.add(member)
        elif is_record(member):
            records.append(member)
        elif member in (Any, object) or origin is dict:  # an annotation that allows any JSON
            anything = True
        elif len(arguments) == 1:
            elements.append(arguments[0])
        else:
            pytest.fail(f"cannot read {member!r}")
    return Shape(frozenset(literals), frozenset(scalars), tuple(records), tuple(elements), anything)


def members(annotation: Annotation) -> list[Annotation]:
    """List what a union allows, through aliases and ``Annotated``."""
    if annotation in (None, types.NoneType, UnsetType):
        return []
    if hasattr(annotation, "__metadata__"):
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for each in get_args(annotation) for member in members(each)]
    return [annotation]


def is_record(annotation: Annotation) -> TypeGuard[Record]:
    """Whether the annotation is a class with named fields."""
    if is_typeddict(annotation):
        return True
    return isinstance(annotation, type) and issubclass(annotation, BaseModel | Struct)


def widened(kind: type) -> set[type]:
    """Name the scalars that hold a value of the kind: an integer is a number."""
    return {kind, float} if kind is int else {kind}


def their_fields(record: Record) -> dict[str, Annotation]:
    """List the wire names of a model or a TypedDict with their annotations."""
    if is_typeddict(record):
        return get_type_hints(record)
    return {field.alias or name: field.annotation for name, field in record.model_fields.items()}


def their_tags(record: Record) -> frozenset[str]:
    """Give the values of ``type`` that a record of theirs stands for."""
    return shape(their_fields(record).get("type", None)).literals


def our_tags(record: Record) -> frozenset[str]:
    """Give the values of ``type`` that a struct of ours stands for: its tag, or those of its field."""
    tag = record.__struct_config__.tag
    if tag is not None:
        return frozenset({str(tag)})
    return frozenset().union(*(shape(field.type).literals for field in fields(record) if field.encode_name == "type"))


def found_between(theirs: Annotation, ours: Annotation) -> set[str]:
    """Compare two annotations and nothing else."""
    comparison = Comparison()
    comparison.walk("root", theirs, ours)
    return comparison.differences


def test_we_know_every_field_and_word_of_the_official_types() -> None:
    """Items, tools, choices, requests, responses and events; every known difference carries its reason and exists."""
    comparison = Comparison()
    for place, (theirs, ours) in ROOTS.items():
        comparison.walk(place, theirs, ours)
    assert sorted(KNOWN) == sorted(comparison.differences)


@pytest.mark.parametrize("place", ["input items", "output items", "tools", "choices", "events"])
def test_every_type_of_ours_is_one_of_theirs(place: str) -> None:
    """A type that only we have is a misspelling, or stands here with its reason."""
    theirs, ours = ROOTS[place]
    extra = {
        "choices": {"web_search", "web_search_2025_08_26"},  # the live service takes them
        "events": {  # recorded, though the package does not know them
            "response.apply_patch_call_operation_diff.delta",
            "response.apply_patch_call_operation_diff.done",
        },
    }
    their_types = {tag for record in shape(theirs).records for tag in their_tags(record)}
    our_types = {tag for record in shape(ours).records for tag in our_tags(record)}
    assert sorted(extra.get(place, set())) == sorted(our_types - their_types)


def test_the_comparison_walks_as_deep_as_the_types_go() -> None:
    """It reads the four hundred fields of two hundred records, not only their names."""
    comparison = Comparison()
    for place, (theirs, ours) in ROOTS.items():
        comparison.walk(place, theirs, ours)
    assert comparison.pairs > 200


def test_a_field_that_only_they_know_is_found() -> None:
    """A model that gains a field makes the comparison name it."""

    class Grown(responses.FunctionTool):
        colour: str | None = None

    assert {"FunctionTool.colour: missing"} == found_between(Grown, FunctionTool)


def test_a_word_that_only_they_know_is_found() -> None:
    """An enumeration that gains a word makes the comparison name it."""
    assert {"root: no 'purple'"} == found_between(Literal["red", "purple"], Literal["red"])


def test_a_word_that_only_we_know_is_found() -> None:
    """An enumeration that loses a word makes the comparison name it."""
    assert {"root: only ours has 'blue'"} == found_between(Literal["red"], Literal["red", "blue"])


def test_a_type_that_only_they_know_is_found() -> None:
    """A union that gains a member makes the comparison name its type."""
    assert {"root: no type 'mcp'"} == found_between(responses.tool.Mcp | responses.FunctionTool, FunctionTool)


def test_a_kind_of_value_that_only_they_know_is_found() -> None:
    """Text, numbers and lists are told apart."""
    assert {"root: no str", "root: no list"} == found_between(str | int | list[str], float)
