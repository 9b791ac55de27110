"""A deployment that chooses among others, as clients meet it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import AzureOpenAI, BadRequestError, NotFoundError, OpenAI

from antiphon.config import Config, ConfigError
from antiphon.wiring import read_deployments, read_routers
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOL: Any = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
ROUTER: dict[str, Any] = {
    "name": "model-router",
    "backend": "router",
    "rules": [
        {"effort": ["high"], "deployment": "large"},
        {"tools": True, "deployment": "able"},
        {"deployment": "small"},
    ],
}
PICKY: dict[str, Any] = {
    "name": "picky",
    "backend": "router",
    "rules": [{"min_input_tokens": 100_000, "deployment": "large"}],
}


def named(name: str) -> dict[str, Any]:
    """A model that says who it is."""
    return {
        "name": name,
        "backend": "scripted",
        "model": f"{name}-2026",
        "replies": [{"steps": [{"text": f"I am {name}."}]}],
    }


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with three models and two that choose among them."""
    models = [named("small"), named("able"), named("large")]
    with serving(Config(store=MEMORY, deployments=[*models, ROUTER, PICKY])) as url:
        yield url


@pytest.fixture
def official(address: str) -> Iterator[OpenAI]:
    """The official client."""
    with OpenAI(base_url=f"{address}/v1", api_key="k", max_retries=0) as client:
        yield client


def test_the_response_names_the_model_that_answered(official: OpenAI) -> None:
    """Reference, section 2: ``Response.model`` is the model that answered."""
    response = official.responses.create(model="model-router", input="Who are you?")
    assert ("small-2026", "I am small.") == (response.model, response.output_text)


def test_a_chain_is_free_to_choose_anew(official: OpenAI) -> None:
    """Each response of it by its own request."""
    first = official.responses.create(model="model-router", input="Who are you?")
    second = official.responses.create(
        model="model-router", input="And now?", tools=[TOOL], previous_response_id=first.id
    )
    third = official.responses.create(
        model="model-router", input="And now?", reasoning={"effort": "high"}, previous_response_id=second.id
    )
    assert ["I am small.", "I am able.", "I am large."] == [each.output_text for each in (first, second, third)]


def test_a_background_run_keeps_its_choice(official: OpenAI) -> None:
    """Whoever performs it asks the model that was chosen when it was queued."""
    events = official.responses.create(model="model-router", input="Hi", tools=[TOOL], background=True, stream=True)
    last = list(events)[-1]
    assert last.type == "response.completed"
    assert ("able-2026", "I am able.") == (last.response.model, last.response.output_text)


def test_it_is_listed_with_the_others(official: OpenAI) -> None:
    """Clients choose from the list."""
    assert ["able", "large", "model-router", "picky", "small"] == [each.id for each in official.models.list().data]
    assert "model-router" == official.models.retrieve("model-router").id


def test_a_request_that_no_rule_is_for_is_a_clear_400(official: OpenAI) -> None:
    """It says that the model is the reason."""
    with pytest.raises(BadRequestError, match="'picky' chooses among others by rules") as refusal:
        official.responses.create(model="picky", input="Hi")
    assert ("no_fitting_model", "model") == (refusal.value.code, refusal.value.param)


def test_azures_clients_name_it_in_the_path(address: str) -> None:
    """The headers name both: what was asked for and who answered (recorded-traffic.md, section 6)."""
    base = f"{address}/openai/deployments/model-router"
    with AzureOpenAI(base_url=base, api_version="2025-04-01-preview", api_key="k", max_retries=0) as client:
        raw = client.responses.with_raw_response.create(model="ignored", input="Hi")
    assert "small-2026" == raw.parse().model
    assert ("model-router", "small-2026") == (
        raw.headers["x-ms-deployment-name"],
        raw.headers["x-ms-served-model"],
    )


def test_an_unknown_name_is_unknown_still(address: str, official: OpenAI) -> None:
    """A router answers for no other name."""
    with pytest.raises(BadRequestError):
        official.responses.create(model="nobody", input="Hi")
    base = f"{address}/openai/deployments/nobody"
    with (
        AzureOpenAI(base_url=base, api_version="2025-04-01-preview", api_key="k", max_retries=0) as client,
        pytest.raises(NotFoundError) as refusal,
    ):
        client.responses.create(model="m", input="Hi")
    assert "DeploymentNotFound" == refusal.value.code


def test_a_router_may_answer_every_name() -> None:
    """As any deployment called ``*`` does; it is not listed under that."""
    config = Config(store=MEMORY, deployments=[named("small"), named("able"), named("large"), {**ROUTER, "name": "*"}])
    with serving(config) as url, OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        assert "I am small." == client.responses.create(model="anything", input="Hi").output_text
        assert "I am able." == client.responses.create(model="able", input="Hi").output_text
        assert ["able", "large", "small"] == [each.id for each in client.models.list().data]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"deployment": "nobody"}], "names 'nobody', and there is none"),
        ([{"deployment": "model-router"}], "lead in a circle: model-router > model-router"),
        ([{"deployment": "small"}, {"tools": True, "deployment": "small"}], "rule 1 fits every request"),
        ([{"tool": True, "deployment": "small"}], "Did you mean 'tools'"),
        ([{"effort": ["huge"], "deployment": "small"}], "Invalid enum value 'huge'"),
        ([], "length >= 1"),
    ],
)
def test_rules_that_cannot_be_meant_are_told_at_the_start(rules: list[dict[str, Any]], words: str) -> None:
    """A server with them does not start."""
    config = Config(deployments=[named("small"), {**ROUTER, "rules": rules}])
    assert ["small"] == [each.name for each in read_deployments(config)]
    with pytest.raises(ConfigError, match=words):
        read_routers(config)
