"""What was done on purpose to the simulated market and its venues: asked for, dated, numbered, so that a finder can be judged by it."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

KEPT = 100_000

Value = int | float | str | bool


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to be done: ``kind`` at ``venue`` (and ``symbol``, canonical; "" = all of the venue; both "" = the whole market).

    ``at_s`` counts virtual seconds from now, ``duration_s`` 0 = once, or until it is healed; ``p`` = chance per message that it
    happens to it; ``params`` belong to the kind; ``seed`` feeds its dice.
    """

    kind: str
    venue: str = ""
    symbol: str = ""
    at_s: float = 0.0
    duration_s: float = 0.0
    p: float = 1.0
    params: Mapping[str, Value] = {}
    seed: int = 0


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done: virtual times in ms UTC, ``end_ms`` exclusive, 0 = a moment, or not over yet."""

    id: int
    kind: str
    venue: str
    symbol: str
    start_ms: int
    end_ms: int = 0
    params: Mapping[str, Value] = {}


class Journal:
    """Everything planted, in its order; the newest ``kept`` stay in memory, all go to ``write`` as one line of JSON each."""

    def __init__(self, *, kept: int = KEPT, write: Callable[[bytes], object] | None = None) -> None:
        self.entries: deque[Planted] = deque(maxlen=kept)
        self._ids = itertools.count(1)
        self._write = write

    def note(
        self, kind: str, venue: str, symbol: str, start_ms: int, *, end_ms: int = 0, params: Mapping[str, Value] | None = None
    ) -> Planted:  # fmt: skip
        """Enter one thing; an end that was not known yet is entered as a second line with the same id by ``close``."""
        entry = Planted(id=next(self._ids), kind=kind, venue=venue, symbol=symbol, start_ms=start_ms, end_ms=end_ms, params=params or {})
        self._enter(entry)
        return entry

    def close(self, entry: Planted, end_ms: int) -> Planted:
        """Its end."""
        closed = msgspec.structs.replace(entry, end_ms=end_ms)
        for place in range(len(self.entries) - 1, -1, -1):
            if self.entries[place].id == entry.id:
                self.entries[place] = closed
                break
        if self._write is not None:
            self._write(msgspec.json.encode(closed) + b"\n")
        return closed

    def _enter(self, entry: Planted) -> None:
        self.entries.append(entry)
        if self._write is not None:
            self._write(msgspec.json.encode(entry) + b"\n")
