"""Waiting for a page from outside: the library's own ``wait_for_function`` evaluates text inside, which our policy forbids."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import Error

STEP_MS = 40
MOVED = ("context was destroyed", "Cannot find context", "frame was detached")  #: the page went elsewhere meanwhile: look again


def patient(page: Any, default_ms: float = 120_000) -> Any:
    """``page`` that waits long, as a busy machine needs it, and whose ``wait_for_function`` asks it again and again.

    That gives a handle of the first true value, as the library's does.
    """
    patience = {"ms": default_ms}
    set_default = page.set_default_timeout

    def set_default_timeout(timeout: float) -> None:
        patience["ms"] = timeout
        set_default(timeout)

    def wait_for_function(expression: str, *, arg: Any = None, timeout: float | None = None) -> Any:
        end = time.monotonic() + (timeout or patience["ms"]) / 1000
        while True:
            try:
                handle = page.evaluate_handle(expression, arg)
                if handle.evaluate("(value) => Boolean(value)"):
                    return handle
            except Error as error:
                if not any(words in error.message for words in MOVED):
                    raise
            if time.monotonic() > end:
                raise AssertionError(f"never on the page: {expression}")
            page.wait_for_timeout(STEP_MS)

    set_default(default_ms)
    page.set_default_timeout, page.wait_for_function = set_default_timeout, wait_for_function
    return page
