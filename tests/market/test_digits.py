"""The fast reader of numbers reads what the careful one reads, or leaves it to that one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dope.market import digits
from dope.market.compiled import jit
from dope.market.memory import address
from tests.examples import some

Number = tuple[int, int, int]


@jit
def both(text: bytes) -> tuple[Number, Number]:
    """(fast, careful) readings of the number at the start of ``text``; behind it there must be room."""
    start = address(text)
    return digits._fast_number(start, 0), digits._number(start, 0, len(text), digits.MAX_PRICE_DIGITS)


def read(number: bytes) -> tuple[Number, Number]:
    found: tuple[Number, Number] = both(number + b',"0","1"]' + bytes(digits.AHEAD))
    return found


plain = st.tuples(st.integers(0, 10**12 - 1), st.integers(0, 8), st.integers(0, 10**8 - 1)).map(
    lambda t: b'"%d.%0*d"' % (t[0], t[1], t[2] % 10 ** t[1]) if t[1] else b'"%d"' % t[0]
)
marks = st.binary(max_size=18) | st.text(alphabet='0123456789."-e,]\x80\xfe', max_size=18).map(lambda t: t.encode("latin-1"))
bent = st.tuples(plain, st.integers(0, 16), marks).map(lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :])


@settings(max_examples=some(2000), deadline=None)
@given(plain | bent | marks)
@example(b'"1234567."')
@example(b'"1."')
@example(b'"1.2.3"')
@example(b'".5"')
@example(b'""')
@example(b'"123456.7\xb9"')
@example(b'"0.00000000000"')
def test_what_the_fast_reader_accepts_the_careful_one_reads_the_same(number: bytes) -> None:
    fast, careful = read(number)
    assert fast[2] == digits.NO_NUMBER or fast == careful


NUMBERS = ("1", "0", "8476.5", "0.0001", "61837.63", "1234567.1234567", "0.1234567890123", "1234567", "0.00000000")


@pytest.mark.parametrize("number", NUMBERS)
def test_ordinary_prices_and_sizes_take_the_fast_way(number: str) -> None:
    whole, _, fraction = number.partition(".")
    fast, _ = read(b'"%s"' % number.encode())
    assert fast == (int(whole + fraction), len(fraction), len(number) + 2)


@pytest.mark.parametrize("zeros", [digits.MAX_PRICE_DIGITS - 1, digits.MAX_PRICE_DIGITS, 18, 19, 30, 400])
@pytest.mark.parametrize("mantissa", [1, 9])
def test_an_exponent_is_multiplied_out_or_the_number_is_beyond_all_prices(mantissa: int, zeros: int) -> None:
    _, careful = read(b'"%de%d"' % (mantissa, zeros))
    fits = zeros < digits.MAX_PRICE_DIGITS
    assert careful[2] == digits.RANGE if not fits else careful[:2] == (mantissa * 10**zeros, 0)
