"""What the server and a child say to each other: frames of MessagePack, each after its length.

A job's files follow its frame as they are, in the lengths that it lists, so that they are never copied into one. What
a child answers is a single frame, and it is not trusted: its length is bounded, and it is decoded strictly.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from antiphon.documents.nouns import Document, MediaType, Picture, Positive, Reason

LENGTH = Layout(">I")
LONGEST_JOB = 16 * 1024 * 1024
LONGEST_REPORT = 80 * 1024 * 1024


class Terms(Struct, frozen=True):
    """What a child is told when it starts: whose it is, what it may take, and when it ends of itself."""

    parent: int
    memory_mib: int
    seconds: int
    idle_seconds: float
    most_jobs: int


class CheckPicture(Struct, frozen=True, tag=True):
    """See that a picture is whole, and make it one that models read, its longer edge at most ``side`` pixels."""

    side: int


class ReadDocument(Struct, frozen=True, tag=True):
    """Read a document, a text as one of ``text_kind``; ``picture_side`` None: without pictures of its pages."""

    text_kind: str
    picture_side: int | None
    max_pages: int
    page_pictures: int
    seconds: int


class Describe(Struct, frozen=True, tag=True):
    """Tell in words what a picture shows, as far as that can be told without a model."""


class Draw(Struct, frozen=True, tag=True):
    """Draw a sketch: an encoded order, and which of a picture to draw over and a mask come with it."""

    order: Raw
    has_under: bool
    has_mask: bool


class Judge(Struct, frozen=True, tag=True):
    """Judge a grammar, or a text by it: the definition comes as a file, and the text as another.

    A child of `antiphon.grammars` does so.
    """

    syntax: Literal["lark", "regex"]


Job = CheckPicture | ReadDocument | Describe | Draw | Judge


class Errand(Struct, frozen=True):
    """A job, its number, and the lengths in bytes of the files that follow."""

    number: int
    job: Job
    sizes: list[int]


class Unchanged(Struct, frozen=True, tag=True):
    """The picture is fine as it is."""

    media_type: MediaType
    width: Positive
    height: Positive


class Redrawn(Struct, frozen=True, tag=True):
    """Another picture, of the first or of an order."""

    picture: Picture


class Told(Struct, frozen=True, tag=True):
    """A document that was read."""

    document: Document


class Described(Struct, frozen=True, tag=True):
    """A picture in words."""

    text: Annotated[str, Meta(max_length=10_000)]


class Judged(Struct, frozen=True, tag=True):
    """What is wrong with a grammar, None if nothing is; and whether the text fits it."""

    fault: Annotated[str, Meta(max_length=1_000)] | None = None
    fits: bool = True


class Refused(Struct, frozen=True, tag=True):
    """Why there is none of these. ``fault`` is for the operator: where a parser broke, and nothing of the file."""

    reason: Reason
    words: Annotated[str, Meta(max_length=1_000)]
    fault: Annotated[str, Meta(max_length=1_000)] | None = None


Outcome = Unchanged | Redrawn | Told | Described | Judged | Refused


class Report(Struct, frozen=True):
    """What came of the job of that number, and whether the child takes another."""

    number: int
    is_fit: bool
    outcome: Outcome


encode = msgspec.msgpack.Encoder().encode
decode_errand = msgspec.msgpack.Decoder(Errand).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


def framed(message: Struct) -> bytes:
    """A message after its length."""
    frame = encode(message)
    return LENGTH.pack(len(frame)) + frame
