"""When anything last came over each connection, where compiled code can read it: each connection has a seat in one array."""

from __future__ import annotations

import numpy as np

NOBODY = 0  #: the seat of a connection that is not known: nothing ever came over it


class Heard:
    """Newest receive time (ns) by connection; 0 = nothing came over it yet, or it has ended."""

    def __init__(self) -> None:
        self.newest = np.zeros(64, dtype=np.int64)
        self._view = memoryview(self.newest)  # type: ignore[arg-type]
        self._seats: dict[int, int] = {}
        self._free = list(range(1, len(self.newest)))

    def __setitem__(self, conn: int, ts: int) -> None:
        seat = self._seats.get(conn)
        if seat is None:
            seat = self.take(conn)
        self._view[seat] = ts

    def __getitem__(self, conn: int) -> int:
        return self._view[self._seats.get(conn, NOBODY)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Heard) and self.times() == other.times()

    __hash__ = None  # type: ignore[assignment]

    def times(self) -> dict[int, int]:
        """All that are not 0."""
        return {conn: ts for conn, seat in self._seats.items() if (ts := self._view[seat])}

    def seat(self, conn: int) -> int:
        """Where its time stands in ``newest``."""
        return self._seats.get(conn, NOBODY)

    def take(self, conn: int) -> int:
        """The same; one that is not known gets a seat."""
        if (seat := self._seats.get(conn)) is None:
            if not self._free:
                self._free = list(range(len(self.newest), 2 * len(self.newest)))
                self.newest = np.concatenate([self.newest, np.zeros_like(self.newest)])
                self._view = memoryview(self.newest)  # type: ignore[arg-type]
            seat = self._seats[conn] = self._free.pop()
        return seat

    def leave(self, conn: int) -> int:
        """This connection has ended; the seat that is free now, ``NOBODY`` = it had none."""
        seat = self._seats.pop(conn, NOBODY)
        if seat != NOBODY:
            self._view[seat] = 0
            self._free.append(seat)
        return seat

    def forget(self) -> None:
        """Nothing that came so far proves anything."""
        self.newest[:] = 0
