"""A venue's own list of instruments, as far as it was read: part by part, each request's answer in place of its last one."""

from __future__ import annotations

from collections.abc import Iterable

from dope.types import Instrument

TRADING = "trading"  #: status of an instrument that trades


class Catalogue:
    """``all`` and ``names`` are never changed in place: any thread may read them."""

    def __init__(self) -> None:
        self.all: dict[str, Instrument] = {}  #: by native name
        self.names: dict[str, str] = {}  #: canonical symbol → native name, of two the one that trades
        self._parts: dict[str, dict[str, Instrument]] = {}  # Fetch key → by native name

    def has(self, key: str) -> bool:
        """Whether the answer to this request was read."""
        return key in self._parts

    def take(self, key: str, rows: Iterable[Instrument]) -> dict[str, Instrument]:
        """The answer to a request: what it lists, by native name; an empty one changes nothing."""
        found = {instrument.native: instrument for instrument in rows}
        if found:
            self._parts[key] = found
            self.all = {native: instrument for part in self._parts.values() for native, instrument in part.items()}
            names: dict[str, str] = {}
            for instrument in sorted(self.all.values(), key=lambda i: (i.status != TRADING, i.native)):
                names.setdefault(instrument.symbol, instrument.native)
            self.names = names
        return found
