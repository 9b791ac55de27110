"""What the pages of the documentation show in Python works as it is written, one block after the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from scripts.reference import DOCS
from tests.command import ROOT, serving
from tests.pages import run_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.clients]

CONFIG = """
[prompts]
folder = "{folder}"

[[deployments]]
name = "*"
backend = "scripted"
fetch_images = false

[[deployments.replies]]
when = "Wake me"
steps = [{{ call = {{ name = "set_timer", arguments = {{ input = "1h30m" }} }} }}]

[[deployments.replies]]
when = "Use the calculator"
after_output = false
steps = [{{ thought = "143 is tried." }}, {{ call = {{ name = "calculate", arguments = {{ sum = "7 * 143" }} }} }}]

[[deployments.replies]]
when = "^1001$"
remembers = "143 is tried"
steps = [{{ text = "It is 7 times 143." }}]

[[deployments.replies]]
when = "1001 prime"
steps = [{{ thought = "It is odd.\\n\\n7 may do." }}, {{ text = "No." }}]

[[deployments.replies]]
when = "in Oslo"
after_output = false
steps = [{{ call = {{ name = "tool_search", arguments = {{ paths = ["weather"] }} }} }}]

[[deployments.replies]]
after_output = true
steps = [{{ call = {{ name = "weather__now", arguments = {{ city = "Oslo" }} }} }}]

[[deployments]]
name = "my-vision"
backend = "scripted"

[[deployments.replies]]
outputs = 0
steps = [{{ call = {{ name = "computer", arguments = {{ actions = [{{ type = "screenshot" }}] }} }} }}]

[[deployments.replies]]
outputs = 1
steps = [{{ call = {{ name = "computer", arguments = {{ actions = [{{ type = "click", x = 90, y = 90 }}] }} }} }}]

[[deployments.replies]]
steps = [{{ text = "It is in the cart." }}]

[computer]
sensitive = ["*/checkout"]
"""

GIVEN = {
    "computer-use": """
from io import BytesIO
from PIL import Image
def input(question): print(question); return "yes"
def run(action): print(action.type)
def page_url(): return "https://shop.example.com/checkout"
def screenshot():
    picture = BytesIO()
    Image.new("RGB", (100, 100), "blue").save(picture, "PNG")
    return picture.getvalue()
""",
    "reasoning": """
TOOLS = [{"type": "function", "name": "calculate", "parameters": {"type": "object", "properties": {}}}]
def run(call): return "1001"
""",
    "tools": """
from openai import OpenAI
client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="any")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
""",
}
"""What a page takes for granted."""

TOLD = {
    "computer-use": r"screenshot\nsensitive_domain: The page at shop\.example\.com .* \nclick\nIt is in the cart.\n",
    "conversations": "You said: What is an antiphon\\?\nYou said: Who sang it\\?\n(message msg_\\w+\n){5}",
    "grammars": "set_timer 1h30m\n",
    "long-conversations": r"\d\n",
    "prompts": "You said: What is this, and how old is it\\? Please tell me in French.\n",
    "reasoning": r"\['It is odd.', '7 may do.'\]\nNo.\n",
    "tools": r"\['tool_search_call', 'tool_search_output', 'function_call'\]\n",
}
"""What each page prints, as a pattern."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose model does what the pages say, with the template that one of them shows."""
    folder = tmp_path_factory.mktemp("pages")
    page = (DOCS / "how-to" / "prompts.md").read_text(encoding="utf-8")
    [template] = re.findall(r"^~~~toml\n(.*?)^~~~$", page, re.MULTILINE | re.DOTALL)
    (folder / "guide.toml").write_text(template)
    config = folder / "antiphon.toml"
    config.write_text(CONFIG.format(folder=folder))
    with serving(config, folder) as url:
        yield url


@pytest.mark.parametrize("page", TOLD)
def test_a_page_works_as_it_is_written(page: str, address: str, tmp_path: Path) -> None:
    """Its Python runs to the end, and prints what it should."""
    [place] = [path.relative_to(ROOT) for path in DOCS.rglob(f"{page}.md") if path.parent.name != "reference"]
    told = run_page(str(place), address, tmp_path, before=GIVEN.get(page, ""))
    assert re.fullmatch(TOLD[page], told), told
