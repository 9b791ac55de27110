"""A turn with nothing stored: what it costs to read a long history that was sent by hand, and to send it on."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec

from antiphon.backends.chat_completions import ChatCompletions, to_wire
from antiphon.backends.chat_completions import Config as ChatConfig
from antiphon.config import Config, Storage
from antiphon.core.turn import Thinking
from antiphon.lifecycle import Asker, Caller, Deployment, Policy
from antiphon.lifecycle.approving import Approving
from antiphon.lifecycle.remotes import Remotes
from antiphon.lifecycle.tokens import Tokens
from antiphon.outbound import Outbound
from antiphon.protocol.reading import read_request
from antiphon.sealing import Seal
from antiphon.store.approvals import Approvals
from antiphon.wiring import open_database, tool_servers
from antiphon.wiring.making import Making
from antiphon.wiring.showing import Showing
from benchmarks.processes import own_seconds

if TYPE_CHECKING:
    from antiphon.lifecycle.preparing import Preparing
    from benchmarks.samples import Samples
    from benchmarks.stage import Stage

STEPS = 40
"""Each of five items: a question, a thought, a call, its output and an answer."""
CALLS = 20
"""Requests of one sample."""
CALLER = Caller("bench")
UPSTREAM = ChatConfig(base_url="http://127.0.0.1:1", model="bench")


async def stateless(_stage: Stage, rounds: int) -> Samples:
    """Measure microseconds of CPU for a request, from its bytes to those that the upstream would be sent."""
    samples: list[float] = []
    async with AsyncExitStack() as opened:
        seal = Seal(["bench" * 8])
        preparing = await prepared_parts(opened, seal)
        body = request(Tokens(seal, Policy(), now=_now))
        for turn in range(-1, rounds):
            began = own_seconds()
            for _ in range(CALLS):
                await sent_on(preparing, body)
            spent = (own_seconds() - began) * 1e6 / CALLS
            samples += [spent] if turn >= 0 else []
    return {"200 items": samples}


async def prepared_parts(opened: AsyncExitStack, seal: Seal) -> Preparing:
    """Join what a server prepares requests with, over a database in memory."""
    config = Config(store=Storage(url="sqlite://"))
    database = await open_database(config.store)
    opened.push_async_callback(database.aclose)
    outbound = Outbound(config.outbound)
    opened.push_async_callback(outbound.aclose)
    deployments = {"bench": Deployment("bench", ChatCompletions(UPSTREAM))}
    showing = Showing(config, database, deployments=deployments, outbound=outbound, now=_now)
    opened.push_async_callback(showing.aclose)
    making = Making(config, database, showing=showing, seal=seal, policy=Policy(), now=_now)
    opened.push_async_callback(making.aclose)
    approving = Approving(seal, Approvals(database), now=_now)
    return making.preparing(deployments, Remotes(tool_servers(config, outbound, None), approving, {}))


async def sent_on(preparing: Preparing, body: bytes) -> bytes:
    """Take one request as far as its upstream."""
    prepared = await preparing.prepare(read_request(body), Asker(CALLER))
    turn = prepared.task.turn
    return to_wire(turn if prepared.task.show is None else await prepared.task.show(turn), UPSTREAM)


def request(tokens: Tokens) -> bytes:
    """Give a request whose input is a history of tool calls, with the thoughts before them sealed."""
    thought = msgspec.json.encode(Thinking(text="I look at the step before, and then at this one. " * 8, model="bench"))
    items: list[dict[str, object]] = []
    for step in range(STEPS):
        call = f"call_{step}"
        sealed = tokens.seal("thought", thought, CALLER.tenant)
        items += [
            {"role": "user", "content": [{"type": "input_text", "text": f"Please do step {step} of the plan. " * 4}]},
            {"type": "reasoning", "id": f"rs_{step}", "summary": [], "encrypted_content": sealed},
            {"type": "function_call", "call_id": call, "name": "shell", "arguments": '{"cmd":"ls -la"}'},
            {"type": "function_call_output", "call_id": call, "output": "a file\nanother file\n" * 16},
            {"role": "assistant", "content": [{"type": "output_text", "text": "It is done. " * 8, "annotations": []}]},
        ]
    tool = {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}}
    include = ["reasoning.encrypted_content"]
    return msgspec.json.encode({"model": "bench", "store": False, "include": include, "tools": [tool], "input": items})


def _now() -> int:
    return int(time.time())
