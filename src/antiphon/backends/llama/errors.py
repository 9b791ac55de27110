"""What can go wrong before a model is asked: with its file (each message says how to mend it) and with a schema."""

from __future__ import annotations


class ModelError(Exception):
    """Any failure around the files of the embedded models."""


class UnknownModelError(ModelError):
    """The name is in no catalog and no file lies at it."""


class SourceError(ModelError):
    """One source of a model could not give a part; the next source may."""


class FetchError(ModelError):
    """No source could give the model."""


class CorruptError(ModelError):
    """The bytes are not the model's: their SHA-256 differs."""


class NoRoomError(ModelError):
    """The disk is too full for the model."""


class BusyError(ModelError):
    """Another process has been fetching the same model for too long."""


class UnfitSchemaError(Exception):
    """The grammar of llama.cpp cannot follow this JSON Schema, or would not survive it."""
