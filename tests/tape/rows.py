"""Rows of recorded history for the tests of sealing: as many as wanted, of several symbols and venues, and always the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from dope.tables import TABLES
from dope.tape.format import Rows
from tests.tape.frames import START

#: symbol → (price, tick, decimals of sizes), about as they are
MARKETS = {
    "SOL-USDT": (150.0, 0.01, 3), "BTC-USDT": (60_000.0, 0.01, 5), "ETH-USDT-PERP": (3_000.0, 0.01, 3), "BTC-USDT-PERP": (60_000.0, 0.1, 3)
}  # fmt: skip
PLACES = ("okx", "binance_spot", "third")
HOUR = 3_600 * 10**9


def bbo(rows: int, *, seed: int = 7, span_ns: int = HOUR) -> pa.RecordBatch:
    """About ``rows`` book tops by time: stamps in ns, the venue's in ms, prices on ticks, one side changing at a time."""
    rng = np.random.default_rng(seed)
    per = rows // (len(MARKETS) * len(PLACES)) + 1
    parts: list[dict[str, np.ndarray]] = []
    for symbol, (price, tick, digits) in enumerate(MARKETS.values()):
        for venue in range(len(PLACES)):
            steps = np.rint(price / tick).astype(np.int64) + np.cumsum(rng.choice([-3, -1, 0, 0, 0, 0, 1, 3], per))
            ts = START + np.cumsum(rng.exponential(span_ns / per, per).astype(np.int64) + 1)
            stamp = (ts - rng.integers(2_000_000, 60_000_000, per)) // 1_000_000 * 1_000_000
            other = rng.random(per) < 0.5
            parts.append({
                "ts": ts, "symbol": np.full(per, symbol), "venue": np.full(per, venue), "venue_ts": stamp,
                "bid": np.round(steps * tick, 2), "ask": np.round((steps + rng.choice([1, 1, 1, 2, 5], per)) * tick, 2),
                "bid_size": _kept(np.round(rng.lognormal(-1, 2, per), digits), other),
                "ask_size": _kept(np.round(rng.lognormal(-1, 2, per), digits), ~other),
            })  # fmt: skip
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(columns["ts"], kind="stable")
    named = {"symbol": list(MARKETS), "venue": list(PLACES)}
    return pa.record_batch([_column(columns[name][order], named.get(name)) for name in TABLES["bbo"].names], schema=TABLES["bbo"])


def _kept(sizes: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Where ``old``, the size before stays."""
    kept: np.ndarray = sizes[np.maximum.accumulate(np.where(old, 0, np.arange(len(sizes))))]
    return kept


def _column(values: np.ndarray, names: list[str] | None) -> pa.Array:
    return pa.array(values) if names is None else pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), pa.array(names))


def row(table: str, **given: Any) -> pa.RecordBatch:
    """One row; what is not given is empty text or null."""
    schema = TABLES[table]
    texts = {field.name for field in schema if pa.types.is_dictionary(field.type) or field.type == pa.string()}
    values = {name: given.get(name, "" if name in texts else None) for name in schema.names}
    return pa.RecordBatch.from_pylist([values], schema=schema)


def mixed(rows: int, *, batches: int = 10, seed: int = 7) -> Iterator[Rows]:
    """What a recorder collects: book tops in several batches, and between them trades, signals, an opportunity, gaps."""
    tops = bbo(rows, seed=seed)
    step = max(1, len(tops) // batches)
    for number, at in enumerate(range(0, len(tops), step)):
        part = tops.slice(at, step)
        ts = part["ts"][0].as_py()
        yield Rows("bbo", part)
        yield Rows("trade", row("trade", ts=ts, symbol="ETH-USDT", venue="okx", trade_id=str(number), price=3000.5, size=0.1, side="buy"))
        yield Rows("signal", row("signal", ts=ts, symbol="BTC-USDT", kind="Spread", session="s", detail=f'{{"bps": {number}}}'))
        yield Rows("opportunity", row("opportunity", ts=ts, symbol="BTC-USDT", id=number, session="s", opened=ts, net_bps=1.5))
        yield Rows("gap", row("gap", ts=ts, symbol="BTC-USDT", venue="okx", until=ts + 5, what="book", why="sequence", lost=None))
