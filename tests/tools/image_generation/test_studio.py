"""Which way to draw answers to which name, and what is told of settings that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # settings of a test

import pytest

from antiphon.tools.image_generation import Studio

if TYPE_CHECKING:
    from antiphon.documents import Documents

pytestmark = pytest.mark.anyio

IMAGES = {"name": "gpt-image-1", "backend": "images", "base_url": "http://127.0.0.1:1/v1"}
SVG = {"name": "sketch", "backend": "svg", "deployment": "coder"}


async def test_a_name_is_looked_for_in_order(documents: Documents) -> None:
    """The first name that is given decides, whether or not there is such a deployment."""
    studio = Studio([IMAGES, SVG], documents)
    assert "sketch" == studio.choose(None, "", "sketch", "gpt-image-1")
    assert "gpt-image-1" == studio.choose(None, None)
    with pytest.raises(LookupError) as refused:
        studio.choose("dall-e", "sketch")
    assert ("dall-e",) == refused.value.args


async def test_a_star_answers_every_other_name(documents: Documents) -> None:
    """Exact names come first; without any configuration there is a star alone."""
    studio = Studio([IMAGES, {**SVG, "name": "*"}], documents)
    assert ["gpt-image-1", "*", "gpt-image-1"] == [studio.choose(name) for name in ("gpt-image-1", "dall-e", None)]
    assert ["*", "*"] == [Studio([], documents).choose(name) for name in ("dall-e", None)]


async def test_a_sketch_may_be_written_by_another_deployment(documents: Documents) -> None:
    """The deployment that writes is named; images need none."""
    studio = Studio([IMAGES, SVG], documents)
    assert ["coder", None] == [studio.writer(name) for name in ("sketch", "gpt-image-1")]
    assert Studio([], documents).writer("*") is None
    await studio.aclose()


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([IMAGES, IMAGES], "Two image deployments have the same name."),
        ([{**SVG, "backend": "gpu"}], "An image deployment has the unknown backend 'gpu'; there are: images, svg."),
        ([{**SVG, "backend": 7}], "An image deployment has the unknown backend 7; there are: images, svg."),
        (
            [{**IMAGES, "apikey": "x"}],
            "The image deployment 'gpt-image-1' has the unknown key 'apikey'. Did you mean 'api_key'?",
        ),
        ([{**SVG, "zzz": 1}], "The image deployment 'sketch' has the unknown key 'zzz'."),
        ([{"backend": "svg"}], "The image deployment '?': Object missing required field `name`."),
        (
            [{**IMAGES, "timeout": 0}],
            "The image deployment 'gpt-image-1': Expected `float` > 0.0 - at `$.timeout`.",
        ),
        (
            [{**IMAGES, "base_url": "ftp://x"}],
            (
                r"The image deployment 'gpt-image-1': Expected `str` matching regex '^https?://[^\\s/?#]+[^\\s?#]*\\Z'"
                " - at `$.base_url`."
            ),
        ),
    ],
)
async def test_settings_that_cannot_be_used_are_told(
    tables: list[dict[str, Any]], message: str, documents: Documents
) -> None:
    """In words for the operator, with the nearest key to one that is not known."""
    with pytest.raises(ValueError) as refused:
        Studio(tables, documents)
    assert message == str(refused.value)
