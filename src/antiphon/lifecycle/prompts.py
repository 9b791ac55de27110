"""Prompt templates: files of the operator's that callers name, with variables that callers fill.

A template is a file of TOML in one folder: settings and messages of a request. ``ID.toml`` is the newest version,
``ID/VERSION.toml`` another. A file is read again when it has changed. In a text, ``{{name}}`` stands for a variable; a
variable that is an image or a file is the whole of a content part.

.. code-block:: toml

    model = "gpt-4o"
    temperature = 0.2

    [[messages]]
    role = "developer"
    content = "You speak as a {{trade}} of {{city}}."

    [[messages]]
    role = "user"
    content = [{ type = "input_text", text = "{{question}}" }, { type = "input_text", text = "{{picture}}" }]

``instructions = "..."`` is short for one message of the developer's, which comes first. What a request says itself
counts for more than what its template says.
"""

from __future__ import annotations

import logging
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from anyio.to_thread import run_sync
from msgspec import Struct
from msgspec.structs import replace

from antiphon.protocol.checks import check as check_request
from antiphon.protocol.content import InputFile, InputImage, InputText, OutputText
from antiphon.protocol.errors import ApiError, invalid_request, missing_parameter, shown, unknown_parameter
from antiphon.protocol.items import Item, Message
from antiphon.protocol.places import Object, Sent, is_array
from antiphon.protocol.reading import read_request
from antiphon.protocol.refusals import prompt_not_found, server_error
from antiphon.protocol.request import CreateResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import stat_result

    from antiphon.protocol.content import MessagePart

log = logging.getLogger(__name__)

MOST_BYTES = 1_048_576
"""The largest file of a template."""
MOST_CHARACTERS = 10_485_760
"""The longest text with its variables filled, as of any text of a request."""
SETTINGS = (
    "model",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "truncation",
)
"""What a template may say beside its messages, in the words of a request."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_VARIABLE = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_UNSAID: tuple[object, ...] = (None, [])

Filling = str | InputImage | InputFile


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[prompts]``: the folder of the templates. Without one, no template is found."""

    folder: str | None = None


class Rendered(Struct, frozen=True):
    """A request with the settings of its template, and the messages that come first; None where it names none."""

    request: CreateResponse
    messages: list[Item] | None = None


class BrokenTemplate(Exception):
    """A file is no template; the message names it and says what to mend."""


class Template(Struct, frozen=True):
    """Settings and messages of a file. ``speaks_first`` tells that the first message is its ``instructions``."""

    settings: CreateResponse
    messages: list[Message]
    speaks_first: bool

    @property
    def variables(self) -> set[str]:
        """The names that its texts hold."""
        return {name for message in self.messages for text in _texts(message) for name in _VARIABLE.findall(text)}


class Prompts:
    """The templates of a folder."""

    def __init__(self, config: Config) -> None:
        self._folder = None if config.folder is None else Path(config.folder)
        self._read: dict[Path, tuple[tuple[int, int, int], Template]] = {}

    async def rendered(self, request: CreateResponse) -> Rendered:
        """Fill the template that a request names. Raises ``ApiError``: 404 for an unknown one, 400 for variables."""
        prompt = request.prompt
        if prompt is None:
            return Rendered(request)
        template = await self._template(prompt.id, prompt.version)
        filled = {name: _filling(value) for name, value in (prompt.variables or {}).items()}
        _check_names(template.variables, filled)
        messages = template.messages
        if template.speaks_first and request.instructions is not None:
            messages = messages[1:]
        return Rendered(_merged(request, template.settings), [_filled(message, filled) for message in messages])

    def check(self) -> list[str]:
        """What is wrong with the folder and its files, one sentence each."""
        if self._folder is None:
            return []
        if not self._folder.is_dir():
            return [f"{self._folder} is no folder of prompt templates."]
        paths = sorted([*self._folder.glob("*.toml"), *self._folder.glob("*/*.toml")])
        return [fault for path in paths if (fault := _fault(path, self._folder)) is not None]

    async def _template(self, id: str, version: str | None) -> Template:
        path = _path(self._folder, id, version)
        if path is None:
            raise prompt_not_found(id, version)
        try:
            return await run_sync(self._current, path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise prompt_not_found(id, version) from error
        except (BrokenTemplate, OSError) as error:
            extra = {"action": "prompt_broken", "file": str(path), "error": str(error)}
            log.error("a prompt template cannot be used", extra=extra)  # noqa: TRY400 - the error says all in a line
            raise server_error("The prompt template cannot be used.") from error

    def _current(self, path: Path) -> Template:
        """The template of a file as it is now. Raises `BrokenTemplate` and ``OSError``."""
        state = _state(path.stat())
        known = self._read.get(path)
        if known is not None and known[0] == state:
            return known[1]
        self._read.pop(path, None)
        template = read_template(path)
        self._read[path] = (state, template)
        return template


def read_template(path: Path) -> Template:
    """Read a file. Raises `BrokenTemplate` and ``OSError``."""
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BrokenTemplate(f"{path} is longer than {MOST_BYTES} bytes.")
    try:
        return _template(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenTemplate(f"{path} is not TOML: {error}.") from error
    except ApiError as error:
        raise BrokenTemplate(f"{path}: {error.message}") from error


def _template(raw: Object) -> Template:
    """A template as a part of a request, read and checked as requests are. Raises ``ApiError``."""
    unknown = sorted(set(raw) - {*SETTINGS, "instructions", "messages"})
    if unknown:
        raise unknown_parameter(unknown[0])
    instructions, given = raw.pop("instructions", None), raw.pop("messages", [])
    first: list[Sent] = [] if instructions is None else [{"role": "developer", "content": instructions}]
    if not is_array(given) or not (first or given):
        raise invalid_request("A template holds 'instructions' or a list of 'messages'.")
    sent: Object = {**raw, "input": [*first, *given], "prompt": {"id": "of the request that is not there yet"}}
    request = read_request(msgspec.json.encode(sent)).request
    check_request(request)
    messages = [item for item in request.input if isinstance(item, Message)]
    if len(messages) < len(request.input):
        raise invalid_request("A template holds messages and no other items.")
    return Template(replace(request, input=[]), messages, speaks_first=bool(first))


def _fault(path: Path, folder: Path) -> str | None:
    names = path.relative_to(folder).with_suffix("").parts
    if not all(map(_NAME.fullmatch, names)):
        return f"{path} can never be named: ids and versions have letters, digits, '_' and '-' alone."
    try:
        read_template(path)
    except (BrokenTemplate, OSError) as error:
        return str(error)
    return None


def _state(found: stat_result) -> tuple[int, int, int]:
    """What changes with a file; one that is put in its place is another."""
    return found.st_mtime_ns, found.st_size, found.st_ino


def _path(folder: Path | None, id: str, version: str | None) -> Path | None:
    """The file of a version; None for names that no file has. Nothing of a caller's leads out of the folder."""
    if folder is None or _NAME.fullmatch(id) is None:
        return None
    if version is None:
        return folder / f"{id}.toml"
    return folder / id / f"{version}.toml" if _NAME.fullmatch(version) else None


def _merged(request: CreateResponse, settings: CreateResponse) -> CreateResponse:
    asked, given = msgspec.structs.asdict(request), msgspec.structs.asdict(settings)
    return replace(request, **{name: given[name] for name in SETTINGS if asked[name] in _UNSAID})


def _filling(value: str | InputText | InputImage | InputFile) -> Filling:
    match value:
        case InputText(text=text):
            return text
        case _:
            return value


def _check_names(wanted: set[str], given: Mapping[str, Filling]) -> None:
    for name in sorted(wanted - given.keys()):
        raise missing_parameter(f"prompt.variables.{name}")
    for name in sorted(given.keys() - wanted):
        raise unknown_parameter(f"prompt.variables.{shown(name)}")


def _texts(message: Message) -> Iterator[str]:
    for part in message.content:
        match part:
            case InputText(text=text) | OutputText(text=text):
                yield text
            case _:
                pass


def _filled(message: Message, filled: Mapping[str, Filling]) -> Message:
    return replace(message, content=[_part(part, filled) for part in message.content])


def _part(part: MessagePart, filled: Mapping[str, Filling]) -> MessagePart:
    """A part with its variables filled: once, so that what callers say is never looked through for more."""
    match part:
        case InputText(text=text):
            lone = _VARIABLE.fullmatch(text)
            value = None if lone is None else filled[lone[1]]
            return replace(part, text=_text(text, filled)) if value is None or isinstance(value, str) else value
        case OutputText(text=text):
            return replace(part, text=_text(text, filled))
        case _:
            return part


def _text(text: str, filled: Mapping[str, Filling]) -> str:
    length = len(text) + sum(len(_word(name, filled)) for name in _VARIABLE.findall(text))
    if length > MOST_CHARACTERS:
        raise invalid_request(
            f"The prompt template with its variables is too long: at most {MOST_CHARACTERS} characters are allowed.",
            param="prompt.variables",
            code="string_above_max_length",
        )
    return _VARIABLE.sub(lambda match: _word(match[1], filled), text)


def _word(name: str, filled: Mapping[str, Filling]) -> str:
    value = filled[name]
    if isinstance(value, str):
        return value
    raise invalid_request(
        f"The variable '{name}' stands within a text: it must be a string or of the type 'input_text'.",
        param=f"prompt.variables.{name}",
        code="invalid_value",
    )
