"""The operations of the API, as `antiphon.http.openapi` describes them: what each takes, answers and refuses."""

from __future__ import annotations

from typing import get_args

from msgspec import Struct

from antiphon.http.conversations import Showing
from antiphon.http.files import Listing as Files
from antiphon.http.responses import Listing, Retrieval
from antiphon.http.schemas import Schema
from antiphon.protocol.files import FIRST_SECONDS, LAST_SECONDS, FilePurpose

OF_A_MODEL = (404, 413, 415, 429, 502, 504)
IGNORED = ("x-ignored-params",)
LEFT = tuple(
    f"x-ratelimit-{said}-{what}" for what in ("requests", "tokens") for said in ("limit", "remaining", "reset")
)
"""What is left of the limits by the minute, where there are any."""

_BYTES: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}
_FILE_FORM: Schema = {
    "type": "object",
    "properties": {
        "file": _BYTES | {"description": "The file, with its name."},
        "purpose": {"type": "string", "enum": list(get_args(FilePurpose)), "description": "What it is for."},
        "expires_after[anchor]": {"const": "created_at", "description": "From when it expires."},
        "expires_after[seconds]": {
            "type": "integer",
            "minimum": FIRST_SECONDS,
            "maximum": LAST_SECONDS,
            "description": "After how many seconds it expires.",
        },
    },
    "required": ["file", "purpose"],
}
_PART_FORM: Schema = {
    "type": "object",
    "properties": {"data": _BYTES | {"description": "The part."}},
    "required": ["data"],
}


class Operation(Struct, frozen=True, kw_only=True):
    """A method of a path.

    ``answer`` names the schema of a success, which ``stream`` may ask for as events; None: the bytes of a file.
    ``body`` names the schema of what is sent, which may be left out where ``is_bare``, and ``form`` has the fields of a
    form. ``headers`` are those that its success may have beside the headers of every answer.
    """

    id: str
    summary: str
    answer: str | None
    body: str | None = None
    form: Schema | None = None
    refusals: tuple[int, ...] = ()
    query: type[Struct] | None = None
    headers: tuple[str, ...] = ()
    is_bare: bool = False
    is_streamed: bool = False


OPERATIONS: dict[str, dict[str, Operation]] = {
    "/responses": {
        "POST": Operation(
            id="createResponse",
            summary="Ask a model for a response",
            answer="Response",
            body="CreateResponse",
            refusals=(*OF_A_MODEL, 409),
            headers=("x-ignored-params", "x-unavailable-tools", *LEFT),
            is_streamed=True,
        )
    },
    "/responses/{id}": {
        "GET": Operation(
            id="retrieveResponse",
            summary="Read a response that is kept, or follow its events",
            answer="Response",
            refusals=(404, 409),
            query=Retrieval,
            is_streamed=True,
        ),
        "DELETE": Operation(id="deleteResponse", summary="Forget a response", answer="Deleted", refusals=(404,)),
    },
    "/responses/{id}/cancel": {
        "POST": Operation(
            id="cancelResponse",
            summary="Stop a response that runs in the background; no other can be cancelled",
            answer="Response",
            refusals=(404,),
        )
    },
    "/responses/{id}/input_items": {
        "GET": Operation(
            id="listInputItems",
            summary="List the items that a response started from",
            answer="ItemPage",
            refusals=(404,),
            query=Listing,
        )
    },
    "/conversations": {
        "POST": Operation(
            id="createConversation",
            summary="Begin a conversation, with items or without",
            answer="ConversationObject",
            body="CreateConversation",
            refusals=(404, 413, 415),
            headers=IGNORED,
            is_bare=True,
        )
    },
    "/conversations/{id}": {
        "GET": Operation(
            id="retrieveConversation", summary="Look up a conversation", answer="ConversationObject", refusals=(404,)
        ),
        "POST": Operation(
            id="updateConversation",
            summary="Replace the metadata of a conversation",
            answer="ConversationObject",
            body="UpdateConversation",
            refusals=(404, 413, 415),
            headers=IGNORED,
        ),
        "DELETE": Operation(
            id="deleteConversation",
            summary="Forget a conversation; the responses in it are kept",
            answer="ConversationDeleted",
            refusals=(404,),
        ),
    },
    "/conversations/{id}/items": {
        "GET": Operation(
            id="listConversationItems",
            summary="List the items of a conversation",
            answer="ItemPage",
            refusals=(404,),
            query=Listing,
        ),
        "POST": Operation(
            id="addConversationItems",
            summary="Add items at the end of a conversation",
            answer="ItemPage",
            body="AddItems",
            refusals=(404, 409, 413, 415),
            headers=IGNORED,
            query=Showing,
        ),
    },
    "/conversations/{id}/items/{item_id}": {
        "GET": Operation(
            id="retrieveConversationItem",
            summary="Look up an item of a conversation",
            answer="Item",
            refusals=(404,),
            query=Showing,
        ),
        "DELETE": Operation(
            id="deleteConversationItem",
            summary="Take an item out of a conversation",
            answer="ConversationObject",
            refusals=(404,),
        ),
    },
    "/responses/input_tokens": {
        "POST": Operation(
            id="countInputTokens",
            summary="Count the tokens that a model would read; what has no effect on that is ignored",
            answer="TokenCount",
            body="CreateResponse",
            refusals=OF_A_MODEL,
            headers=(*IGNORED, "x-token-count"),
        )
    },
    "/responses/compact": {
        "POST": Operation(
            id="compactResponse",
            summary="Sum a conversation up, to go on with what is answered; nothing is kept",
            answer="CompactedResponse",
            body="CreateResponse",
            refusals=OF_A_MODEL,
            headers=(*IGNORED, *LEFT),
        )
    },
    "/models": {"GET": Operation(id="listModels", summary="List the models that may be named", answer="ModelList")},
    "/models/{id}": {"GET": Operation(id="retrieveModel", summary="Look up a model", answer="Model", refusals=(404,))},
    "/files": {
        "POST": Operation(
            id="createFile", summary="Keep a file", answer="FileObject", form=_FILE_FORM, refusals=(408, 413, 415, 429)
        ),
        "GET": Operation(id="listFiles", summary="List the files that are kept", answer="FileList", query=Files),
    },
    "/files/{id}": {
        "GET": Operation(id="retrieveFile", summary="Look up a file", answer="FileObject", refusals=(404,)),
        "DELETE": Operation(id="deleteFile", summary="Forget a file", answer="FileDeleted", refusals=(404,)),
    },
    "/files/{id}/content": {
        "GET": Operation(id="downloadFile", summary="Read a file, or a range of it", answer=None, refusals=(404, 416))
    },
    "/uploads": {
        "POST": Operation(
            id="createUpload",
            summary="Begin a file that comes in parts",
            answer="UploadObject",
            body="CreateUpload",
            refusals=(413, 415, 429),
        )
    },
    "/uploads/{id}/parts": {
        "POST": Operation(
            id="addUploadPart",
            summary="Send a part of a file",
            answer="UploadPart",
            form=_PART_FORM,
            refusals=(404, 408, 413, 415, 429),
        )
    },
    "/uploads/{id}/complete": {
        "POST": Operation(
            id="completeUpload",
            summary="Join the parts to a file",
            answer="UploadObject",
            body="CompleteUpload",
            refusals=(404, 413, 415),
        )
    },
    "/uploads/{id}/cancel": {
        "POST": Operation(id="cancelUpload", summary="Give an upload up", answer="UploadObject", refusals=(404,))
    },
}
