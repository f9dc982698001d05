"""One Chromium for all tests here, with a folder of its own; each page watches its own console and where its requests go."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.again import SIZE, put_back, watch
from tests.browser.dev_server import Server
from tests.browser.patience import patient

SWITCHES = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
            "disable-component-update", "disable-sync", "disable-features=LocalNetworkAccessChecks")  # our own door must do


KEPT = "cookies,local_storage,indexeddb,file_systems,cache_storage,service_workers"  #: by pages; scripts and their compiled forms are not


stood_still: list[str] = []  #: why the browser of this process can be used no more


def note(failure: str) -> None:
    """A test that stood still is ended in the midst of the browser library's own loop, which turns no more."""
    if "pytest-timeout" in failure:
        stood_still.append(failure)


def refuse() -> None:
    """Fails where it could only stand still as well; it runs again alone."""
    if stood_still:
        pytest.fail("a page of this process stood still before")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        note(str(report.longrepr))
    return report


@pytest.fixture(autouse=True)
def _usable() -> None:
    refuse()


def _chromium() -> str | None:
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


class Tab:
    """One page that is opened again and again: scripts that its process has compiled need not even be read from the disk again.

    While ``taken`` it belongs to a test. ``close`` only gives it back: whatever was hung on it is taken off, and it shows nothing.
    """

    def __init__(self, page: Any) -> None:
        self.page, self.taken = page, False
        self._listening: list[tuple[str, Any]] = []
        self._on, page.on, page.close = page.on, self._hear, self.leave
        self._plain = set(vars(page))

    def take(self, size: dict[str, int]) -> Any:
        self.taken = True
        self.page.set_viewport_size(size)
        return self.page

    def _hear(self, event: str, listener: Any) -> None:
        self._listening.append((event, listener))
        self._on(event, listener)

    def rest(self) -> None:
        """Given back, but what it shows stays, for whoever goes on with that."""
        self.taken = False
        for event, listener in self._listening:
            self.page.remove_listener(event, listener)
        self._listening.clear()
        for name in set(vars(self.page)) - self._plain:
            if not name.startswith("_"):  # those are the library's own
                delattr(self.page, name)
        self.page.unroute_all(behavior="ignoreErrors")

    def leave(self) -> None:
        self.rest()
        self.page.goto("about:blank")


class Browser:
    """A browser that has been here before: what it once fetched and compiled of our scripts it need not fetch and compile again.

    That is most of what opening a page costs. Nothing else is left of earlier pages: cookies and what they stored are cleared.
    """

    def __init__(self, context: Any) -> None:
        self._own, self.tab = context, Tab(context.pages[0])
        self._keeper = context.new_cdp_session(context.pages[0])

    def new_page(self, viewport: dict[str, int] | None = None, *, stays: bool = False) -> Any:
        """A page of a person who comes back with nothing kept; where one is open already, of another person, with a browser like new.

        ``stays`` = it still shows what the last test has left there, whose server may be gone.
        """
        size = viewport or {"width": 1280, "height": 720}
        if self.tab.taken:
            return self._own.browser.new_page(viewport=size)
        self._keeper.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": KEPT})
        self._own.clear_cookies()
        if not stays:
            self.tab.leave()
        return self.tab.take(size)

    def new_context(self, **options: Any) -> Any:
        """Another person's browser, empty as after its installation. Close it."""
        return self._own.browser.new_context(**options)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = _chromium()
    if path is None or not Path(path).exists():
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        switches = [f"--{switch}" for switch in SWITCHES]
        running = playwright.chromium.launch_persistent_context(tmp_path_factory.mktemp("profile"), executable_path=path, args=switches)
        yield Browser(running)
        if not stood_still:
            running.close()


@pytest.fixture
def again(browser: Any) -> Iterator[Callable[..., Any]]:
    """Shows a place of the rail of a server; a page that an earlier test has left there is put back instead of opened anew."""

    def go(server: Any, rail: str = "live") -> Any:
        page = patient(browser.new_page(viewport=SIZE, stays=True))
        watch(page, server.url)
        if not page.url.startswith(server.url + "/"):
            page.goto(server.url + "/?tour=0")
            page.wait_for_selector('[data-test="st-venues"]', state="attached")
        put_back(page, rail)
        page.server = server
        return page

    yield go
    browser.tab.rest()


@pytest.fixture(scope="module")
def desk(browser: Any) -> Iterator[Server]:
    """A fake board's server for all tests of a module, which ``renew`` it; its page is shown by ``again``."""
    with Server() as running:
        yield running
        browser.tab.leave()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts a fake board's server; all are stopped at the end."""
    running: list[Server] = []

    def start(scenario: str = "live") -> Server:
        server = Server(scenario)
        server.__enter__()
        running.append(server)
        return server

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page and gathers ``page.complaints``: console errors and requests that leave the host."""
    pages: list[Any] = []

    def go(server: Server, path: str = "/?tour=0", *, width: int = 1680, height: int = 1020, wait: str = '[data-test="st-venues"]') -> Any:
        page = patient(browser.new_page(viewport={"width": width, "height": height}))
        pages.append(page)
        watch(page, server.url)
        page.goto(server.url + path)
        page.wait_for_selector(wait, state="attached")
        return page

    yield go
    for page in pages:
        page.close()
