"""What questions about history cost: three million best prices of six symbols and three venues in one sealed hour."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from dope.store.embedded import Store
from dope.tables import BBO, TABLES, TRADE
from dope.tape.seal import encode

ROWS = 3_000_000
TRADES = 300_000
RUNS = 7
HOUR = 3_600 * 10**9
T0 = 1_700_000_000 * 10**9 // HOUR * HOUR
TAPE = "20231114T2200Z-live-0001"
SYMBOLS = ("BTC-USDT", "BTC-USDT-PERP", "ETH-USDT", "ETH-USDT-PERP", "SOL-USDT", "SOL-USDT-PERP")
VENUES = ("a", "b", "c")
ASKED = ("spread", "spread_1s", "ohlcv_1m", "bbo")


def tables(rows: int, trades: int) -> dict[str, pa.Table]:
    """Random walks on ticks, by time."""
    rng = np.random.default_rng(1)

    def where(count: int) -> list[pa.Array]:
        ts = np.sort(rng.integers(T0, T0 + HOUR, count))
        names = [
            pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, len(known), count).astype(np.int32)), pa.array(known, pa.string()))
            for known in (SYMBOLS, VENUES)
        ]
        return [pa.array(ts), *names, pa.array(ts - 5_000_000)]

    bid = 60_000 + np.round(np.cumsum(rng.choice([-0.1, 0.0, 0.1], rows)), 2)
    sizes = [pa.array(np.round(rng.lognormal(-1, 2, rows), 3)) for _ in range(2)]
    tops = pa.Table.from_arrays([*where(rows), pa.array(bid), pa.array(bid + 0.1), *sizes], schema=BBO)
    price = pa.array(60_000 + np.round(np.cumsum(rng.choice([-0.1, 0.1], trades)), 2))
    side = pa.array(np.where(rng.random(trades) < 0.5, "buy", "sell")).dictionary_encode()
    ids = pa.array(np.arange(trades).astype(str))
    prints = pa.Table.from_arrays([*where(trades), ids, price, pa.array(rng.lognormal(-1, 2, trades)), side], schema=TRADE)
    return {"bbo": tops, "trade": prints, "gap": TABLES["gap"].empty_table()}


def sealed(folder: Path, rows: int, trades: int) -> float:
    """One sealed hour in ``folder``; bytes per row of best prices."""
    size = 0
    for name, table in tables(rows, trades).items():
        path = folder / "sealed" / name / "date=2023-11-14" / "hour=22" / f"{TAPE}.parquet"
        path.parent.mkdir(parents=True)
        span = {"dope.first": str(T0), "dope.last": str(T0 + HOUR - 1)}
        data = encode(name, table, {"dope.source": "live", "dope.tape": f"{TAPE}.dope", **span})
        path.write_bytes(data)
        size += len(data) if name == "bbo" else 0
    return size / rows


def measure(store: Store, kind: str) -> tuple[int, float, float]:
    """(rows, best wall ms, best CPU ms) of the last hour of one symbol."""
    walls, cpus, rows = [], [], 0
    for _ in range(RUNS):
        cpu, wall = time.process_time(), time.perf_counter()
        rows = store.query(kind, "ETH-USDT", T0, T0 + HOUR).table.num_rows
        walls.append((time.perf_counter() - wall) * 1e3)
        cpus.append((time.process_time() - cpu) * 1e3)
    return rows, min(walls), min(cpus)


def main(rows: int = ROWS, trades: int = TRADES) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = sealed(folder, rows, trades)
        print(f"history: {rows / 1e6:g} M best prices of {len(SYMBOLS)} symbols, {len(VENUES)} venues, one hour; {size:.1f} B/row sealed")
        store = Store(folder, clock_ns=lambda: T0 + HOUR)
        wall = time.perf_counter()
        store.query("spread", "ETH-USDT", T0, T0 + HOUR)
        print(f"  first question, checking every file: {(time.perf_counter() - wall) * 1e3:.0f} ms")
        for kind in ASKED:
            found, ms, cpu = measure(store, kind)
            print(f"  {kind:10} last hour of one symbol: {found:7} rows  {ms:6.1f} ms  CPU {cpu:6.1f} ms")
        store.close()


if __name__ == "__main__":
    main()
