"""Formats that only recordings still use: each recording is imported and replayed with every message understood, and nothing is asked."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dope.engine import Engine
from dope.errors import UnknownName
from dope.replay import replay, summary
from dope.settings import Settings
from dope.tape.importing import import_lines
from dope.types import DATA, BookUpdate, Fault, Frame, Trade
from dope.venues import VENUES, make
from dope.venues.archive import ARCHIVED
from dope.venues.archive.gemini_v2 import GeminiV2
from dope.venues.archive.htx_step0 import HtxStep0, HtxSwap
from dope.venues.archive.kraken_v1 import KrakenV1
from tests.frames import T0, closed, data, opened, play
from tests.program import SHARED, present

WIRE = SHARED / "wire"


class Recording(NamedTuple):
    path: Path
    venue: str
    updates: int  #: book messages
    snapshots: int  #: whole books among them
    checksums: int
    trades: int


RECORDINGS = (
    Recording(WIRE / "kraken_v1" / "cf_20210417_book1000_A.jsonl.gz", "kraken_v1", 2208, 5, 2203, 0),
    Recording(WIRE / "kraken_v1" / "cf_20210417_trade.jsonl.gz", "kraken_v1", 0, 0, 0, 10),
    Recording(WIRE / "gemini_v2" / "cf_20210624_l2.jsonl.gz", "gemini_v2", 655, 10, 0, 16),
    Recording(WIRE / "htx" / "cf_20210417_spot_step0_A.jsonl.gz", "htx_step0", 145, 145, 0, 58),
    Recording(WIRE / "htx" / "cf_20210417_spot_step0_A.b64.gz", "htx_step0", 145, 145, 0, 58),
    Recording(WIRE / "htx_swap" / "cf_20220219_conn1.b64.gz", "htx_swap", 1274, 1274, 0, 7),
)


@pytest.mark.parametrize("recording", present(RECORDINGS, lambda each: each.path), ids=lambda each: f"{each.venue}-{each.path.name}")
def test_a_recording_in_an_old_format_is_understood_whole(tmp_path: Path, recording: Recording) -> None:
    report = import_lines([recording.path], make(recording.venue, ()), tmp_path / "old.dope")
    assert report.problems == []
    engine, tapes = asyncio.run(replay([tmp_path / "old.dope"], Settings(_env_file=None)))
    found = summary(engine, tapes)
    rows = found["instruments"].values()
    assert found["faults"] == {} and found["lost"] == 0
    for row in rows:
        assert (row["gaps"], row["faults"], row["crossed"], row["checksum_mismatches"]) == (0, 0, 0, 0)
    names = ("book_updates", "snapshots", "checksums_ok", "trades")
    assert tuple(sum(row[name] for row in rows) for name in names) == recording[2:]
    assert found["opportunities"] == {"opened": 0, "closed": 0}


def heard(venue: type[Any], *messages: object) -> list[Any]:
    machine = venue(())
    return [e for each in play(venue.ID, [opened(), *(data(message) for message in messages)]) for e in machine.receive(each)]


def book_of(venue: type[Any], *messages: object) -> tuple[Engine, Any]:
    run = Engine({venue.ID: venue(())})
    run.step_many(play(venue.ID, [opened(), *(data(message) for message in messages)]))
    (book,) = run.market.books.values()
    return run, book


def test_archived_formats_are_found_by_name_alone_and_ask_for_nothing() -> None:
    assert {each.ID for each in ARCHIVED}.isdisjoint(venue.ID for venue in VENUES)
    for each in ARCHIVED:
        machine = make(each.ID, ("BTC-USD", "BTC-USDT", "BTC-USD-PERP"))
        assert type(machine) is each and machine.plan() == () and each.FEES == ()
        for frame in play(each.ID, [opened("import", ("BTC-USD",)), (DATA, b"junk"), (DATA, b"\xff\xfe"), (DATA, b"[[[[]]]]"), closed()]):
            list(machine.receive(frame))
        machine.resync("BTC-USD", T0)
        assert machine.actions == []
    with pytest.raises(UnknownName):
        make("kraken_v0", ())


WHOLE = [1, {"as": [["100.50", "1.50", "1.5"], ["100.60", "2.00", "1.5"]], "bs": [["100.00", "3.00", "1.5"]]}, "book-1000", "XBT/USD"]


def crc(*texts: str) -> str:
    return str(zlib.crc32("".join(text.replace(".", "").lstrip("0") for text in texts).encode()))


def test_kraken_s_two_part_change_and_a_level_told_again_are_under_one_checksum() -> None:
    total = crc("100.40", "1.00", "100.50", "1.50", "100.60", "2.00", "100.10", "0.50", "100.00", "3.00")
    change = [1, {"a": [["100.40", "1.00", "1.6"]]}, {"b": [["100.10", "0.50", "1.6", "r"]], "c": total}, "book-1000", "XBT/USD"]
    _, book = book_of(KrakenV1, WHOLE, change)
    assert (book.state, book.touch(), book.checksums_ok) == ("LIVE", (100.1, 0.5, 100.4, 1.0), 1)
    assert book.instrument.symbol == "BTC-USD"
    _, wrong = book_of(KrakenV1, WHOLE, [1, {"b": [["100.10", "0.50", "1.6"]], "c": "1"}, "book-1000", "XBT/USD"])
    assert (wrong.state, wrong.checksum_mismatches) == ("GAP", 1)


@pytest.mark.parametrize(
    "bad",
    [
        [1, {"b": [["100.10", "0.50", "1.6"]]}, "book-1000", "XBT/USD"],
        [1, {"c": "12"}, "book-1000", "XBT/USD"],
        [1, {"b": [["1", "1", "1"]], "c": "1"}, {"b": [["2", "1", "1"]]}, "book-1000", "XBT/USD"],
        [1, {"b": [["1", "1", "1"]], "c": "1"}, "book-25", "XBT/USD"],
        [1, {"b": []}, "unheard", "XBT/USD"],
        {"event": "unheard"},
    ],
)
def test_what_kraken_never_said_is_a_fault(bad: object) -> None:
    assert [type(e) for e in heard(KrakenV1, WHOLE, bad) if isinstance(e, Fault)] == [Fault]


def test_kraken_s_trades_are_of_the_taker() -> None:
    rows = [["354.11", "0.89", "1618678142.557535", "s", "l", ""], ["354.12", "0.5", "1618678142.557535", "b", "m", ""]]
    trades = [e for e in heard(KrakenV1, [993, rows, "trade", "XMR/XBT"]) if isinstance(e, Trade)]
    assert [(t.key, t.price, t.side) for t in trades] == [("kraken_v1:XMR-BTC", 354.11, "sell"), ("kraken_v1:XMR-BTC", 354.12, "buy")]
    assert trades[0].ts_exch == 1618678142558 * 10**6 and trades[0].trade_id != trades[1].trade_id


def l2(*changes: list[str], symbol: str = "BTCGBP", **more: Any) -> dict[str, Any]:
    return {"type": "l2_updates", "symbol": symbol, "changes": list(changes), **more}


def test_gemini_s_first_message_is_the_book_and_its_trades_are_history() -> None:
    old = {"type": "trade", "symbol": "BTCGBP", "event_id": 1, "timestamp": 5, "price": "99", "quantity": "1", "side": "buy"}
    first = l2(["buy", "100", "1"], ["buy", "99", "2"], ["sell", "101", "3"], trades=[old], auction_events=[])
    more = l2(["sell", "100.5", "4"], ["buy", "100", "0"])
    run, book = book_of(GeminiV2, first, more, {**old, "event_id": 2, "side": "block"}, {**old, "event_id": 3})
    assert (book.touch(), book.snapshots, book.trades) == ((99.0, 2.0, 100.5, 4.0), 1, 1)
    run.step(Frame(T0 + 10**9, "gemini_v2", 2, *data(l2(["buy", "98", "1"], ["sell", "102", "1"]))))
    assert book.levels("bid", 9) == [(98.0, 1.0)], "a new connection begins a new book"
    for bad in (l2(["hold", "1", "1"]), l2(["buy", "1"]), {"type": "l2_updates", "symbol": "BTCGBP"}, {"type": "unheard"}):  # type: ignore[list-item]
        assert [type(e) for e in heard(GeminiV2, bad) if isinstance(e, Fault | BookUpdate)] == [Fault]


def step0(native: str, bid: float, **numbers: int) -> dict[str, Any]:
    tick = {"bids": [[bid, 6]], "asks": [[100.5, 2]], "ts": 5, **numbers}
    return {"ch": f"market.{native}.depth.step0", "ts": 1_700_000_000_000, "tick": tick}


def test_a_whole_book_that_comes_late_is_left_out_by_the_number_that_orders_it() -> None:
    _, spot = book_of(HtxStep0, step0("btcusdt", 100.0, version=7), step0("btcusdt", 99.0, version=6))
    assert (spot.touch(), spot.snapshots) == ((100.0, 6.0, 100.5, 2.0), 1)
    swaps = [step0("BTC-USD", bid, version=5, mrid=mrid) for bid, mrid in ((100.0, 8), (99.0, 7), (98.0, 9))]
    _, swap = book_of(HtxSwap, *swaps)
    assert (swap.touch()[:2], swap.snapshots) == ((98.0, pytest.approx(600 / 98.0)), 2)
    assert [type(e) for e in heard(HtxStep0, {**step0("btcusdt", 1.0, version=7), "update": True}) if isinstance(e, Fault)] == [Fault]
    assert [type(e) for e in heard(HtxSwap, step0("BTC-USD", 1.0, version=7)) if isinstance(e, Fault)] == [Fault]


def test_an_inverse_contract_is_worth_its_dollars_at_the_price_of_the_trade() -> None:
    row = {"amount": 6, "quantity": 2.2569881997133624, "ts": 5, "id": 743774717120000, "price": 26.5841, "direction": "buy"}
    message = {"ch": "market.ATOM-USD.trade.detail", "ts": 6, "tick": {"data": [row]}}
    machine = make("htx_swap", ())
    events = list(machine.receive(Frame(T0, "htx_swap", 1, DATA, gzip.compress(json.dumps(message).encode()))))
    assert [e.size for e in events if isinstance(e, Trade)] == [pytest.approx(2.2569882)]
