"""The program that runs a model."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from antiphon.backends.llama.child import explain, parameters
from antiphon.backends.llama.wire import Load
from tests.patient import HANG_SECONDS


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("libgomp.so.1: cannot open shared object file"), "apt-get install libgomp1"),
        (ModuleNotFoundError("No module named 'xllamacpp'", name="xllamacpp"), "`pip install xllamacpp`"),
        (ImportError("version `GLIBC_2.99' not found"), "GLIBC_2.99"),
    ],
)
def test_an_engine_that_cannot_be_imported_says_how_to_mend_it(error: ImportError, words: str) -> None:
    """Each cause has its own command."""
    assert words in explain(error)


def test_each_request_has_its_own_part_of_the_cache() -> None:
    """A cache shared by all requests would fail all of them when it is full."""
    engine = importlib.import_module("xllamacpp")
    load = Load(path="x.gguf", context=256, parallel=3, threads=2, key="k", template="T", mmproj="m.gguf")
    params = parameters(engine, load)
    assert (params.n_ctx, params.n_parallel, params.kv_unified) == (768, 3, False)
    assert (params.hostnames, params.api_keys) == (["127.0.0.1"], ["k"])
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (2, 2)
    assert (params.model.path, params.mmproj.path, params.chat_template) == ("x.gguf", "m.gguf", "T")


def test_a_model_of_ones_own_keeps_its_template() -> None:
    """None stands for what the file brings."""
    engine = importlib.import_module("xllamacpp")
    load = Load(path="x.gguf", context=256, parallel=1, threads=1, key="k")
    assert parameters(engine, load).chat_template == engine.CommonParams().chat_template


def test_the_server_itself_never_loads_the_engine() -> None:
    """Ready is instant, and a crash of native code is the child's alone."""
    program = "import sys, antiphon.backends.llama; sys.exit('xllamacpp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=HANG_SECONDS).returncode == 0
