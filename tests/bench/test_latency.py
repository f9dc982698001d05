"""The latency benchmark charges a stall to every message that it delays, and finds what was planted."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from bench import latency, plants
from bench.endless import Endless
from bench.figures import Machine, figure, publish, quantiles, table
from bench.marks import COLUMNS
from bench.paced import acknowledged, planned
from bench.stream import SYMBOLS

MS = 1_000_000
NO_MARKS = np.zeros((0, COLUMNS), dtype=np.int64)


def test_the_plan_is_an_open_loop_of_the_rate_asked_for_the_same_each_time() -> None:
    due = list(islice(planned(1_000.0), 20_000))
    assert due == list(islice(planned(1_000.0), 20_000)) == sorted(due)
    assert due[-1] / 1e9 == pytest.approx(20.0, rel=0.05)


def test_only_planted_messages_let_one_venue_pay_more_than_the_other_asks() -> None:
    ask = plants.other_prices()[1]
    wall = 1.0 / (1.0 - plants.FEE_BPS / 1e4) ** 2
    bids: dict[str, dict[float, str]] = {symbol: {} for symbol in plants.PLANTED}
    asks: dict[str, dict[float, str]] = {symbol: {} for symbol in plants.PLANTED}
    opened = 0
    pays = dict.fromkeys(plants.PLANTED, False)
    for text, signal in plants.messages(3_000, every=50):
        message = json.loads(text)
        symbol, row = message["arg"]["instId"], message["data"][0]
        if symbol not in bids:
            assert not signal
            continue
        for side, levels in ((bids[symbol], row["bids"]), (asks[symbol], row["asks"])):
            for price, size, *_ in levels:
                side[float(price)] = size
                if float(size) == 0:
                    del side[float(price)]
        assert max(bids[symbol]) < min(asks[symbol])
        now = max(bids[symbol]) > ask * wall
        assert now - pays[symbol] == {"open": 1, "close": -1, "": 0}[signal]
        pays[symbol] = now
        opened += signal == "open"
    assert opened == 60


def test_an_endless_stream_goes_on_where_its_turn_has_ended() -> None:
    texts = [message.text for message in plants.messages(200, every=50)]
    last: dict[str, int] = {}
    for i, text in enumerate(islice(Endless(texts, per_s=100.0), 3 * len(texts))):
        message = json.loads(text)
        row, symbol = message["data"][0], message["arg"]["instId"]
        assert row["prevSeqId"] == (-1 if message["action"] == "snapshot" else last[symbol]) and row["seqId"] > last.get(symbol, 0)
        assert row["bids"] == json.loads(texts[i % len(texts)])["data"][0]["bids"]
        last[symbol] = row["seqId"]
    assert int(row["ts"]) - plants.START_MS == (3 * len(texts) - 1) * 10


def test_both_ways_of_subscribing_are_acknowledged() -> None:
    okx = acknowledged(b'{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}')
    assert [json.loads(each)["event"] for each in okx] == ["subscribe"]
    assert acknowledged(b'{"method":"SUBSCRIBE","params":["a"],"id":3}') == [b'{"result": null, "id": 3}']
    assert acknowledged(b"ping") == [b"pong"] and acknowledged(b"what") == []


def scene(stall_ms: int) -> latency.Run:
    """100 messages, one a ms; the receiver takes each at once, but stands still before the 51st for a while."""
    due = np.arange(100, dtype=np.int64) * MS
    began = np.maximum(due, np.where(np.arange(100) >= 50, (50 + stall_ms) * MS, 0))
    batches = np.column_stack([np.arange(1, 101) + len(SYMBOLS), began, began + 1000])
    letters = " " * (len(SYMBOLS) + 60) + "o" + " " * 39
    signals = np.array([[len(SYMBOLS) + 60, began[60] + 1000]])
    done = {"batches": batches, "signals": signals, "collections": np.zeros((0, 2)), "publishing": np.zeros((0, 2)), "marks": NO_MARKS}
    return latency.evaluate({"due": due, "sent": due}, done, letters, 10)


def test_a_stall_is_charged_to_every_message_that_it_delays() -> None:
    calm, stalled = scene(0), scene(20)
    assert (calm.found, calm.planted) == (stalled.found, stalled.planted) == (1, 1)
    assert calm.book["due"].max() == pytest.approx(1.0) == calm.signal["due"][0]
    assert (stalled.book["due"] > 500).sum() == 20, "not one message but all twenty that were due meanwhile"
    assert stalled.book["due"].max() == pytest.approx(20_001.0) and stalled.signal["due"][0] == pytest.approx(10_001.0)


def test_a_tail_is_told_only_where_there_are_samples_beyond_it() -> None:
    assert set(quantiles(np.arange(99.0))) == {"p50", "max"}
    assert quantiles(np.arange(1000.0)) == {"p50": 500.0, "p90": 900.0, "p99": 990.0, "max": 999.0}


def test_the_table_has_median_spread_unit_samples_and_says_what_was_missed() -> None:
    lines = table([figure("fast", "µs", [3.0, 1.0, 2.0], 7, target=2.0), figure("slow", "ms", [9.0], 1, target=8.0)]).splitlines()
    assert lines[1].split() == ["fast", "2", "1", "…", "3", "µs", "7", "≤", "2", "met"]
    assert lines[2].split() == ["slow", "9", "ms", "1", "≤", "8", "MISSED"]


def test_figures_are_left_as_json_with_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish("any", Machine(), [figure("fast", "µs", [2.0], 7, target=2.0)], folder=tmp_path)
    told = json.loads((tmp_path / "any.json").read_text())
    assert told["figures"][0]["met"] is True and told["machine"]["cores"] >= 1 and "load average" in capsys.readouterr().out
