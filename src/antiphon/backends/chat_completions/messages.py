"""Retells a transcript as chat messages.

* What the model said and called without an answer in between is one ``assistant`` message, and the answers follow it.
* A thought goes back with what was said or called after it, in the form in which the upstream takes it, or not at all.
* Instructions that open the transcript become one message, since many chat templates allow a system message only there.
* A hosted call is told as a call with its output. What means nothing to a chat model is left out.
* A tool message holds text alone, so images and files in an output follow as a ``user`` message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions import shapes
from antiphon.backends.chat_completions.details import Detail, told
from antiphon.backends.upstream.retelling import retell, short_id
from antiphon.protocol.content import InputAudio, InputFile, InputImage, InputText, OutputText, RefusalPart
from antiphon.protocol.items import Message, ReasoningItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from antiphon.backends.chat_completions.config import Config, ReasoningField
    from antiphon.backends.upstream.retelling import Answered, Called
    from antiphon.core.turn import Output, Turn
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item

ID_LIMIT = 40
"""The longest id of a call that OpenAI takes; our own ids are longer."""


def tell(turn: Turn, config: Config) -> list[shapes.Message]:
    """Give the messages of a turn, instructions first. Raises `UpstreamError` for a part that is a mere reference."""
    chat = Chat(developer_role=config.developer_role, reasoning_field=config.reasoning_field)
    if turn.instructions:
        chat.instruct(turn.instructions)
    for item in turn.items:
        match item:
            case ReasoningItem() if config.send_reasoning and (thinking := turn.thoughts.get(item.id)) is not None:
                chat.think(thinking.text, told(thinking, [part.text for part in item.summary]))
            case ReasoningItem():
                pass
            case _:
                _tell_item(item, turn.outputs, chat)
    return chat.end()


class Chat:
    """The messages as far as they are told, with at most one assistant message open."""

    def __init__(self, *, developer_role: bool, reasoning_field: ReasoningField) -> None:
        self._instruction = shapes.Developer if developer_role else shapes.System
        self._reasoning_field: ReasoningField = reasoning_field
        self._messages: list[shapes.Message] = []
        self._instructions: list[str] = []
        self._thoughts: list[str] = []
        self._details: list[Detail] = []
        self._texts: list[str] = []
        self._calls: list[shapes.ToolCall] = []
        self._outputs: list[shapes.ToolOutput] = []
        self._shown: list[shapes.Part] = []

    def instruct(self, text: str) -> None:
        """An instruction."""
        self._close()
        self._instructions.append(text)

    def user(self, content: shapes.Content) -> None:
        """What a person said or showed."""
        self._close()
        self._settle_instructions()
        self._messages.append(shapes.User(content))

    def think(self, text: str, details: list[Detail]) -> None:
        """What the model thought before it went on; its message begins here."""
        self._open(after_output=True)
        self._thoughts += [text] if text else []
        self._details += details

    def say(self, text: str) -> None:
        """What the model said; if it had called hosted tools before, their outputs were known to it."""
        if not text:  # an answer may be empty, and strict upstreams refuse such a message for ever after
            return
        self._open(after_output=True)
        self._texts.append(text)

    def call(self, call: Called) -> None:
        """What the model called. A call that carries its output needs no `answer`."""
        self._open(after_output=False)
        call_id = short_id(call.id, ID_LIMIT)
        self._calls.append(shapes.ToolCall(call_id, shapes.Called(call.name, call.arguments)))
        if call.output is not None:
            self._outputs.append(shapes.ToolOutput(call_id, _read(call.output)))
            self._shown.extend(_seen(call.output))

    def answer(self, answer: Answered) -> None:
        """What came of a call, and what is to be seen beside it."""
        self._close_assistant()
        self._messages.append(shapes.ToolOutput(short_id(answer.id, ID_LIMIT), _read(answer.output)))
        self._shown.extend(_seen(answer.output))

    def end(self) -> list[shapes.Message]:
        """All is told."""
        self._close()
        self._settle_instructions()
        return self._messages

    def _open(self, *, after_output: bool) -> None:
        self._settle_instructions()
        if self._shown or (after_output and self._outputs):
            self._close()

    def _close(self) -> None:
        self._close_assistant()
        if self._shown:
            self._messages.append(shapes.User(self._shown))
            self._shown = []

    def _close_assistant(self) -> None:
        if self._texts or self._calls:
            self._messages.append(self._assistant())
        self._messages.extend(self._outputs)
        self._texts, self._calls, self._outputs, self._thoughts, self._details = [], [], [], [], []

    def _assistant(self) -> shapes.Assistant:
        content = "\n\n".join(self._texts) if self._texts else None
        thought = "\n".join(self._thoughts)
        calls = self._calls or UNSET
        match self._reasoning_field:
            case "reasoning_details":
                return shapes.Assistant(content, tool_calls=calls, reasoning_details=self._details or UNSET)
            case _ if not thought:
                return shapes.Assistant(content, tool_calls=calls)
            case "reasoning_content":
                return shapes.Assistant(content, tool_calls=calls, reasoning_content=thought)
            case "reasoning":
                return shapes.Assistant(content, tool_calls=calls, reasoning=thought)
            case "think_tags":
                return shapes.Assistant(f"<think>\n{thought}\n</think>\n\n{content or ''}", tool_calls=calls)

    def _settle_instructions(self) -> None:
        if self._instructions:
            self._messages.append(self._instruction("\n\n".join(self._instructions)))
            self._instructions = []


def _tell_item(item: Item, outputs: Mapping[str, Output], chat: Chat) -> None:
    match item:
        case Message(role="user"):
            chat.user(_content(item.content))
        case Message(role="assistant"):
            chat.say(_text(item.content))
        case Message():
            chat.instruct(_text(item.content))
        case _:
            retold = retell(item, outputs)
            if retold.call is not None:
                chat.call(retold.call)
            if retold.answer is not None:
                chat.answer(retold.answer)


def _read(output: Output) -> str:
    """The words of an output."""
    if isinstance(output, str):
        return output
    text = "\n".join(part.text for part in output if isinstance(part, InputText))
    return text or ("The output is shown below." if _seen(output) else "")


def _seen(output: Output) -> list[shapes.Part]:
    """What is no word in an output."""
    return [] if isinstance(output, str) else _parts([part for part in output if not isinstance(part, InputText)])


def _content(parts: Sequence[MessagePart]) -> shapes.Content:
    if all(isinstance(part, InputText | OutputText | RefusalPart) for part in parts):
        return _text(parts)
    return _parts(parts)


def _text(parts: Sequence[MessagePart]) -> str:
    """The words of a message; an instruction or an answer of the model's has nothing else."""
    return "\n".join(part.text for part in _parts(parts) if isinstance(part, shapes.TextPart))


def _parts(parts: Sequence[MessagePart]) -> list[shapes.Part]:
    return [_part(part) for part in parts]


def _part(part: MessagePart) -> shapes.Part:
    match part:
        case InputText() | OutputText():
            return shapes.TextPart(part.text)
        case RefusalPart():
            return shapes.TextPart(part.refusal)
        case InputImage(image_url=str(url)):
            return shapes.ImagePart(shapes.ImageUrl(url, _detail(part)))
        case InputAudio():
            return shapes.AudioPart(shapes.AudioClip(part.input_audio.data, part.input_audio.format))
        case InputFile(file_data=str(content)):
            return shapes.FilePart(shapes.File(content, part.filename))
        case InputImage():
            raise UpstreamError(
                "invalid_request", "This model takes images only by URL or as data URLs.", param="input"
            )
        case InputFile():
            raise UpstreamError("invalid_request", "This model takes files only by their content.", param="input")


def _detail(image: InputImage) -> Literal["low", "high"] | UnsetType:
    match image.detail:
        case "auto":
            return UNSET
        case "low":
            return "low"
        case "high" | "original":
            return "high"
