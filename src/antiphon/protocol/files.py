"""Files and uploads on the wire (Files and Uploads API)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

FilePurpose = Literal["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]
"""What a caller may upload a file for."""

KeptPurpose = Literal[FilePurpose, "assistants_output", "batch_output", "fine-tune-results"]
"""What a file may be for: those that the live service makes by itself as well."""

FIRST_SECONDS, LAST_SECONDS = 3600, 2_592_000


class FileObject(Struct, frozen=True, kw_only=True):
    """A file. ``bytes`` is its size; times are Unix seconds."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None = None
    filename: str
    purpose: KeptPurpose
    status: Literal["uploaded", "processed", "error"] = "processed"
    status_details: str | None = None


class FileDeleted(Struct, frozen=True, kw_only=True):
    """What the deletion of a file answers."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class FileList(Struct, frozen=True, kw_only=True):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class ExpiresAfter(Struct, frozen=True, kw_only=True):
    """When a file expires: so many seconds after it was made."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=FIRST_SECONDS, le=LAST_SECONDS)]


class FileForm(Struct, frozen=True, kw_only=True):
    """The fields of the form that brings a file, beside the file."""

    purpose: str
    expires_after: ExpiresAfter | None = None


class CreateUpload(Struct, frozen=True, kw_only=True):
    """What begins an upload: a file that will come in parts, ``bytes`` of them together."""

    filename: str
    purpose: str
    bytes: Annotated[int, Meta(ge=1)]
    mime_type: str
    expires_after: ExpiresAfter | None = None


class CompleteUpload(Struct, frozen=True, kw_only=True):
    """What ends an upload: its parts in their order, and the digest of all of them as hexadecimal digits."""

    part_ids: list[str]
    md5: str | None = None


class UploadObject(Struct, frozen=True, kw_only=True):
    """An upload; ``bytes`` is what was announced, ``file`` what it has become."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: FileObject | None = None


class UploadPart(Struct, frozen=True, kw_only=True):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
