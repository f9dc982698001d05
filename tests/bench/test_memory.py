"""The benchmark of memory sees a leak of one small object in a thousand messages, and takes a bounded history for none."""

from __future__ import annotations

import random

import pytest

from bench import memory
from bench.memory import MIB


def samples(per_million_mib: float) -> list[dict[str, int]]:
    """20 M messages, a sample each 20,000, 3 MiB of noise; the first 5 M fill something by 50 MiB."""
    rng = random.Random(1)
    counts = range(20_000, 20_000_001, 20_000)
    mib = {n: 300 + min(n / 1e5, 50) + per_million_mib * n / 1e6 + rng.gauss(0, 3) for n in counts}
    return [{"messages": n, "rss": round(MIB * size)} for n, size in mib.items()]


def test_a_history_that_is_full_before_it_counts_is_no_growth_and_a_small_leak_is() -> None:
    flat, leaking = (memory.slope(samples(growth), "rss", MIB, 0.3) for growth in (0.0, 0.2))
    assert abs(flat[0]) < 0.05 and flat[0] < flat[1] < 0.1
    assert leaking[0] == pytest.approx(0.2, abs=0.05) and leaking[1] > leaking[0] > memory.TARGET
    assert flat[2] == 701
