"""The fixture ``house``: one running program for all test modules that name this plug-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.real_server import House


@pytest.fixture(scope="session")
def house(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Started when a browser is there to look at it."""
    running = House(tmp_path_factory.mktemp("house"))
    yield running
    running.stop()
