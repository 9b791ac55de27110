"""The command ``antiphon usage``: what was used and what it costs, whichever database holds it, beside a server."""

from __future__ import annotations

import csv
import signal
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec.structs import replace

from antiphon.config import ConfigError, Storage, read_config
from antiphon.core.tally import Tally
from antiphon.lifecycle.pricing import Cost, Price, cost
from antiphon.store import postgres, sqlite
from antiphon.store.usage import Charge, Usage
from antiphon.wiring.usage import Wanted, first_day, next_day, show
from tests import patient
from tests.patient import HANG_SECONDS
from tests.test_cli import antiphon, said, written

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from antiphon.store import Database
    from antiphon.wiring.usage import By
    from tests.servers import PostgresServer

pytestmark = pytest.mark.whole

DAY = 20_484  # 2026-01-31
TOOK = Tally(DAY, "completed", 2, 1_000_000, 400_000, 200_000, 50_000, pictures=3, picture_tokens=900)
GUESSED = Tally(DAY, "cancelled", estimated_input=100_000, estimated_output=10_000)
ASIDE = Tally(DAY, "aside", 1, 10, 0, 20)
PRICE = Price("gpt-4o", input=2.5, cached_input=1.25, output=10.0, image=0.04)
CHARGES = (
    Charge("a", "gpt-4o", TOOK),
    Charge("a", "gpt-4o", GUESSED),
    Charge("b", "gpt-4o", replace(TOOK, day=DAY + 1)),
    Charge("b", "local", replace(TOOK, day=DAY + 1, pictures=0, picture_tokens=0)),
    Charge("b", "local", replace(ASIDE, day=DAY + 1)),
)


async def fill(database: Database, charges: Sequence[Charge]) -> None:
    """Keep charges."""
    await Usage(database).add(list(charges), node="test", number=1)
    await database.aclose()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A database file that nobody holds."""
    return Storage(url=f"sqlite://{tmp_path}/antiphon.db")


def filled(storage: Storage, *charges: Charge) -> None:
    """Fill a database file."""

    async def run() -> None:
        await fill(await sqlite.connect(storage.place), charges or CHARGES)

    anyio.run(run)


def shown(
    storage: Storage, *by: By, prices: Sequence[Price] = (PRICE,), as_csv: bool = False, wanted: Wanted | None = None
) -> tuple[str, str]:
    """What is written, and what is said beside it."""
    out = StringIO(newline="")
    asked = wanted or (Wanted(by=by) if by else Wanted())

    async def run() -> str:
        return await show(storage, prices, asked, as_csv=as_csv, out=out)

    note = anyio.run(run)
    return out.getvalue(), note


def read(text: str) -> list[dict[str, str]]:
    """CSV as a spreadsheet reads it."""
    return list(csv.DictReader(StringIO(text, newline="")))


def test_usage_is_shown_as_a_table(storage: Storage) -> None:
    """A line for each day, tenant and deployment, with sums for each currency below; what has no price is named.

    What happened nowhere has no column.
    """
    filled(storage)
    table, note = shown(storage)
    heading, *lines = [line.split() for line in table.splitlines()]
    assert ["day", "tenant", "deployment", "requests"] == heading[:4]
    assert ["requests", "completed", "cancelled", "aside", "input"] == heading[3:8]
    counts = ["3", "2", "1", "0", "1000000", "400000", "200000", "50000", "100000", "10000", "3", "900"]
    assert ["2026-01-31", "a", "gpt-4o", *counts, "4.4700", "0.3500", "USD"] == lines[0]
    assert ["2026-02-01", "b", "local", "2", "2", "0", "1"] == lines[2][:7]
    assert ["no", "price"] == lines[2][-2:]
    assert ["all", "all"] == [line[0] for line in lines[3:]]
    assert ["8.5900", "0.3500", "USD"] == lines[4][-3:]
    assert "There is no price for local: see [[prices]] in the configuration." == note


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("tenant", [("a", "3"), ("b", "2"), ("b", "2")]),
        ("deployment", [("gpt-4o", "5"), ("local", "2")]),
        ("month", [("2026-01", "3"), ("2026-02", "2"), ("2026-02", "2")]),
        ("outcome", [("aside", "0"), ("cancelled", "1"), ("completed", "2"), ("completed", "4")]),
    ],
)
def test_lines_are_of_what_was_asked(storage: Storage, by: By, groups: list[tuple[str, str]]) -> None:
    """What has no price, or another currency, is never added to what has one."""
    filled(storage)
    table, _ = shown(storage, by, as_csv=True)
    assert groups == [(line[by], line["requests"]) for line in read(table)]


def test_usage_is_shown_as_csv(storage: Storage) -> None:
    """Numbers without words; what has no price has no cost."""
    filled(storage)
    lines = read(shown(storage, as_csv=True)[0])
    assert ["4.47000000", "4.12000000", ""] == [line["cost"] for line in lines]
    assert ["USD", "USD", ""] == [line["currency"] for line in lines]
    assert ("100000", "10000", "0.35000000") == tuple(
        lines[0][name] for name in ("estimated_input", "estimated_output", "estimated_cost")
    )


def test_small_costs_add_up_in_a_spreadsheet(storage: Storage) -> None:
    """A line of a few tokens of a cheap model is not for nothing."""
    cheap = Price(deployment="gpt-4o", input=0.15)
    filled(storage, Charge("a", "gpt-4o", Tally(20000, "completed", input_tokens=30)))
    [line] = read(shown(storage, prices=[cheap], as_csv=True)[0])
    assert "0.00000450" == line["cost"]


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\uff1d1", "'=1", "\r=1"]
)
def test_no_name_becomes_a_formula(storage: Storage, name: str) -> None:
    """A spreadsheet takes it for text; in a table nothing of it is obeyed."""
    filled(storage, Charge(name, name, TOOK))
    [line] = read(shown(storage, as_csv=True)[0])
    assert (f"'{name}", f"'{name}") == (line["tenant"], line["deployment"])


def test_a_name_is_told_as_it_is_where_it_is_harmless(storage: Storage) -> None:
    """With quotes and commas; control characters do not reach a terminal."""
    filled(storage, Charge('a, "b"', "x\x1b[31m", TOOK))
    [line] = read(shown(storage, as_csv=True)[0])
    assert 'a, "b"' == line["tenant"]
    table, note = shown(storage)
    assert "\x1b" not in table + note


def test_prices_make_costs() -> None:
    """Reasoning is output, what was cached is cheaper where that is said, and nothing is counted twice."""
    assert Cost(Decimal("4.12")) == cost(TOOK, PRICE)
    assert Cost(Decimal("0.35"), Decimal("0.35")) == cost(GUESSED, PRICE)
    assert Cost(Decimal("2.5")) == cost(replace(TOOK, output_tokens=0, pictures=0), Price("m", input=2.5))
    lying = replace(TOOK, input_tokens=10, cached_tokens=20, output_tokens=0, pictures=0)
    assert Decimal("0.0000125") == cost(lying, PRICE).amount


def test_days_are_whole() -> None:
    """A time stands for its day: the first is within, and so is the day of an end that is not midnight."""
    day = 86_400_000
    assert (1, 1) == (first_day(day), first_day(2 * day - 1))
    assert (1, 2, 2) == (next_day(day), next_day(day + 1), next_day(2 * day))


def test_nothing_used_is_said(storage: Storage) -> None:
    """And a sheet has its headings all the same."""
    filled(storage)
    assert ("", "Nothing was used of what was asked for.") == shown(storage, wanted=Wanted(tenant="nobody"))
    sheet, _ = shown(storage, wanted=Wanted(tenant="nobody"), as_csv=True)
    assert sheet.startswith("day,tenant,deployment,requests,")


def test_postgres_is_read_as_well(postgres_server: PostgresServer) -> None:
    """Whatever holds it."""
    url = postgres_server.database("template0")

    async def run() -> None:
        await fill(await postgres.connect(url), CHARGES)

    anyio.run(run)
    assert 3 == len(read(shown(Storage(url=url), as_csv=True)[0]))


@contextmanager
def running(config: str, home: Path) -> Generator[str]:
    """A server of an operator's, until it is stopped; its address."""
    with antiphon("serve", "--config", config, "--port", "0", home=home) as process:
        try:
            assert process.stderr is not None
            yield process.stderr.readline().split()[3]
        finally:
            process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(HANG_SECONDS)


def test_a_running_server_is_read_and_one_that_stopped_has_counted_all(tmp_path: Path) -> None:
    """What is stored is counted at once, and what is not by the time the server has stopped."""
    config = written(tmp_path)
    with running(config, tmp_path) as url:
        for store in (True, False):
            patient.post(f"{url}/responses", json={"model": "any", "input": "hi", "store": store})
        status, out, _ = said("usage", "--config", config, "--by", "tenant", "--csv", home=tmp_path)
        assert (0, True) == (status, read(out)[0]["requests"] in {"1", "2"})
    status, out, err = said("usage", "--config", config, "--since", "1d", "--by", "tenant", "--csv", home=tmp_path)
    assert (0, "2") == (status, read(out)[0]["completed"])
    assert "There is no price for *" in err


def test_what_cannot_be_asked_is_said_in_a_line(tmp_path: Path) -> None:
    """A time that is none, and a store that no server has used."""
    config = written(tmp_path)
    assert "says no time" in said("usage", "--config", config, "--since", "soon", home=tmp_path)[2]
    status, _, err = said("usage", "--config", config, home=tmp_path)
    assert (1, True) == (status, "no server has used it yet" in err)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[[prices]]\ndeployment = "m"\ninput = -1.0\n', "'prices[0].input'"),
        ('[[prices]]\ndeployment = "m"\noutputs = 1.0\n', "Did you mean 'output'?"),
        ('[[prices]]\ndeployment = "m"\ncurrency = "$"\n', "'prices[0].currency'"),
        (
            '[[prices]]\ndeployment = "m"\n[[prices]]\ndeployment = "m"\n',
            "Two of [[prices]] are for the deployment 'm'.",
        ),
    ],
)
def test_prices_that_cannot_be_are_refused(tmp_path: Path, text: str, fault: str) -> None:
    """Naming the key."""
    path = tmp_path / "antiphon.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert fault in str(caught.value)
