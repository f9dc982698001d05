"""What all tests share: examples are repeatable and never judged by how long they take; those with a browser come last."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.examples import phases, some
from tests.few import PINNED
from tests.figures import figure, pytest_runtest_makereport

os.environ.update(PINNED)

__all__ = ["figure", "pytest_runtest_makereport"]  # of every test

BROWSER = Path(__file__).parent / "browser"
#: dealt out first, the longest before all: a long file that comes last keeps the other processes idle
LONGEST = ("guards/test_guards.py", "simulation/test_seeds.py", "api/test_names.py", "sim/test_gap_recall.py", "api/test_schema.py",
           "trial/test_recall.py", "trial/test_calm.py", "app/test_sources.py", "browser/test_page_memory.py",
           "browser/test_four_uses.py")  # fmt: skip

HOUSE = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("house", max_examples=some(100), phases=phases(), **HOUSE)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's library keeps an event loop running in this thread from its first test on: ``asyncio.run`` must be done by then.

    Several processes deal tests out by their ids: of two with one id only one would run, and nobody would notice.
    """
    for item in items:
        if hasattr(item, "operation_label") and item.parent is not None:  # operations of a schema all have the id of their function
            item._id = item.parent.id.child(item.name)
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"several tests have the id {', '.join(twice[:5])}")
    lost = [item.nodeid for item in items if item.get_closest_marker("browser") and not item.get_closest_marker("full")
            and BROWSER not in item.path.parents]  # fmt: skip
    if lost:
        raise pytest.UsageError(f"make test looks for tests with a browser in {BROWSER.name}/ alone: {', '.join(lost[:5])}")
    rank = {BROWSER.parent / path: place for place, path in enumerate(LONGEST)}
    items.sort(key=lambda item: ("browser" in getattr(item, "fixturenames", ()), rank.get(item.path, len(rank))))
