"""A book beside what the venue's REST says of its best levels: the places where the two differ."""

from __future__ import annotations

from dope.market import kernel
from dope.market.book import Book
from dope.types import Checked

REACH = 500  #: levels of ours that are looked at
CLOSE = 1e-9  #: relative difference of sizes that is none

Doubts = dict[tuple[bool, float], float]  #: (bid side, price) → our size there, 0.0 = no level


def differing(book: Book, told: Checked) -> Doubts:
    """Where our levels, as far as REST told, are not those of REST; sizes as the venue counts them."""
    found: Doubts = {}
    for bid, levels in ((True, told.bids), (False, told.asks)):
        if not levels:
            continue
        theirs, last = dict(levels), levels[-1][0]
        ours = {p: size for p, size in kernel.levels(book.a, bid, REACH).tolist() if (p >= last if bid else p <= last)}
        for price in theirs.keys() | ours.keys():
            have, want = ours.get(price, 0.0), theirs.get(price, 0.0)
            if abs(have - want) > CLOSE * max(have, want):
                found[bid, price] = have
    return found
