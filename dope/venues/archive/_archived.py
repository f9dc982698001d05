"""What archived venues share: they are read, and nothing is asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dope.types import Plan
from dope.venues.base import Known, Venue


class Archived(Venue):
    """A venue without connections. Its books mend with the recording's own next snapshot, or not at all."""

    def plan(self) -> tuple[Plan, ...]:
        return ()

    def native(self, symbol: str) -> str | None:
        return None

    def topics(self, socket: str, native: str) -> Sequence[str]:
        return ()

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
        return ()

    def again(self, known: Known, ts: int) -> None:
        """Nobody is there to be asked."""

    def resync(self, symbol: str, ts: int) -> tuple[()]:
        """Nobody is there to be asked."""
        return ()

    def _of(self, symbol: str) -> Known | None:
        return next((known for known in self.known.values() if known.instrument.symbol == symbol), None)
