"""The fixture ``house``: a running program for each test module that names this plug-in, which ends with that module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.real_server import House


@pytest.fixture(scope="module")
def house(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Started when a browser is there to look at it."""
    running = House(tmp_path_factory.mktemp("house"))
    yield running
    running.stop()
