"""The program that runs one model, so that a crash of native code does not take the server down.

``python -m antiphon.backends.llama.child`` reads a `Load` from stdin, loads the model, says a `Greeting` on stdout and
serves llama.cpp's HTTP listener on 127.0.0.1 until its stdin ends or its parent dies. It is silent afterwards:
llama.cpp would write parts of requests to stderr.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import threading
from typing import Any

import msgspec

from antiphon.backends.llama.wire import Failed, Greeting, Load, Ready

SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
ONLY_ERRORS = 1
PROMPT_CACHE_MIB = 512


def main() -> None:
    """Run the model that stdin names, until stdin ends."""
    load = msgspec.json.decode(sys.stdin.buffer.readline(), type=Load)
    _die_with(load.parent)
    threading.Thread(target=_exit_at_end_of_stdin, daemon=True).start()
    server = _start(load)
    _greet(Ready(server.listening_address))
    _be_silent()
    threading.Event().wait()


def explain(error: ImportError) -> str:
    """Say how to mend an engine that cannot be imported."""
    if "libgomp" in str(error):
        return "The embedded engine needs the library libgomp.so.1: on Debian or Ubuntu, `apt-get install libgomp1`."
    if isinstance(error, ModuleNotFoundError) and error.name == "xllamacpp":
        return "The embedded engine is not installed: `pip install xllamacpp`."
    return f"The embedded engine cannot be loaded ({error}): `pip install --force-reinstall xllamacpp`."


def parameters(engine: Any, load: Load) -> Any:  # xllamacpp has no types
    """Return llama.cpp's own parameters for a model."""
    params = engine.CommonParams()
    params.model.path = load.path
    # A cache shared by all requests fails all of them when it is full: each has its own part of it.
    params.n_ctx = load.context * load.parallel
    params.n_parallel = load.parallel
    params.kv_unified = False
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = load.threads
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [load.key]
    params.ui = False
    params.verbosity = ONLY_ERRORS
    if load.template is not None:
        params.chat_template = load.template
    if load.mmproj is not None:
        params.mmproj.path = load.mmproj
    return params


def _start(load: Load) -> Any:  # xllamacpp has no types
    try:
        engine = importlib.import_module("xllamacpp")
    except ImportError as error:
        _greet(Failed(explain(error)))
        sys.exit(1)
    try:
        return engine.Server(parameters(engine, load))
    except (RuntimeError, ValueError) as error:
        _greet(Failed(f"llama.cpp cannot load {os.path.basename(load.path)} ({error})"))  # noqa: PTH119 - a name, no I/O
        sys.exit(1)


def _greet(greeting: Greeting) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(greeting) + b"\n")
    sys.stdout.buffer.flush()


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(0)


def _exit_at_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)  # threads of llama.cpp would keep the process alive


if __name__ == "__main__":
    main()
