"""The computer that the model drives: a browser, run by Playwright.

Whatever a page does, each call here ends: a page that does not answer in time is closed, and the browser is where it
began. Dialogs are dismissed, downloads refused, new tabs followed, and the person is told of each of these.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from playwright.async_api import Error, async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence

    from openai.types.responses.computer_action import ComputerAction
    from openai.types.responses.response_computer_tool_call import Action
    from playwright.async_api import BrowserContext, Dialog, Download, Mouse, Page, Playwright, Request

Result = TypeVar("Result")

SETTLING_MS = 3_000
"""How long a page may load before it is looked at as it is."""
PAUSE_MS = 100
"""Pages load, scroll and fade a moment after they were asked to."""
WAIT_MS = 1_000
LONG_TEXT = 500
"""What is longer is pasted, not typed letter by letter."""
MOST_TABS = 5
MOST_DIALOGS = 3
"""Dialogs after one action that are told of; all are dismissed."""

PROGRAMS = ("chromium", "google-chrome", "chrome", "chromium-browser")

KEYS = {
    "ALT": "Alt",
    "ARROWDOWN": "ArrowDown",
    "ARROWLEFT": "ArrowLeft",
    "ARROWRIGHT": "ArrowRight",
    "ARROWUP": "ArrowUp",
    "BACKSPACE": "Backspace",
    "CAPSLOCK": "CapsLock",
    "CMD": "Meta",
    "CTRL": "Control",
    "DELETE": "Delete",
    "END": "End",
    "ENTER": "Enter",
    "ESC": "Escape",
    "HOME": "Home",
    "INSERT": "Insert",
    "OPTION": "Alt",
    "PAGEDOWN": "PageDown",
    "PAGEUP": "PageUp",
    "SHIFT": "Shift",
    "SPACE": "Space",
    "SUPER": "Meta",
    "TAB": "Tab",
    "WIN": "Meta",
}
"""The names of keys in the API, and in Playwright. Other keys are called by what they write, and F1 to F24."""

SHORTCUTS = {"Alt+ArrowLeft": "back", "Alt+ArrowRight": "forward", "F5": "reload", "Control+r": "reload"}
"""What a window does by itself, and a browser without one has to be told."""


class Settings(NamedTuple):
    """How a browser is started.

    ``size`` is that of what is seen, in pixels. ``hosts``, such as ``*.example.org``, are all that can be reached
    beside the host of the first page, even by a redirection or a picture; with none, all can. ``program`` is the
    browser where it is not found by itself, and ``seconds`` is how long a page has for an action.
    """

    size: tuple[int, int] = (1024, 768)
    hosts: Sequence[str] = ()
    program: str | None = None
    visible: bool = False
    seconds: float = 15.0


class Browser:
    """A browser that shows ``url``, used in a ``with`` block; ``note`` is told what the person should know."""

    _playwright: Playwright
    _context: BrowserContext
    _page: Page

    def __init__(self, url: str, settings: Settings, note: Callable[[str], object] = print) -> None:
        self._start = url
        self._settings = settings
        self._note = note
        self._runner = asyncio.Runner()
        self._known: list[Page] = []
        self._dialogs = 0

    def __enter__(self) -> Self:
        """Start it. Raises Playwright's ``Error`` where there is no browser."""
        try:
            self._runner.run(self._launch())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *failed: object) -> None:
        """Stop it, and all that runs in it."""
        self._runner.run(self._playwright.stop())
        self._runner.close()

    @property
    def url(self) -> str:
        """The page that is seen."""
        return self._page.url

    def run(self, action: Action | ComputerAction) -> None:
        """Do what the model asks for, and let the page settle."""
        self._dialogs = 0
        try:
            self._bounded(self._run(action))
        except TimeoutError:
            self._note(f"The page did not answer for {self._settings.seconds:g} seconds, and was closed.")
            self._runner.run(self._begin_anew())
        except Error as error:  # what the model asked for makes no sense here; it sees that nothing came of it
            self._note(f"{action.type}: {_first_line(error)}")

    def screenshot(self) -> bytes:
        """Give what is seen, as PNG. Raises `TimeoutError` where even the first page does not answer."""
        try:
            return self._bounded(self._screenshot())
        except TimeoutError:
            self._note("The page cannot be shown, and was closed.")
            self._runner.run(self._begin_anew())
            return self._bounded(self._screenshot())

    def _bounded(self, work: Coroutine[object, object, Result]) -> Result:
        return self._runner.run(_limited(work, self._settings.seconds))

    # --- pages ------------------------------------------------------------------------------------------------------

    async def _launch(self) -> None:
        self._playwright = await async_playwright().start()
        try:
            browser = await self._playwright.chromium.launch(
                executable_path=self._settings.program or installed(),
                headless=not self._settings.visible,
                chromium_sandbox=os.geteuid() != 0,  # as root it has none
                args=arguments(self._start, self._settings.hosts),
            )
        except BaseException:
            await self._playwright.stop()
            raise
        width, height = self._settings.size
        self._context = await browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=False, service_workers="block"
        )
        self._context.on("page", self._follow)
        self._context.on("dialog", self._dismiss)
        self._context.on("requestfailed", self._tell_of_failure)
        await self._begin()

    async def _begin(self) -> Page:
        page = await self._context.new_page()
        self._known.append(page)
        self._page = page
        try:
            await page.goto(self._start, wait_until="domcontentloaded", timeout=self._settings.seconds * 1000)
        except Error as error:  # the model sees what there is instead
            self._note(_first_line(error))
        return page

    async def _begin_anew(self) -> None:
        stuck = self._page
        await self._begin()
        await stuck.close()

    async def _present(self) -> Page:
        """The page that is seen: the newest, or if it is gone the one before. There are never many."""
        pages = self._context.pages
        for page in pages[MOST_TABS:]:
            self._note("There are too many tabs: one more was closed.")
            await page.close()
        if self._page.is_closed():
            self._page = self._context.pages[-1] if self._context.pages else await self._begin()
        if self._page not in self._known:
            self._known.append(self._page)
            self._note(f"A new tab: {self._page.url}")
        return self._page

    def _follow(self, page: Page) -> None:
        page.on("download", self._refuse)
        if len(self._context.pages) <= MOST_TABS:
            self._page = page

    def _refuse(self, download: Download) -> None:
        self._note(f"A download was refused: {download.suggested_filename}")

    async def _dismiss(self, dialog: Dialog) -> None:
        with suppress(Error):  # its page may be gone by now
            if dialog.type == "beforeunload":  # whoever goes elsewhere wants to
                await dialog.accept()
                return
            self._dialogs += 1
            if self._dialogs <= MOST_DIALOGS:
                self._note(f"A dialog was dismissed ({dialog.type}): {dialog.message}")
            await dialog.dismiss()

    def _tell_of_failure(self, request: Request) -> None:
        if request.is_navigation_request() and request.failure != "net::ERR_ABORTED":  # which a download is, too
            self._note(f"This could not be opened: {request.url} ({request.failure})")

    async def _screenshot(self) -> bytes:
        while True:  # a busy browser may have nothing to show yet; whoever asks waits so long and no longer
            page = await self._present()
            with suppress(Error):
                return await page.screenshot(timeout=self._settings.seconds * 1000)
            await asyncio.sleep(PAUSE_MS / 1000)

    # --- actions ----------------------------------------------------------------------------------------------------

    async def _run(self, action: Action | ComputerAction) -> None:
        page = await self._present()
        match action.type:
            case "screenshot":
                return
            case "wait":
                await page.wait_for_timeout(WAIT_MS)
            case "type" if len(action.text) > LONG_TEXT:
                await page.keyboard.insert_text(action.text)
            case "type":
                await page.keyboard.type(action.text)
            case "keypress":
                await _press(page, named(action.keys))
            case _:
                async with _holding(page, named(action.keys or [])):
                    await _point(page, action)
        await page.wait_for_timeout(PAUSE_MS)
        page = await self._present()
        with suppress(Error):  # it goes on loading while the model looks
            await page.wait_for_load_state("load", timeout=SETTLING_MS)
        await page.wait_for_timeout(PAUSE_MS)


def _first_line(error: Error) -> str:
    """What Playwright says, without its log."""
    return error.message.partition("\n")[0]


async def _limited(work: Coroutine[object, object, Result], seconds: float) -> Result:
    async with asyncio.timeout(seconds):
        return await work


@asynccontextmanager
async def _holding(page: Page, keys: list[str]) -> AsyncGenerator[None]:
    for key in keys:
        await page.keyboard.down(key)
    try:
        yield
    finally:
        for key in reversed(keys):
            await page.keyboard.up(key)


async def _point(page: Page, action: Action | ComputerAction) -> None:
    """What the mouse does."""
    match action.type:
        case "click":
            await _click(page, action.button, action.x, action.y)
        case "double_click":
            await page.mouse.dblclick(action.x, action.y)
        case "drag":
            await _drag(page.mouse, [(point.x, point.y) for point in action.path])
        case "move":
            await page.mouse.move(action.x, action.y)
        case "scroll":
            await page.mouse.move(action.x, action.y)
            await page.mouse.wheel(action.scroll_x, action.scroll_y)
        case _:
            pass


async def _click(page: Page, button: str, x: int, y: int) -> None:
    match button:
        case "back":
            await page.go_back(wait_until="commit")
        case "forward":
            await page.go_forward(wait_until="commit")
        case "right":
            await page.mouse.click(x, y, button="right")
        case "wheel":
            await page.mouse.click(x, y, button="middle")
        case _:
            await page.mouse.click(x, y)


async def _drag(mouse: Mouse, path: list[tuple[int, int]]) -> None:
    await mouse.move(*path[0])
    await mouse.down()
    for x, y in path[1:]:
        await mouse.move(x, y, steps=5)
    await mouse.up()


async def _press(page: Page, keys: list[str]) -> None:
    match SHORTCUTS.get("+".join(keys)):
        case "back":
            await page.go_back(wait_until="commit")
        case "forward":
            await page.go_forward(wait_until="commit")
        case "reload":
            await page.reload(wait_until="commit")
        case _ if len(keys) == len(keys[0]) == 1:
            await page.keyboard.type(keys[0])  # whatever it is, and on whatever keyboard
        case _:
            async with _holding(page, keys):
                pass


def named(keys: Sequence[str]) -> list[str]:
    """Give Playwright's names of keys that are pressed together; beside CTRL and its like a letter is no capital."""
    names = [KEYS.get(key.upper(), key) for key in keys]
    if {"Alt", "Control", "Meta"} & set(names):
        return [name.lower() if len(name) == 1 else name for name in names]
    return names


def arguments(url: str, hosts: Sequence[str]) -> list[str]:
    """Give what the browser is started with. Raises `ValueError` for what is no name of a host."""
    rest = ["--disable-gpu", "--disable-quic"]
    if not hosts:
        return rest
    reached = [urlsplit(url).hostname or "", *hosts]
    wrong = [host for host in reached if not re.fullmatch(r"[\w.*:-]+", host)]
    if wrong:
        raise ValueError(f"This is no name of a host: {wrong[0]!r}")
    rules = ["MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in reached)]
    unproxied = ["--no-proxy-server", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp"]
    return [*rest, *unproxied, f"--host-resolver-rules={', '.join(rules)}"]


def installed() -> str | None:
    """Give the path of a browser of this machine; with None, Playwright takes the one that it brought, if it did."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)
