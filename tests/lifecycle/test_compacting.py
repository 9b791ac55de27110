"""Compacting: summaries that are asked for, sealed, and seen again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from antiphon.backends import UpstreamError
from antiphon.core.compaction import Summary, told
from antiphon.core.cutting import is_summary
from antiphon.core.estimate import estimate
from antiphon.core.transcript import transcript
from antiphon.core.turn import Turn
from antiphon.lifecycle import Caller, Deployment, Policy, compacting
from antiphon.lifecycle.compacting import Compacting, Sealed
from antiphon.lifecycle.tokens import Tokens
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Compaction, Item, Message
from antiphon.protocol.request import CompactionRule, CreateResponse
from antiphon.protocol.response import Usage
from antiphon.sealing import Seal
from tests.core.test_cutting import call, message, output
from tests.lifecycle.readers import Scribe, read

if TYPE_CHECKING:
    from antiphon.engine.task import Compact, Summed
    from tests.lifecycle.conftest import Clock

pytestmark = pytest.mark.anyio

RULES = message("developer", "Be brief.", "msg_rules")
GO = message("user", "Go on.", "msg_go")
OLD: list[Item] = [message("user", "word " * 600, "msg_old"), message("assistant", "word " * 600, "msg_said")]
LONG = Turn([RULES, *OLD, GO])
ANN = Caller("ann")


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    """Who seals."""
    return Tokens(Seal(["secret"]), Policy(), now=clock)


@pytest.fixture
def parts(tokens: Tokens) -> Compacting:
    """Who sums up."""
    return Compacting(tokens)


def item(summed: Summed) -> Compaction:
    """The item that a client gets."""
    return Compaction(id="cmp_1", encrypted_content=summed.encrypted_content)


def limit(parts: Compacting, scribe: Scribe, threshold: int | None = 1000, *, now: bool = False) -> Compact:
    """What a run calls."""
    rules = None if threshold is None else [CompactionRule(compact_threshold=threshold)]
    made = parts.closure(CreateResponse(context_management=rules), Deployment("m", scribe), ANN, now=now)
    assert made is not None
    return made


async def test_a_conversation_is_summed_up_by_its_own_model(parts: Compacting) -> None:
    """All of it, in one question where it fits; what that cost is told."""
    scribe = Scribe("The user ", "greets. ")
    summed = await parts.compacted(LONG, scribe, "ann", stands_alone=False)
    (asked,) = scribe.turns
    assert all(text in read(asked) for text in ("Be brief.", "word word", "Go on."))
    assert Usage(input_tokens=10, output_tokens=5, total_tokens=15) == summed.usage
    assert [*OLD[:1], GO, told("The user greets.", "cmp_1")] == parts.unfolded([*LONG.items, item(summed)], "ann")


async def test_a_summary_that_stands_alone_needs_nothing_before_it(parts: Compacting) -> None:
    """The model sees it and what follows."""
    summed = await parts.compacted(LONG, Scribe(), "ann", stands_alone=True)
    assert [told("notes 1", "cmp_1"), GO] == parts.unfolded([item(summed), GO], "ann")


async def test_what_was_never_summed_up_is_seen_as_it_is(parts: Compacting) -> None:
    """Nothing is opened."""
    assert LONG.items == parts.unfolded(LONG.items, "ann")


async def test_a_long_conversation_is_summed_up_in_pieces(parts: Compacting) -> None:
    """Each fits the window, with the notes of those before it; the costs are added up."""
    window = 1500
    scribe = Scribe(window=window)
    summed = await parts.compacted(LONG, scribe, "ann", stands_alone=True, window=window)
    assert 0 == scribe.refused
    assert 3 <= len(scribe.turns)
    for number, turn in enumerate(scribe.turns[1:], 1):
        assert f"<notes>\nnotes {number}\n</notes>" in read(turn)
    assert summed.usage is not None
    assert 15 * len(scribe.turns) == summed.usage.total_tokens
    assert [told(f"notes {len(scribe.turns)}", "cmp_1")] == parts.unfolded([item(summed)], "ann")


@pytest.mark.parametrize("window", [None, 100_000])
async def test_what_the_model_refuses_is_told_in_smaller_pieces(parts: Compacting, window: int | None) -> None:
    """Whether its window was unknown, or is smaller than it was said to be."""
    scribe = Scribe(window=900)
    await parts.compacted(LONG, scribe, "ann", stands_alone=True, window=window)
    assert 0 < scribe.refused <= 4
    assert all(estimate(turn) <= 900 for turn in scribe.turns)


async def test_a_model_that_refuses_everything_is_not_asked_for_ever(parts: Compacting) -> None:
    """The refusal goes out."""
    scribe = Scribe(window=0)
    with pytest.raises(UpstreamError) as caught:
        await parts.compacted(LONG, scribe, "ann", stands_alone=True)
    assert "context_length_exceeded" == caught.value.fault
    assert scribe.refused <= compacting.TRIES + 1
    long = Turn([message("user", "word " * 200_000)])
    with pytest.raises(UpstreamError):
        await parts.compacted(long, scribe, "ann", stands_alone=True)
    assert scribe.refused <= 2 * (compacting.TRIES + 1)


async def test_a_model_that_writes_nothing_is_an_error(parts: Compacting) -> None:
    """An empty summary would lose all that was said."""
    with pytest.raises(UpstreamError) as caught:
        await parts.compacted(LONG, Scribe(" \n"), "ann", stands_alone=True)
    assert "server_error" == caught.value.fault


async def test_a_summary_that_was_filtered_is_an_error(parts: Compacting) -> None:
    """It is the input's fault."""
    with pytest.raises(UpstreamError) as caught:
        await parts.compacted(LONG, Scribe("Well,", reason="content_filter"), "ann", stands_alone=True)
    assert "content_filter" == caught.value.fault


async def test_a_summary_that_does_not_end_is_cut(parts: Compacting) -> None:
    """Nobody listens for ever; what it cost nobody says."""
    said = "word " * 4000
    summed = await parts.compacted(LONG, Scribe(*[said] * 9), "ann", stands_alone=True)
    (message,) = parts.unfolded([item(summed)], "ann")
    assert told((said * 3)[: compacting.MOST_CHARACTERS], "cmp_1") == message
    assert summed.usage is None


async def test_an_upstream_that_does_not_count_costs_nothing_known(parts: Compacting) -> None:
    """What it cost is unknown, not zero."""
    assert (await parts.compacted(LONG, Scribe(usage=None), "ann", stands_alone=True)).usage is None


async def test_a_summary_opens_for_its_tenant_alone(parts: Compacting, tokens: Tokens) -> None:
    """Neither another's, nor a thought, nor nonsense, nor one of another version is taken for one."""
    foreign = await parts.compacted(LONG, Scribe(), "ben", stands_alone=True)
    later = msgspec.json.encode(Sealed(2, Summary("notes")))
    plain = msgspec.json.encode(Sealed(1, Summary("notes")))
    for token in (
        foreign.encrypted_content,
        tokens.seal("thought", plain, "ann"),
        tokens.seal("summary", b"no JSON", "ann"),
        tokens.seal("summary", later, "ann"),
        "gAAAAABo",
        "A" * (compacting.MOST_CHARACTERS_OF_A_TOKEN + 1),
    ):
        with pytest.raises(ApiError) as caught:
            parts.unfolded([Compaction(id="cmp_9", encrypted_content=token)], "ann")
        assert ("invalid_encrypted_content", 400) == (caught.value.code, caught.value.status)
        assert "cmp_9" in caught.value.error.message


# Within a run


def test_a_run_that_was_not_asked_to_compacts_nothing(parts: Compacting) -> None:
    """Nor does one that cannot know what too long is; the window tells it."""
    rule = CreateResponse(context_management=[CompactionRule()])
    assert parts.closure(CreateResponse(), Deployment("m", Scribe(), context_window=10), ANN) is None
    assert parts.closure(rule, Deployment("m", Scribe()), ANN) is None
    assert parts.closure(rule, Deployment("m", Scribe(), context_window=10), ANN) is not None


async def test_a_turn_that_is_short_enough_is_left_alone(parts: Compacting) -> None:
    """No model is asked."""
    scribe = Scribe()
    assert await limit(parts, scribe, estimate(LONG) + 1)(LONG) is None
    assert [] == scribe.turns


async def test_a_turn_that_is_too_long_is_summed_up(parts: Compacting) -> None:
    """What is old is; the rules and what the user said last stay, for whoever drops what stands before it, too."""
    scribe = Scribe()
    summed = await limit(parts, scribe)(LONG)
    assert summed is not None
    assert "Go on." not in read(scribe.turns[0])
    seen = [RULES, told("notes 1", "cmp_1"), GO]
    assert seen == parts.unfolded([*LONG.items, item(summed)], "ann") == parts.unfolded([item(summed)], "ann")


async def test_the_tokenizer_of_the_model_decides(parts: Compacting) -> None:
    """An estimate near the threshold is not trusted where better is known."""

    class Counter(Scribe):
        """Counts."""

        counted = 0

        async def count(self, turn: Turn) -> int:
            """Far fewer than estimated, then more."""
            self.counted += 1
            return 100 if self.counted == 1 else 2000

    scribe = Counter()
    compact = limit(parts, scribe)
    assert await compact(LONG) is None
    assert await compact(LONG) is not None
    assert 2 == scribe.counted
    assert await limit(parts, scribe)(Turn([*OLD, *OLD, GO])) is not None
    assert 2 == scribe.counted  # beyond doubt


async def test_a_turn_is_not_summed_up_again_before_it_has_grown(parts: Compacting) -> None:
    """What must stay may be too long by itself."""
    scribe = Scribe()
    compact = limit(parts, scribe)
    turn = Turn([*OLD, message("user", "word " * 2000, "msg_huge")])
    summed = await compact(turn)
    assert summed is not None
    turn = Turn(parts.unfolded([*turn.items, item(summed)], "ann"))
    assert estimate(turn) > 1000
    assert await compact(turn) is None
    assert 1 == len(scribe.turns)
    grown = Turn([*turn.items, call("a"), output("a", "word " * 2000)])
    assert await compact(grown) is not None


async def test_what_may_not_be_summed_up_is_left_alone(parts: Compacting) -> None:
    """One message of the user's is all there is."""
    scribe = Scribe()
    compact = limit(parts, scribe)
    assert await compact(Turn([message("user", "word " * 2000)])) is None
    assert await compact(Turn([message("user", "word " * 2000)])) is None
    assert [] == scribe.turns


async def test_the_last_calls_stay_with_their_outputs(parts: Compacting) -> None:
    """The model has just asked for them."""
    turn = Turn([*OLD, GO, call("a"), output("a", "word " * 600), call("b"), output("b")])
    summed = await limit(parts, Scribe())(turn)
    assert summed is not None
    left = parts.unfolded([*turn.items, item(summed)], "ann")
    assert [told("notes 1", "cmp_1"), GO, call("b"), output("b")] == left == transcript(left)


async def test_a_summary_is_summed_up_with_what_followed(parts: Compacting) -> None:
    """So there is never more than one."""
    scribe = Scribe()
    first = await limit(parts, scribe)(LONG)
    assert first is not None
    turn = Turn(parts.unfolded([*LONG.items, item(first), message("assistant", "word " * 2000), GO], "ann"))
    second = await limit(parts, scribe)(turn)
    assert second is not None
    assert "notes 1" in read(scribe.turns[1])
    left = parts.unfolded([*turn.items, item(second)], "ann")
    assert 1 == sum(map(is_summary, left))


async def test_a_trigger_sums_up_whatever_the_length(parts: Compacting) -> None:
    """Even one message, and without any rule."""
    scribe = Scribe()
    summed = await limit(parts, scribe, None, now=True)(LONG)
    assert summed is not None
    assert [RULES, told("notes 1", "cmp_1"), GO] == parts.unfolded([item(summed)], "ann")
    alone = await limit(parts, scribe, None, now=True)(Turn([GO]))
    assert alone is not None
    assert [told("notes 2", "cmp_1")] == parts.unfolded([item(alone)], "ann")


async def test_images_that_stay_are_named_where_they_would_be_too_much(
    parts: Compacting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is held in a client's hands."""
    shown = InputImage(image_url=f"data:image/png;base64,{'A' * 4000}")
    asked = Message(id="msg_asked", role="user", content=[InputText(text="What is it?"), shown])
    turn = Turn([*OLD, asked])
    whole = await limit(parts, Scribe())(turn)
    monkeypatch.setattr(compacting, "MOST_KEPT_BYTES", 2000)
    light = await limit(parts, Scribe())(turn)
    assert whole is not None
    assert light is not None
    assert asked == parts.unfolded([item(whole)], "ann")[1]
    named = InputText(text="[an image, which was shown before]")
    assert msgspec.structs.replace(asked, content=[asked.content[0], named]) == parts.unfolded([item(light)], "ann")[1]


async def test_what_is_too_long_to_stay_is_summed_up(parts: Compacting, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token is longer than this server opens."""
    monkeypatch.setattr(compacting, "MOST_SEALED_BYTES", 2000)
    scribe = Scribe()
    summed = await limit(parts, scribe)(Turn([*OLD, message("user", "huge " * 500)]))
    assert summed is not None
    assert [told("notes 1", "cmp_1")] == parts.unfolded([item(summed)], "ann")
    assert "huge" in read(scribe.turns[0])


async def test_a_model_that_fails_while_it_sums_up_fails_the_run(parts: Compacting) -> None:
    """What it said goes to whoever asked."""
    with pytest.raises(UpstreamError):
        await limit(parts, Scribe(window=0))(LONG)
