"""An object storage for tests: a server that speaks S3, on this machine."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from moto.server import ThreadedMotoServer

from tests import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = re.compile(r"<Key>([^<]+)</Key>")


class Buckets:
    """Empty buckets of one server."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._numbers = itertools.count()

    def fresh(self) -> str:
        """The URL of a place in one more bucket."""
        name = f"bucket-{next(self._numbers)}"
        assert 200 == patient.request("PUT", f"{self.endpoint}/{name}").status_code
        return f"s3://{name}/below?endpoint={self.endpoint}&region=us-east-1&allow_http=true"

    def left(self, url: str) -> list[str]:
        """All that is in a bucket: the keys of what is whole, and of what somebody still sends."""
        name = url.removeprefix("s3://").partition("/")[0]
        whole = _KEY.findall(patient.get(f"{self.endpoint}/{name}?list-type=2").text)
        begun = _KEY.findall(patient.get(f"{self.endpoint}/{name}?uploads").text)
        return [*whole, *(f"{key} (begun)" for key in begun)]


@contextmanager
def buckets() -> Iterator[Buckets]:
    """A running server, and keys for it where clients look for them."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "tests")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        try:
            yield Buckets(f"http://{host}:{port}")
        finally:
            server.stop()
