"""``/api/v1/signals``, ``/parameters`` and ``/jumps/audit``: what was found, by which figures, and the audit of bars afterwards."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from dope.detectors import default_detectors
from dope.detectors.arbitrage import Rules
from dope.detectors.bars import Bars
from dope.detectors.parameters import table
from dope.engines import detector_of
from dope.errors import StoreError
from dope.readings import jumps, signals
from dope.readings.asked import Asked
from dope.tables import GAP, OHLCV, SIGNAL, History, batch
from dope.types import Instrument, Tick, Trade
from tests.api.house import serving
from tests.detectors.test_linker import jump
from tests.test_session import make, settings

MS, NS = 1_000_000, 1_000_000_000
T0 = 1_700_000_000 * NS


def asked(symbol: str = "", start: int = 0, limit: int = 0, **args: Any) -> Asked:
    return Asked(symbol, start, 0, limit, args, T0, lambda read: read())


def some(folder: Path) -> Any:
    """A session that found a jump each 100 ms, at two venues in turn."""
    session = make(settings(folder, record=False))
    for i in range(6):
        session.picture.note(jump(("okx:BTC-USDT", "kraken:ETH-USD")[i % 2], i * 100))
    return session


def test_signals_are_told_newest_first_and_by_what_was_asked_for(tmp_path: Path) -> None:
    session = some(tmp_path)
    found = signals.read(session, asked())
    assert [row["ts"] for row in found["rows"]] == sorted((row["ts"] for row in found["rows"]), reverse=True) and len(found["rows"]) == 6
    assert found["kinds"] == {"jump": 6} and found["whole_since"] == session.picture.started_ns
    assert {row["symbol"] for row in signals.read(session, asked("ETH-USD"))["rows"]} == {"ETH-USD"}
    assert len(signals.read(session, asked(venue="okx"))["rows"]) == 3
    assert signals.read(session, asked(kinds=("burst",)))["rows"] == []
    assert len(signals.read(session, asked(start=T0 + 350 * MS))["rows"]) == 2 and len(signals.read(session, asked(limit=4))["rows"]) == 4
    row = found["rows"][0]
    assert (row["venues"], row["value"], row["detail"]["bps"]) == (["kraken"], "+10.00 bps", 10.0) and "jumped up" in row["text"]


def test_the_api_tells_them_and_looks_in_recorded_history_for_older_ones(tmp_path: Path) -> None:
    session = some(tmp_path)
    found = signals.read(session, asked()) | {"whole_since": T0}
    old = [
        {"ts": T0 - (9 - i) * NS, "symbol": "BTC-USDT", "kind": kind, "session": "s", "detail": f'{{"venue":"okx","n":{i}}}'}
        for i, kind in enumerate(("jump", "burst", "jump"))
    ]
    answer = History(pa.Table.from_batches([batch("signal", old)], SIGNAL), 0, 1, False, GAP.empty_table(), (), "sim")
    with serving() as house:
        assert house.get("/api/v1/signals").json()["rows"] == []
        house.publisher.readings["signals"], house.publisher.histories["signal"] = found, answer
        told = house.get("/api/v1/signals", kinds="jump,link", limit=8, venue="okx").json()
        assert house.publisher.asked[-1] == ("signals", "", 0, 0, 8, {"kinds": ["jump", "link"], "venue": "okx"})
        assert (len(told["rows"]), told["older"], told["whole_since_ms"]) == (6, False, T0 // MS)
        told = house.get("/api/v1/signals", kinds="jump", since="2023-11-14T00:00:00Z", limit=8).json()
        assert told["older"] and [row["detail"].get("n") for row in told["rows"]] == [None] * 6 + [2, 0]
        assert told["rows"][0]["at"].endswith("Z") and told["rows"][-1]["text"] == ""

        def broken(kind: str, *_: Any, **__: Any) -> Any:
            if kind == "signal":
                raise StoreError("a recording is played back")
            return found

        house.publisher.board.serve(house.publisher._take, broken)
        assert house.get("/api/v1/signals", since="2023-11-14T00:00:00Z").json()["older"] is False
        assert house.get("/api/v1/signals", since="yesterday").status_code == 422


def test_parameters_are_told_with_units_and_ranges() -> None:
    rows = [msgspec.structs.asdict(row) for row in table(default_detectors({}, Rules()))]
    with serving() as house:
        assert house.get("/api/v1/parameters").json() == {"rows": []}
        house.publisher.readings["parameters"] = rows
        told = house.get("/api/v1/parameters").json()["rows"]
        assert {"jumps", "bursts", "whales", "linker"} <= {row["detector"] for row in told}
        assert next(row for row in told if row["name"] == "min_bps")["unit"] == "bps"


def test_the_audit_is_of_the_bars_in_memory_or_of_recorded_ones(tmp_path: Path) -> None:
    session = make(settings(tmp_path, record=False))
    bars: Bars = detector_of(session.engine, Bars)
    rng, price, market, start = random.Random(3), 100.0, session.engine.market, T0
    market.open_book(Instrument("okx", "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot"), T0, "", 5.0)
    for i in range(200):
        price *= math.exp(rng.gauss(0, 1e-4) + (60e-4 if i == 150 else 0.0))
        market.trade(Trade(start + i * NS + 1, "okx:BTC-USDT", 0, price, 1.0, "buy", f"x{i}"), 1)
        market.tick(start + i * NS + 2)
        bars.on(Tick(start + i * NS + 2, 0), market)
    rows = jumps.audit(session, asked("BTC-USDT", interval="1s", window=40))
    row = next(row for row in rows if row["venue"] == "okx")
    assert [round(one["bps"]) for one in row["jumps"]] == [60] and row["z"] > 3
    assert row["jumps"][0]["start"] == (start + 150 * NS) // MS
    closes = list(np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-4, 300))))
    given = {"okx": ([i * 60_000 for i in range(300) if i != 7], [c for i, c in enumerate(closes) if i != 7])}
    (row,) = jumps.audit(session, asked("BTC-USDT", bars=given, step_s=60))
    assert (row["n"], row["missing"], row["jumps"], row["start"], row["end"]) == (300, 1, [], 0, 18_000_000)
    few = jumps.audit(session, asked("BTC-USDT", bars={"okx": ([0, 60_000], [1.0, 1.0])}, step_s=60))[0]
    assert (few["threshold"], few["z"], few["jumps"]) == (None, None, [])


def test_the_api_gives_the_audit_the_range_that_was_asked_for() -> None:
    minute = {"ts": T0, "symbol": "BTC-USDT", "venue": "okx", "open": 1.0, "high": 1.0, "low": 1.0, "close": 2.0, "volume": 1.0}
    names = [field.name for field in OHLCV]
    columns = {name: [minute.get(name, 1)] for name in names}
    answer = History(pa.table(columns), 0, 1, False, GAP.empty_table(), (), "sim")
    row = {"venue": "okx", "n": 3, "missing": 1, "start": 0, "end": 60_000, "threshold": 5.0, "rv": 1.0, "bv": 1.0, "tp": 1.0,
           "rj": 0.0, "z": None, "jumps": [{"start": 60_000, "statistic": 6.0, "bps": 3.0}]}  # fmt: skip
    with serving() as house:
        house.publisher.readings["jump_audit"], house.publisher.histories["ohlcv_1m"] = [row], answer
        told = house.get("/api/v1/jumps/audit", symbol="BTC-USDT", alpha=0.05).json()
        assert house.publisher.asked[-1][-1] == {"interval": "1m", "alpha": 0.05, "window": 78}
        assert (told["recorded"], told["markets"][0]["jumps"][0]["at"]) == (False, "1970-01-01T00:01:00.000Z")
        told = house.get("/api/v1/jumps/audit", start="1700000000000").json()
        assert house.publisher.asked[-1][-1]["bars"] == {"okx": ([T0 // MS], [2.0])} and told["recorded"]
        assert house.get("/api/v1/jumps/audit", start="1700000000000", end="1600000000000").status_code == 422
