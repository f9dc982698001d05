"""One Chromium for all tests here, with a folder of its own; each page watches its own console and where its requests go."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.dev_server import Server
from tests.browser.patience import patient

SWITCHES = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
            "disable-component-update", "disable-sync", "disable-features=LocalNetworkAccessChecks")  # our own door must do


KEPT = "cookies,local_storage,indexeddb,file_systems,cache_storage,service_workers"  #: by pages; scripts and their compiled forms are not


def _chromium() -> str | None:
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


class Browser:
    """A browser that has been here before: what it once fetched and compiled of our scripts it need not fetch and compile again.

    That is half of what opening a page costs. Nothing else is left of earlier pages: cookies and what they stored are cleared.
    """

    def __init__(self, context: Any) -> None:
        self._own = context
        self._keeper = context.new_cdp_session(context.pages[0])  # of the empty first page, which stays

    def new_page(self, viewport: dict[str, int] | None = None) -> Any:
        """A page of a person who comes back with nothing kept; where one is open already, of another person, with a browser like new."""
        size = viewport or {"width": 1280, "height": 720}
        if len(self._own.pages) > 1:
            return self._own.browser.new_page(viewport=size)
        self._keeper.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": KEPT})
        self._own.clear_cookies()
        page = self._own.new_page()
        page.set_viewport_size(size)
        return page

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
        running.close()


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
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        own = (server.url, server.url.replace("http", "ws", 1), "data:", "blob:")
        page.on("request", lambda request: None if request.url.startswith(own) else page.complaints.append(f"left the host: {request.url}"))
        page.on("websocket", lambda ws: None if ws.url.startswith(own) else page.complaints.append(f"left the host: {ws.url}"))
        page.goto(server.url + path)
        page.wait_for_selector(wait, state="attached")
        return page

    yield go
    for page in pages:
        page.close()
