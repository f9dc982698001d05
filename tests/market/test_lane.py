"""The fast lane's reader accepts a message to the letter, or not at all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dope.market import kernel, lane
from dope.market.compiled import jit
from dope.market.memory import address
from dope.venues import VENUES
from tests.frames import okx_book, spot_diff, usdm_diff

LEVELS = ([["100.5", "1.25"], ["100", "0"]], [["101", "3"]])
MESSAGES = {
    "okx": okx_book("update", 12, 10, [("100.5", "1.25"), ("100", "0")], [("101", "3")])[1],
    "binance_spot": spot_diff(11, 12, *LEVELS)[1],
    "binance_usdm": usdm_diff(3, 12, 10, *LEVELS)[1].replace(b"@0ms", b"@100ms"),
}
NATIVE = {"okx": "BTC-USDT", "binance_spot": "BTCUSDT", "binance_usdm": "BTCUSDT"}
TEMPLATES = {venue.ID: venue.TEMPLATE for venue in VENUES if venue.TEMPLATE}


@jit
def _matched(text: bytes, ops: Any, letters: Any, table: Any, names: Any, scratch: Any, got: Any) -> bool:
    """The compiled reader takes addresses, which only compiled code has."""
    template = address(ops), ops.shape[0], address(letters)
    at, n = address(text), len(text)
    matched: bool = lane._read(at, 0, n, n, template, table, names, address(scratch), scratch.shape[1], address(got))
    return matched


def read(venue: str, text: bytes, name: str | None = None) -> list[int] | None:
    """[slot, bids, asks, seq, prev] of a message, None when it does not match."""
    template, names = lane.Template(TEMPLATES[venue]), lane.Names()
    names.add("OTHER", 3)
    names.add(name or NATIVE[venue], 7)
    scratch, got = kernel.new_scratch(64), np.zeros(8, dtype=np.int64)
    matched = _matched(text, template.ops, template.text, names.table, names.names, scratch, got)
    return got[:5].tolist() if matched else None


@pytest.mark.parametrize("venue", TEMPLATES)
def test_a_difference_as_the_venue_sends_it_matches(venue: str) -> None:
    assert read(venue, MESSAGES[venue]) == [7, 2, 1, 12, 10]


def meaning(venue: str, text: bytes) -> list[int]:
    """The same by way of a JSON parser and the keys."""
    message = json.loads(text)
    if venue == "okx":
        row = message["data"][0]
        return [7, len(row["bids"]), len(row["asks"]), row["seqId"], row["prevSeqId"]]
    row = message["data"]
    return [7, len(row["b"]), len(row["a"]), row["u"], row["pu"] if "pu" in row else row["U"] - 1]


@pytest.mark.parametrize("venue", TEMPLATES)
def test_whatever_byte_changes_what_is_still_read_means_what_the_keys_say(venue: str) -> None:
    text = MESSAGES[venue]
    assert meaning(venue, text) == read(venue, text)
    refused = 0
    for i in range(len(text)):
        swapped = (text[:i] + c + text[i + 1 :] for c in (b" ", b"0", b'"', b"\\", b"-", b"]", b"9"))
        for other in (text[:i], text[:i] + text[i + 1 :], *swapped):
            found = read(venue, other)
            refused += found is None
            assert found is None or found == meaning(venue, other)
    assert refused > 4 * len(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"checksum":0', b'"checksum":7'), (b'"update"', b'"snapshot"'), (b'"books"', b'"books5"'), (b'"prevSeqId":10', b'"prevSeqId":010'),
     (b'"prevSeqId":10', b'"prevSeqId":-1'), (b'"100.5"', b'"1e2"'), (b'"BTC-USDT"', b'"BTC-USDC"'), (b'"BTC-USDT"', b'"BTC-USDTX"')],
)  # fmt: skip
def test_what_needs_a_second_look_is_left_to_the_ordinary_way(old: bytes, new: bytes) -> None:
    text = MESSAGES["okx"]
    assert old in text
    assert read("okx", text.replace(old, new)) is None


def test_names_of_equal_beginning_are_told_apart() -> None:
    assert read("okx", MESSAGES["okx"], name="BTC-USD") is None
    assert read("okx", MESSAGES["okx"].replace(b"BTC-USDT", b"BTC-USD"), name="BTC-USD") == [7, 2, 1, 12, 10]


def test_slots_grow_and_keep_what_they_hold() -> None:
    slots = lane.Slots(2)
    first = slots.add()
    kernel.apply(slots.levels[first], kernel.new_scratch(64), b'[["99","1"]]', b'[["101","1"]]', True)
    for _ in range(5):
        slots.add()
    assert kernel.levels(slots.levels[first], True, 5).tolist() == [[99.0, 1.0]]
    slots.pair(0, 5, 20.0)
    assert slots.pairs.tolist() == [[0, 5]] and slots.walls.tolist() == [20.0]
