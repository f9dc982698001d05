"""What a comparison with the truth comes to, and how times are told in it."""

from __future__ import annotations

import msgspec

from dope.trial.stage import Played

DUE_MS = 50  #: what was there for a shorter time need not be told
NEAR_MS = 20  #: times that are no farther apart are the same


class Finding(msgspec.Struct):
    """One kind of planted thing: how many there were, and what became of them. ``latency_ms`` of the found ones."""

    kind: str
    injected: int = 0
    due: int = 0
    detected: int = 0
    missed: list[str] = []
    false: list[str] = []
    off: list[str] = []
    unsure: int = 0
    stale: int = 0
    late: int = 0
    latency_ms: list[float] = []


def when(played: Played, ms: int) -> str:
    """A time as it is told: seconds since every book was LIVE."""
    return f"{(ms - played.ready_ms) / 1000:.2f} s"


def span(played: Played, start_ms: int, end_ms: int | None) -> str:
    """From when to when."""
    return f"{when(played, start_ms)} … {'end' if end_ms is None else when(played, end_ms)}"
