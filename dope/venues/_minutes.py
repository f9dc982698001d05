"""Candles of a venue that never says that one is over: a minute is closed when the next one begins."""

from __future__ import annotations

import msgspec

from dope.types import Bar, Event


class Minutes:
    """The running candle of each market of a venue, by key."""

    def __init__(self) -> None:
        self._running: dict[str, Bar] = {}

    def take(self, bar: Bar, events: list[Event]) -> None:
        """Tell a candle as it stands now; before the first of a new minute the one before it, closed. Older ones are not told.
        """
        last = self._running.get(bar.key)
        if last is not None and last.open_ts < bar.open_ts:
            events.append(msgspec.structs.replace(last, ts=bar.ts, closed=True))
        if last is None or last.open_ts <= bar.open_ts:
            self._running[bar.key] = bar
            events.append(bar)
