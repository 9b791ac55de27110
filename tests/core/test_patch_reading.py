"""Calls of a client's patch tool: what a model writes for it, and the item and the events that come of it."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from antiphon.core.argument_reading import meant_text
from antiphon.core.client_calls import ApplyPatchKind
from antiphon.core.deltas import Call, Finish
from antiphon.core.patch_reading import unwrapped
from antiphon.core.speech import Manner
from antiphon.protocol.calls import ApplyPatchCall, CreateFile, DeleteFile, UpdateFile
from antiphon.protocol.events import DiffDone, ItemAdded, ItemDelta, ItemDone
from tests.core.stage import ADDED, DONE, names, opened
from tests.core.test_client_calls import told
from tests.patient import is_in_proportion

Operation = CreateFile | UpdateFile | DeleteFile

DIFF = ["apply_patch_call_operation_diff.delta", "apply_patch_call_operation_diff.done"]
NOTHING = UpdateFile(path="", diff="")
BODY = "@@\n-a\n+b"


def call(operation: Operation, status: str = "completed") -> ApplyPatchCall:
    """A call of the patch tool."""
    return ApplyPatchCall(id="apc_0", status=status, call_id="call_1", operation=operation)  # type: ignore[arg-type]  # a literal of the protocol


def envelope(*sections: str) -> str:
    """A patch in its envelope."""
    return "\n".join(["*** Begin Patch", *sections, "*** End Patch"])


def test_a_diff_is_told_as_it_grows() -> None:
    """The item begins when it is known what is to be done to which file, and how the diff begins."""
    events, item = told(ApplyPatchKind(), '{"type":"update_file","path":"a.py",', '"diff":"@@\\n-', "a\\n", '+b"}')
    assert call(UpdateFile(path="a.py", diff=BODY)) == item
    assert [ADDED, *[DIFF[0]] * 3, DIFF[1], DONE] == names(events)
    assert [call(UpdateFile(path="a.py", diff=""), "in_progress")] == [
        event.item for event in events if isinstance(event, ItemAdded)
    ]
    assert ["@@\n-", "a\n", "+b"] == [event.delta for event in events if isinstance(event, ItemDelta)]
    assert [BODY] == [event.diff for event in events if isinstance(event, DiffDone)]


@pytest.mark.parametrize("names_in_order", [*permutations(["type", "path", "diff"])])
@pytest.mark.parametrize("type_", ["create_file", "update_file", "delete_file"])
def test_the_members_may_stand_in_any_order(names_in_order: tuple[str, ...], type_: str) -> None:
    """Cut at every character; a file that is removed has no diff."""
    members = {"type": type_, "path": "a.py", "diff": BODY}
    events, item = told(ApplyPatchKind(), *json.dumps({name: members[name] for name in names_in_order}))
    made: dict[str, Operation] = {
        "create_file": CreateFile(path="a.py", diff=BODY),
        "update_file": UpdateFile(path="a.py", diff=BODY),
        "delete_file": DeleteFile(path="a.py"),
    }
    assert call(made[type_]) == item
    has_diff = type_ != "delete_file"
    assert [ADDED, *(DIFF if has_diff else []), DONE] == list(dict.fromkeys(names(events)))
    assert (BODY if has_diff else "") == "".join(event.delta for event in events if isinstance(event, ItemDelta))


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        ({"operation": {"type": "create_file", "path": "a", "diff": "+x"}}, CreateFile(path="a", diff="+x")),
        ({"type": "create_file", "path": "a"}, CreateFile(path="a", diff="")),
        ({"type": "update_file", "path": "a", "diff": "**"}, UpdateFile(path="a", diff="**")),
        ({"type": "update_file", "path": "a", "diff": "   "}, UpdateFile(path="a", diff="   ")),
        ({"type": "update_file", "path": "a", "diff": " " * 99}, UpdateFile(path="a", diff=" " * 99)),
    ],
)
def test_a_change_is_understood_in_its_other_forms(arguments: dict[str, object], operation: Operation) -> None:
    """Within an object, with an empty diff, or with one of which the beginning says little."""
    assert call(operation) == told(ApplyPatchKind(), json.dumps(arguments))[1]
    assert call(operation) == told(ApplyPatchKind(), *json.dumps(arguments))[1]


UPDATE = envelope("*** Update File: a.py", BODY)


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        (json.dumps({"diff": UPDATE}), UpdateFile(path="a.py", diff=BODY + "\n")),
        (json.dumps({"input": UPDATE}), UpdateFile(path="a.py", diff=BODY + "\n")),
        (json.dumps({"patch": "\n" + UPDATE + "\n"}), UpdateFile(path="a.py", diff=BODY + "\n")),
        (UPDATE, UpdateFile(path="a.py", diff=BODY + "\n")),
        (
            json.dumps({"type": "update_file", "path": "a.py", "diff": UPDATE}),
            UpdateFile(path="a.py", diff=BODY + "\n"),
        ),
        (
            json.dumps({"type": "update_file", "path": "/repo/a.py", "diff": UPDATE}),
            UpdateFile(path="/repo/a.py", diff=BODY + "\n"),
        ),
        (json.dumps({"input": envelope("*** Add File: b", "+x", "+y")}), CreateFile(path="b", diff="+x\n+y\n")),
        (json.dumps({"input": envelope("*** Delete File: b")}), DeleteFile(path="b")),
    ],
)
def test_a_patch_in_its_envelope_is_the_change_in_it(arguments: str, operation: Operation) -> None:
    """Wherever the model put it; a path that it named beside counts."""
    for fragments in ([arguments], arguments):
        assert call(operation) == told(ApplyPatchKind(), *fragments)[1]


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("", ""),
        ("Please change a.py.", ""),
        (json.dumps({"type": "burn", "path": "a", "diff": "+x"}), "a"),
        (json.dumps({"path": "a", "diff": "+x"}), "a"),
        (json.dumps({"type": "delete_file"}), ""),
        (json.dumps({"type": "delete_file", "path": ""}), ""),
        (json.dumps({"type": 1, "path": ["a"]}), ""),
        (json.dumps({"diff": envelope("*** Add File: a", "+x", "*** Delete File: b")}), ""),
        (json.dumps({"diff": envelope("*** Update File: a", "*** Move to: b", "@@")}), ""),
        (json.dumps({"diff": envelope("*** Update File: ", "@@")}), ""),
        (json.dumps({"diff": envelope()}), ""),
        (json.dumps({"type": "delete_file", "path": "a", "diff": UPDATE})[:-9], "a"),
        (json.dumps({"type": "create_file", "path": "a.py", "diff": UPDATE}), "a.py"),
        (UPDATE[:-15], ""),
        (json.dumps({"diff": UPDATE})[:-9], ""),
        ('{"path":"a","type":"create_file"', "a"),
        ('{"type":"delete_file","path":"a"} x', "a"),
        ('{"type":"delete_file","path":"a"', "a"),
    ],
)
def test_what_is_no_change_is_told_as_one_that_changes_nothing(arguments: str, path: str) -> None:
    """And not as completed: whatever a client does with it, no file is lost."""
    events, item = told(ApplyPatchKind(), arguments)
    assert call(UpdateFile(path=path, diff=""), "in_progress") == item
    assert [ADDED, DIFF[1], DONE] == names(events)


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        ('{"type":"create_file","path":"a","diff":"+x', CreateFile(path="a", diff="+x")),
        ('{"type":"delete_file","path":"a"', UpdateFile(path="a", diff="")),
        ('{"type":"delete_file","path":"a"}', UpdateFile(path="a", diff="")),
        ('{"type":"create_file","path":"a', NOTHING),
        ('{"type":"create_file","path":"a","di', UpdateFile(path="a", diff="")),
        ('{"diff":"+x","type":"create_file","path":"a"', CreateFile(path="a", diff="+x")),
        (json.dumps({"diff": UPDATE})[:-1], NOTHING),
    ],
)
def test_a_change_that_is_cut_short_is_told_as_far_as_it_was(arguments: str, operation: Operation) -> None:
    """Before it is known what it is, it changes nothing. The type has no word for it but ``in_progress``."""
    events, item = told(ApplyPatchKind(), arguments, reason="max_output_tokens")
    assert call(operation, "in_progress") == item
    assert (ADDED, DONE) == (names(events)[0], names(events)[-1])


def test_a_diff_that_is_garbled_in_the_end_is_not_completed() -> None:
    """Its model believed that it had said all."""
    _, item = told(ApplyPatchKind(), '{"type":"update_file","path":"a","diff":"@@\\n+x')
    assert call(UpdateFile(path="a", diff="@@\n+x"), "in_progress") == item


def test_a_file_is_told_to_be_deleted_only_when_all_is_written() -> None:
    """What was told cannot be taken back."""
    machine = opened()
    machine.allow(Manner(kinds={"tool": ApplyPatchKind()}))
    assert [] == machine.feed([Call("0", "tool", '{"type":"delete_file","path":"a"}')])
    events = machine.feed([Finish()])
    assert [ADDED, DONE] == names(events)
    assert [DeleteFile(path="a")] * 2 == [
        event.item.operation
        for event in events
        if isinstance(event, ItemAdded | ItemDone) and isinstance(event.item, ApplyPatchCall)
    ]


def test_a_long_path_costs_each_fragment_once() -> None:
    """However much is written behind it."""

    def write(times: int) -> None:
        path, diff = ["ab"] * times, ["+"] * times
        fragments = ['{"type":"update_file","path":"', *path, '","diff":"', "*** Begin Patch", *diff, '"}']
        _, item = told(ApplyPatchKind(), *fragments)
        assert call(UpdateFile(path="ab" * times, diff=""), "in_progress") == item

    assert is_in_proportion(write, 20_000)


def test_the_lines_of_a_diff_are_no_sections() -> None:
    """They begin with a sign or a space."""
    patch = envelope("*** Update File: a", "@@", " *** Delete File: b", "+*** Add File: c")
    assert UpdateFile(path="a", diff="@@\n *** Delete File: b\n+*** Add File: c\n") == unwrapped(patch)
    assert unwrapped("*** Update File: a\n@@") is None
    assert patch == meant_text(json.dumps({"patch": patch}))
