"""Requests that a venue answers by their number: what each of them asked for."""

from __future__ import annotations

from collections.abc import Sequence

KEPT = 1000  #: requests that may still be answered, the newest


class Requests:
    """Numbers rise over all connections of a venue and are never used again."""

    def __init__(self) -> None:
        self._ids = 0
        self._asked: dict[tuple[int, str], tuple[str, ...]] = {}  # connection, number → topics

    def new(self, conn: int, topics: Sequence[str]) -> int:
        """The number of a request for these topics."""
        self._ids += 1
        self._asked[conn, str(self._ids)] = tuple(topics)
        if len(self._asked) > KEPT:
            del self._asked[next(iter(self._asked))]
        return self._ids

    def of(self, conn: int, number: int | str | None) -> tuple[str, ...]:
        """What was asked for under this number on this connection; () = nothing that is known."""
        return self._asked.get((conn, str(number)), ())

    def pop(self, conn: int, number: int | str | None) -> tuple[str, ...]:
        """The same, for the last time."""
        return self._asked.pop((conn, str(number)), ())

    def closed(self, conn: int) -> None:
        """That connection has ended."""
        self._asked = {key: topics for key, topics in self._asked.items() if key[0] != conn}
