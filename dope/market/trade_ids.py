"""Ids of trades that were told already: venues repeat some after a reconnect, and two connections of one venue may bring the same."""

from __future__ import annotations

from itertools import islice

from dope.market.delays import NS

MOST = 10_000  #: ids per market
LEAST = 1_000  #: of them, so many are kept however old
KEPT_NS = 60 * NS  #: and the others so long: two connections do not overlap for longer


class TradeIds:
    """The last ids of each market."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, int]] = {}  #: key → id → when it came, ns

    def new(self, key: str, name: str, ts: int) -> bool:
        """Take an id; False when it was told before."""
        ids = self.of.setdefault(key, {})
        if name in ids:
            return False
        ids[name] = ts
        if len(ids) > LEAST:  # two at a time, so that what a busy minute has left goes away again
            for oldest, came in list(islice(ids.items(), 2)):
                if len(ids) > MOST or (len(ids) > LEAST and ts - came > KEPT_NS):
                    del ids[oldest]
        return True
