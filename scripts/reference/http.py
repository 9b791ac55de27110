"""The pages of the two surfaces: the command line and HTTP."""

from __future__ import annotations

import re
from typing import Any, cast, get_args  # what no route is called with is anything

import msgspec
from msgspec import Struct

from antiphon.cli import app
from antiphon.http import files
from antiphon.http.app import FIRST_API_VERSION, MOUNTS, Routed, routes
from antiphon.http.conversations import Conversations, Showing
from antiphon.http.files import Files
from antiphon.http.models import Models
from antiphon.http.responses import Listing, Responses, Retrieval
from antiphon.http.tokens import Tokens
from antiphon.http.uploads import Uploads
from antiphon.protocol.conversations import AddItems, CreateConversation, UpdateConversation
from antiphon.protocol.files import CompleteUpload, CreateUpload, ExpiresAfter, FileForm
from antiphon.protocol.request import CreateResponse, Include
from scripts.reference.tables import MEANINGS, NOTE, expect_same, kind, table, written

QUERIES: dict[str, type[Struct]] = {
    "GET /responses/{id}": Retrieval,
    "GET /responses/{id}/input_items": Listing,
    "GET /conversations/{id}/items": Listing,
    "POST /conversations/{id}/items": Showing,
    "GET /conversations/{id}/items/{item_id}": Showing,
    "GET /files": files.Listing,
}
BODIES: dict[str, type[Struct]] = {
    "POST /conversations": CreateConversation,
    "POST /conversations/{id}": UpdateConversation,
    "POST /conversations/{id}/items": AddItems,
    "POST /files": FileForm,
    "expires_after": ExpiresAfter,
    "POST /uploads": CreateUpload,
    "POST /uploads/{id}/complete": CompleteUpload,
}


def command() -> str:
    """Every command and option."""
    text = app.generate_docs(usage_name="antiphon")
    text = re.sub(r"## Table of Contents.*?(?=\*\*Commands\*\*)", "", text, flags=re.DOTALL)
    text = re.sub(r"(?m)^(antiphon .*?) -m [\w.]+", r"\1", text)  # cyclopts puts the running ``python -m`` there
    text = text.replace("# antiphon\n", "# Command line\n", 1).replace("```console", "```sh")
    return NOTE + re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def page() -> str:
    """Every path, parameter and header."""
    return written(
        "http",
        mounts=", ".join(f"`{mount or '/'}`" for mount in MOUNTS),
        first_version=FIRST_API_VERSION,
        paths=paths(),
        parameters=parameters(),
        queries=queries(),
        bodies=bodies(),
        includes=", ".join(f"`{name}`" for name in sorted(get_args(Include))),
        request_headers=headers(MEANINGS.request_headers),
        answer_headers=headers(MEANINGS.answer_headers),
    )


def paths() -> str:
    """The table of routes."""
    found = [
        f"{method} {path.replace(':path', '')}" for path, methods in answers().items() for method in sorted(methods)
    ]
    expect_same("the routes", found, MEANINGS.routes)
    return table(["path", "answer"], [[f"`{route}`", meaning] for route, meaning in MEANINGS.routes.items()])


def answers() -> dict[str, set[str]]:
    """The paths that the server answers, and the methods of each."""
    nothing = cast("Any", None)  # the table of routes is made, and no route is called
    responses = Responses(nothing, nothing, store=nothing, hub=nothing, body_limit=0, terms=nothing)
    others: list[Routed] = [
        Tokens(nothing, nothing, nothing, body_limit=0),
        Conversations(nothing, body_limit=0),
        Files(nothing),
        Uploads(nothing),
    ]
    found = routes(responses, Models({}, since=0), *others)
    return {path: set(methods) for path, methods in found.items()}


def parameters() -> str:
    """The parameters of a request."""
    expect_same("the request", CreateResponse.__struct_encode_fields__, MEANINGS.parameters)
    rows = [[f"`{name}`", value, MEANINGS.parameters[name]] for name, value in kinds(CreateResponse)]
    return table(["parameter", "value", "meaning"], rows)


def queries() -> str:
    """The parameters of queries."""
    expect_same("the queries", {name for type_ in QUERIES.values() for name, _ in kinds(type_)}, MEANINGS.queries)
    rows = [
        [f"`{path}`", f"`{name}`", value, MEANINGS.queries[name]]
        for path, type_ in QUERIES.items()
        for name, value in kinds(type_)
    ]
    return table(["path", "parameter", "value", "meaning"], rows)


def bodies() -> str:
    """The fields of what begins or changes a conversation, and of what makes a file."""
    expect_same("the bodies", BODIES, MEANINGS.bodies)
    for name, type_ in BODIES.items():
        expect_same(name, [field for field, _ in kinds(type_)], MEANINGS.bodies[name])
    rows = [
        [f"`{place}`", f"`{name}`", value, MEANINGS.bodies[place][name]]
        for place, type_ in BODIES.items()
        for name, value in kinds(type_)
    ]
    return table(["in", "field", "value", "meaning"], rows)


def kinds(type_: type[Struct]) -> list[tuple[str, str]]:
    """The fields of a struct and their types in words."""
    found = {field.encode_name: field.type for field in msgspec.structs.fields(type_)}
    return [
        (name, "list of texts" if name == "include" else kind(msgspec.inspect.type_info(annotation)))
        for name, annotation in found.items()
    ]


def headers(meanings: dict[str, str]) -> str:
    """A table of headers."""
    return table(["header", "meaning"], [[f"`{name}`", said] for name, said in sorted(meanings.items())])
