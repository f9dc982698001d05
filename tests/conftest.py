"""What all tests share: examples are repeatable and never judged by how long they take; those with a browser come last."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.figures import figure, pytest_runtest_makereport

#: what a test does not say itself: three venues and six symbols, so that it is quick and the same whatever is added
os.environ["DOPE_VENUES"] = "binance_spot,binance_usdm,okx"
os.environ["DOPE_SYMBOLS"] = "BTC-USDT,ETH-USDT,SOL-USDT,BTC-USDT-PERP,ETH-USDT-PERP,SOL-USDT-PERP"

__all__ = ["figure", "pytest_runtest_makereport"]  # of every test

settings.register_profile("house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's library keeps an event loop running in this thread from its first test on: ``asyncio.run`` must be done by then."""
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))
