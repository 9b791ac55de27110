"""The pages of settings: the configuration file, the backends, and the scripts of the scripted backend."""

from __future__ import annotations

import importlib
import inspect
import textwrap

import msgspec
from msgspec import Struct

from antiphon import config, documents, outbound, wiring
from antiphon.backends import scripted
from antiphon.backends.llama import Config as Embedded
from antiphon.backends.scripted import script
from antiphon.http import auth
from antiphon.lifecycle import filtering, guarding, limiting, pricing, prompts
from antiphon.lifecycle.routing import Rule
from antiphon.store.blob_places import SETTINGS
from antiphon.telemetry import settings as telemetry
from antiphon.tools import image_generation
from antiphon.tools.mcp import config as mcp
from scripts.reference.tables import MEANINGS, expect_same, fields, table, written

SECTIONS: dict[str, type[Struct]] = {
    "[server]": config.Server,
    "[store]": config.Storage,
    "[auth]": auth.Config,
    "keys of [auth]": auth.Key,
    "[auth.oidc]": auth.Oidc,
    "[outbound]": outbound.Config,
    "[embedded]": Embedded,
    "[[deployments]]": wiring.Head,
    "[encryption]": config.Encryption,
    "[background]": config.Background,
    "[mcp]": mcp.Config,
    "[files]": config.FileTerms,
    "[documents]": documents.Config,
    "[vision]": config.Vision,
    "[computer]": guarding.Config,
    "[prompts]": prompts.Config,
    "[websocket]": config.WebSocket,
    "[[limits]]": limiting.Rule,
    "[[prices]]": pricing.Price,
    "[logs]": telemetry.Logs,
    "[metrics]": telemetry.Metrics,
    "[tracing]": telemetry.Tracing,
    "[content_filter]": filtering.Config,
    "[content_filter.thresholds]": filtering.Thresholds,
    "[[deployments]] that choose among others": wiring.Router,
    "rules of [[deployments]]": Rule,
}
PAINTERS: dict[str, type[Struct]] = {"images": image_generation.Images, "svg": image_generation.Svg}
"""What an image deployment may be, by its ``backend``."""
PLACES = ("file", "memory", *SETTINGS)
"""The schemes of URLs that name a place for blobs."""
UNTYPED = {"deployments", "image_deployments"}
WITHIN = {wiring.Head, auth.Key, auth.Oidc, filtering.Thresholds, wiring.Router, Rule}
"""What stands in a section, or in a table of deployments."""


def configuration() -> str:
    """Every section and key of the file."""
    sections = {field.encode_name for field in msgspec.structs.fields(config.Config)} - UNTYPED
    shown = {name.strip("[]") for name, type_ in SECTIONS.items() if type_ not in WITHIN}
    expect_same("the configuration", sections, dict.fromkeys(shown, ""))
    expect_same("the configuration", SECTIONS, MEANINGS.configuration)
    tables = [
        f"## {name}\n\n{summary(type_)}\n\n{fields(type_, MEANINGS.configuration[name])}"
        for name, type_ in SECTIONS.items()
    ]
    databases = ", ".join(f"`{name}`" for name in wiring.DATABASES)
    return written("configuration", tables="".join(tables), painters=painters(), places=places(), databases=databases)


def painters() -> str:
    """The keys of image deployments, for each of their backends."""
    expect_same("the image deployments", PAINTERS, MEANINGS.image_deployments)
    return "".join(
        f"### {name}\n\n{fields(type_, MEANINGS.image_deployments[name])}" for name, type_ in PAINTERS.items()
    )


def places() -> str:
    """Where blobs may lie, and what the URL may say of it."""
    expect_same("the places of blobs", PLACES, MEANINGS.places)
    rows = [
        [f"`{name}`", ", ".join(f"`{key}`" for key in sorted(SETTINGS.get(name, set()))), MEANINGS.places[name]]
        for name in PLACES
    ]
    return table(["scheme", "settings", "meaning"], rows)


def backends() -> str:
    """Every backend and its keys."""
    expect_same("the backends", wiring.BACKENDS, MEANINGS.backends)
    tables: list[str] = []
    for name, place in wiring.BACKENDS.items():
        module = importlib.import_module(place.partition(":")[0])
        purpose = (inspect.getdoc(module) or "").splitlines()[0]
        tables.append(f"## {name}\n\n{purpose}\n\n{fields(module.Config, MEANINGS.backends[name])}")
    return written("backends", tables="".join(tables))


SCRIPTS: dict[str, type[Struct]] = {
    "[[replies]]": script.Reply,
    "steps": script.Step,
    "call": script.Call,
    "keepsake": script.Kept,
    "fail": script.Failure,
    "usage": script.Cost,
}


def scripts() -> str:
    """The format of a script."""
    expect_same("a script", SCRIPTS, MEANINGS.scripts)
    text = inspect.getdoc(scripted) or ""
    text = text.replace(".. code-block:: toml\n\n", "").replace("``", "`")
    lines = text.splitlines()[2:]
    example = [line for line in lines if line.startswith("    ")]
    first, last = lines.index(example[0]), len(lines) - 1 - lines[::-1].index(example[-1])
    code = ["```toml", *textwrap.dedent("\n".join(lines[first : last + 1])).splitlines(), "```"]
    prose = "\n".join([*lines[:first], *code, *lines[last + 1 :]])
    tables = "".join(f"## {name}\n\n{fields(type_, MEANINGS.scripts[name])}" for name, type_ in SCRIPTS.items())
    return written("scripts", format=prose, tables=tables)


def summary(type_: type[Struct]) -> str:
    """The first sentence of a struct's docstring, without the name of the section that it opens with."""
    first = (inspect.getdoc(type_) or "").partition("\n")[0].replace("``", "`")
    name, colon, rest = first.partition(": ")
    text = rest if colon and name.startswith("`[") else first
    return text[:1].upper() + text[1:]
