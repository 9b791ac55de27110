"""What refusals teach."""

from __future__ import annotations

import json

import pytest

from antiphon.backends.anthropic.traits import Traits, learned


def refused(message: str) -> bytes:
    """The body of a refusal."""
    error = {"type": "invalid_request_error", "message": message}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()


@pytest.mark.parametrize(
    ("message", "known"),
    [
        ("adaptive thinking is not supported on this model", Traits("budget")),
        (
            "thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags: 'enabled'",
            Traits("budget"),
        ),
        ("This model does not support the effort parameter.", Traits("budget")),
        (
            '"thinking.type.disabled" is not supported for this model. Use "output_config.effort" to control thinking.',
            Traits(rests=False),
        ),
        ("thinking: Extra inputs are not permitted", Traits("off")),
        ('tool_choice: type "tool" and "any" are not supported for this model.', Traits(forces=False)),
        ("tool_choice forces tool use is not compatible with this model", Traits(forces=False)),
        ("Thinking may not be enabled when tool_choice forces tool use.", Traits(forces_thoughtful=False)),
        ("`temperature` is deprecated for this model.", Traits(samples=False)),
        ("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.", Traits(samples=False)),
        ("`temperature` and `top_p` cannot both be specified for this model.", Traits(samples=False)),
        ("output_config: Extra inputs are not permitted", Traits(configures=False)),
        ("output_config.format: structured outputs are not supported on this model", Traits(configures=False)),
        ("messages.1.content.0: Invalid `signature` in `thinking` block", Traits(remembers=False)),
        ("messages.3.content.0: The block is bound to a different conversation.", Traits(remembers=False)),
        (
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
            Traits(remembers=False),
        ),
        (
            "messages.1.content.0: When thinking is disabled, an `assistant` message cannot contain `thinking`.",
            Traits(remembers=False),
        ),
    ],
)
def test_a_refusal_teaches_what_a_model_does_not_take(message: str, known: Traits) -> None:
    """In the words of the API."""
    assert known == learned(Traits(), refused(message))


def test_a_model_that_knows_no_budget_thinks_as_it_likes() -> None:
    """The other way round."""
    message = '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".'
    assert Traits("adaptive") == learned(Traits("budget"), refused(message))


@pytest.mark.parametrize(
    "body",
    [
        refused("max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens"),
        refused("output_config.effort: 'xhigh' is not supported for this model"),
        refused("messages: at least one message is required"),
        refused("temperature: Input should be less than or equal to 1"),
        b"<html>",
        b"",
    ],
)
def test_another_refusal_teaches_nothing(body: bytes) -> None:
    """It is the caller's to know."""
    assert learned(Traits(), body) is None


def test_what_is_known_already_teaches_nothing() -> None:
    """The turn would be asked alike again."""
    assert learned(Traits(samples=False), refused("`temperature` is deprecated for this model.")) is None
