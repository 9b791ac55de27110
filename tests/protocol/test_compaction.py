"""Which parameters counting and compacting know."""

from __future__ import annotations

from antiphon.protocol.compaction import COMPACTED, COUNTED, only, others
from antiphon.protocol.request import CreateResponse

ASKED = CreateResponse(model="m", instructions="Be brief.", stream=True, metadata={"a": "b"}, service_tier="flex")


def test_all_that_is_known_is_a_parameter_of_a_request() -> None:
    """Of both; ``personality`` is one of counting alone."""
    assert {"personality"} == (COUNTED | COMPACTED) - set(CreateResponse.__struct_fields__)


def test_what_is_not_known_is_left_out_and_named() -> None:
    """What was not given is not named."""
    assert CreateResponse(model="m", instructions="Be brief.") == only(ASKED, COUNTED)
    assert ["stream", "metadata", "service_tier"] == others(ASKED, COUNTED)
    assert CreateResponse(model="m", instructions="Be brief.", service_tier="flex") == only(ASKED, COMPACTED)
    assert ["stream", "metadata"] == others(ASKED, COMPACTED)
    assert [] == others(CreateResponse(), COUNTED)
