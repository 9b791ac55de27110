"""Text in pictures, where the optional reader is installed. It takes seconds to load, and is kept."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from antiphon.documents import cage
from antiphon.documents.texts import tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

SIDE = 2000
_PARTS = ("rapidocr", "onnxruntime")


def is_there() -> bool:
    """Whether text in pictures can be read here."""
    return all(find_spec(part) is not None for part in _PARTS)


def lines(image: Image) -> list[str]:
    """The lines of text in an image of mode RGB whose edges are bearable, from top to bottom."""
    read = _reader()
    numpy: Any = import_module("numpy")  # comes with the reader alone, and so do its types
    found = read(numpy.asarray(image)[:, :, ::-1].copy()).txts  # blue first
    return [text for line in found or () if (text := " ".join(tidy(str(line)).split()))]


@cache
def _reader() -> Callable[[Any], Any]:  # as numpy
    with cage.lifted():
        rapidocr: Any = import_module("rapidocr")  # optional: there may be nothing to look at
        numpy: Any = import_module("numpy")  # as above
        read: Callable[[Any], Any] = rapidocr.RapidOCR(  # as above
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": 2,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        read(numpy.full((64, 64, 3), 255, dtype="uint8"))  # its models are loaded by the first picture
    return read
