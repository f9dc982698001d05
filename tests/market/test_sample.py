"""Depth of many books at once is what each book says by itself."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dope.market.market import Market
from dope.market.sample import depths
from dope.types import BookUpdate, Instrument
from tests.market.test_walking import T0, text

WINDOWS = (5, 10, 25, 50)


def test_depth_of_many_books_is_that_of_each_also_of_inverse_contracts_and_of_books_that_lack_a_side() -> None:
    rand, market = random.Random(7), Market()
    for n in range(12):
        inverse, value = n % 3 == 0, rand.choice([1.0, 0.01, 10.0])
        market.open_book(Instrument("okx", f"A{n}-USD", f"A{n}", f"A{n}", "USD", "perp", value, inverse), T0, "", 10.0)
        asks, bids = ([(1000 + sign * k / 10, rand.randint(1, 900) / 100) for k in range(1, 60)] for sign in (1, -1))
        market.apply(BookUpdate(T0, f"okx:A{n}-USD", 0, True, 1, text(bids), text([] if n == 5 else asks)), 1)
    books = list(market.books.values())
    found = depths(market.slots.levels, market.slots.touch, np.array([book.slot for book in books]), np.array(WINDOWS, dtype=float))
    assert found.shape == (12, 4, 2) and found[5].max() == 0.0
    for book, told in zip(books, found.tolist(), strict=True):
        want = [[bids, asks] for bids, asks, _ in book.depth(WINDOWS).values()]
        assert np.array(told) == pytest.approx(np.array(want))
    assert found[0].max() > 0.0 and found[1].max() > 0.0
