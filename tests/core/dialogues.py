"""Whole dialogues between a model, tools and a machine, drawn at random but always legal, and how they are played.

A turn is a number of strands, each a piece of prose or a call with its fragments, woven together in any way. Hosted
calls report phases and are answered in any order, while the model still speaks or after it. A dialogue ends well, or is
broken off after any step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Literal

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.actions import Steps
from antiphon.core.actions import written as steps_written
from antiphon.core.calls import CallKind, Glimpse, OpenCall, Silent
from antiphon.core.client_calls import (
    ApplyPatchKind,
    ClientSearchKind,
    ComputerKind,
    CustomKind,
    LocalShellKind,
    Named,
    ShellKind,
)
from antiphon.core.deltas import (
    Call,
    Cited,
    Delta,
    Finish,
    FinishReason,
    Keepsake,
    KeepsakeForm,
    Refused,
    Summary,
    Text,
    Thought,
    Voice,
)
from antiphon.core.machine import Machine
from antiphon.core.mcp_calls import Asking, McpKind
from antiphon.core.notes import CallAnswered, Note
from antiphon.core.replay import replayed
from antiphon.core.speech import Manner
from antiphon.core.turn import Thinking
from antiphon.core.writing import Shown
from antiphon.protocol.calls import ImageGenerationCall, McpCall, McpHttpError, McpToolListing, WebSearchCall
from antiphon.protocol.computer import Click, SafetyCheck, Type, Wait
from antiphon.protocol.content import Logprob, UrlCitation
from antiphon.protocol.events import PhaseType, StreamEvent
from antiphon.protocol.items import MessagePhase, OutputItem
from antiphon.protocol.response import (
    ImageTokens,
    ImageToolUsage,
    InputTokens,
    OutputTokens,
    Response,
    ResponseError,
    Usage,
)

SEARCH, DRAW, MCP, ASK, GRANTED = "search", "draw", "mcp", "ask", "granted"
CLIENT, FORBIDDEN = "lookup", "forbidden"
MEMBER, CUSTOM, SHELL, LOCAL, PATCH, FIND = "crm__look", "note", "shell", "local_shell", "apply_patch", "tool_search"
MOVE = "computer"
OF_CLIENTS = frozenset({CLIENT, MEMBER, CUSTOM, SHELL, LOCAL, PATCH, FIND, MOVE})
"""What the client runs."""
NOW = 1_700_000_060
TOOLS = [McpToolListing(name="look", input_schema={"type": "object"})]
CRASH = ResponseError(code="server_error", message="It broke.")

Strand = list[Delta]
Ending = Literal["complete", "fail", "cancel"]
State = Literal["new", "idle", "speaking", "ended"]
Watch = Callable[["Play"], None]
Emission = list[StreamEvent | Note]
"""What one step of a machine leaves in a log."""


def searched(call: OpenCall) -> OutputItem:
    """A search as far as it is known while nobody has answered it."""
    return WebSearchCall(id=call.id, status=call.status)


def drawn(call: OpenCall) -> OutputItem:
    """A drawing of which nothing is to be seen yet."""
    return ImageGenerationCall(id=call.id, status="in_progress")


def signed(id: str, arguments: str) -> str:
    """An id that knows what it stands for, as far as a test needs it."""
    return f"{id}-{len(arguments)}"


def sealed(thinking: Thinking) -> str:
    """A thought in a form that a test can read."""
    return f"{thinking.text}|{thinking.form}|{thinking.token}|{thinking.model}"


KINDS: dict[str, CallKind] = {
    SEARCH: Silent("ws", searched, "response.web_search_call.in_progress"),
    DRAW: Silent("ig", drawn, "response.image_generation_call.in_progress"),
    MCP: McpKind("somewhere", MCP),
    ASK: Asking("somewhere", ASK, signed),
    MEMBER: Named("look", "crm"),
    CUSTOM: CustomKind(CUSTOM),
    SHELL: ShellKind(),
    LOCAL: LocalShellKind(),
    PATCH: ApplyPatchKind(),
    FIND: ClientSearchKind(),
    MOVE: ComputerKind(is_single=False),
}
GRANTS: dict[str, CallKind] = {GRANTED: McpKind("somewhere", GRANTED, "mcpr_before")}
PICTURE = "aVZCT1I="
GLIMPSE = Glimpse(0, PICTURE, size="1x1", quality="low", background="opaque", output_format="png")
PAID = ImageToolUsage(
    input_tokens=5,
    input_tokens_details=ImageTokens(image_tokens=3, text_tokens=2),
    output_tokens=7,
    output_tokens_details=ImageTokens(image_tokens=7),
    total_tokens=12,
)
"""What each picture costs."""
PHASES: dict[str, PhaseType] = {
    SEARCH: "response.web_search_call.searching",
    DRAW: "response.image_generation_call.generating",
    MCP: "response.mcp_call.in_progress",
    GRANTED: "response.mcp_call.in_progress",
}


class Spoken(Struct, frozen=True):
    """A turn: what is said, read by read, and why the model stopped. The last read ends with `Finish`."""

    reads: list[list[Delta]]

    @property
    def deltas(self) -> list[Delta]:
        """All that is said."""
        return [delta for read in self.reads for delta in read]


class Dialogue(Struct, frozen=True):
    """Turns and their end. ``steps``: how many steps are taken before it is broken off.

    ``picks`` decide what tools do between two reads, one number each time. ``lists`` are the servers that say first
    what tools they have, ``grants`` the arguments of calls that a person approved; ``most`` bounds the calls of tools.
    ``sealed``: thoughts go out sealed too.
    """

    turns: list[Spoken]
    ending: Ending
    steps: int
    picks: list[int]
    parallel: bool
    allowed: frozenset[str] | None
    raw: bool
    lists: list[str]
    grants: list[str]
    most: int | None
    sealed: bool

    @property
    def manner(self) -> Manner:
        """How its model may speak."""
        return Manner(
            kinds=KINDS,
            grants=GRANTS,
            allowed=self.allowed,
            most_calls=self.most,
            shown=Shown(raw=self.raw, summary=None if self.raw else "detailed"),
            seal=sealed if self.sealed else None,
            model="thinker",
        )


class Play:
    """A dialogue on the stage: the machine, what it said so far, and which hosted calls wait.

    ``before``: what other plays of the same response left in its log; this one takes over and goes on with ``resume``.
    """

    def __init__(self, dialogue: Dialogue, watch: Watch | None = None, *, before: list[Emission] | None = None) -> None:
        numbers = count(1000 * len(before or []))
        self.dialogue = dialogue
        self._new_id = lambda prefix: f"{prefix}_{next(numbers)}"
        self.machine = self._again(before) if before else self._first()
        self._begin = self.machine.resume if before else self.machine.start
        self.events: list[StreamEvent] = []
        self.emissions: list[Emission] = []
        self.heard: list[list[Delta]] = []
        self.state: State = "new"
        self.answered = [call for call in self.machine.calls if call not in self.machine.waiting]
        self._watch = watch
        self._picks = iter(dialogue.picks)
        self._steps = 0
        self.is_granted = False

    def _first(self) -> Machine:
        return Machine(
            Response(
                id="resp_0", created_at=NOW, model="m", status="queued", parallel_tool_calls=self.dialogue.parallel
            ),
            new_id=self._new_id,
            manner=self.dialogue.manner,
        )

    def _again(self, log: list[Emission]) -> Machine:
        return replayed(
            [entry for emission in log for entry in emission],
            new_id=self._new_id,
            manner=self.dialogue.manner,
        )

    def change_machines(self) -> None:
        """Go on with a machine that is made of what the other one told."""
        self.machine = self._again(self.emissions)
        self.answered = [call for call in self.machine.calls if call not in self.machine.waiting]

    @property
    def waiting(self) -> list[OpenCall]:
        """The hosted calls without an answer."""
        return [call for call in self.machine.calls if call.kind.hosted and call not in self.answered]

    def run(self) -> Play:
        """Play it to its end."""
        self._step(self._begin, "idle")
        if not self.machine.has_spoken:
            self._open()
        self._serve(one=False)
        for turn in self.dialogue.turns:
            self._turn(turn)
        self._look()
        if self.dialogue.ending == "complete":
            self._tell(self.machine.complete(NOW))
        elif self.dialogue.ending == "fail":
            self._tell(self.machine.fail(CRASH))
        else:
            self._tell(self.machine.cancel())
        self.state = "ended"
        self._look()
        return self

    def _open(self) -> None:
        """What comes before the model: the lists, which end in another order, then the calls that were approved."""
        for label in self.dialogue.lists:
            if label not in self.machine.lists:
                self._step(partial(self.machine.open_list, label), "idle")
        done = {item.id for item in self.machine.finished}
        for label in [label for label, place in self.machine.lists.items() if place.id not in done][::-1]:
            fails = partial(self.machine.fail_list, label, "no")
            closes = partial(self.machine.close_list, label, TOOLS)
            self._step(fails if next(self._picks, 1) % 3 == 0 else closes, "idle")
        if self.dialogue.grants:
            calls = [Call(f"granted-{number}", GRANTED, text) for number, text in enumerate(self.dialogue.grants)]
            self._step(partial(self.machine.grant, calls), "idle")
            self.is_granted = self.is_granted or self.machine.has_spoken

    def _turn(self, turn: Spoken) -> None:
        if self._is_over():
            return
        self._look()
        self.machine.next_turn()
        self.state = "speaking"
        self.heard.append([])
        for number, read in enumerate(turn.reads, start=1):
            if self._is_over():
                return
            self.heard[-1] += read
            self._step(partial(self.machine.feed, read), "idle" if number == len(turn.reads) else "speaking")
            self._serve(one=next(self._picks, 0) % 3 == 0)
        self._serve(one=False)

    def _serve(self, *, one: bool) -> None:
        """Let tools work: one step of one of them, or all until none waits and the model may be asked again."""
        while self.waiting and (one or self.state == "idle") and not self._is_over():
            pick = next(self._picks, 1)
            call = self.waiting[pick % len(self.waiting)]
            if pick % 4 == 0:
                self._step(partial(self.machine.phase, call, PHASES[call.name]), self.state)
            else:
                self._step(partial(self._answer, call), self.state)
            if one:
                return

    def _answer(self, call: OpenCall) -> list[StreamEvent]:
        self.answered.append(call)
        match call.kind.item(call):
            case WebSearchCall() as search:
                return self.machine.answer(call, replace(search, status="completed"))
            case ImageGenerationCall() as drawing:
                shown = self.machine.phase(call, GLIMPSE)
                self.machine.notes.append(CallAnswered(call.id, "Drawn.", PAID))
                return shown + self.machine.answer(call, replace(drawing, status="completed", result=PICTURE), PAID)
            case McpCall() as mcp:
                return self.machine.answer(
                    call, replace(mcp, status="failed", error=McpHttpError(code=424, message="no"))
                )
            case other:
                raise AssertionError(other)

    def _step(self, step: Callable[[], list[StreamEvent]], then: State) -> None:
        if self._is_over():
            return
        self._look()
        self._tell(step())
        self.state = then
        self._steps += 1

    def _tell(self, events: list[StreamEvent]) -> None:
        self.events += events
        self.emissions.append([*events, *self.machine.take_notes()])

    def _is_over(self) -> bool:
        """Whether it is broken off here. Before ``start`` nothing can be broken off."""
        return self.dialogue.ending != "complete" and self.state != "new" and self._steps >= self.dialogue.steps

    def _look(self) -> None:
        if self._watch is not None:
            self._watch(self)


def cut(text: str, sizes: list[int]) -> list[str]:
    """A text in pieces of these sizes, over and over; none is empty."""
    pieces: list[str] = []
    position = 0
    for number in count():
        if position >= len(text):
            return pieces
        size = sizes[number % len(sizes)]
        pieces.append(text[position : position + size])
        position += size
    raise AssertionError


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=3)
LOGPROBS = st.lists(
    st.builds(Logprob, token=st.text("ab", max_size=2), logprob=st.floats(-9, 0), bytes=st.just([97])), max_size=2
)
TOKENS = st.integers(0, 1000)
USAGES = st.none() | st.builds(
    Usage,
    input_tokens=TOKENS,
    input_tokens_details=st.builds(InputTokens, cached_tokens=TOKENS, cache_write_tokens=TOKENS),
    output_tokens=TOKENS,
    output_tokens_details=st.builds(OutputTokens, reasoning_tokens=TOKENS),
    total_tokens=TOKENS,
)
ARGUMENTS = st.dictionaries(st.text("ab", max_size=2), st.none() | st.integers(0, 9) | st.text(max_size=3), max_size=2)
LINES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
COMMANDS = st.lists(LINES, max_size=3)
ENVELOPES = st.builds(
    "*** Begin Patch\n*** {} File: a b\n{}\n*** End Patch".format, st.sampled_from(["Add", "Update", "Delete"]), LINES
)
STEPS = st.builds(
    lambda steps: json.loads(steps_written(steps)),
    st.builds(
        Steps,
        st.lists(st.just(Wait()) | st.builds(Type, text=LINES) | st.just(Click(button="left", x=1, y=2)), max_size=2),
        st.lists(st.builds(SafetyCheck, id=st.sampled_from(["", "cu_sc_theirs"]), code=LINES), max_size=2),
    ),
)
CALLED = sorted(OF_CLIENTS)
JSON_OF: dict[str, st.SearchStrategy[object]] = {
    CUSTOM: st.fixed_dictionaries({"input": LINES}, optional={"a": LINES})
    | st.dictionaries(st.just("text"), LINES)
    | ARGUMENTS,
    SHELL: st.fixed_dictionaries({"commands": COMMANDS}, optional={"timeout_ms": st.integers(-1, 9)})
    | st.fixed_dictionaries({"commands": LINES})
    | st.fixed_dictionaries({"command": st.lists(LINES, min_size=1, max_size=2)})
    | ARGUMENTS,
    LOCAL: st.fixed_dictionaries({"command": COMMANDS | LINES}, optional={"workdir": LINES, "timeout_ms": st.just(9)})
    | ARGUMENTS,
    PATCH: st.fixed_dictionaries(
        {
            "type": st.sampled_from(["create_file", "update_file", "delete_file", "update_file", "burn"]),
            "path": st.sampled_from(["a b", "c", ""]),
        },
        optional={"diff": LINES | ENVELOPES},
    )
    | st.fixed_dictionaries({"diff": ENVELOPES})
    | st.fixed_dictionaries({"input": ENVELOPES})
    | ARGUMENTS,
    MOVE: STEPS | ARGUMENTS,
}
"""What a model writes for a tool of the client's, well or badly; for the others it is `ARGUMENTS`."""
PLAIN = st.builds("z{}".format, LINES)
"""What is no JSON, and does not begin with any."""


@st.composite
def written(draw: st.DrawFn, name: str) -> str:
    """The arguments of a call of this name; now and then they are plain text, in any order, or nothing."""
    pick = draw(st.integers(0, 5))
    if name not in JSON_OF or pick > 1:
        value = draw(JSON_OF.get(name, ARGUMENTS))
        members = draw(st.permutations(list(value.items()))) if isinstance(value, dict) else []
        return json.dumps(dict(members), ensure_ascii=draw(st.booleans()))
    return draw(PLAIN) if pick else ""


PHASES_OF_MESSAGES: st.SearchStrategy[list[MessagePhase]] = st.lists(
    st.sampled_from(["commentary", "final_answer"]), max_size=1
)
CITATIONS = st.lists(
    st.builds(
        UrlCitation,
        start_index=st.integers(0, 9),
        end_index=st.integers(0, 9),
        url=st.just("https://a.example"),
        title=st.text("ab", max_size=2),
    ),
    max_size=2,
)
KEEPSAKES: st.SearchStrategy[list[KeepsakeForm]] = st.lists(
    st.sampled_from(["signature", "redacted", "encrypted"]), max_size=2
)
SUMMARIES: st.SearchStrategy[list[str]] = st.just([]) | st.lists(WORDS, max_size=2)
REASONS: st.SearchStrategy[FinishReason] = st.sampled_from([
    "stop",
    "stop",
    "stop",
    "max_output_tokens",
    "content_filter",
    "max_messages",
])


@st.composite
def prose(draw: st.DrawFn) -> Strand:
    """Some text, refusal or thought; now and then an empty piece among the others."""
    pieces = cut(draw(WORDS), draw(SIZES))
    if draw(st.integers(0, 3)) == 0:
        pieces.append("")
    kind: str = draw(st.sampled_from(["text", "text", "refusal", "thought"]))
    match kind:
        case "text":
            begins: Strand = [Voice(phase) for phase in draw(PHASES_OF_MESSAGES)]
            ends: Strand = [Cited(citation) for citation in draw(CITATIONS)]
            return [*begins, *(Text(piece, draw(LOGPROBS) if piece else []) for piece in pieces), *ends]
        case "refusal":
            return [Refused(piece) for piece in pieces]
        case _:
            return draw(thinking(pieces))


@st.composite
def thinking(draw: st.DrawFn, pieces: list[str]) -> Strand:
    """A thought, with or without what its upstream wants back, and with a summary of its own or instead of it."""
    kept: Strand = [Keepsake(form, f"t{draw(st.integers(0, 9))}") for form in draw(KEEPSAKES)]
    summary: Strand = [
        Summary(piece, part) for part, text in enumerate(draw(SUMMARIES)) for piece in cut(text, [1 + len(text) // 2])
    ]
    thought: Strand = [Thought(piece) for piece in pieces] if draw(st.integers(0, 2)) else []
    return [*thought, *summary, *kept]


@st.composite
def call(draw: st.DrawFn, key: str, *, cut_short: bool) -> Strand:
    """A call and the fragments of its arguments; none for a function without parameters, or half of them."""
    name = draw(st.sampled_from([SEARCH, DRAW, MCP, ASK, CLIENT, CLIENT, FORBIDDEN]) | st.sampled_from(CALLED))
    arguments = draw(written(name)) if draw(st.integers(0, 3)) else ""
    if cut_short and draw(st.booleans()):
        arguments = arguments[: draw(st.integers(0, len(arguments)))]
    pieces = cut(arguments, draw(SIZES))
    begins_at_once = draw(st.booleans())
    first = pieces.pop(0) if pieces and begins_at_once else ""
    return [Call(key, name, first), *(Call(key, "", piece) for piece in pieces)]


@st.composite
def spoken(draw: st.DrawFn) -> Spoken:
    """A turn."""
    reason = draw(REASONS)
    kinds = draw(st.lists(st.sampled_from(["prose", "call"]), max_size=5))
    strands = [
        draw(prose()) if kind == "prose" else draw(call(f"call-{number}", cut_short=reason != "stop"))
        for number, kind in enumerate(kinds)
    ]
    deltas = woven(strands, draw(st.lists(st.integers(0, 3), max_size=12)))
    reads: list[list[Delta]] = []
    rest: list[Delta] = [*deltas, Finish(reason, draw(USAGES))]
    sizes = draw(SIZES)
    for number in count():
        if not rest:
            return Spoken(reads)
        size = sizes[number % len(sizes)]
        reads.append(rest[:size])
        rest = rest[size:]
    raise AssertionError


def woven(strands: list[Strand], picks: list[int]) -> list[Delta]:
    """Strands as one list, each in its own order: a pick takes from another strand than the first."""
    left = [list(strand) for strand in strands]
    deltas: list[Delta] = []
    for number in count():
        left = [strand for strand in left if strand]
        if not left:
            return deltas
        pick = picks[number] if number < len(picks) else 0
        deltas.append(left[pick % len(left)].pop(0))
    raise AssertionError


@st.composite
def dialogues(draw: st.DrawFn) -> Dialogue:
    """A whole dialogue."""
    return Dialogue(
        turns=draw(st.lists(spoken(), min_size=1, max_size=3)),
        ending=draw(st.sampled_from(["complete", "complete", "fail", "cancel"])),
        steps=draw(st.integers(1, 30)),
        picks=draw(st.lists(st.integers(0, 11), max_size=12)),
        parallel=draw(st.sampled_from([True, True, True, False])),
        allowed=draw(st.sampled_from([None, None, frozenset({SEARCH, DRAW, MCP, ASK}) | OF_CLIENTS, frozenset[str]()])),
        raw=draw(st.booleans()),
        lists=draw(st.sampled_from([[], [], ["a"], ["a", "b"]])),
        grants=draw(st.sampled_from([[], [], ["{}"], ['{"a":1}', "{}"]])),
        most=draw(st.sampled_from([None, None, None, 0, 1, 2])),
        sealed=draw(st.booleans()),
    )


def finer(dialogue: Dialogue) -> Dialogue:
    """The same with every piece of text in single characters; log-probabilities stay with the first."""
    return replace(
        dialogue,
        turns=[
            Spoken([[part for delta in read for part in split(delta)] for read in turn.reads])
            for turn in dialogue.turns
        ],
    )


def split(delta: Delta) -> list[Delta]:
    """A delta in single characters."""
    match delta:
        case Text(text, logprobs) if text:
            return [Text(letter, [] if number else logprobs) for number, letter in enumerate(text)]
        case Refused(text) | Thought(text) if text:
            return [type(delta)(letter) for letter in text]
        case Summary(text, part) if text:
            return [Summary(letter, part) for letter in text]
        case Call(key, name, arguments) if arguments:
            return [Call(key, "" if number else name, letter) for number, letter in enumerate(arguments)]
        case _:
            return [delta]
