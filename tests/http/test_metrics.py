"""Tests of figures as a Prometheus would ask for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from antiphon.config import Background, ConfigError, read_config
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from antiphon.telemetry.settings import Metrics
from tests.http.talking import Refused, talking
from tests.patient import get, post, request
from tests.servers import reserved_port
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2 as httpx

    from antiphon.config import Config

KEY = "scraper-key"
OPEN = Metrics(enabled=True, key=KEY)
CLIENTS = 20
THIS_MACHINE = ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.8.8:9464", "[::1]", "[::1]:9464"]
OTHERS = ["evil.example", "localhost.evil.example:1", "10.0.0.1", "[fe80::1]:1", "127.0.0.1.evil.example", "::", ""]


def counted(config: Config, metrics: Metrics = OPEN) -> Config:
    """The same with figures."""
    return replace(config, metrics=metrics)


def scraped(address: str, key: str | None = KEY) -> dict[str, dict[tuple[str, ...], float]]:
    """The figures: by name, and by the values of their labels, in the order of the labels' names."""
    answer = scrape(address, key)
    assert 200 == answer.status_code, answer.text
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def scrape(address: str, key: str | None = KEY) -> httpx.Response:
    """Ask for the figures."""
    return get(f"{address}/metrics", headers={} if key is None else {"authorization": f"Bearer {key}"})


def ask(address: str, **more: object) -> httpx.Response:
    """Ask for a response."""
    return post(f"{address}/v1/responses", json={"model": "any", "input": "hi", **more})


def test_figures_are_off_until_somebody_asks_for_them() -> None:
    """The path is one that is not there."""
    with serving(scripted()) as address:
        assert 404 == scrape(address).status_code


def test_figures_need_a_key_of_their_own() -> None:
    """Neither none, nor another, nor a tenant's key opens them; the error has the wire's form."""
    config = counted(replace(scripted(), auth=Auth(keys=[Key(key="tenants-key", tenant="a")])))
    with serving(config) as address:
        answers = [scrape(address, key) for key in (None, "wrong", "tenants-key")]
        assert [401, 401, 401] == [each.status_code for each in answers]
        assert ["message", "type", "param", "code"] == list(answers[0].json()["error"])
        assert 200 == scrape(address).status_code


def test_probes_and_figures_are_read_and_nothing_else() -> None:
    """Another method is refused as everywhere, with those that there are; each is counted under its own path."""
    with serving(counted(scripted())) as address:
        answers = [request("POST", f"{address}{path}") for path in ("/health", "/health/live", "/metrics")]
        assert [(405, "GET, HEAD")] * 3 == [(each.status_code, each.headers["allow"]) for each in answers]
        assert 401 == scrape(address, key=None).status_code
        assert 200 == request("HEAD", f"{address}/health").status_code
        requests = scraped(address)["antiphon_requests_total"]
    assert (1, 1) == (requests["POST", "/health", "405"], requests["GET", "/metrics", "401"])


def test_figures_at_a_port_of_their_own_are_not_at_the_callers() -> None:
    """From this machine they need no key there; a web page that was given its name cannot read them."""
    with reserved_port() as port, serving(counted(scripted(), Metrics(enabled=True, port=port))) as address:
        apart = f"http://127.0.0.1:{port}"
        assert 404 == scrape(address).status_code
        assert "antiphon_requests_in_flight" in scraped(apart, key=None)
        named = [get(f"{apart}/metrics", headers={"host": host}).status_code for host in THIS_MACHINE]
        assert len(THIS_MACHINE) * [200] == named
        others = [get(f"{apart}/metrics", headers={"host": host}).status_code for host in OTHERS]
        assert len(OTHERS) * [403] == others
        rebound = get(f"{apart}/metrics", headers={"host": "evil.example"})
        assert (403, "forbidden") == (rebound.status_code, rebound.json()["error"]["code"])
        assert [200, 200, 404] == [get(apart + path).status_code for path in ("/health", "/health/ready", "/v1/models")]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("enabled = true", "would be open to every caller"),
        ('enabled = true\nport = 9464\nhost = "0.0.0.0"', "can be reached from other machines"),
    ],
)
def test_figures_for_everybody_are_refused_at_the_start(tmp_path: Path, text: str, remedy: str) -> None:
    """And it is said how to mend it."""
    file = tmp_path / "antiphon.toml"
    file.write_text(f"[metrics]\n{text}\n")
    with pytest.raises(ConfigError, match=remedy):
        read_config(file)


def test_requests_are_counted_by_the_pattern_of_their_path() -> None:
    """Ids, strangers' paths and strangers' methods are no labels."""
    with serving(counted(scripted())) as address:
        for id in ("resp_1", "resp_2"):
            get(f"{address}/v1/responses/{id}")
            get(f"{address}/nowhere/{id}")
        request("PROPFIND", f"{address}/v1/models")
        found = scraped(address)
    requests = found["antiphon_requests_total"]
    assert 2 == requests["GET", "/v1/responses/{id}", "404"]
    assert 2 == requests["GET", "unmatched", "404"]
    assert 1 == requests["other", "/v1/models", "405"]
    assert not any("resp_1" in label for labels in requests for label in labels)
    assert 2 == found["antiphon_request_seconds_count"]["GET", "/v1/responses/{id}"]
    assert 1 == found["antiphon_requests_in_flight"][()]


def test_handshakes_of_websockets_are_counted_as_requests() -> None:
    """Those that were accepted when they were, by their status; what follows is no request."""
    with serving(counted(replace(scripted(), auth=Auth(keys=[Key(key="k", tenant="a")])))) as address:
        with talking(address, authorization="Bearer k") as talk:
            talk.turn()
            found = scraped(address)
            assert 1 == found["antiphon_requests_total"]["GET", "/v1/responses", "101"]
            assert 1 == found["antiphon_websockets_open"][()]
        for path, key in (("/v1/responses", "wrong"), ("/openai/v1/responses", "wrong"), ("/v1/nowhere", "k")):
            with pytest.raises(Refused), talking(address, path, authorization=f"Bearer {key}"):
                pass
        requests = scraped(address)["antiphon_requests_total"]
    assert [1, 1, 1, 1] == [
        requests["GET", route, status]
        for route, status in (
            ("/v1/responses", "101"),
            ("/v1/responses", "401"),
            ("/openai/v1/responses", "401"),
            ("unmatched", "404"),
        )
    ]


def test_responses_and_their_tokens_are_counted_by_deployment() -> None:
    """The deployment is the configuration's word; what a caller calls the model is no label."""
    cost = {"input_tokens": 30, "output_tokens": 7, "cached_tokens": 10, "reasoning_tokens": 2}
    with serving(counted(scripted({"steps": [{"text": "Hello."}], "usage": cost}))) as address:
        for name in ("one", "two"):
            assert 200 == ask(address, model=name).status_code
        assert 200 == ask(address, stream=True).status_code
        found = scraped(address)
    tokens = found["antiphon_tokens_total"]
    kinds = ("input", "cached", "output", "reasoning")
    assert (90, 30, 21, 6) == tuple(tokens["*", kind] for kind in kinds)
    assert {("*", "completed"): 3} == found["antiphon_responses_total"]
    assert {("*",): 0} == found["antiphon_responses_running"]
    for name in ("response", "first_event", "turn"):
        assert {("*",): 3} == found[f"antiphon_{name}_seconds_count"]
    assert found["antiphon_store_seconds_count"]["write",] >= 3


def test_failures_of_an_upstream_are_counted_by_whose_fault_they_are() -> None:
    """One before the first event is a refusal, one after it a response that failed."""
    fails = {"fail": {"fault": "rate_limit_exceeded"}}
    broken = {"when": "later", "steps": [{"text": "Well"}, {"die": True}]}
    with serving(counted(scripted(broken, {"steps": [fails]}))) as address:
        assert 429 == ask(address).status_code
        assert "failed" == ask(address, input="later").json()["status"]
        found = scraped(address)
    assert {("*", "refused"): 1, ("*", "failed"): 1} == found["antiphon_responses_total"]
    assert 1 == found["antiphon_upstream_errors_total"]["*", "rate_limit_exceeded"]
    assert 2 == sum(found["antiphon_upstream_errors_total"].values())


def test_background_jobs_are_counted() -> None:
    """How many were taken, and how many wait and run."""
    slow = {"steps": [{"text": "begun"}, {"pause_ms": 600_000}]}
    with serving(counted(scripted(slow))) as address:
        id = ask(address, background=True).json()["id"]
        while "in_progress" != get(f"{address}/v1/responses/{id}").json()["status"]:
            pass
        found = scraped(address)
        post(f"{address}/v1/responses/{id}/cancel")
    assert (1, 1, 0) == (
        found["antiphon_jobs_claimed_total"][()],
        found["antiphon_jobs"]["running",],
        found["antiphon_jobs"]["queued",],
    )


def test_a_background_run_that_is_cancelled_is_counted_once() -> None:
    """Whether it waits or runs: by who ends it, and not by the run that hears of it too."""
    slow = {"steps": [{"text": "begun"}, {"pause_ms": 600_000}]}
    config = counted(replace(scripted(slow), background=Background(workers=1)))
    with serving(config) as address:
        runs, waits = (ask(address, background=True).json()["id"] for _ in range(2))
        while "in_progress" != get(f"{address}/v1/responses/{runs}").json()["status"]:
            pass
        for id in (waits, runs):
            assert "cancelled" == post(f"{address}/v1/responses/{id}/cancel").json()["status"]
        while (found := scraped(address))["antiphon_responses_running"]["*",]:
            pass
    assert {("*", "cancelled"): 2} == found["antiphon_responses_total"]


@pytest.mark.slow
def test_scrapes_under_load_are_whole_and_add_up() -> None:
    """Every scrape parses while streams go on, counters never go down, and in the end nothing is missing."""
    reply = {"steps": [{"text": [f"{number} " for number in range(50)]}], "tokens_per_second": 500}
    with serving(counted(scripted(reply))) as address, ThreadPoolExecutor(CLIENTS) as clients:
        streams = [clients.submit(ask, address, stream=True) for _ in range(5 * CLIENTS)]
        seen: list[float] = []
        while not all(stream.done() for stream in streams):
            seen.append(scraped(address).get("antiphon_requests_total", {}).get(("POST", "/v1/responses", "200"), 0))
        assert all(stream.result().status_code == 200 for stream in streams)
        found = scraped(address)
    assert seen == sorted(seen)
    assert 5 * CLIENTS == found["antiphon_requests_total"]["POST", "/v1/responses", "200"]
    assert {("*", "completed"): 5 * CLIENTS} == found["antiphon_responses_total"]
    assert (0, 1) == (found["antiphon_streams_open"][()], found["antiphon_requests_in_flight"][()])
