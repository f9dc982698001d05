"""What questions about history cost: three million best prices of six symbols and three venues in one sealed hour."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.figures import OUT, Machine, figure, publish
from dope.store.embedded import Store
from dope.tables import BBO, TABLES, TRADE
from dope.tape.seal import encode

ROWS = 3_000_000
TRADES = 300_000
RUNS = 7
SPREAD_MS = 50.0  #: promised for the spreads of the last hour
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


def measure(store: Store, kind: str) -> tuple[int, list[float], list[float]]:
    """(rows, wall ms, CPU ms) of each time that the last hour of one symbol is asked for."""
    walls, cpus, rows = [], [], 0
    for _ in range(RUNS):
        cpu, wall = time.process_time(), time.perf_counter()
        rows = store.query(kind, "ETH-USDT", T0, T0 + HOUR).table.num_rows
        walls.append((time.perf_counter() - wall) * 1e3)
        cpus.append((time.process_time() - cpu) * 1e3)
    return rows, walls, cpus


def reading(folder: Path, rows: int) -> list[float]:
    """Wall ns per row to read the whole sealed file of best prices, page checksums verified."""
    path, spent = next(folder.glob("sealed/bbo/*/*/*.parquet")), []
    for _ in range(RUNS):
        wall = time.perf_counter_ns()
        found = pq.read_table(path, page_checksum_verification=True).num_rows
        spent.append((time.perf_counter_ns() - wall) / rows)
        assert found == rows
    return spent


def main(rows: int = ROWS, trades: int = TRADES, out: Path = OUT) -> None:
    machine = Machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = sealed(folder, rows, trades)
        print(f"history: {rows / 1e6:g} M best prices of {len(SYMBOLS)} symbols, {len(VENUES)} venues, one hour")
        store = Store(folder, clock_ns=lambda: T0 + HOUR)
        wall = time.perf_counter()
        store.query("spread", "ETH-USDT", T0, T0 + HOUR)
        first = (time.perf_counter() - wall) * 1e3
        told = [
            figure("sealed, per row of best prices", "B", [size], rows, target=20.0),
            figure("sealed, read whole with checksums: per row (333 = 3 M rows/s)", "ns", reading(folder, rows), rows, target=1000 / 3),
            figure("first question, checking every file", "ms", [first], 1),
        ]
        for kind in ASKED:
            found, walls, cpus = measure(store, kind)
            words = f"{kind}, last hour of one symbol"
            told.append(figure(words, "ms", walls, found, target=SPREAD_MS if kind == "spread" else None))
            told.append(figure(f"{words}: CPU", "ms", cpus, found))
        store.close()
    publish("store", machine, told, folder=out)


if __name__ == "__main__":
    main()
