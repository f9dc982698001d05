"""Would trading the follower pay? For every ordered pair of some markets, from jumps and best prices of the last hour on record here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from dope.detectors.following import Quotes, following, round_trip_bps
from dope.readings.evidence import jumps_by_market
from dope.session import Session

MS, NS = 1_000_000, 1_000_000_000
HOUR_NS = 3600 * NS
STANDS_NS = 60 * NS  #: how far back a best price may stand that still holds when the hour begins


def followed(session: Session, keys: Sequence[str], now: int, hold_ms: int) -> dict[str, Any]:
    """{after_ms, hold_ms, rows}: a row for each pair whose leader has jumped; ``hold_ms`` from the jump until it is given up."""
    after, hold = int(session.settings.latency_ms * MS), hold_ms * MS
    jumps = {key: [one for one in all_ if one[0] <= now - hold] for key, all_ in jumps_by_market(session, keys, now - HOUR_NS).items()}
    quotes = best_prices(session, keys, now) if any(jumps.values()) else {}
    fees = {key: fee for key in keys if (fee := _round_trip(session, key)) is not None}
    rows = []
    for leader, follower in permutations(keys, 2):
        if jumps.get(leader) and follower in fees and follower in quotes:
            found = following(quotes[follower], jumps[leader], after=after, hold=hold, fees=fees[follower])
            rows.append({"leader": leader, "follower": follower, **msgspec.to_builtins(found)})
    return {"after_ms": session.settings.latency_ms, "hold_ms": hold_ms, "rows": rows}


def best_prices(session: Session, keys: Sequence[str], now: int) -> dict[str, Quotes]:
    """Best prices of these markets over the last hour, as far as memory goes."""
    found = {}
    for symbol in {key.partition(":")[2] for key in keys}:
        rows = session.tail.table("bbo", symbol, now - HOUR_NS - STANDS_NS, now)
        if not rows.num_rows:
            continue
        names = rows.column("venue").combine_chunks()
        venues, place = names.dictionary.to_pylist(), names.indices.to_numpy()
        times, bid, ask = rows.column("ts").to_numpy(), _floats(rows.column("bid")), _floats(rows.column("ask"))
        for key in keys:
            venue, _, of = key.partition(":")
            if of == symbol and venue in venues:
                mine = place == venues.index(venue)
                found[key] = Quotes(times[mine], bid[mine], ask[mine])
    return found


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _round_trip(session: Session, key: str) -> float | None:
    """Both taker fees of this market, bps; None where they are not known."""
    book = session.engine.market.books.get(key)
    costs: Mapping[tuple[str, str], Any] = session.arbitrage.costs
    cost = costs.get((book.instrument.venue, book.instrument.kind)) if book is not None else None
    return None if cost is None else round_trip_bps(cost.fee, cost.currency == "base")

