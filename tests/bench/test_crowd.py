"""The benchmark of a full load tells what it saw, without a browser and of a market that is made up here."""

from __future__ import annotations

import numpy as np
import pytest

from bench import crowd


class Seen(crowd.Look):
    """Looks that were taken elsewhere."""

    def __init__(self, rows: list[dict[str, float]]) -> None:
        self.rows, self.errors, self.parts = rows, [], {"program": None}  # type: ignore[dict-item]


def row(second: float, **changes: float) -> dict[str, float]:
    memory = {f'dope_memory_bytes{{use="{use}"}}': second / 30.0 * 2**20 for use in crowd.PARTS}
    seen = {"t": second, "rate": 10_000.0, "lag": 3.0, "books": 130, "live": 130, "gaps": 0, "recording": 1.0, "opened": 5,
            "program cpu": second * 0.8, "program rss": 500.0 + second / 60.0, "dope_python_objects": 1e6 + second}  # fmt: skip
    return {**seen, **memory, **changes}


def test_it_tells_rate_books_memory_and_what_went_wrong() -> None:
    rows = [row(5.0 * i) for i in range(20)]
    rows[7] |= {"live": 65, "recording": 0.0}
    told = {each.name: each for each in crowd.figures(Seen(rows), {"newest": [40.0, 60.0, 400.0], "every": [], "way": []})}
    assert told["messages a second"].value == 10_000 and told["books LIVE, least"].value == 50.0
    assert told["looks at which the recording stood still"].met is False and told["gaps"].met
    assert told["processor time, program"].value == pytest.approx(80.0)
    assert told["memory, program: growth"].value == pytest.approx(1.0)
    assert told["memory, program, tables in columns: growth"].value == pytest.approx(2.0)
    assert told["Python's objects: growth"].value == pytest.approx(60.0)
    newest = told["newest event shown → pixel: p95"]
    assert newest.value == pytest.approx(np.percentile([40.0, 60.0, 400.0], 95)) and newest.met is False


def test_its_market_is_thirteen_venues_of_ten_markets() -> None:
    assert len(crowd.VENUES) == 13 and len(crowd.LISTED) == 130
