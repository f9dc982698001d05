"""One Chromium for all tests here; each page watches its own console and where its requests go."""

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


def _chromium() -> str | None:
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = _chromium()
    if path is None or not Path(path).exists():
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=[f"--{switch}" for switch in SWITCHES])
        yield running
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
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        own = (server.url, server.url.replace("http", "ws", 1), "data:", "blob:")
        page.on("request", lambda request: None if request.url.startswith(own) else page.complaints.append(f"left the host: {request.url}"))
        page.on("websocket", lambda ws: None if ws.url.startswith(own) else page.complaints.append(f"left the host: {ws.url}"))
        page.goto(server.url + path)
        page.wait_for_selector(wait, state="attached")
        pages.append(page)
        return page

    yield go
    for page in pages:
        page.close()
