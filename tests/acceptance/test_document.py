"""What the OpenAPI document says is so: requests are made from it, and the answers are what it promises."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any  # an OpenAPI document is open

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from antiphon.http.openapi import document
from antiphon.http.operations import OPERATIONS
from antiphon.http.schemas import components
from tests.acceptance.mutations import VALID
from tests.acceptance.observed import CANARY, KEYS, Observed, observed, posted, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case
    from schemathesis.core.transport import Response
    from schemathesis.schemas import APIOperation
    from schemathesis.specs.openapi.schemas import OpenApiSchema

pytestmark = pytest.mark.slow

# Cases that are made from a schema are slow to make, and slower to make smaller: a failure is shown as it was found.
EXAMPLES = settings(max_examples=40, suppress_health_check=list(HealthCheck), phases=[Phase.reuse, Phase.generate])
FEW = settings(EXAMPLES, max_examples=15)
PARAMETERS = list(components()["CreateResponse"]["properties"])
ROUTES = [(path, method) for path, methods in OPERATIONS.items() for method in methods]
MOVING = ["status", "output", "usage", "error", "incomplete_details", "completed_at"]
"""What changes of a response that is not over."""

CAN_BE_WRONG = [("/responses", "POST"), ("/responses/{id}", "GET"), ("/responses/{id}/input_items", "GET")]
"""What has a body or a query; nothing else that a caller sends to a route can break its schema."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A server that speaks from a script and is watched."""
    with observed(tmp_path_factory.mktemp("document")) as watched:
        yield watched


@pytest.fixture(scope="module")
def described(server: Observed) -> OpenApiSchema:
    """The document, as the server gives it."""
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.fixture(scope="module")
def kept(server: Observed) -> str:
    """The id of a response that is there."""
    id: str = server.send(posted(json.dumps(VALID[2]).encode())).json["id"]
    return id


def judge(server: Observed, case: Case[Any]) -> Response:
    """Send a request, and hold the answer to the document and to what holds for every answer."""
    before = server.rows()
    answer = case.call(base_url=f"{server.url}/v1")
    assert answer.status_code < 500
    # Rules between parameters are in no schema: a request may be refused for them.
    case.validate_response(answer, excluded_checks=[positive_data_acceptance])
    if answer.status_code >= 400:
        assert set(json.loads(answer.content)["error"]) == KEYS
        assert before == server.rows(), "a refused request was kept"
    assert CANARY not in server.journal.read()
    return answer


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_requests_that_fit_the_document(server: Observed, described: OpenApiSchema, path: str, method: str) -> None:
    """They are answered as it says, and never with a fault of the server's."""

    @EXAMPLES
    @given(case=described[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def holds(case: Case[Any]) -> None:
        judge(server, case)

    holds()


@pytest.mark.parametrize(("path", "method"), CAN_BE_WRONG)
def test_requests_that_do_not_fit_are_refused(
    server: Observed, described: OpenApiSchema, path: str, method: str
) -> None:
    """They are answered with an error, as the document says."""

    @EXAMPLES
    @given(case=described[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def holds(case: Case[Any]) -> None:
        judge(server, case)

    holds()


@pytest.mark.parametrize("path", ["/responses/{id}", "/responses/{id}/input_items"])
def test_what_is_kept_is_read_with_any_query(server: Observed, described: OpenApiSchema, kept: str, path: str) -> None:
    """A query that fits gives what the document says, or says why not."""

    @EXAMPLES
    @given(case=described[path]["GET"].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def holds(case: Case[Any]) -> None:
        case.path_parameters = {"id": kept}
        judge(server, case)

    holds()


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_what_the_document_allows_is_never_of_a_wrong_type(server: Observed, parameter: str) -> None:
    """Each parameter takes what the document says; what came of it is kept, and reads back as described."""

    @FEW
    @given(case=_with(parameter).as_strategy(generation_mode=GenerationMode.POSITIVE))
    def holds(case: Case[Any]) -> None:
        answer = judge(server, case)
        if answer.status_code >= 400:
            error = json.loads(answer.content)["error"]
            # To JSON Schema 1.0 is an integer, as it is not to the API.
            assert "invalid_type" != error["code"] or "got a decimal number" in error["message"], error
        elif answer.headers["content-type"] == ["application/json"]:
            _read_back(server, json.loads(answer.content))

    holds()


def _with(parameter: str) -> APIOperation[Any, Any, Any, Any]:
    """The operation, reduced to requests that name a model, say something and have the parameter, and a canary."""
    read: dict[str, Any] = json.loads(document())  # an OpenAPI document is open
    body = read["components"]["schemas"]["CreateResponse"]
    said = deepcopy(body["properties"]["input"])
    said["oneOf"].remove({"type": "null"})
    named = {"type": "string", "minLength": 1}
    body["properties"] = {
        "user": {"const": CANARY},
        parameter: body["properties"][parameter],
        "model": named,
        "input": said,
    }
    body["required"] = list(body["properties"])
    body["additionalProperties"] = False
    return schemathesis.openapi.from_dict(read)["/responses"]["POST"]


def _read_back(server: Observed, response: dict[str, Any]) -> None:  # JSON
    path = f"/v1/responses/{response['id']}".encode()
    again, page = server.judge(request("GET", path)), server.judge(request("GET", path + b"/input_items?limit=100"))
    if not response["store"]:
        assert (404, 404) == (again.status, page.status)
        return
    if response["background"]:  # it has gone on meanwhile
        response |= {key: again.json[key] for key in MOVING}
    assert response == again.json
    item_pages().validate(page.json)


@cache
def item_pages() -> jsonschema_rs.Validator:
    """What a list of items must be; it costs more to make than to use."""
    return jsonschema_rs.validator_for({
        "$ref": "#/components/schemas/ItemPage",
        "components": {"schemas": components()},
    })
