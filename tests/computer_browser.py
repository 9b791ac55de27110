"""A browser for tests, pages that misbehave in it, and the programs of the example of computer use as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.command import ADDRESS, ROOT
from tests.patient import HANG_SECONDS, STORY_SECONDS
from tests.servers import BUILT, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = ROOT / "examples" / "computer_use"

WIDTH, HEIGHT = 400, 300
MIDDLE = (200, 100)
"""In the middle of what can be clicked on every page."""

STYLE = """<style>
body { margin: 0; background: #ffffff; }
button, a, input, #pad { position: absolute; left: 50px; top: 50px; width: 300px; height: 100px; display: block; }
#pad { background: #cccccc; }
</style>"""
GREEN = "document.body.style.background = '#00ff00'"
LOG = """<div id="pad" tabindex="0"></div><script>
const pad = document.getElementById("pad"), told = [];
function tell(text) { told.push(text); document.title = told.join(", "); }
function keys(event) {
    return ["ctrl", "shift", "alt", "meta"].map(key => event[key + "Key"] ? key + "+" : "").join("");
}
for (const kind of ["click", "dblclick", "contextmenu", "auxclick", "mousedown", "mouseup", "mousemove"])
    pad.addEventListener(kind, event => tell(keys(event) + kind));
pad.addEventListener("wheel", event => tell(keys(event) + `wheel ${event.deltaX} ${event.deltaY}`));
document.addEventListener("keydown", event => tell(keys(event) + event.key));
</script>"""
ODD = {
    "/": "<h1>The first page</h1>",
    "/green": f"<button onclick='window.close()'>close</button><script>{GREEN}</script>",
    "/alert": f"""<button onclick="alert('Well?'); {GREEN}">ask</button>""",
    "/confirm": f"""<button onclick="if (!confirm('Really?')) {GREEN}">ask</button>""",
    "/leave": """<a href="/green">go</a><script>onbeforeunload = event => event.preventDefault()</script>""",
    "/hang": """<button onclick="for (let i = 0; i < 5; i++) alert(i); while (true);">hang</button>""",
    "/download": """<a href="/file">fetch</a>""",
    "/tab": """<button onclick="window.open('/green')">open</button>""",
    "/tabs": """<button onclick="for (let i = 0; i < 9; i++) window.open('/green')">open</button>""",
    "/away": """<a href="/elsewhere">go</a>""",
    "/picture": """<img src="http://localhost:PORT/seen"><h1>A picture of elsewhere</h1>""",
    "/text": """<input oninput="document.title = this.value">""",
    "/log": LOG,
    "/tall": f"<div style='height: 2000px'></div><script>onscroll = () => {{ {GREEN} }}</script>",
}
"""Pages that behave as some do in the world. What goes well makes a page green."""


class OddPages(ThreadingHTTPServer):
    """Serves them, and knows what was asked for under another name than that of the browser's only host."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OddPage)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.strayed: list[str] = []


class OddPage(BaseHTTPRequestHandler):
    """Answers for one page."""

    server: OddPages

    def do_GET(self) -> None:
        """Show a page, give a file, or lead elsewhere: to this server, under a name that was not allowed."""
        elsewhere = f"localhost:{self.server.server_port}"
        if self.headers["host"] == elsewhere:
            self.server.strayed.append(self.path)
        match self.path:
            case "/elsewhere":
                self._answer(302, "", location=f"http://{elsewhere}/green")
            case "/file":
                self._answer(200, "a file", disposition='attachment; filename="letter.exe"')
            case path if path in ODD:
                self._answer(200, STYLE + ODD[path].replace("PORT", str(self.server.server_port)))
            case _:
                self._answer(404, "")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, text: str, *, location: str = "", disposition: str = "inline") -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.send_header("content-disposition", disposition)
        if location:
            self.send_header("location", location)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def odd_pages() -> Iterator[OddPages]:
    """Serve pages that misbehave."""
    with OddPages() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def chromium() -> str:
    """Give the path of Chromium: the system's, or the one that ``make servers`` unpacked. Skips where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium", path=str(BUILT / "browser"))
    return program or missing("Chromium", "run `make servers`")


@contextmanager
def program(name: str) -> Iterator[str]:
    """Run a server of the example; gives the address that it names in its first line."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE / name), "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=EXAMPLE
    )
    try:
        assert process.stdout
        found = ADDRESS.search(process.stdout.readline())
        assert found, f"{name} names no address"
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=HANG_SECONDS)


def run_agent(url: str, task: str, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program of the example against a server; ``said`` is what a person types."""
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "agent.py"), task, "--browser", chromium(), *arguments],
        env={**os.environ, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "any", "COLUMNS": "200"},
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=STORY_SECONDS,
    )
