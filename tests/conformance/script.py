"""What the model of these tests says: one script for all clients, so that one table tells what each must get."""

from __future__ import annotations

from msgspec.structs import replace

from antiphon.config import Config
from antiphon.http.auth import Config as Keys
from antiphon.http.auth import Key
from tests.conformance.clients import KEY
from tests.serving import scripted

PARIS = {"call": {"name": "get_weather", "arguments": {"city": "Paris"}}}
ROME = {"call": {"name": "get_weather", "arguments": {"city": "Rome"}}}

REPLIES = (
    {"after_output": True, "when": "22 degrees", "steps": [{"text": ["It is", " 22 degrees."]}]},
    {"when": "weather", "steps": [PARIS]},
    {"when": "both cities", "steps": [PARIS, ROME]},
    {"when": "a person", "steps": [{"text": ['{"name":"Ada",', '"age":36}']}]},
    {"when": "refuse", "steps": [{"refusal": ["I would", " rather not."]}]},
    {"when": "think", "steps": [{"thought": ["Two", " and two."]}, {"text": ["Four", "."]}]},
    {"when": "long", "steps": [{"text": ["one", " two"]}], "finish": "max_output_tokens"},
    {"when": "filter", "steps": [{"text": ["one", " two"]}], "finish": "content_filter"},
    {"when": "many words", "steps": [{"text": "word " * 40}]},
    {"when": "many arguments", "steps": [{"call": {"name": "get_weather", "arguments": {"city": "x" * 400}}}]},
    {"when": "say nothing", "steps": [{"text": [""]}]},
    {"when": "talk and call", "steps": [{"thought": "Hm."}, {"text": "I look."}, PARIS, ROME]},
    {"when": "endless", "steps": [{"text": ["So", " far"]}, {"pause_ms": 600_000}]},
    {"when": "break", "steps": [{"text": ["So", " far"]}, {"fail": {"message": "It broke."}}]},
    {
        "when": "limit",
        "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast.", "retry_after": 0.01}}],
    },
    {"when": "too much", "steps": [{"fail": {"fault": "context_length_exceeded", "message": "It is too much."}}]},
    {"when": "^hello$", "steps": [{"text": ["Hello", " there."]}], "usage": {"input_tokens": 9, "output_tokens": 4}},
)
"""Whatever else is said is echoed."""


def config(busy: str) -> Config:
    """A server with one key, a scripted model and a busy one at ``busy``."""
    deployments = [
        *scripted(*REPLIES, name="gpt-4o").deployments,
        *scripted(*REPLIES, name="gpt-5").deployments,  # a name that clients take for a model that reasons
        {"name": "busy", "backend": "chat_completions", "base_url": busy},
    ]
    return replace(scripted(), deployments=deployments, auth=Keys(keys=[Key(key=KEY, tenant="tests")]))
