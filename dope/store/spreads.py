"""Price differences over time from best bids and asks: what stood at the end of each second, or all that stood within it.

A venue's best price holds from its row to the next one. A row without a price ends it (the book left LIVE), and so does an
"end": a moment at which something began to be missing. An end goes after the rows of its own moment: then nothing is carried
that was not known to be right.

    gross_bps(buy, sell) = (bid of sell / ask of buy - 1) · 10⁴        for every ordered pair of two venues
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dope.tables import SPREAD, SPREAD_1S

NS = 1_000_000_000
ALL = -1  #: the venue of an end that concerns all venues

Floats = np.ndarray
Ints = np.ndarray


class Quotes(NamedTuple):
    """Best prices of one symbol in the order of time; ``venue`` counts in the list of names; NaN = none."""

    ts: Ints
    venue: Ints
    bid: Floats
    ask: Floats


class Pairs:
    """Goes over the seconds in order, slice by slice; keeps in between what stands at each venue."""

    def __init__(self) -> None:
        self.venues: list[str] = []
        self._order: list[int] = []
        self._bid, self._ask = np.empty(0), np.empty(0)

    def meet(self, names: list[str]) -> np.ndarray:
        """The numbers of these venues; new ones are added, nothing stands at them yet."""
        self.venues += [name for name in names if name not in self.venues]
        more = np.full(len(self.venues) - len(self._bid), np.nan)
        self._bid, self._ask = np.append(self._bid, more), np.append(self._ask, more)
        self._order = sorted(range(len(self.venues)), key=self.venues.__getitem__)
        return np.array([self.venues.index(name) for name in names], dtype=np.int64)

    def stand(self, quotes: Quotes) -> None:
        """These are over before the first second that is told: only what stands after them counts."""
        for venue in range(len(self.venues)):
            rows = np.flatnonzero(quotes.venue == venue)
            if len(rows):
                self._bid[venue], self._ask[venue] = quotes.bid[rows[-1]], quotes.ask[rows[-1]]

    def seconds(self, quotes: Quotes, begin: int, end: int) -> pa.Table:
        """SPREAD of the seconds [begin, end) (ns, whole seconds): what stood at the end of each. All ``quotes`` lie in it."""
        count = (end - begin) // NS
        bid, ask = np.empty((len(self.venues), count)), np.empty((len(self.venues), count))
        second = (quotes.ts - begin) // NS
        for venue in range(len(self.venues)):
            rows = np.flatnonzero(quotes.venue == venue)
            told = second[rows]
            newest = rows[np.append(told[1:] != told[:-1], True)] if len(rows) else rows
            at = np.full(count, -1)
            at[second[newest]] = newest
            bid[venue], ask[venue] = self._hold(venue, np.maximum.accumulate(at), quotes)
        self._keep(bid, ask)
        return self._table(bid, ask, begin)

    def moments(self, quotes: Quotes, begin: int, end: int) -> pa.Table:
        """SPREAD_1S of the seconds [begin, end): over what stood at its beginning and after each change within it."""
        starts = np.arange(begin, end, NS)
        ts = np.concatenate([starts, quotes.ts])
        order = np.argsort(ts, kind="stable")
        source = (order - len(starts))[:]  # row of quotes; negative: the beginning of a second
        venue = np.where(source >= 0, quotes.venue[np.maximum(source, 0)] if len(quotes.ts) else ALL, ALL)
        second = (ts[order] - begin) // NS
        bids, asks = [], []
        for each in range(len(self.venues)):
            held = self._hold(each, np.maximum.accumulate(np.where(venue == each, source, -1)), quotes)
            bids.append(held[0])
            asks.append(held[1])
        tables = []
        for buy in self._order:
            for sell in self._order:
                if buy != sell:
                    told = (venue == ALL) | (venue == buy) | (venue == sell)
                    tables.append(self._summary((buy, sell), second[told], gross_bps(bids[sell][told], asks[buy][told]), begin))
        if len(ts):
            self._bid, self._ask = np.array([held[-1] for held in bids]), np.array([held[-1] for held in asks])
        if not tables:
            return SPREAD_1S.empty_table()
        whole = pa.concat_tables(tables)
        return whole.take(pa.array(np.argsort(whole["second"].to_numpy(), kind="stable")))  # the pairs are in order already

    def _hold(self, venue: int, at: Ints, quotes: Quotes) -> tuple[Floats, Floats]:
        """Bid and ask where row ``at`` of the quotes is the newest; -1 = what stood before them."""
        before = at < 0
        if not len(quotes.ts):
            return np.full(len(at), self._bid[venue]), np.full(len(at), self._ask[venue])
        row = np.where(before, 0, at)
        return np.where(before, self._bid[venue], quotes.bid[row]), np.where(before, self._ask[venue], quotes.ask[row])

    def _keep(self, bid: Floats, ask: Floats) -> None:
        if bid.shape[1]:
            self._bid, self._ask = bid[:, -1].copy(), ask[:, -1].copy()

    def _table(self, bid: Floats, ask: Floats, begin: int) -> pa.Table:
        pairs = [(buy, sell) for buy in self._order for sell in self._order if buy != sell]
        if not pairs or not bid.shape[1]:
            return SPREAD.empty_table()
        gross = np.stack([gross_bps(bid[sell], ask[buy]) for buy, sell in pairs], axis=1)
        second, pair = np.nonzero(np.isfinite(gross))
        names = pa.array(self.venues, pa.string())
        legs = np.array(pairs, dtype=np.int32)
        columns = [
            pa.array(begin + second * NS, pa.int64()),
            pa.DictionaryArray.from_arrays(pa.array(legs[pair, 0]), names),
            pa.DictionaryArray.from_arrays(pa.array(legs[pair, 1]), names),
            pa.array(gross[second, pair]),
        ]
        return pa.Table.from_arrays(columns, schema=SPREAD)

    def _summary(self, pair: tuple[int, int], second: Ints, gross: Floats, begin: int) -> pa.Table:
        known = np.isfinite(gross)
        second, gross = second[known], gross[known]
        if not len(second):
            return SPREAD_1S.empty_table()
        edges = np.flatnonzero(np.append(True, second[1:] != second[:-1]))
        n = np.diff(np.append(edges, len(second)))
        names = pa.array(self.venues, pa.string())
        legs = [pa.DictionaryArray.from_arrays(pa.array(np.full(len(edges), leg, dtype=np.int32)), names) for leg in pair]
        mean = np.add.reduceat(gross, edges) / n
        columns = [pa.array(begin + second[edges] * NS, pa.int64()), *legs, pa.array(np.maximum.reduceat(gross, edges)), pa.array(mean)]
        return pa.Table.from_arrays([*columns, pa.array(n, pa.int64())], schema=SPREAD_1S)


def gross_bps(bid: Floats, ask: Floats) -> Floats:
    """What selling at ``bid`` brings over buying at ``ask``, bps; NaN where there is no price."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((bid > 0.0) & (ask > 0.0), (bid / ask - 1.0) * 1e4, np.nan)


def with_ends(quotes: Quotes, ends: list[tuple[int, int]], venues: int) -> Quotes:
    """``quotes`` and rows without a price at each end (time, venue or ALL), in order of time; also sorts what was not."""
    single = [(ts, each) for ts, venue in ends for each in (range(venues) if venue == ALL else (venue,))]
    if not single and (len(quotes.ts) < 2 or bool((quotes.ts[1:] >= quotes.ts[:-1]).all())):
        return quotes
    ts = np.concatenate([quotes.ts, np.array([ts for ts, _ in single], dtype=np.int64)])
    venue = np.concatenate([quotes.venue, np.array([venue for _, venue in single], dtype=quotes.venue.dtype)])
    nothing = np.full(len(single), np.nan)
    order = np.argsort(ts, kind="stable")
    return Quotes(ts[order], venue[order], np.concatenate([quotes.bid, nothing])[order], np.concatenate([quotes.ask, nothing])[order])
