"""What is on the screen: one form for each thing, nothing invented, nothing lost."""

from __future__ import annotations

import math
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope import format as show

anything = st.none() | st.floats() | st.integers(-(10**30), 10**30).map(float)
T = "\u2009"  # thin space
M = "\u2212"  # true minus
NS = 1_000_000_000


def read_back(text: str) -> float:
    return float(text.replace(T, "").replace(M, "-").lstrip("+"))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (show.number(91234.5, 1), f"91{T}234.5"),
        (show.number(-0.04, 1), "0.0"),
        (show.number(-1234567.891, 2), f"{M}1{T}234{T}567.89"),
        (show.number(None, 1), "–"),
        (show.number(math.nan), "–"),
        (show.number(math.inf), "–"),
        (show.number(0), "0"),
        (show.number(-2.5e20, 2), f"{M}2.500e+20"),
        (show.signed(0.26), "+0.3"),
        (show.signed(0.01), "0.0"),
        (show.bps(-12.345), f"{M}12.35"),
        (show.bps(3), "+3.00"),
        (show.bps(0.04, 1), "0.0"),
        (show.bps(None), "–"),
        (show.percent(4.25, 1), f"4.2{T}%"),
        (show.percent(None), "–"),
        (show.money(-1234.5, "USDT"), f"{M}1{T}234.50{T}USDT"),
        (show.money(2), "2.00"),
        (show.size(912345.4), f"912{T}345"),
        (show.size(999999.7), "1.00M"),
        (show.size(1_234_567), "1.23M"),
        (show.size(-25_000_000), f"{M}25.0M"),
        (show.size(999_999_999), "1.00B"),
        (show.size(0.2), "0"),
        (show.count(9999), f"9{T}999"),
        (show.count(9999.6), "10.0k"),
        (show.count(508_123), "508k"),
        (show.quantity(0.0123456), "0.012346"),
        (show.quantity(1234.50), f"1{T}234.5"),
        (show.quantity(250.0), "250"),
        (show.quantity(1e-9), "0.000000001"),
        (show.file_size(512), f"512{T}B"),
        (show.file_size(999.97), f"1.0{T}kB"),
        (show.file_size(4_294_967_296), f"4.3{T}GB"),
        (show.price(64250, 0.1), f"64{T}250.0"),
        (show.price(0.00001234, 1e-8), "0.00001234"),
        (show.price(64250.123), f"64{T}250.12"),
        (show.price(0.0000123456), "0.0000123456"),
        (show.price(None, 0.1), "–"),
        (show.age(3.44), f"3.4{T}s"),
        (show.age(99.94), f"99.9{T}s"),
        (show.age(99.96), f"1.7{T}m"),
        (show.age(9000), f"2.5{T}h"),
        (show.age(4.2 * 86400), f"4.2{T}d"),
        (show.age(None), "–"),
        (show.clock(1_763_647_387_590_000_000), "14:03:07.5"),
        (show.clock(0), "–"),
        (show.clock(None), "–"),
        (show.iso(1_763_647_387_123_456_789), "2025-11-20T14:03:07.123456789Z"),
        (show.iso(-5), "–"),
        (show.iso(2**63 * 100), "–"),
    ],
)
def test_each_thing_has_one_form(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(("tick", "places"), [(0.01, 2), (0.5, 1), (0.00025, 5), (10.0, 0), (1e-12, 12), (0.1 + 0.2, 12), (1.0, 0)])
def test_the_tick_says_how_many_decimals_a_price_has(tick: float, places: int) -> None:
    assert show.decimals(tick) == places


@given(value=anything, digits=st.integers(0, 6))
def test_what_is_not_known_is_a_dash_and_what_is_known_is_never_one(value: float | None, digits: int) -> None:
    known = value is not None and math.isfinite(value)
    texts = [
        show.number(value, digits), show.signed(value, digits), show.bps(value), show.percent(value), show.money(value), show.size(value),
        show.count(value), show.quantity(value), show.file_size(value), show.price(value), show.age(value),
    ]  # fmt: skip
    assert all((text != "–") is known for text in texts)
    assert all("-" not in text.replace("e-", "") and "," not in text for text in texts)
    assert all(len(text) <= 32 for text in texts)


@given(value=st.floats(-1e14, 1e14), digits=st.integers(0, 6))
def test_a_number_reads_back_as_itself_to_half_a_last_digit(value: float, digits: int) -> None:
    text = show.number(value, digits)
    assert math.isclose(read_back(text), value, rel_tol=1e-12, abs_tol=0.500001 * 10**-digits)


@given(value=st.floats(-1, 1), digits=st.integers(0, 4))
def test_nothing_is_ever_minus_nothing_or_plus_nothing(value: float, digits: int) -> None:
    for text in (show.number(value, digits), show.signed(value, digits)):
        if read_back(text) == 0:
            assert text[0] not in f"+{M}-"
        else:
            assert (text[0] == M) is (value < 0)


@given(value=st.floats(1e-9, 1e14))
def test_sizes_and_counts_keep_three_digits_and_never_show_a_thousand_of_a_unit(value: float) -> None:
    units = {"k": 1e3, "M": 1e6, "B": 1e9}
    for text in (show.size(value), show.count(value)):
        number, unit = (text[:-1], units[text[-1]]) if text[-1] in units else (text, 1.0)
        assert math.isclose(read_back(number) * unit, value, rel_tol=5.1e-3, abs_tol=0.5)
        assert unit in (1.0, 1e9) or abs(read_back(number)) < 1000


@given(ns=st.integers(1, 4_000_000_000 * NS))
def test_times_are_exact_and_in_utc(ns: int) -> None:
    text = show.iso(ns)
    seconds = int(datetime.fromisoformat(text[:19] + "+00:00").timestamp())
    assert seconds * NS + int(text[20:29]) == ns
    assert text[11:19] == show.clock(ns)[:8] and text[20] == show.clock(ns)[9]


@given(first=st.integers(1, 4_000_000_000 * NS), second=st.integers(1, 4_000_000_000 * NS))
def test_iso_times_sort_as_text(first: int, second: int) -> None:
    assert (show.iso(first) < show.iso(second)) is (first < second)
