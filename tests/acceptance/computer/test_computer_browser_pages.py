"""The browser of the example on pages that hang, ask, open tabs, lead elsewhere and send files; and what it can do."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from openai.types.responses import computer_action as act
from PIL import Image
from playwright.async_api import Error

from examples.computer_use.browser import MOST_DIALOGS, MOST_TABS, Browser, Settings
from tests.computer_browser import HEIGHT, MIDDLE, WIDTH, chromium, odd_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openai.types.responses.computer_action import ComputerAction

    from tests.computer_browser import OddPages

pytestmark = [pytest.mark.slow, pytest.mark.whole]

X, Y = MIDDLE
SETTINGS = Settings((WIDTH, HEIGHT), hosts=["127.0.0.1"])
SHORT = 8.0
"""Seconds after which a page that hangs is closed."""
GREEN = b"\x00\xff\x00"


@pytest.fixture(scope="module")
def pages() -> Iterator[OddPages]:
    """Pages that misbehave."""
    with odd_pages() as server:
        yield server


@pytest.fixture(scope="module")
def notes() -> list[str]:
    """What the person is told."""
    return []


@pytest.fixture(scope="module")
def opened(pages: OddPages, notes: list[str]) -> Iterator[Browser]:
    """A browser that may reach this machine by its number alone."""
    with Browser(f"{pages.url}/", SETTINGS._replace(program=chromium()), notes.append) as browser:
        yield browser


@pytest.fixture
def show(opened: Browser, pages: OddPages, notes: list[str]) -> Callable[[str], Browser]:
    """Goes to a page, and gives the browser."""

    def go(path: str) -> Browser:
        opened._runner.run(opened._page.goto(pages.url + path))
        notes.clear()
        return opened

    return go


def click() -> act.Click:
    """A click on what there is to be clicked."""
    return act.Click(type="click", button="left", x=X, y=Y)


def title(browser: Browser) -> str:
    """What a page has told in its title."""
    return browser._runner.run(browser._page.title())


def is_green(browser: Browser) -> bool:
    """Whether all went well for a page: seen at the lower edge of a screenshot."""
    with Image.open(io.BytesIO(browser.screenshot())) as picture:
        assert (WIDTH, HEIGHT) == picture.size
        return picture.convert("RGB").crop((0, HEIGHT - 1, 1, HEIGHT)).tobytes() == GREEN


@pytest.mark.parametrize(("path", "told"), [("/alert", "(alert): Well?"), ("/confirm", "(confirm): Really?")])
def test_a_dialog_is_dismissed_and_told(show: Callable[[str], Browser], notes: list[str], path: str, told: str) -> None:
    """The page goes on as if a person had said no."""
    browser = show(path)
    browser.run(click())
    assert is_green(browser)
    assert [f"A dialog was dismissed {told}"] == notes


def test_a_page_that_will_not_be_left_is_left(
    show: Callable[[str], Browser], notes: list[str], pages: OddPages
) -> None:
    """Whoever says where to go wants to go there."""
    browser = show("/leave")
    browser.run(act.Keypress(type="keypress", keys=["x"]))  # a page that was touched may ask
    browser.run(click())
    assert f"{pages.url}/green" == browser.url
    assert is_green(browser)
    assert [] == notes


def test_a_download_is_refused_and_told(show: Callable[[str], Browser], notes: list[str], pages: OddPages) -> None:
    """The page stays as it is."""
    browser = show("/download")
    browser.run(click())
    assert ["A download was refused: letter.exe"] == notes
    assert f"{pages.url}/download" == browser.url


def test_a_new_tab_is_followed_and_left_when_it_is_closed(
    show: Callable[[str], Browser], notes: list[str], pages: OddPages
) -> None:
    """The model sees the tab that a person would see."""
    browser = show("/tab")
    browser.run(click())
    assert f"{pages.url}/green" == browser.url
    assert [f"A new tab: {pages.url}/green"] == notes
    assert is_green(browser)
    browser.run(click())  # the tab closes itself
    assert not is_green(browser)
    assert f"{pages.url}/tab" == browser.url


def test_tabs_do_not_become_many(show: Callable[[str], Browser], notes: list[str]) -> None:
    """What a page opens besides is closed."""
    browser = show("/tabs")
    browser.run(click())
    browser.screenshot()
    assert MOST_TABS >= len(browser._context.pages)
    assert "There are too many tabs: one more was closed." in notes
    for page in browser._context.pages[1:]:
        browser._runner.run(page.close())
    browser.screenshot()


def test_a_redirection_to_another_host_is_refused(
    show: Callable[[str], Browser], notes: list[str], pages: OddPages
) -> None:
    """Hosts that were not allowed are never reached, whoever leads there; one can go back."""
    browser = show("/away")
    browser.run(click())
    assert [] == pages.strayed
    told = f"This could not be opened: {pages.url.replace('127.0.0.1', 'localhost')}/green (net::ERR_NAME_NOT_RESOLVED)"
    assert [told] == notes
    browser.run(act.Click(type="click", button="back", x=X, y=Y))
    assert f"{pages.url}/away" == browser.url


def test_a_picture_from_another_host_is_refused(show: Callable[[str], Browser], pages: OddPages) -> None:
    """Nothing that a page loads tells another host of it."""
    show("/picture").screenshot()
    assert [] == pages.strayed


@pytest.mark.parametrize(
    ("told", "action"),
    [
        ("mousemove, mousedown, mouseup, click", click()),
        (
            "shift+Shift, shift+mousemove, shift+mousedown, shift+mouseup, shift+click",
            act.Click(type="click", button="left", x=X, y=Y, keys=["SHIFT"]),
        ),
        (
            "mousemove, mousedown, contextmenu, mouseup, auxclick",
            act.Click(type="click", button="right", x=X, y=Y),
        ),
        ("mousemove, mousedown, mouseup, auxclick", act.Click(type="click", button="wheel", x=X, y=Y)),
        (
            "mousemove, mousedown, mouseup, click, mousedown, mouseup, click, dblclick",
            act.DoubleClick(type="double_click", x=X, y=Y),
        ),
        (
            "mousemove, mousedown" + 5 * ", mousemove" + ", mouseup, click",
            act.Drag(type="drag", path=[act.DragPath(x=X, y=Y), act.DragPath(x=X + 50, y=Y)]),
        ),
        ("mousemove", act.Move(type="move", x=X, y=Y)),
        ("mousemove, wheel 0 120", act.Scroll(type="scroll", x=X, y=Y, scroll_x=0, scroll_y=120)),
        ("ctrl+Control, ctrl+a", act.Keypress(type="keypress", keys=["CTRL", "A"])),
        ("PageDown", act.Keypress(type="keypress", keys=["PAGEDOWN"])),
        ("F8", act.Keypress(type="keypress", keys=["F8"])),
        ("H, i, Enter", act.Type(type="type", text="Hi\n")),
    ],
)
def test_a_page_hears_of_an_action(show: Callable[[str], Browser], told: str, action: ComputerAction) -> None:
    """It hears what it would hear of a person's hand."""
    browser = show("/log")
    browser._runner.run(browser._page.mouse.move(0, HEIGHT - 1))
    browser.run(action)
    assert told == title(browser)


def test_any_letter_can_be_typed_and_replaced(show: Callable[[str], Browser]) -> None:
    """Keyboards have no limits here, and a long text comes at once."""
    browser = show("/text")
    browser.run(click())
    browser.run(act.Type(type="type", text="Grüße, 日本 ✓"))
    assert "Grüße, 日本 ✓" == title(browser)
    browser.run(act.Keypress(type="keypress", keys=["CTRL", "A"]))
    browser.run(act.Keypress(type="keypress", keys=["é"]))
    assert "é" == title(browser)
    browser.run(act.Type(type="type", text="o" * 20_000))
    assert "é" + "o" * 20_000 == title(browser)


def test_a_page_is_scrolled(show: Callable[[str], Browser]) -> None:
    """It has moved by the time that it is looked at."""
    browser = show("/tall")
    browser.run(act.Scroll(type="scroll", x=X, y=Y, scroll_x=0, scroll_y=300))
    assert is_green(browser)


def test_a_window_without_a_frame_goes_back_and_forth(show: Callable[[str], Browser], pages: OddPages) -> None:
    """Shortcuts that a window knows are known without one, and waiting and looking change nothing."""
    show("/tall")
    browser = show("/log")
    for keys, path in ((["ALT", "ARROWLEFT"], "/tall"), (["ALT", "ARROWRIGHT"], "/log"), (["F5"], "/log")):
        browser.run(act.Keypress(type="keypress", keys=keys))
        assert pages.url + path == browser.url
    browser.run(act.Wait(type="wait"))
    browser.run(act.Screenshot(type="screenshot"))
    assert "" == title(browser)


def test_a_key_that_is_none_is_told_of(show: Callable[[str], Browser], notes: list[str]) -> None:
    """What cannot be done does not end the run."""
    show("/log").run(act.Keypress(type="keypress", keys=["HYPERSPACE"]))
    assert ['keypress: Keyboard.down: Unknown key: "HYPERSPACE"'] == notes


def test_a_page_that_hangs_is_closed(pages: OddPages) -> None:
    """It shows dialogs without end, and then never answers again: the browser is where it began, and works."""
    notes: list[str] = []
    settings = SETTINGS._replace(program=chromium(), seconds=SHORT)
    with Browser(f"{pages.url}/hang", settings, notes.append) as browser:
        browser.run(click())
        assert browser.screenshot()
        assert f"{pages.url}/hang" == browser.url
    dialogs = [f"A dialog was dismissed (alert): {number}" for number in range(MOST_DIALOGS)]
    assert [*dialogs, f"The page did not answer for {SHORT:g} seconds, and was closed."] == notes


def test_a_browser_that_is_not_there_is_told_of(pages: OddPages) -> None:
    """And nothing is left running."""
    with pytest.raises(Error, match="nowhere"), Browser(pages.url, SETTINGS._replace(program="/nowhere/chromium")):
        pytest.fail("There is a browser.")


def test_a_host_is_a_name() -> None:
    """What would end one rule of the browser's and begin another is refused."""
    with pytest.raises(ValueError, match="This is no name of a host"):
        Browser("http://127.0.0.1/", Settings(hosts=["a, EXCLUDE *"], program=chromium())).__enter__()
