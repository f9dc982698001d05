"""Jumps and bursts as marks for a chart of prices: the newest few of each kind, at the moment of the market at which they happened."""

from __future__ import annotations

from collections import deque
from heapq import merge
from typing import Any

from dope.detectors.bursts import Burst
from dope.detectors.jumps import Jump
from dope.types import Signal

MS = 1_000_000
KEPT = 600  #: of each kind; a chart shows fewer


class Findings:
    """Rows of the section ``findings``, newest last. A list that was given is never changed."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[dict[str, Any]]] = {kind: deque(maxlen=KEPT) for kind in (Jump.KIND, Burst.KIND)}
        self._rows: list[dict[str, Any]] | None = []

    def note(self, signal: Signal, number: int) -> None:
        """One more signal; ``number`` = that of its line on the event tape, which only rises."""
        if isinstance(signal, Jump):
            about = {"t": signal.t_peak // MS, "way": signal.dir, "size": signal.bps, "z": signal.z}
            took = signal.t_peak - signal.t_start
        elif isinstance(signal, Burst):
            about = {"t": signal.start // MS, "way": 1 if signal.side == "buy" else -1, "size": signal.volume, "z": signal.peak_z}
            took = signal.end - signal.start
        else:
            return
        self._kept[signal.KIND].append({"id": number, "kind": signal.KIND, "key": signal.key, **about, "took_ms": took // MS})
        self._rows = None

    def rows(self) -> list[dict[str, Any]]:
        """The same object until something was found."""
        if self._rows is None:
            self._rows = list(merge(*self._kept.values(), key=lambda row: row["id"]))
        return self._rows

