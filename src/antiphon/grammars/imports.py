"""The terminals that a lark grammar may import: lark's own library, as expressions."""

from __future__ import annotations

from typing import Final

_INT: Final = "[0-9]+"
_SIGN: Final = "[+-]?"
_EXPONENT: Final = f"[eE]{_SIGN}{_INT}"
_DECIMAL: Final = r"([0-9]+\.[0-9]*|\.[0-9]+)"
_FLOAT: Final = f"({_INT}{_EXPONENT}|{_DECIMAL}({_EXPONENT})?)"

TERMINALS: Final = {
    "DIGIT": "[0-9]",
    "HEXDIGIT": "[0-9a-fA-F]",
    "INT": _INT,
    "SIGNED_INT": f"{_SIGN}{_INT}",
    "DECIMAL": _DECIMAL,
    "FLOAT": _FLOAT,
    "SIGNED_FLOAT": f"{_SIGN}{_FLOAT}",
    "NUMBER": f"({_FLOAT}|{_INT})",
    "SIGNED_NUMBER": f"{_SIGN}({_FLOAT}|{_INT})",
    "LCASE_LETTER": "[a-z]",
    "UCASE_LETTER": "[A-Z]",
    "LETTER": "[A-Za-z]",
    "WORD": "[A-Za-z]+",
    "CNAME": "[_A-Za-z][_A-Za-z0-9]*",
    "WS_INLINE": r"[ \t]+",
    "WS": r"[ \t\f\r\n]+",
    "CR": r"\r",
    "LF": r"\n",
    "NEWLINE": r"(\r?\n)+",
}
