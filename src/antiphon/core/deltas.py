"""The only words between a model and the server: what a backend says while one turn is being spoken.

A backend yields lists of deltas, one list for each read from its upstream. Within a turn:

* ``Text``, ``Refused`` and ``Thought`` append to the item that is being written and open it where it is not open;
  a delta of another sort closes it.
* ``Voice`` opens a message and says its phase. ``Cited`` cites something in the text that is being written.
* ``Summary`` appends to a summary that the upstream wrote itself of a thought. ``Keepsake`` ends the thought that is
  being written, or stands for one that is not shown at all.
* ``Call`` opens a call or appends to its arguments. ``key`` tells the calls of one turn apart; ``name`` comes with the
  first fragment of a call and may be empty afterwards.
* ``Began``, ``Wrote``, ``Went`` and ``Made`` tell of an item that a tool of the upstream's own made: only an upstream
  that speaks the Responses API and was handed a tool says them. Such items keep the ids of the upstream, and several
  may be open at once.
* ``Judged`` says what a content filter of this server's found in what it was asked, or in what is said next. It comes
  between any two others and closes nothing.
* ``Finish`` comes once, last. A stream that ends without it was cut off, which is an error of the upstream.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from antiphon.protocol.content import Annotation, Logprob
from antiphon.protocol.events import PhaseType
from antiphon.protocol.items import MessagePhase, OutputItem
from antiphon.protocol.response import ContentFilter, Usage

FinishReason = Literal["stop", "max_output_tokens", "max_messages", "content_filter", "steered"]
KeepsakeForm = Literal["signature", "redacted", "encrypted"]


class Text(Struct, frozen=True, gc=False):
    """A piece of the answer, with the log-probabilities of its tokens where they were asked for."""

    text: str
    logprobs: list[Logprob] = []


class Refused(Struct, frozen=True):
    """A piece of a refusal."""

    text: str


class Thought(Struct, frozen=True, gc=False):
    """A piece of the model's reasoning in plain text; one that is private is kept for the model and shown to nobody."""

    text: str
    is_private: bool = False


class Summary(Struct, frozen=True, gc=False):
    """A piece of the upstream's own summary of a thought. ``part`` counts the parts of the summary from 0."""

    text: str
    part: int = 0


class Keepsake(Struct, frozen=True):
    """What an upstream wants back with the thought that ends here, so that it can think on.

    ``signature`` (Anthropic) signs the thought that was written, ``redacted`` (Anthropic) is a thought that nobody may
    read, ``encrypted`` (Responses API) is a whole thought in a form that its own server opens.
    """

    form: KeepsakeForm
    token: str


class Voice(Struct, frozen=True):
    """A message begins, and the model says what it is for."""

    phase: MessagePhase


class Cited(Struct, frozen=True):
    """What the text that was written last cites."""

    annotation: Annotation


class Call(Struct, frozen=True):
    """The start of a call, or a further fragment of its arguments (JSON text, any cut).

    ``key`` is the upstream's own index or id of the call, unique within the turn. ``name`` is the function's name as
    the turn declared it; it is complete in the first fragment, and ignored in the later ones.
    """

    key: str
    name: str = ""
    arguments: str = ""


class Began(Struct, frozen=True):
    """An item of a tool of the upstream's own, as it shows it at first."""

    item: OutputItem


class Wrote(Struct, frozen=True):
    """A fragment of the arguments of such an item, if it is the call of an MCP server's tool."""

    id: str
    arguments: str


class Went(Struct, frozen=True):
    """Such an item goes on."""

    id: str
    phase: PhaseType


class Made(Struct, frozen=True):
    """Such an item is finished."""

    item: OutputItem


class Judged(Struct, frozen=True):
    """What a content filter found: in the prompt, or in a piece of the answer."""

    filters: list[ContentFilter]


class Finish(Struct, frozen=True):
    """The model has spoken: why it stopped and what it cost, as far as the upstream said."""

    reason: FinishReason = "stop"
    usage: Usage | None = None


Delta = (
    Text | Refused | Thought | Summary | Keepsake | Voice | Cited | Call | Began | Wrote | Went | Made | Judged | Finish
)
