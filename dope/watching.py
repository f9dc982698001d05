"""What is watched: at which venues which symbols; the settings' lists with what a user added and took away since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WHOLE = "*"  #: in place of a symbol: the venue itself
MAX_SYMBOLS = 200  #: at one venue


class Watching:
    """``symbols`` at each of ``venues`` as the settings say; ``changes`` = venue → symbol or WHOLE → True (added) or False (taken away)."""

    def __init__(self, symbols: Sequence[str], venues: Sequence[str], changes: Mapping[str, Mapping[str, bool]] | None = None) -> None:
        self._usual, self._venues = tuple(symbols), frozenset(venues)
        self.changes: dict[str, dict[str, bool]] = {venue: dict(each) for venue, each in (changes or {}).items()}

    def copy(self) -> Watching:
        """The same, to be changed."""
        return Watching(self._usual, tuple(self._venues), self.changes)

    def of(self, venue: str) -> tuple[str, ...]:
        """The symbols watched there, as added ones last; () = the venue is not watched."""
        changes = self.changes.get(venue, {})
        if not changes.get(WHOLE, venue in self._venues):
            return ()
        usual = [symbol for symbol in self._usual if changes.get(symbol, True)]
        return tuple(dict.fromkeys([*usual, *(symbol for symbol, on in changes.items() if on and symbol != WHOLE)]))

    def add(self, venue: str, symbol: str | None) -> None:
        """Watch this symbol there, or (None) the venue with what was watched there before. Raises ValueError when that is too many.

        A venue that was not watched so far is then watched for this symbol only.
        """
        changes = self.changes.setdefault(venue, {})
        if symbol is None:
            changes[WHOLE] = True
            if not self.of(venue):
                self.changes[venue] = {WHOLE: True}
            return
        now = self.of(venue)
        if symbol not in now and len(now) >= MAX_SYMBOLS:
            raise ValueError(f"{MAX_SYMBOLS} symbols are watched at {venue} already: take one away first")
        if not now:
            changes = self.changes[venue] = dict.fromkeys(self._usual, False) | {WHOLE: True}
        changes.pop(symbol, None)
        if symbol not in self._usual:
            changes[symbol] = True

    def drop(self, venue: str, symbol: str | None) -> None:
        """Watch this symbol there no longer, or (None) nothing of that venue."""
        changes = self.changes.setdefault(venue, {})
        if symbol is None:
            changes[WHOLE] = False
        elif symbol in self._usual:
            changes[symbol] = False
        else:
            changes.pop(symbol, None)


def changes_from(kept: Any) -> dict[str, dict[str, bool]]:
    """``changes`` as they were kept. Raises ValueError for anything else."""
    if not isinstance(kept, dict):
        raise ValueError("not a table of venues")
    for each in kept.values():
        if not isinstance(each, dict) or not all(isinstance(on, bool) for on in each.values()) or len(each) > 10 * MAX_SYMBOLS:
            raise ValueError("not a table of symbols")
    return kept
