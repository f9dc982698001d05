"""The fast lane's reader accepts a message to the letter, or not at all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dope.market import kernel, lane, lane_run, lane_text
from dope.market.compiled import jit
from dope.market.delays import new_delays
from dope.market.memory import address
from dope.venues import VENUES
from tests.frames import okx_book, okx_quote, okx_trade, spot_diff, spot_quote, spot_trade, usdm_diff, usdm_quote, usdm_trade

LEVELS = ([["100.5", "1.25"], ["100", "0"]], [["101", "3"]])
TOUCH = ("100.5", "1.25", "101", "0.00300000")
MESSAGES = {
    ("okx", "book"): okx_book("update", 12, 10, [("100.5", "1.25"), ("100", "0")], [("101", "3")])[1],
    ("okx", "quote"): okx_quote(12, *TOUCH)[1],
    ("okx", "trade"): okx_trade(77, "100.5", "0.25", sold=True)[1],
    ("binance_spot", "book"): spot_diff(11, 12, *LEVELS)[1],
    ("binance_spot", "quote"): spot_quote(12, *TOUCH)[1],
    ("binance_spot", "trade"): spot_trade(77, "100.5", "0.25", sold=True)[1],
    ("binance_usdm", "book"): usdm_diff(3, 12, 10, *LEVELS)[1].replace(b"@0ms", b"@100ms"),
    ("binance_usdm", "quote"): usdm_quote(12, *TOUCH)[1],
    ("binance_usdm", "trade"): usdm_trade(77, "100.5", "0.25", sold=True)[1],
}
NATIVE = {"okx": "BTC-USDT", "binance_spot": "BTCUSDT", "binance_usdm": "BTCUSDT"}
KINDS = {lane.BOOK: "book", lane.QUOTE: "quote", lane.TRADE: "trade"}
TEMPLATES = {venue.ID: lane.Templates(venue.TEMPLATES, venue.FIELDS) for venue in VENUES if venue.TEMPLATES}


@jit
def _matched(
    text: bytes, first: int, stop: int, ops: Any, letters: Any, table: Any, names: Any, scratch: Any, got: Any, values: Any
) -> bool:
    """The compiled reader takes addresses, which only compiled code has."""
    template = address(ops) + 24 * first, stop - first, address(letters)
    at, n = address(text), len(text)
    rows, width = address(scratch), scratch.shape[1]
    matched: bool = lane_text.read(at, 0, n, n, template, (table, names), rows, width, address(got), values)
    return matched


def read(venue: str, text: bytes, name: str | None = None) -> list[Any] | None:
    """What a message says, by kind; None when it matches no template."""
    templates, names = TEMPLATES[venue], lane.Names()
    names.add("OTHER", 3)
    names.add(name or NATIVE[venue], 7)
    scratch, got, values = kernel.new_scratch(64), np.zeros(16, dtype=np.int64), np.zeros(4)
    for kind, first, stop in templates.kinds.tolist():
        if _matched(text, first, stop, templates.ops, templates.text, names.table, names.names, scratch, got, values):
            slot, bids, asks, seq, prev, ms, number, grouped, sold = got[:9].tolist()
            if kind == lane.BOOK:
                return ["book", slot, bids, asks, seq, prev]
            if kind == lane.QUOTE:
                return ["quote", slot, seq, ms, *values.tolist()]
            return ["trade", slot, ms, f"a{number}" if grouped else str(number), bool(sold), *values[:2].tolist()]
    return None


def test_every_venue_names_its_book_and_what_else_is_frequent() -> None:
    for venue, templates in TEMPLATES.items():
        assert {KINDS[kind] for kind in templates.kinds[:, 0].tolist()} == {"book", "quote", "trade"}, venue


def meaning(venue: str, text: bytes) -> list[Any]:
    """The same by way of a JSON parser and the keys."""
    message = json.loads(text)
    if venue == "okx":
        row = message["data"][0]
        channel = message["arg"]["channel"]
        if channel == "books":
            return ["book", 7, len(row["bids"]), len(row["asks"]), row["seqId"], row["prevSeqId"]]
        if channel == "bbo-tbt":
            bid, ask = row["bids"][0], row["asks"][0]
            return ["quote", 7, row["seqId"], int(row["ts"]), float(bid[0]), float(bid[1]), float(ask[0]), float(ask[1])]
        assert channel == "trades"
        assert row["side"] in ("buy", "sell")
        return ["trade", 7, int(row["ts"]), row["tradeId"], row["side"] == "sell", float(row["px"]), float(row["sz"])]
    row = message["data"]
    if row.get("e") == "depthUpdate":
        return ["book", 7, len(row["b"]), len(row["a"]), row["u"], row["pu"] if "pu" in row else row["U"] - 1]
    if "B" in row:
        return ["quote", 7, row["u"], row.get("T", 0), *(float(row[name]) for name in "bBaA")]
    name = str(row["t"]) if "t" in row else f"a{row['a']}"
    return ["trade", 7, row["T"], name, row["m"], float(row["p"]), float(row["q"])]


@pytest.mark.parametrize(("venue", "kind"), MESSAGES)
def test_whatever_byte_changes_what_is_still_read_means_what_the_keys_say(venue: str, kind: str) -> None:
    text = MESSAGES[(venue, kind)]
    found = read(venue, text)
    assert found is not None and found[0] == kind
    assert meaning(venue, text) == found
    refused = 0
    for i in range(len(text)):
        swapped = (text[:i] + c + text[i + 1 :] for c in (b" ", b"0", b'"', b"\\", b"-", b"]", b"9", b"e", b"."))
        for other in (text[:i], text[:i] + text[i + 1 :], *swapped):
            found = read(venue, other)
            refused += found is None
            assert found is None or found == meaning(venue, other)
    assert refused > 4 * len(text)


@pytest.mark.parametrize("number", ["0", "0.000", "1e33", "-1", "+1", "1_0", "", ".", "NaN", "12345678901234567", "1." + "0" * 23, "1 "])
@pytest.mark.parametrize("venue", NATIVE)
def test_a_number_that_is_not_plainly_a_positive_decimal_is_left_to_the_ordinary_way(venue: str, number: str) -> None:
    for kind in ("quote", "trade"):
        text = MESSAGES[(venue, kind)]
        assert b'"100.5"' in text
        assert read(venue, text.replace(b'"100.5"', f'"{number}"'.encode())) is None


@pytest.mark.parametrize("number", ["0.1", "61837.63000000", "0.00000001", "123456789.123456", "0.3000000000000000", "9007199254740991"])
def test_a_decimal_becomes_the_float_that_its_text_is(number: str) -> None:
    text = MESSAGES[("okx", "trade")].replace(b'"100.5"', f'"{number}"'.encode())
    found = read("okx", text)
    assert found is None or found[5] == float(number)
    assert found is not None or len(number) > 15


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"checksum":0', b'"checksum":7'), (b'"update"', b'"snapshot"'), (b'"books"', b'"books5"'), (b'"prevSeqId":10', b'"prevSeqId":010'),
     (b'"prevSeqId":10', b'"prevSeqId":-1'), (b'"100.5"', b'"1e99"'), (b'"BTC-USDT"', b'"BTC-USDC"'), (b'"BTC-USDT"', b'"BTC-USDTX"')],
)  # fmt: skip
def test_what_needs_a_second_look_is_left_to_the_ordinary_way(old: bytes, new: bytes) -> None:
    text = MESSAGES[("okx", "book")]
    assert old in text
    assert read("okx", text.replace(old, new)) is None


def test_names_of_equal_beginning_are_told_apart() -> None:
    assert read("okx", MESSAGES[("okx", "book")], name="BTC-USD") is None
    assert read("okx", MESSAGES[("okx", "book")].replace(b"BTC-USDT", b"BTC-USD"), name="BTC-USD") == ["book", 7, 2, 1, 12, 10]


def test_a_run_goes_on_to_the_message_that_it_must_not_take_and_changes_nothing_of_it() -> None:
    venue, slots, delays = TEMPLATES["binance_spot"], lane.Slots(2), new_delays()
    slot, names, log = slots.add(), lane.Names(), lane.Log()
    names.add("BTCUSDT", slot)
    kernel.apply(slots.levels[slot], kernel.new_scratch(64), b'[["100","1"]]', b'[["101","1"]]', True)
    slots.state[slot, [lane.READY, lane.CONN, lane.LAST]] = lane.ALL, 5, 10
    slots.touch[slot, [lane.BID, lane.ASK, lane.MID, lane.UNIT]] = 100.0, 101.0, 100.5, 1.0
    texts = [MESSAGES[("binance_spot", kind)] for kind in ("book", "quote")]
    wrong = spot_quote(15, "0.01", "1", "0.02", "1")[1]  # the touch does not move by a factor of 50 at once
    ends = np.cumsum([len(text) for text in (*texts, wrong)])
    words = venue.kinds, venue.ops, venue.text, names.table, names.names
    work = kernel.new_scratch(64), np.zeros(16, dtype=np.int64), np.zeros(4), (log.numbers, log.values, log.count)
    stamps = np.array([1, 2, 3])
    done = lane_run.run(b"".join((*texts, wrong)), ends, stamps, 0, (5, 1), words, slots.books, slots.pairs.watch, delays, work)
    assert done[:2] == (2, lane_run.STEP)
    assert slots.state[slot, [lane.LAST, lane.QUOTE_SEQ, lane.COUNT, lane.SEEN]].tolist() == [12, 12, 1, 2]
    assert slots.prices[slot].tolist() == [100.5, 101.0]


def test_slots_grow_and_keep_what_they_hold() -> None:
    slots = lane.Slots(2)
    first = slots.add()
    kernel.apply(slots.levels[first], kernel.new_scratch(64), b'[["99","1"]]', b'[["101","1"]]', True)
    for _ in range(5):
        slots.add()
    assert kernel.levels(slots.levels[first], True, 5).tolist() == [[99.0, 1.0]]
    assert slots.pairs.add(0, 5) == 0 and slots.pairs.of[5, 0] == 0


@pytest.mark.parametrize("place", range(4))
def test_a_level_that_lacks_an_element_takes_no_lane(place: int) -> None:
    whole = json.loads(MESSAGES["okx", "book"])
    assert read("okx", MESSAGES["okx", "book"]) is not None and len(whole["data"][0]["bids"][0]) == 4
    for side in ("bids", "asks"):
        lacking = json.loads(MESSAGES["okx", "book"])
        del lacking["data"][0][side][0][place]
        assert read("okx", json.dumps(lacking, separators=(",", ":")).encode()) is None
