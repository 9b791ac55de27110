"""A real images API for tests: it draws, edits and streams pictures on a free port of this machine, or behaves badly.

.. code-block:: python

    with images_api() as server:
        ...                                     # something posts to server.url + "/images/generations"
    assert "a red house" == server.asked[0].fields["prompt"]
"""

from __future__ import annotations

from tests.images_api.asked import Asked, SentFile
from tests.images_api.drawing import drawn, edited, encoded, opened
from tests.images_api.misbehaving import HOW
from tests.images_api.serving import ImagesApi, images_api
from tests.images_api.telling import SECRET

__all__ = [
    "HOW",
    "SECRET",
    "Asked",
    "ImagesApi",
    "SentFile",
    "drawn",
    "edited",
    "encoded",
    "images_api",
    "opened",
]
