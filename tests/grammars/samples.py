"""Grammars as clients send them, and what is said of texts by the judge and by a pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from antiphon.grammars import judging, pattern_of
from antiphon.protocol.tool_settings import CustomGrammar

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

PATCHES = r"""
start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?

hunk: add_hunk | delete_hunk | update_hunk
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
update_hunk: "*** Update File: " filename LF change_move? change?

filename: /(.+)/
add_line: "+" /(.*)/ LF -> line

change_move: "*** Move to: " filename LF
change: (change_context | change_line)+ eof_line?
change_context: ("@@" | "@@ " /(.+)/) LF
change_line: ("+" | "-" | " ") /(.*)/ LF
eof_line: "*** End of File" LF

%import common.LF
"""
"""What Codex sends with its tool ``apply_patch``."""

PATCH = """*** Begin Patch
*** Add File: hello.py
+print("hello")
*** Update File: notes.md
@@ # Notes
-old
+new
 same
*** End of File
*** End Patch
"""

LARK = [
    PATCHES,
    'start: "a"~2..3 ["b"] ("c"|"d")*',
    'start: sentence (", " sentence)* "."\nsentence: WORD (" " WORD)*\n%import common.WORD',
    'start: X\nX: "a" "b"? ("c"|/d/)+ "e"~2 // a terminal of terminals',
    'start: "x"i /[0-9]{2}/ "\\n\\"\\\\\\x41\\u00e9" -> named',
    'start: | "a" b{2} # an empty option\n!b: "b".."d"',
    'start: "a"{2,} "b"{1,2}\n  | "c"',
    "start: AMOUNT\n%import common.INT -> AMOUNT",
    "start: /a.b/s /c\\/d/i",
    'start: "k!"i',
]

REGEX = [
    r"^(?P<month>January|May)\s+(?P<day>[0-9]{1,2})(?:st|nd)?$",
    r"a|^b",
    r"\A(?:x{2,}?y*)+\z",
    r"(?i)ks[a-c](?-i)k",
    r"[[:alpha:]&&[^aeiou]]+[[:^digit:]]",
    r"[\w--[a-f]]~[a-e~~d-g]",
    r"[]a-]+[^]\n]",
    r"\x41\u{e9}\u0042\U00000043\x{44}[\x30-\u0039]\/\-\.\*",
    r"(?s).(?-s:.)",
    r"\S+\s[^\s,]?",
    r"a**b+?",
    r"[a\-z&]\t\v\f\a\r",
    r"(?U)a{2}(?<n>b){0,2}(c){1}",
    "",
]


def lark(definition: str) -> CustomGrammar:
    """A grammar in lark's syntax."""
    return CustomGrammar(syntax="lark", definition=definition)


def regex(definition: str) -> CustomGrammar:
    """A grammar that is an expression."""
    return CustomGrammar(syntax="regex", definition=definition)


def allowed(grammar: CustomGrammar, text: str) -> bool:
    """What the judge says of a text."""
    return judging.fits(grammar.syntax, grammar.definition, text.encode())


def matched(grammar: CustomGrammar, text: str) -> bool:
    """What the pattern says of it, by an engine that never backtracks: Python's may need for ever."""
    return judging.fits("regex", inside(grammar), text.encode())


def inside(grammar: CustomGrammar) -> str:
    """The pattern without its anchors, which Python reads otherwise before a last line's end."""
    pattern = pattern_of(grammar)
    assert pattern is not None
    assert ("^", "$") == (pattern[0], pattern[-1])
    return pattern[1:-1]


@st.composite
def texts(draw: st.DrawFn, grammar: CustomGrammar) -> tuple[str, str]:
    """A text that the pattern allows, and one that is nearly it."""
    text = draw(st.from_regex(inside(grammar), fullmatch=True, alphabet=st.characters(codec="utf-8")))
    at = draw(st.integers(0, len(text)))
    until = draw(st.integers(at, min(at + 2, len(text))))
    return text, text[:at] + draw(st.sampled_from(["", "a", "K", "\n", " ", "0", "-", "é", "+", text[:3]])) + text[
        until:
    ]


def grammars(definitions: list[CustomGrammar]) -> SearchStrategy[tuple[CustomGrammar, tuple[str, str]]]:
    """One of several grammars, with texts."""
    return st.sampled_from(definitions).flatmap(lambda grammar: st.tuples(st.just(grammar), texts(grammar)))
