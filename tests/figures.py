"""The fixture ``figure``: what a test has measured, beside what was promised; collected by ``tests/verify.py`` into a report.

    figure("kill -9 runs", 100, target="≥ 100")
    figure("lost at a power cut", 0.9, unit="s", target=1.5, samples=20)      # a bare number is an upper bound

A missed target fails no test: it is told. Whatever must hold is asserted by the test itself.
"""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "DOPE_VERIFY_LOG"  #: where lines of JSON go; without it nothing is kept
SIGNS: dict[str, Callable[[float, float], bool]] = {"≤": operator.le, "≥": operator.ge, "=": operator.eq}


def is_met(value: float, target: str | float | None) -> bool | None:
    """Whether ``value`` keeps the promise ("≤ 1.5", "≥ 100", "= 0"; a number is an upper bound); None where there is none."""
    if target is None:
        return None
    if not isinstance(target, str):
        return value <= target
    sign, _, bound = target.partition(" ")
    return SIGNS[sign](value, float(bound))


def written(target: str | float | None) -> str:
    """The target as it stands in the report."""
    return "" if target is None else target if isinstance(target, str) else f"≤ {target:g}"


def note(**what: Any) -> None:
    """One line for whoever collects."""
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Called with name and value; ``unit``, ``target`` and ``samples`` by name."""

    def told(name: str, value: float, *, unit: str = "", target: str | float | None = None, samples: int = 1) -> None:
        note(
            kind="figure", test=request.node.nodeid, name=name, value=float(value), unit=unit, target=written(target),
            met=is_met(float(value), target), samples=samples,
        )  # fmt: skip

    return told


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell how each test ended, also one that could not begin."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" or report.outcome != "passed":
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else str(report.longrepr or "")[-400:]
        note(kind="test", test=report.nodeid, outcome=report.outcome, seconds=round(report.duration, 1), reason=reason)
