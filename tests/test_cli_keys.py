"""The command ``antiphon keys``: keys that are made, listed and revoked, beside a running server and without one."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import msgspec
import pytest

from antiphon.store.keys import is_key
from tests import patient
from tests.http.talking import Refused, talking
from tests.patient import HANG_SECONDS
from tests.test_cli import SCRIPTED, antiphon, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PostgresServer

pytestmark = pytest.mark.whole

BODY = {"model": "m", "input": "hi"}
STEER = {"type": "response.steer", "previous_response_id": "resp_1", "input": "hi"}
INJECT = {"type": "response.inject", "response_id": "resp_1", "input": []}


@pytest.fixture
def config(tmp_path: Path) -> str:
    """The path of a configuration in which nobody has a key yet."""
    path = tmp_path / "antiphon.toml"
    path.write_text(f"{SCRIPTED.format(folder=tmp_path)}\n[auth]\nkeys = []\n")
    return str(path)


@contextmanager
def running(config: str, home: Path) -> Iterator[str]:
    """A server as an operator starts it; gives its address. It ends cleanly."""
    with antiphon("serve", "--config", config, "--port", "0", home=home) as process:
        try:
            assert process.stderr is not None
            yield process.stderr.readline().split()[3].removesuffix("/v1")
        finally:
            process.send_signal(signal.SIGTERM)
            _, rest = process.communicate(timeout=HANG_SECONDS)
    assert 0 == process.returncode, rest


def created(config: str, home: Path, *options: str) -> tuple[str, str]:
    """A new key, and its id."""
    status, out, err = said("keys", "create", "--config", config, *options, home=home)
    assert 0 == status, err
    key = out.removesuffix("\n")
    assert is_key(key)
    assert err.startswith("key_")
    return key, err.split()[0]


def listed(config: str, home: Path) -> list[dict[str, Any]]:
    """The keys as the command lists them for programs."""
    status, out, err = said("keys", "list", "--config", config, "--json", home=home)
    assert 0 == status, err
    return [msgspec.json.decode(line) for line in out.splitlines()]


def asked(url: str, key: str) -> tuple[int, str]:
    """What a caller with a key gets."""
    answer = patient.post(f"{url}/v1/responses", json=BODY, headers={"api-key": key})
    return answer.status_code, answer.json().get("error", {}).get("message", "") if answer.status_code != 200 else ""


def until_refused(url: str, key: str) -> None:
    """Ask until a key is refused: how long that may take is told by a clock of its own, where the store is tested."""
    ends = time.monotonic() + HANG_SECONDS
    while asked(url, key)[0] == 200:
        assert time.monotonic() < ends


def test_a_key_is_made_and_revoked_beside_a_running_server(tmp_path: Path, config: str) -> None:
    """It opens at once; its use is noted; once it is revoked it opens nothing after a moment, and says so."""
    with running(config, tmp_path) as url:
        assert 401 == asked(url, "whatever")[0]
        key, id = created(config, tmp_path, "--tenant", "team-a", "--name", "for CI", "--expires", "90d")
        other, _ = created(config, tmp_path, "--tenant", "team-b")
        assert [(200, ""), (200, "")] == [asked(url, each) for each in (key, other)]
        first, second = listed(config, tmp_path)
        assert (id, "team-a", "for CI", "good") == (first["id"], first["tenant"], first["name"], first["state"])
        assert first["last_used_at"] is not None
        assert (None, "team-b", "") == (second["expires_at"], second["tenant"], second["name"])
        status, _, err = said("keys", "revoke", id, "--config", config, home=tmp_path)
        assert (0, True) == (status, err.startswith(f"{id} was revoked"))
        until_refused(url, key)
        assert 401 == asked(url, key)[0]
        assert asked(url, key)[1].startswith("This API key was revoked: ak-")
        assert 200 == asked(url, other)[0]
        assert ["revoked", "good"] == [line["state"] for line in listed(config, tmp_path)]


def test_a_socket_that_is_open_obeys_as_well(tmp_path: Path, config: str) -> None:
    """Nothing more is asked for with a key that was revoked, and no other connection is opened with it."""
    with running(config, tmp_path) as url:
        key, id = created(config, tmp_path, "--tenant", "team-a")
        with talking(url, api_key=key) as talk:
            assert "response.completed" == talk.turn()["type"]
            said("keys", "revoke", id, "--config", config, home=tmp_path)
            until_refused(url, key)
            for more in ({"type": "response.create", **BODY}, STEER, INJECT):
                talk.say(**more)
                last = talk.hear()
                assert ("error", "invalid_api_key") == (last["type"], last["error"]["code"])
        with pytest.raises(Refused), talking(url, api_key=key):
            pass


def test_keys_are_made_before_there_is_a_server(tmp_path: Path, config: str) -> None:
    """The first command makes the database; the server finds the key."""
    assert (0, "") == said("keys", "list", "--config", config, home=tmp_path)[:2]
    assert not (tmp_path / "antiphon.db").exists()
    key, _ = created(config, tmp_path, "--tenant", "team-a")
    with running(config, tmp_path) as url:
        assert (200, "") == asked(url, key)


def test_the_list_shows_no_key(tmp_path: Path, config: str) -> None:
    """But its beginning, so that people can tell keys apart; as a table, unbroken where it is no terminal."""
    key, id = created(config, tmp_path, "--tenant", "team-a", "--name", "[red]x[/red]")
    status, out, err = said("keys", "list", "--config", config, "--tenant", "team-a", home=tmp_path)
    heading, line = out.splitlines()
    assert (0, "") == (status, err)
    assert ["id", "key", "tenant", "name", "state", "created", "expires", "last", "used", "revoked"] == heading.split()
    assert [id, f"{key[:7]}...", "team-a", "[red]x[/red]", "good"] == line.split()[:5]
    assert key not in out
    assert key not in (tmp_path / "antiphon.db").read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--tenant", ""], "'' is no name of a tenant: it has 1 to 128 characters"),
        (["create", "--tenant", "a\nb"], "'a\\nb' is no name of a tenant: it has 1 to 128 characters"),
        (["create", "--tenant", "a "], "'a ' is no name of a tenant: it has 1 to 128 characters"),
        (["create", "--tenant", "a", "--expires", "soon"], "'soon' is no span of time: write one such as 12h, 90d"),
        (["create", "--tenant", "a", "--expires", "0d"], "'0d' is no span of time"),
        (["create", "--tenant", "a", "--expires", "99999w"], "'99999w' is no span of time"),
        (["create", "--tenant", "a", "--name", "x" * 129], "The name of a key has 128 characters at most"),
        (["revoke", "key_none"], "There is no key 'key_none': `antiphon keys list` shows the ids of all."),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, config: str, arguments: list[str], message: str
) -> None:
    """With what could."""
    status, out, err = said("keys", *arguments, "--config", config, home=tmp_path)
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert err.startswith(f"antiphon: {message}")


def test_a_key_without_auth_is_told_to_have_no_effect(tmp_path: Path) -> None:
    """The server takes any key then."""
    path = tmp_path / "open.toml"
    path.write_text(SCRIPTED.format(folder=tmp_path))
    _, _, err = said("keys", "create", "--config", str(path), "--tenant", "a", home=tmp_path)
    assert "has no [auth] section, so servers take any key" in err


def test_the_check_says_it_where_nobody_can_call(tmp_path: Path, config: str) -> None:
    """Until there is a key; that is no fault of the configuration."""
    for is_useless in (True, False):
        _, out, err = said("check", "--config", config, home=tmp_path)
        assert is_useless == ("Nobody can call" in out + err)
        created(config, tmp_path, "--tenant", "a")


def test_nodes_of_a_shared_database_know_the_same_keys(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Two servers on PostgreSQL: made once, revoked everywhere."""
    url = postgres_server.database()
    path = tmp_path / "shared.toml"
    path.write_text(
        f'[store]\nurl = "{url}"\nblobs = "file://{tmp_path}/blobs"\n[auth]\n[[deployments]]\nname = "*"\n'
        'backend = "scripted"\n'
    )
    config = str(path)
    assert 0 == said("migrate", "--config", config, home=tmp_path)[0]
    with running(config, tmp_path) as one, running(config, tmp_path) as two:
        key, id = created(config, tmp_path, "--tenant", "a")
        assert [200, 200] == [asked(node, key)[0] for node in (one, two)]
        assert 0 == said("keys", "revoke", id, "--config", config, home=tmp_path)[0]
        for node in (one, two):
            until_refused(node, key)
    postgres_server.drop(url)
