"""Asks a PostgreSQL from outside of what is tested: the simple protocol, without a process for each question.

A question is a new connection, so that it neither keeps a database in use nor misses that the server was restarted.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

PROTOCOL = 3 << 16
NULL = -1


def ask(port: int, database: str, sql: str) -> str:
    """Run statements as *postgres*, who needs no password; gives their rows, a line each, values parted by ``|``.

    Raises `AssertionError` with what the server said, and `OSError` where none listens.
    """
    lines: list[str] = []
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(
            _message(b"", struct.pack("!i", PROTOCOL) + _words("user", "postgres", "database", database))
        )
        has_asked = False
        with connection.makefile("rb") as answers:
            for kind, body in _messages(answers):
                match kind:
                    case b"Z" if has_asked:
                        break
                    case b"Z":
                        connection.sendall(_message(b"Q", sql.encode() + b"\0"))
                        has_asked = True
                    case b"D":
                        lines.append("|".join(_values(body)))
                    case b"E":
                        raise AssertionError(f"{sql} failed: {body.replace(bytes(1), b' ').decode()}")
                    case _:
                        pass
        connection.sendall(_message(b"X", b""))
    return "\n".join(lines)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _words(*words: str) -> bytes:
    return b"".join(word.encode() + b"\0" for word in words) + b"\0"


def _messages(answers: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    while kind := answers.read(1):
        [size] = struct.unpack("!i", answers.read(4))
        yield kind, answers.read(size - 4)
    raise AssertionError("the server has closed the connection")


def _values(row: bytes) -> Iterator[str]:
    [count] = struct.unpack_from("!h", row)
    at = 2
    for _ in range(count):
        [size] = struct.unpack_from("!i", row, at)
        at += 4
        if size == NULL:
            yield ""
        else:
            yield row[at : at + size].decode()
            at += size
