"""What all tests share: examples are repeatable and never judged by how long they take; those with a browser come last."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.few import PINNED
from tests.figures import figure, pytest_runtest_makereport

os.environ.update(PINNED)

__all__ = ["figure", "pytest_runtest_makereport"]  # of every test

settings.register_profile("house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's library keeps an event loop running in this thread from its first test on: ``asyncio.run`` must be done by then."""
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))
