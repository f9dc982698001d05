"""When the books of many markets change at once, the event tape tells the first few and sums up the rest.

A venue that comes back with fifty markets, or a pause of this program after which all books are proved anew, would otherwise fill the
tape within a moment, and who looks would find nothing else on it.
"""

from __future__ import annotations

from collections import Counter

LINES = 8  #: about one change, within one second of the market


class Crowded:
    """Counts what is told; a change is named by what happened to the book, in words."""

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        self._rest: dict[str, Counter[str]] = {}

    def admits(self, change: str, venue: str) -> bool:
        """Whether this one has a line of its own; else it is counted under the name of its venue."""
        self._told[change] += 1
        if self._told[change] <= LINES:
            return True
        self._rest.setdefault(change, Counter())[venue] += 1
        return False

    def rest(self) -> list[tuple[str, str]]:
        """At the end of a second: (change, how many books more at which venues), and counting begins anew."""
        told = [(change, f"{venues.total()} more at {_names(venues)}") for change, venues in self._rest.items()]
        self._told.clear()
        self._rest.clear()
        return told


def _names(venues: Counter[str]) -> str:
    first = ", ".join(name for name, _ in venues.most_common(3))
    return first if len(venues) <= 3 else f"{len(venues)} venues ({first}, …)"
