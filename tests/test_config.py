"""Tests of the configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from platformdirs import user_data_path

from antiphon.config import Config, ConfigError, Server, Storage, read_config, refuse_lone_file, refuse_open_server
from antiphon.store import StoreUrlError
from antiphon.store.blob_places import Place, read_place
from antiphon.wiring import read_deployments

if TYPE_CHECKING:
    from pathlib import Path


def written(tmp_path: Path, text: str) -> Path:
    """A configuration file with this text."""
    path = tmp_path / "antiphon.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold() -> None:
    """The server listens on this machine, and the embedded model answers every name."""
    config = read_config(None)
    assert ("127.0.0.1", 8080, None) == (config.server.host, config.server.port, config.auth)
    assert ["*"] == [deployment.name for deployment in read_deployments(config)]


def test_a_string_can_come_from_the_environment_and_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``env:NAME`` and ``file:PATH`` are replaced, wherever they stand."""
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("A_KEY", "from the environment")
    text = f"""
        [auth]
        keys = [{{ key = "env:A_KEY", tenant = "a" }}, {{ key = "file:{tmp_path}/secret", tenant = "b" }}]
    """
    config = read_config(written(tmp_path, text))
    assert config.auth is not None
    assert ["from the environment", "from the file"] == [key.key for key in config.auth.keys]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1", "In the configuration: unknown key 'server.prot'. Did you mean 'port'?"),
        ("[sever]", "In the configuration: unknown key 'sever'. Did you mean 'server'?"),
        (
            '[auth]\nkeys = [{ key = "k", tennant = "t" }]',
            "In the configuration: unknown key 'auth.keys[0].tennant'. Did you mean 'tenant'?",
        ),
        (
            '[auth]\nkeys = [{ key = "secret ", tenant = "t" }]',
            (
                "In the configuration: 'auth.keys[0]': a key has 1 to 4096 letters, digits and signs of ASCII, and "
                "begins and ends with no space."
            ),
        ),
        (
            '[auth]\nkeys = [{ key = "k", tenant = "t" }, { key = "k", tenant = "u" }]',
            "In the configuration: 'auth': the tenants 't' and 'u' have the same key.",
        ),
        ('[server]\nport = "x"', "In the configuration: 'server.port': Expected `int`, got `str`."),
        ("[background]\nworkers = 0", "In the configuration: 'background.workers': Expected `int` >= 1."),
        ("[background]\ndrain_seconds = -1", "In the configuration: 'background.drain_seconds': Expected `int` >= 0."),
        (
            "[background]\nlease = 5",
            "In the configuration: unknown key 'background.lease'. Did you mean 'lease_seconds'?",
        ),
        (
            '[store]\nwaker = "shout"',
            "In the configuration: 'store.waker': Invalid enum value 'shout'.",
        ),
        (
            '[auth.oidc]\nissuer = "http://login.example"',
            (
                "In the configuration: 'auth.oidc': issuer 'http://login.example' is no https URL, so anybody on the "
                'way could send keys (http is for this machine alone); jwks = "file:PATH" reads them from a file.'
            ),
        ),
        (
            '[auth.oidc]\nissuer = "https://login.example"\njwks = "keys.json"',
            (
                "In the configuration: 'auth.oidc': jwks is neither a URL nor the text of a JWK set: it is no JWK set: "
                "JSON is malformed: invalid character (byte 0)."
            ),
        ),
        (
            '[auth.oidc]\nissuer = "https://login.example"\nalgorithms = ["none"]',
            "In the configuration: 'auth.oidc.algorithms[0]': Invalid enum value 'none'.",
        ),
        (
            '[auth.oidc]\nissuer = "https://login.example"\naudience = "x"',
            "In the configuration: unknown key 'auth.oidc.audience'. Did you mean 'audiences'?",
        ),
        ('[server]\nhost = "env:NO_SUCH"', "server.host is env:NO_SUCH, and there is no such environment variable."),
        (
            '[[deployments]]\nname = "a"\nbackend = "scripted"\n[[deployments]]\nname = "a"\nbackend = "scripted"',
            "Two deployments are named 'a'.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """An error names the key, and the known key that is nearest to an unknown one."""
    with pytest.raises(ConfigError) as refused:
        read_config(written(tmp_path, text))
    assert message == str(refused.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The message names the file and the reason."""
    with pytest.raises(ConfigError, match=r"nothing\.toml cannot be read: No such file or directory\."):
        read_config(tmp_path / "nothing.toml")


def test_a_file_that_is_not_toml_is_an_error(tmp_path: Path) -> None:
    """The message says where it stops being TOML."""
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 1"):
        read_config(written(tmp_path, "server = = 1"))


def test_a_file_that_a_string_points_to_must_be_there(tmp_path: Path) -> None:
    """The message names the key and the file."""
    with pytest.raises(ConfigError, match=r"server\.host is file:.*gone, which cannot be read"):
        read_config(written(tmp_path, f'[server]\nhost = "file:{tmp_path}/gone"'))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - refused is what they are
def test_a_server_that_others_can_reach_needs_keys(host: str) -> None:
    """Without [auth] such a host is refused, with what to do."""
    with pytest.raises(ConfigError, match=r"there are no keys\. Give the server an \[auth\] section"):
        refuse_open_server(replace(Config(), server=Server(host=host)))


@pytest.mark.parametrize("name", ["antiphon", "a b", "%41", "what?", "part#1", "ä"])
def test_blobs_lie_beside_their_database(tmp_path: Path, name: str) -> None:
    """Whatever it is called, and however its folder is named."""
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub" / ".."):
        storage = Storage(url=f"sqlite://{quote(str(folder))}/{quote(name)}.db")
        assert Place(storage.blob_place, folder=tmp_path / f"{name}.blobs") == read_place(storage.blob_place)


def test_blobs_lie_where_they_are_told_to() -> None:
    """With their database in memory, and in the user's folder where that is elsewhere."""
    assert "s3://b/c" == Storage(url="sqlite:///a.db", blobs="s3://b/c").blob_place
    assert "memory:" == Storage(url="sqlite://").blob_place
    remote = read_place(Storage(url="postgresql://h/d").blob_place)
    assert user_data_path("antiphon") / "blobs" == remote.folder


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:relative?a=b", "sqlite://host/a.db"])
def test_where_no_database_can_be_there_are_no_blobs(url: str) -> None:
    """Said of the database, as it is the one that is wrong."""
    with pytest.raises(StoreUrlError, match=r"sqlite:"):
        assert Storage(url=url).blob_place


@pytest.mark.parametrize("url", [None, "sqlite://", "sqlite:///tmp/antiphon.db"])
def test_processes_of_their_own_need_a_shared_database(url: str | None) -> None:
    """SQLite is refused for them, with what to use instead."""
    with pytest.raises(ConfigError, match=r'give \[store\] a url such as "postgresql://'):
        refuse_lone_file(Config(store=Storage(url=url)))
    refuse_lone_file(Config(store=Storage(url="postgresql://db.example/antiphon")))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_server_for_this_machine_needs_none(host: str) -> None:
    """A loopback host is open."""
    refuse_open_server(replace(Config(), server=Server(host=host)))


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        (
            {"name": "a", "backend": "nobody"},
            "There is no backend called 'nobody'; there are: anthropic, chat_completions, llama",
        ),
        ({"name": "a", "backend": "scripted", "colour": 1}, r"In \[\[deployments\]\] a: unknown key 'colour'\."),
        ({"backend": "scripted"}, r"In \[\[deployments\]\] 0: Object missing required field `name`\."),
        ({"name": "a", "backend": "chat_completions"}, "Object missing required field `base_url`"),
        ({"name": "a", "backend": "chat_completions", "base_url": "nowhere"}, r"In \[\[deployments\]\] a: "),
        ({"name": "a", "backend": "scripted", "script": "/no/such/file"}, r"In \[\[deployments\]\] a: .*/no/such/file"),
    ],
)
def test_a_deployment_is_read_by_its_backend(deployment: dict[str, object], message: str) -> None:
    """What is wrong with a deployment is said with its name."""
    with pytest.raises(ConfigError, match=message):
        read_deployments(Config(deployments=[deployment]))
