"""What operators run it with: the image, the units and the manifests are sound, and say what they should."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any  # manifests are open

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are no package of the lock

from antiphon.cli import app
from antiphon.config import read_config
from antiphon.http.probes import Probes
from antiphon.wiring import read_deployments
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
BASE = DEPLOY / "kubernetes" / "base"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted(path for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml")
NEEDS_IMAGE = 900
"""Seconds that the image may take to be built where nothing is cached."""
EXPOSED_AT_MOST = 2.0
"""Of ``systemd-analyze security``, where 10 is a unit that nothing confines."""


def documents() -> list[dict[str, Any]]:
    """Every object of the manifests."""
    return [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    """Those of some kinds."""
    return [each for each in documents() if each["kind"] in kinds]


def pods() -> list[tuple[str, dict[str, Any]]]:
    """What runs, by name."""
    return [
        (each["metadata"]["name"], each["spec"]["template"]["spec"]) for each in of_kind("Deployment", "StatefulSet")
    ]


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every container of every pod."""
    for name, pod in pods():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name}/{container['name']}", container


def program(*names: str) -> str:
    """Where a program is, beside this Python or on the path; the test is left out where there is none."""
    for name in names:
        if found := shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name):
            return found
    pytest.skip(f"there is no {' or '.join(names)} here; the packages of requirements/check.txt bring the linters")


def run(*command: str, seconds: float = HANG_SECONDS) -> subprocess.CompletedProcess[str]:
    """A command, with all that it says."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds)


def directives(text: str, name: str) -> list[str]:
    """What a unit says under one name."""
    return [line.removeprefix(f"{name}=") for line in text.splitlines() if line.startswith(f"{name}=")]


def instructions(name: str) -> list[str]:
    """What the Dockerfile says under one name, each in one line."""
    lines = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8")).splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


def understood(words: list[str]) -> None:
    """That the command has these options."""
    app.parse_args(words, exit_on_error=False, print_error=False)


# The image


def test_the_dockerfile_is_linted() -> None:
    """By hadolint, and an exception says why."""
    done = run(program("hadolint"), "--failure-threshold", "style", str(DOCKERFILE))
    assert (0, "") == (done.returncode, done.stdout)


def test_the_image_runs_as_nobody_special() -> None:
    """By a number, which an orchestrator can see, and as the last word."""
    assert "10001:10001" == instructions("USER")[-1]


def test_the_image_is_made_of_what_the_lock_names() -> None:
    """Held against its hashes, from a base that is named with a version."""
    [install] = [line for line in instructions("RUN") if "requirements/runtime.txt" in line]
    assert "--no-deps --only-binary :all: --require-hashes" in install
    assert ["requirements/runtime.txt", "requirements/tracing.txt"] == re.findall(r"--requirement (\S+)", install)
    assert re.fullmatch(r"PYTHON=python:3\.1\d(\.\d+)?-slim-\w+", instructions("ARG")[0])
    assert {"${PYTHON}"} == {line.split()[0] for line in instructions("FROM")}


def test_what_the_image_is_made_of_is_not_left_out() -> None:
    """The list of what goes to the builder has everything that is copied."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]
    assert sent == {name for names in copied for name in names}
    assert [] == sorted(name for name in sent if not (ROOT / name).exists())


def test_the_image_begins_with_a_command_that_there_is() -> None:
    """And the same image is a worker, by its command."""
    assert ['["antiphon"]'] == instructions("ENTRYPOINT")
    [command] = [yaml.safe_load(line) for line in instructions("CMD")]
    understood(command)
    understood(["worker", *command[1:]])


def test_the_image_can_be_built() -> None:
    """Where there is a builder that runs."""
    docker = program("docker", "podman")
    if run(docker, "info").returncode:
        pytest.skip(f"{docker} is here, and what it talks to does not run")
    done = run(docker, "build", "--file", str(DOCKERFILE), "--tag", "antiphon:test", str(ROOT), seconds=NEEDS_IMAGE)
    assert 0 == done.returncode, done.stderr[-2000:]
    said = run(docker, "run", "--rm", "antiphon:test", "--version")
    assert 0 == said.returncode


class Living(BaseHTTPRequestHandler):
    """A server that lives, where it is asked whether it does."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200 if self.path == "/health/live" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_the_health_check_asks_a_server_and_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the port that it was started with, or that its configuration names, and through nobody's proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    spec = importlib.util.spec_from_file_location("healthcheck", DEPLOY / "healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    with HTTPServer(("127.0.0.1", 0), Living) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        config = tmp_path / "antiphon.toml"
        config.write_text(f"[server]\nport = {server.server_port}\n")
        try:
            assert check.is_well(["antiphon", "serve", "--port", str(server.server_port)])
            assert check.is_well(["antiphon", "serve", f"--port={server.server_port}"])
            assert check.is_well(["antiphon", "serve", "--config", str(config)])
            assert check.is_well(["antiphon", "serve", f"--config={config}"])
        finally:
            server.shutdown()
            thread.join()
    assert not check.is_well(["antiphon", "serve", "--config", str(config)])
    assert check.is_well(["antiphon", "worker", "--config", str(config)])


# The units


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_verified(unit: Path, tmp_path: Path) -> None:
    """By systemd; the program that it runs is another one here, which is there."""
    analyse = program("systemd-analyze")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/antiphon/bin/antiphon", sys.executable))
    done = run(analyse, "verify", "--man=no", str(copy))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_confined(unit: Path) -> None:
    """As far as systemd judges it."""
    threshold = str(int(EXPOSED_AT_MOST * 10))
    done = run(
        program("systemd-analyze"), "security", "--offline=true", f"--threshold={threshold}", "--no-pager", str(unit)
    )
    assert 0 == done.returncode, done.stdout[-400:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_commands_that_there_are(unit: Path) -> None:
    """As a user of its own, who keeps no privilege."""
    text = unit.read_text(encoding="utf-8")
    for line in directives(text, "ExecStart"):
        understood(shlex.split(line)[1:])
    assert ["yes", "yes"] == [directives(text, name)[0] for name in ("DynamicUser", "NoNewPrivileges")]


# The manifests


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_fits_the_schemas_of_kubernetes(path: Path) -> None:
    """Strictly: a key that does not exist is an error."""
    done = run(program("kubernetes-validate"), "--strict", str(path))
    assert 0 == done.returncode, done.stdout + done.stderr


def test_what_kustomize_makes_fits_too() -> None:
    """With the names that it gives, and the image that it sets."""
    made = run(program("kubectl"), "kustomize", str(BASE))
    assert 0 == made.returncode, made.stderr
    images = {container["image"] for each in yaml.safe_load_all(made.stdout) for container in _containers_of(each)}
    assert {"postgres:17-bookworm", "registry.example.com/antiphon:0.1.0"} == images


def _containers_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    pod: dict[str, Any] = document.get("spec", {}).get("template", {}).get("spec", {})
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


def test_every_manifest_is_part_of_the_base() -> None:
    """But for the example of the secrets, which nobody shall apply as it is."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "secret.example.yaml"]) == [path.name for path in MANIFESTS]


def test_no_container_is_privileged() -> None:
    """None runs as root, writes where it is not told to, or gains what it was not given."""
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"], name
        assert pod["automountServiceAccountToken"] is False, name
    for name, container in containers():
        context = container["securityContext"]
        assert (False, True) == (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]), name
        assert {"drop": ["ALL"]} == context["capabilities"], name


def test_no_image_is_whatever_is_newest() -> None:
    """The base names a version for each."""
    kustomized = {
        each["name"]: each["newTag"] for each in yaml.safe_load((BASE / "kustomization.yaml").read_text())["images"]
    }
    for name, container in containers():
        image, _, tag = container["image"].partition(":")
        assert (tag or kustomized[image]) not in {"", "latest"}, name


def test_containers_run_commands_that_there_are() -> None:
    """With options that there are."""
    for name, container in containers():
        if container["image"] == "antiphon":
            assert container["args"], name
            understood(container["args"])


def test_probes_ask_what_there_is() -> None:
    """A server is restarted where it does not live, and sent nobody where it is not ready; the two are not the same."""
    [api] = [container for name, container in containers() if name == "antiphon-api/antiphon"]
    asked = {probe: api[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {"/health/live", "/health/ready"} == set(asked.values())
    assert ("/health/ready", "/health/live") == (asked["readinessProbe"], asked["livenessProbe"])
    known = Path(sys.modules[Probes.__module__].__file__ or "").read_text(encoding="utf-8")
    assert all(f'case "{path}"' in known for path in asked.values())


def test_two_of_each_are_kept_apart_from_disruption() -> None:
    """Two servers and two workers, of which one may go at a time."""
    replicas = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of_kind("Deployment")}
    assert {"antiphon-api": 2, "antiphon-worker": 2} == replicas
    budgets = {each["metadata"]["name"]: each["spec"]["minAvailable"] for each in of_kind("PodDisruptionBudget")}
    assert dict.fromkeys(replicas, 1) == budgets


def test_selectors_find_what_they_are_for() -> None:
    """Labels, services and budgets agree, and so do the names of secrets."""
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in of_kind("Deployment", "StatefulSet")
    }
    for each in of_kind("Service"):
        assert each["spec"]["selector"] in labels.values(), each["metadata"]["name"]
    for each in of_kind("Deployment", "StatefulSet", "PodDisruptionBudget"):
        assert labels[each["metadata"]["name"]] == each["spec"]["selector"]["matchLabels"]
    secrets = {each["metadata"]["name"] for each in of_kind("Secret")}
    named = {source["secretRef"]["name"] for _, container in containers() for source in container.get("envFrom", [])}
    assert named < secrets


def test_nobody_is_cut_off_before_the_server_says_so() -> None:
    """The grace of pods and units is longer than the notice and the drain of the configuration together."""
    server = (BASE / "antiphon.toml").read_text(encoding="utf-8").partition("[store]")[0]
    needed = sum(float(found) for found in re.findall(r"^(?:notice|drain)_seconds = (\d+)", server, re.MULTILINE))
    graces = [pod["terminationGracePeriodSeconds"] for name, pod in pods() if name != "antiphon-postgres"]
    graces += [int(directives(unit.read_text(), "TimeoutStopSec")[0]) for unit in UNITS]
    assert all(grace > needed for grace in graces)


# The configuration


def test_the_configuration_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the manifests mount is the file beside them, and it can be read."""
    path = DEPLOY / "antiphon.toml"
    assert path.read_bytes() == (BASE / "antiphon.toml").read_bytes()
    [secret, _] = of_kind("Secret")
    for name, value in secret["stringData"].items():
        monkeypatch.setenv(name, value)
    config = read_config(path)
    assert ["*"] == [each.name for each in read_deployments(config)]
    used = set(re.findall(r'"env:(\w+)"', path.read_text(encoding="utf-8")))
    assert set() == used - set(secret["stringData"])
    assert config.auth is not None
