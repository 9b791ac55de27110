"""Who is calling, in this process: what it costs to tell a caller by a key, by a token, and by one that is new."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from antiphon.http.auth import Auth, Config, Key, Oidc
from antiphon.http.auth.stored import StoredKeys
from antiphon.store import sqlite
from antiphon.store.keys import Keys, new_key
from benchmarks.processes import own_seconds
from tests.issuer import LocalIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.samples import Samples
    from benchmarks.stage import Stage

CALLS = 200
"""Callers of one sample."""
ISSUER = "https://login.example/tenant/v2.0"
GROUPS = ["11111111-2222-3333-4444-555555555555"] * 20
"""With these a token is as long as those of Entra ID usually are: some 1,700 characters."""


async def identity(_stage: Stage, rounds: int) -> Samples:
    """Measure microseconds of CPU for a caller. The keys of the issuer are there, as they are after the first request.

    ``key``: one of the configuration. ``stored key``: one that the command made, which the database is asked for every
    few seconds. ``token``: one that came before, as on every request of a client but its first; ``new token``: each
    comes for the first time, so its signature is checked.
    """
    local = LocalIssuer(ISSUER)
    async with AsyncExitStack() as opened:
        database = await sqlite.connect("sqlite://")
        opened.push_async_callback(database.aclose)
        keys, made = Keys(database), new_key()
        await keys.add(made, tenant="a", name="", life_ms=None)
        settings = Config(keys=[Key(key="configured", tenant="a")], oidc=Oidc(issuer=ISSUER, jwks=local.jwks))
        auth = Auth(settings, host="127.0.0.1", stored=StoredKeys(keys))
        samples: Samples = {"key": [], "stored key": [], "token": [], "new token": [], "new token, ES256": []}
        for _ in range(-1, rounds):
            fresh = [*_tokens(local, 0)], [*_tokens(local, 1)]
            taken = {
                "key": await cost(auth, [Headers({"api-key": "configured"})] * CALLS),
                "stored key": await cost(auth, [Headers({"authorization": f"Bearer {made}"})] * CALLS),
                "new token": await cost(auth, fresh[0]),
                "new token, ES256": await cost(auth, fresh[1]),
                "token": await cost(auth, fresh[0]),
            }
            for name, spent in taken.items():
                samples[name].append(spent)
    return {name: spent[1:] for name, spent in samples.items()}


def _tokens(local: LocalIssuer, signer: int) -> Iterator[Headers]:
    for number in range(CALLS):
        token = local.signers[signer].sign(local.claims(groups=GROUPS, jti=f"{time.time_ns()}-{number}"))
        yield Headers({"authorization": f"Bearer {token}"})


async def cost(auth: Auth, callers: list[Headers]) -> float:
    """Give the CPU time of a caller in microseconds."""
    began = own_seconds()
    for headers in callers:
        await auth.caller(headers)
    return (own_seconds() - began) * 1e6 / len(callers)
