"""Images that callers name by a URL: fetched where the operator wants it, and never from where nobody may look."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import httpx2 as httpx
import pytest
from msgspec import Struct

from antiphon.config import Config
from antiphon.outbound import Config as Outbound
from tests.acceptance.gallery import PNG, Gallery, gallery
from tests.acceptance.upstreams import asked, upstream
from tests.backends.upstream.raw_server import RawServer
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

INLINED = f"data:image/png;base64,{b64encode(PNG).decode()}"
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": ""}
COMPUTER = {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}, "pending_safety_checks": []}


class Sight(Struct, frozen=True):
    """A server, the model behind it, and a gallery."""

    client: httpx.Client
    model: RawServer
    gallery: Gallery

    def ask(self, items: list[Any], **more: Any) -> httpx.Response:  # JSON
        """Ask the model about an input."""
        return self.client.post("/v1/responses", json={"model": "m", "input": items, **more})

    def images(self) -> list[str]:
        """The URLs of the images that the model was last shown."""
        parts = [part for said in asked(self.model.requests[-1])["messages"] for part in said.get("content") or []]
        return [part["image_url"]["url"] for part in parts if isinstance(part, dict) and "image_url" in part]


@contextmanager
def sight(*, allowed: bool, **settings: Any) -> Iterator[Sight]:  # of a deployment
    """A server whose callers may, or may not, name what stands on this machine."""
    with upstream() as model, gallery() as pictures:
        deployment = {"name": "m", "backend": "chat_completions", "base_url": model.url, **settings}
        private = Outbound([f"127.0.0.1:{pictures.port}"] if allowed else [])
        config = Config(store=MEMORY, outbound=private, deployments=[deployment])
        with serving(config) as address, httpx.Client(base_url=address, timeout=HANG_SECONDS) as client:
            yield Sight(client, model, pictures)


@pytest.fixture(scope="module")
def fetching() -> Iterator[Sight]:
    """A server that fetches images, from the gallery too."""
    with sight(allowed=True, fetch_images=True) as seen:
        yield seen


@pytest.fixture(scope="module")
def careful() -> Iterator[Sight]:
    """A server that fetches images from public addresses alone."""
    with sight(allowed=False, fetch_images=True) as seen:
        yield seen


def picture(url: str) -> dict[str, str]:
    """The part of an image."""
    return {"type": "input_image", "image_url": url}


def looking(url: str) -> dict[str, Any]:
    """A message with an image."""
    return {"role": "user", "content": [{"type": "input_text", "text": "what?"}, picture(url)]}


def places(url: str) -> dict[str, list[Any]]:
    """Everywhere in an input where an image can stand that a model is shown."""
    shot = {"type": "computer_screenshot", "image_url": url}
    return {
        "a message": [looking(url)],
        "the output of a function": [CALL, {"type": "function_call_output", "call_id": "c", "output": [picture(url)]}],
        "the output of a custom tool": [
            CUSTOM,
            {"type": "custom_tool_call_output", "call_id": "c", "output": [picture(url)]},
        ],
        "a screenshot": [COMPUTER, {"type": "computer_call_output", "call_id": "c", "output": shot}],
    }


@pytest.mark.parametrize("place", places(""))
def test_the_model_is_shown_the_image_itself(fetching: Sight, place: str) -> None:
    """Wherever in the input its URL stands, the upstream receives a data URL."""
    answer = fetching.ask(places(f"{fetching.gallery.url}/picture")[place])
    assert 200 == answer.status_code, answer.text
    assert [INLINED] == fetching.images()


@pytest.mark.parametrize("place", places(""))
def test_an_image_that_is_data_is_left_alone(fetching: Sight, place: str) -> None:
    """However its scheme is written."""
    sent = INLINED.replace("data:", "DATA:")
    assert 200 == fetching.ask(places(sent)[place]).status_code
    assert [sent] == fetching.images()


def test_an_image_in_the_history_is_shown_again(fetching: Sight) -> None:
    """It is kept as it was fetched: later turns show it without asking for it again, when its URL may be dead."""
    url = f"{fetching.gallery.url}/again"
    first = fetching.ask([looking(url)]).json()["id"]
    fetching.ask([{"role": "user", "content": "and now?"}], previous_response_id=first)
    assert [INLINED] == fetching.images()
    assert 1 == fetching.gallery.seen.count("/again")
    listed = fetching.client.get(f"/v1/responses/{first}/input_items?include=message.input_image.image_url").json()
    assert INLINED == listed["data"][0]["content"][1]["image_url"]


@pytest.mark.parametrize("path", ["/page", "/gone", "/huge"])
def test_what_leads_to_no_image_is_refused_before_the_model_is_asked(fetching: Sight, path: str) -> None:
    """A page, nothing, and more than a model takes."""
    before = len(fetching.model.requests)
    refused(fetching.ask([looking(f"{fetching.gallery.url}{path}")]))
    assert before == len(fetching.model.requests)


def test_a_redirect_leads_to_no_private_address(fetching: Sight) -> None:
    """Each hop is looked at: a port that is not allowed, another address, and a scheme that is no web."""
    before = len(fetching.model.requests)
    for moved_to in (
        fetching.model.url,
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "file:///etc/passwd",
    ):
        fetching.gallery.moved_to = moved_to
        refused(fetching.ask([looking(f"{fetching.gallery.url}/moved")]))
    assert before == len(fetching.model.requests)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", places(""))
def test_a_private_address_is_refused_before_it_is_dialled(careful: Sight, place: str, *, stream: bool) -> None:
    """Neither the gallery nor the model hears of it, and the caller is told in a clear 400."""
    error = refused(careful.ask(places(f"{careful.gallery.url}/picture")[place], stream=stream))
    assert "failed_to_download_image" == error["code"]
    assert (
        "Error while downloading an image: The URL leads to an address that this server does not reach."
        == (error["message"])
    )
    assert ([], []) == (careful.gallery.seen, careful.model.requests)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",  # noqa: S104 - it is refused
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "user@127.0.0.1",
        "127.0.0.1.",
    ],
)
def test_an_address_is_refused_however_it_is_written(careful: Sight, host: str) -> None:
    """Loopback, private networks, link-local addresses and the metadata services of clouds."""
    error = refused(careful.ask([looking(f"http://{host}:{careful.gallery.port}/picture")]))
    assert "failed_to_download_image" == error["code"]
    assert "127.0.0.1" not in error["message"]
    assert ([], []) == (careful.gallery.seen, careful.model.requests)


def test_without_fetching_a_url_is_passed_on_as_it_is() -> None:
    """The upstream may reach what this server may not, and fetches for itself."""
    with sight(allowed=False, fetch_images=False) as seen:
        for items in places(f"{seen.gallery.url}/picture?a=b").values():
            assert 200 == seen.ask(items).status_code
            assert [f"{seen.gallery.url}/picture?a=b"] == seen.images()
        assert [] == seen.gallery.seen


def refused(answer: httpx.Response) -> Any:  # JSON
    """The error of a request that was refused as a whole."""
    assert 400 == answer.status_code, answer.text
    error = json.loads(answer.content)["error"]
    assert ("invalid_request_error", "input") == (error["type"], error["param"])
    return error
