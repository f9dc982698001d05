"""The compiled book equals the plain one on any stream, and refuses whole messages rather than half of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.market import checksums, digits, kernel
from tests.examples import some
from tests.oracle.plain_book import PlainBook


def price_text(ticks: int, decimals: int) -> str:
    whole, rest = divmod(ticks, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}" if decimals else str(whole)


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[bytes, bytes, bool]]:
    """A snapshot and then differences around one price, in one venue's number style."""
    decimals = draw(st.integers(0, 8))
    middle = draw(st.integers(50, 10**9))
    ticks = st.integers(max(1, middle - 40), middle + 40)
    size = st.one_of(
        st.just("0"),
        st.just("0.00000000"),
        st.decimals("0.00000001", "99999999", places=8).map(lambda d: format(d, "f")),
        st.integers(1, 10**15 - 1).map(str),
    )
    extra = draw(st.sampled_from([[], ["0", "3"]]))
    bare = draw(st.booleans())

    def side(draw_levels: list[tuple[int, str]]) -> bytes:
        rows = ([price_text(t, decimals), s, *extra] for t, s in draw_levels)
        text = json.dumps(list(rows), separators=(",", ":"))
        return (text.replace('"', "") if bare else text).encode()

    levels = st.lists(st.tuples(ticks, size), max_size=12)
    return [(side(draw(levels)), side(draw(levels)), i == 0 or draw(st.integers(0, 9)) == 0) for i in range(draw(st.integers(1, 12)))]


@settings(max_examples=some(300), deadline=None)
@given(streams())
def test_any_stream_gives_the_same_book_as_the_plain_one(stream: list[tuple[bytes, bytes, bool]]) -> None:
    book, scratch, plain = kernel.empty_book(), kernel.new_scratch(64), PlainBook()
    for bids, asks, snapshot in stream:
        flags, bid, _, ask, _ = kernel.apply(book, scratch, bids, asks, snapshot)
        assert flags >= 0, digits.ERRORS[flags]
        plain.apply(bids, asks, snapshot)
        for side in ("bid", "ask"):
            got = kernel.levels(book, side == "bid", 100).tolist()
            assert got == [list(level) for level in plain.levels(side, 100)]
        assert bool(flags & kernel.CROSSED) == plain.crossed()
        assert bid == (plain.levels("bid", 1) or [(0.0, 0.0)])[0][0]
        assert ask == (plain.levels("ask", 1) or [(0.0, 0.0)])[0][0]


@settings(max_examples=some(100), deadline=None)
@given(streams())
def test_the_checksum_text_is_what_the_plain_book_writes(stream: list[tuple[bytes, bytes, bool]]) -> None:
    book, scratch, plain = kernel.empty_book(), kernel.new_scratch(64), PlainBook()
    for bids, asks, snapshot in stream:
        if kernel.apply(book, scratch, bids, asks, snapshot)[0] < 0:
            return
        plain.apply(bids, asks, snapshot)
    out = np.zeros(8192, dtype=np.uint8)
    crc = zlib.crc32(out[: checksums.interleaved_text(book, 25, out)].tobytes())
    assert (crc - (1 << 32) if crc >= 1 << 31 else crc) == plain.interleaved_crc(25)


BAD = {
    b'[["1e","1"]]': digits.UNREADABLE,
    b'[[1e+,1]]': digits.UNREADABLE,
    b'[["1e400","1"]]': digits.RANGE,
    b'[[1e12,1]]': digits.RANGE,
    b'[[1e-400,1]]': digits.OVERFLOW,
    b'[[1.5e-7x,1]]': digits.MALFORMED,
    b'[["NaN","1"]]': digits.UNREADABLE,
    b'[["Infinity","1"]]': digits.UNREADABLE,
    b'[["","1"]]': digits.UNREADABLE,
    b'[["10\\u0030","1"]]': digits.UNREADABLE,
    b'[["-1","1"]]': digits.RANGE,
    b'[["0","1"]]': digits.RANGE,
    b'[["1000000000000","1"]]': digits.RANGE,
    b'[["100","1000000000000000"]]': digits.RANGE,
    b'[["100","-1"]]': digits.RANGE,
    b'[["100","99999999999999999999"]]': digits.RANGE,
    b'[["100.123456789012345678","1"]]': digits.OVERFLOW,
    b'[["100.12345678901234","1"]]': digits.PRECISION,
    b'[[null,"1"]]': digits.UNREADABLE,
    b'[["100"]]': digits.MALFORMED,
    b'[["100","1"]': digits.MALFORMED,
    b'[["100","1"],]': digits.MALFORMED,
    b'[["100","1"]]x': digits.MALFORMED,
    b"{}": digits.MALFORMED,
    b"null": digits.MALFORMED,
    b"[[[[[[": digits.UNREADABLE,
}


@pytest.mark.parametrize("bad", BAD)
def test_a_message_with_one_bad_level_changes_nothing_at_all(bad: bytes) -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch(64)
    kernel.apply(book, scratch, b'[["99.5","1"]]', b'[["100.5","2"]]', True)
    before = book.copy()
    good = b'[["101","7"]]'
    assert kernel.apply(book, scratch, good, bad, False)[0] == BAD[bad]
    assert kernel.apply(book, scratch, bad, good, False)[0] == BAD[bad]
    assert (book == before).all()


@settings(max_examples=some(100), deadline=None)
@given(streams(), st.integers(0, 11), st.integers(0, 4))
def test_where_levels_have_four_elements_one_of_three_or_five_is_refused(
    stream: list[tuple[bytes, bytes, bool]], which: int, place: int
) -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch(64)
    book[4, kernel.FIELDS] = 4
    for bids, _, snapshot in stream:
        levels = [[*level[:2], "0", "3"] for level in json.loads(bids)]
        assert kernel.apply(book, scratch, json.dumps(levels, separators=(",", ":")).encode(), b"", snapshot)[0] >= 0
        if levels:
            before, level = book.copy(), levels[which % len(levels)]
            if place == 4:
                level.append("1")
            else:
                del level[place]
            for separators in ((",", ":"), (" , ", ":")):
                assert kernel.apply(book, scratch, b"", json.dumps(levels, separators=separators).encode(), snapshot)[0] < 0
            assert (book == before).all()


@settings(max_examples=some(300), deadline=None)
@given(st.binary(max_size=60), st.integers(0, 40), st.integers(0, 40))
def test_no_bytes_whatever_crash_it_or_leave_half_a_message(junk: bytes, cut: int, at: int) -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch(64)
    kernel.apply(book, scratch, b'[["99.5","1"]]', b'[["100.5","2"]]', True)
    before = book.copy()
    good = b'[["99.25","1.5","0","2"],["99","3","0","1"]]'
    for text in (junk, good[:cut], good[:at] + junk + good[at:]):
        if kernel.apply(book, scratch, text, b"", False)[0] < 0:
            assert (book == before).all()
        book[:] = before


def test_a_full_side_lets_its_worst_quarter_go_and_never_invents_it_again() -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch()
    bids = json.dumps([[str(20_000 - i), "1"] for i in range(kernel.CAPACITY)]).encode()
    kernel.apply(book, scratch, bids, b'[["30000","1"]]', True)
    kernel.apply(book, scratch, b'[["20001","1"]]', b"", False)
    kept = kernel.levels(book, True, 10_000)
    assert len(kept) == kernel.CAPACITY - kernel.CAPACITY // 4 + 1
    worst = kept[-1][0]
    kernel.apply(book, scratch, f'[["{int(worst) - 1}","5"]]'.encode(), b"", False)
    assert kernel.levels(book, True, 10_000)[-1][0] == worst


def test_depth_says_where_the_book_ends_before_the_window() -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch(64)
    kernel.apply(book, scratch, b'[["99.99","1"],["99.95","2"],["99.80","4"]]', b'[["100.01","1"],["100.05","2"],["100.20","4"]]', True)
    near, wide = kernel.depth_within(book, np.array([10.0, 50.0])).tolist()
    assert near == [3.0, 3.0, 1.0, 1.0]
    assert wide == [7.0, 7.0, 0.0, 0.0]


def test_the_touch_flag_is_raised_only_when_price_or_size_at_the_touch_changes() -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch(64)
    kernel.apply(book, scratch, b'[["99","1"],["98","1"]]', b'[["101","1"]]', True)
    assert not kernel.apply(book, scratch, b'[["98","5"]]', b"[]", False)[0] & kernel.TOUCH
    assert not kernel.apply(book, scratch, b'[["99","1"]]', b"[]", False)[0] & kernel.TOUCH
    assert kernel.apply(book, scratch, b'[["99","2"]]', b"[]", False)[0] & kernel.TOUCH
    assert kernel.apply(book, scratch, b"[]", b'[["101","0"]]', False)[0] & kernel.ONE_SIDED


def test_white_space_anywhere_between_the_parts_of_a_list_means_nothing() -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch(64)
    spaced = b' [ [ "99.5" , "1" , "0" , "2" ] ,\n[ "99" , "3" , "0","1"\t] ] '
    assert kernel.apply(book, scratch, spaced, b' [ ] ', True)[0] >= 0
    assert kernel.levels(book, True, 9).tolist() == [[99.5, 1.0], [99.0, 3.0]]


def test_sizes_up_to_1e15_and_prices_down_to_1e_minus_12_survive() -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch(64)
    flags, bid, bid_size, ask, _ = kernel.apply(
        book, scratch, b'[["0.000000000001","999999999999999.5"]]', b'[["0.000000000002","1"]]', True
    )
    assert flags >= 0
    assert (bid, bid_size, ask) == (1e-12, 999999999999999.5, 2e-12)


def book_of(bids: bytes, asks: bytes, depth: int = 0) -> np.ndarray:
    book = kernel.empty_book()
    book[4, kernel.DEPTH] = depth
    assert kernel.apply(book, kernel.new_scratch(64), bids, asks, True)[0] >= 0
    return book


def prices(book: np.ndarray, bid_side: bool) -> list[float]:
    found: list[float] = kernel.levels(book, bid_side, 9)[:, 0].tolist()
    return found


def written(how: Callable[[np.ndarray, int, np.ndarray], int], book: np.ndarray, depth: int) -> str:
    out = np.zeros(8192, dtype=np.uint8)
    return out[: how(book, depth, out)].tobytes().decode()


@pytest.mark.parametrize(("text", "value"), [("1.5e-7", 1.5e-7), ("2E3", 2e3), ("9.121E-7", 9.121e-7), ("1e+2", 1e2), ("100e-2", 1.0)])
def test_a_number_with_an_exponent_is_the_number_that_it_means(text: str, value: float) -> None:
    for form in (text, f'"{text}"'):
        book = book_of(f"[[{form},{form}]]".encode(), b"[]")
        assert kernel.levels(book, True, 9).tolist() == [[value, value]]


def test_a_size_of_zero_with_an_exponent_removes_its_level() -> None:
    book = book_of(b"[[100,1],[99,1]]", b"[[101,1]]")
    kernel.apply(book, kernel.new_scratch(64), b"[[100,0e-8],[99,0E5]]", b"[]", False)
    assert len(kernel.levels(book, True, 9)) == 0


def test_what_falls_out_behind_the_depth_of_a_venue_is_forgotten_and_may_come_back() -> None:
    book = book_of(b"[[100,1],[99,1],[98,1],[97,1]]", b"[[101,1],[102,1],[103,1],[104,1]]", depth=3)
    assert (prices(book, True), prices(book, False)) == ([100, 99, 98], [101, 102, 103])
    kernel.apply(book, kernel.new_scratch(64), b"[[100.5,2]]", b"[[101,0]]", False)
    assert (prices(book, True), prices(book, False)) == ([100.5, 100, 99], [102, 103]), "nobody said what comes behind"
    kernel.apply(book, kernel.new_scratch(64), b"[[98,1]]", b"[[104,5]]", False)
    assert (prices(book, True), prices(book, False)) == ([100.5, 100, 99], [102, 103, 104])


def test_digits_are_written_as_sent_without_point_and_leading_zeros_asks_first() -> None:
    book = book_of(b"[[0.5000,0.00010],[0.4999,2.50000]]", b"[[0.5010,12.00000],[0.5011,0.30000]]")
    assert written(checksums.digits_text, book, 10) == "5010" "1200000" "5011" "30000" "5000" "10" "4999" "250000"
    assert written(checksums.digits_text, book, 1) == "5010" "1200000" "5000" "10"


def test_signed_ranks_have_bids_and_asks_in_turn_with_asks_below_zero_and_no_needless_zero() -> None:
    book = book_of(b"[[100.50,1.500],[99,2]]", b"[[101,0.25]]")
    assert written(checksums.signed_text, book, 25) == "100.5:1.5:101:-0.25:99:2"


def test_numbers_below_a_millionth_are_written_with_an_exponent_under_signed_ranks_as_the_venue_does() -> None:
    book = book_of(b"[[0.00000123,1e-6],[5.6e-7,0.00000025]]", b"[[0.0000020,0.00000001],[0.000012,10]]")
    assert written(checksums.signed_text, book, 25) == "0.00000123:0.000001:0.000002:-1e-8:5.6e-7:2.5e-7:0.000012:-10"


def test_a_side_that_has_let_levels_go_says_so_before_it_runs_out() -> None:
    book, scratch = kernel.empty_book(), kernel.new_scratch()
    bids = [[str(20_000 - rank), "1"] for rank in range(kernel.CAPACITY + 1)]
    flags = [kernel.apply(book, scratch, json.dumps(bids).encode(), b'[["30000","1"]]', True)[0]]
    left = len(kernel.levels(book, True, 10_000))
    for price, _ in bids[:left]:
        flags.append(kernel.apply(book, scratch, f'[["{price}","0"]]'.encode(), b"", False)[0])
    assert [bool(flag & kernel.WINDOW) for flag in flags] == [0 <= left - taken < kernel.THIN for taken in range(left + 1)]
    small = kernel.empty_book()
    kernel.apply(small, scratch, b'[["20000","1"]]', b'[["30000","1"]]', True)
    assert not kernel.apply(small, scratch, b'[["20000","0"]]', b"", False)[0] & kernel.WINDOW, "nothing was let go"
