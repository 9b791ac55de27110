"""What a model takes and what it refuses. Models differ, and no answer but a refusal tells how.

A refusal that names what is not taken is learned from: the turn is asked again in another way, and the model's next
turns are asked so at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends.upstream.faults import read_complaint

if TYPE_CHECKING:
    from antiphon.backends.anthropic.config import Config


class Traits(Struct, frozen=True):
    """What is known of a model.

    ``rests``: thinking can be switched off. ``forces``: it obeys a demand to call. ``forces_thoughtful``: also while it
    thinks. ``samples``: it takes a temperature. ``configures``: it takes an effort and a form of the output.
    ``remembers``: it takes its thoughts of this conversation back; that is true of one turn alone.
    """

    thinking: Literal["adaptive", "budget", "off"] = "adaptive"
    rests: bool = True
    forces: bool = True
    forces_thoughtful: bool = True
    samples: bool = True
    configures: bool = True
    remembers: bool = True


_NO = r"(not supported|not compatible|not permitted|deprecated|unsupported|does not match|unexpected)"
_RULES: tuple[tuple[str, dict[str, object]], ...] = (
    (r"thinking may not be enabled when tool_choice", {"forces_thoughtful": False}),
    (rf"tool_choice.{{0,80}}{_NO}", {"forces": False}),
    (rf"adaptive.{{0,60}}{_NO}|support the effort parameter", {"thinking": "budget"}),
    (rf"thinking\.type\.enabled.{{0,20}}{_NO}", {"thinking": "adaptive"}),
    (rf"thinking\.type\.disabled.{{0,20}}{_NO}", {"rests": False}),
    (rf"(temperature|top_p).{{0,60}}({_NO}|both|may only be set)", {"samples": False}),
    (rf"output_config(\.format)?`?:? .{{0,60}}{_NO}", {"configures": False}),
    (r"bound to a different conversation|signature. in .thinking", {"remembers": False}),
    (r"thinking. or .redacted_thinking|cannot contain .thinking", {"remembers": False}),
    (rf"^.?thinking.?:? .{{0,40}}{_NO}", {"thinking": "off"}),
)
RULES = tuple((re.compile(words, re.IGNORECASE), change) for words, change in _RULES)


def assumed(config: Config) -> Traits:
    """What is assumed of a model that was never asked."""
    return Traits(thinking=config.thinking)


def learned(traits: Traits, body: bytes) -> Traits | None:
    """What an error answer teaches about a model; None where it teaches nothing new."""
    complaint = read_complaint(body)
    words = "" if complaint is None else str(complaint.message)
    taught = (replace(traits, **change) for pattern, change in RULES if pattern.search(words))
    return next((each for each in taught if each != traits), None)
