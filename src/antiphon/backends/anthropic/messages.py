"""Retells a transcript as the messages of the Messages API.

* User and model take turns. What the model thought, said and called without an answer in between is one message, in
  its order; what came of the calls opens the next one, and what people said meanwhile follows.
* Instructions that open the transcript are the system prompt. A later one is told by the user, between marks.
* A thought goes back as it came, signed or redacted, and only before words or a call of the model's: the API takes no
  other. One that is neither signed nor redacted is left out.
* A person speaks first and last: a model that is to go on after its own words is asked to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from antiphon.backends.anthropic import shapes
from antiphon.backends.anthropic.parts import tell_parts, words
from antiphon.backends.upstream.retelling import retell, short_id
from antiphon.core.turn import Thinking
from antiphon.protocol.items import Message, ReasoningItem

if TYPE_CHECKING:
    from antiphon.backends.upstream.retelling import Answered, Called
    from antiphon.core.turn import Output, Turn
    from antiphon.protocol.items import Item

ID_LIMIT = 64
"""The longest id of a call."""

OPENING = "Begin."
GOING_ON = "Go on."
_ID = re.compile(r"[A-Za-z0-9_-]+")


class Told(Struct, frozen=True):
    """The system prompt and the messages."""

    system: list[shapes.Text]
    messages: list[shapes.Message]


def tell(turn: Turn, *, remembers: bool, mark: shapes.Cache | None) -> Told:
    """Tell a turn; without ``remembers`` its thoughts are left out. ``mark`` goes where the caller marked a part.

    Raises `UpstreamError` for a part that the API does not take.
    """
    chat = Chat(mark)
    if turn.instructions and turn.instructions.strip():
        chat.instruct([shapes.Text(turn.instructions)])
    for item in turn.items:
        _tell_item(item, turn, chat, remembers=remembers)
    return chat.end()


def instruction(text: str) -> shapes.Text:
    """An instruction as a user tells it."""
    return shapes.Text(f"<instructions>\n{text}\n</instructions>")


def demanding(messages: list[shapes.Message], demand: str) -> list[shapes.Message]:
    """The messages, with an instruction as the last words of the user, who speaks last."""
    match messages:
        case [*others, shapes.User(content=content)]:
            return [*others, shapes.User([*content, instruction(demand)])]
        case _:
            return [*messages, shapes.User([instruction(demand)])]


class Chat:
    """The messages as far as they are told, with at most one of either side open."""

    def __init__(self, mark: shapes.Cache | None) -> None:
        self.mark = mark
        self._system: list[shapes.Text] = []
        self._messages: list[shapes.Message] = []
        self._thoughts: list[shapes.Kept] = []
        self._said: list[shapes.Said] = []
        self._outputs: list[shapes.ToolResult] = []
        self._results: list[shapes.ToolResult] = []
        self._shown: list[shapes.Shown] = []

    def instruct(self, blocks: list[shapes.Text]) -> None:
        """An instruction."""
        if self._messages or self._said or self._results or self._shown:
            self.user([instruction(block.text) for block in blocks])
        else:
            self._system.extend(blocks)

    def user(self, blocks: list[shapes.Shown] | list[shapes.Text]) -> None:
        """What a person said or showed."""
        if blocks:
            self._break()
            self._shown.extend(blocks)

    def think(self, block: shapes.Kept) -> None:
        """What the model thought before it went on; if it did not, nothing is told of it."""
        self._thoughts.append(block)

    def say(self, texts: list[str]) -> None:
        """What the model said; if it had called hosted tools before, their outputs were known to it."""
        if texts:
            self._open(after_output=True)
            self._said.extend(map(shapes.Text, texts))

    def call(self, call: Called) -> None:
        """What the model called. A call that carries its output needs no `answer`."""
        self._open(after_output=bool(self._thoughts))
        call_id = _call_id(call.id)
        self._said.append(shapes.ToolUse(call_id, call.name, Raw(call.arguments.encode())))
        if call.output is not None:
            self._outputs.append(shapes.ToolResult(call_id, _content(call.output)))

    def answer(self, answer: Answered) -> None:
        """What came of a call."""
        self._break()
        self._results.append(shapes.ToolResult(_call_id(answer.id), _content(answer.output)))

    def end(self) -> Told:
        """All is told."""
        self._break()
        if not self._results and not self._shown:
            self._shown.append(shapes.Text(GOING_ON if self._messages else OPENING))
        self._close_shown()
        return Told(self._system, self._messages)

    def _open(self, *, after_output: bool) -> None:
        if after_output and self._outputs:
            self._close_said()
        self._close_shown()
        self._said.extend(self._thoughts)
        self._thoughts = []

    def _break(self) -> None:
        self._thoughts = []
        self._close_said()

    def _close_shown(self) -> None:
        if self._results or self._shown:
            self._messages.append(shapes.User([*self._results, *self._shown]))
            self._results, self._shown = [], []

    def _close_said(self) -> None:
        if self._said:
            if not self._messages:
                self._messages.append(shapes.User([shapes.Text(OPENING)]))
            self._messages.append(shapes.Assistant(self._said))
        self._results.extend(self._outputs)
        self._said, self._outputs = [], []


def _tell_item(item: Item, turn: Turn, chat: Chat, *, remembers: bool) -> None:
    match item:
        case Message(role="user"):
            chat.user(tell_parts(item.content, chat.mark))
        case Message(role="assistant"):
            chat.say(words(item.content))
        case Message():
            blocks = tell_parts(item.content, chat.mark)
            chat.instruct([block for block in blocks if isinstance(block, shapes.Text)])
        case ReasoningItem():
            if remembers and (block := _thought(turn.thoughts.get(item.id))) is not None:
                chat.think(block)
        case _:
            told = retell(item, turn.outputs)
            if told.call is not None:
                chat.call(told.call)
            if told.answer is not None:
                chat.answer(told.answer)


def _thought(thinking: Thinking | None) -> shapes.Kept | None:
    match thinking:
        case Thinking(form="signature", token=token) if token:
            return shapes.Thought(thinking.text, token)
        case Thinking(form="redacted", token=token) if token:
            return shapes.Redacted(token)
        case _:
            return None


def _call_id(id: str) -> str:
    """The id as the API takes it: letters, digits, ``_`` and ``-``."""
    return short_id(id, ID_LIMIT if _ID.fullmatch(id) else 0)


def _content(output: Output) -> shapes.Content:
    return output if isinstance(output, str) else tell_parts(output, None)
