"""Concerns: why a person is asked before a model acts on a screen, in words that are safe to read."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Code = Literal["malicious_instructions", "irrelevant_domain", "sensitive_domain"]

MOST_QUOTED = 200
"""Characters of what a page says that a person is shown."""


class Concern(Struct, frozen=True):
    """A reason to ask: its code on the wire, and one sentence for a person."""

    code: Code
    message: str


class Verdict(Struct, frozen=True, forbid_unknown_fields=True):
    """What was seen on a screen.

    ``instructions`` are words that want to steer the model, None where there are none. ``credentials`` and ``payment``:
    whether the page asks for them.
    """

    instructions: str | None
    credentials: bool
    payment: bool


UNJUDGED = Concern(
    "malicious_instructions",
    "It could not be judged whether the screen shows instructions that are meant to mislead the model.",
)


def elsewhere(url: str | None, place: str | None) -> Concern:
    """The model wants to act on a page that is not allowed; ``place`` is its host, where that can be told."""
    if not url:
        words = "The address of the page is not known, so it cannot be told whether the model may act on it by itself."
    elif place is None:
        words = "The address of the page cannot be read for certain, so the model may not act on it by itself."
    else:
        words = f"The page is at {place}, and is not one of those on which the model may act by itself."
    return Concern("irrelevant_domain", words)


def sensitive(place: str | None) -> Concern:
    """The page is one of those that ask for what a person should not leave to a model."""
    if place is None:
        words = "The address of the page cannot be read for certain, and it may ask for credentials or a payment."
    else:
        words = f"The page at {place} may ask for credentials or a payment."
    return Concern("sensitive_domain", words)


def judged(verdict: Verdict) -> list[Concern]:
    """What a verdict comes to: at most one concern of a code."""
    concerns: list[Concern] = []
    if verdict.instructions:
        words = "The screen shows instructions that may be meant to mislead the model"
        quote = quoted(verdict.instructions)
        concerns.append(Concern("malicious_instructions", f'{words}: "{quote}"' if quote else f"{words}."))
    asked = [
        name for name, is_asked in (("credentials", verdict.credentials), ("a payment", verdict.payment)) if is_asked
    ]
    if asked:
        concerns.append(Concern("sensitive_domain", f"The page asks for {' and '.join(asked)}."))
    return concerns


def quoted(text: str) -> str:
    """What a page says as a person may be shown it: one short line, nothing in it that is not seen, and no quotes."""
    seen = "".join(character if character.isprintable() else " " for character in text[: 8 * MOST_QUOTED])
    line = " ".join(seen.replace('"', "'").split())
    return line if len(line) <= MOST_QUOTED else f"{line[: MOST_QUOTED - 3].rstrip()}..."
