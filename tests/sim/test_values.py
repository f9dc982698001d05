"""Values that are none, at every venue: never taken for a level, alone or in a run of messages."""

from __future__ import annotations

from math import isfinite
from types import SimpleNamespace
from typing import Any

import pytest

from dope.market.ready import compile_all
from dope.sim import edits
from dope.sim.effects import Edit
from dope.sim.journal import Fault
from dope.sim.venue import listings
from dope.sim.wires import packed_like, read, unpacked, written
from dope.types import LIVE, Gap, Trade
from dope.types import Fault as Unusable
from dope.venues import VENUES
from tests.sim.by_hand import ByHand, Message, suffer
from tests.sim.suffering import READERS, twins

BOOKS = tuple(venue.ID for venue in VENUES if venue.BOOKS)
NONE = ("NaN", "1e400", "", "-1", "Infinity", "1e9999999", "0x10", "1_0")  #: texts that are no price and no size
LACKING: dict[str, Edit] = {
    "size": edits.first_level(edits.removed, price=False),
    "price": edits.first_level(edits.removed),
}  # fmt: skip


def edited(hand: ByHand, message: Message, edit: Edit, form: str = "") -> Message | None:
    """The message with this done to it, of which nothing must be used; None where there is nothing to do it to."""
    packed: Any = message.data.decode() if message.data[:1] in b"{[" else message.data
    value = read(unpacked(packed) or "")
    if not edit(SimpleNamespace(wire=hand.wire, params={"form": form}), value):  # type: ignore[arg-type]
        return None
    new = packed_like(packed, written(value))
    return Message(new.encode() if isinstance(new, str) else new, "", message.step)


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a run"])
@pytest.mark.parametrize("what", LACKING)
@pytest.mark.parametrize("venue", BOOKS)
def test_a_level_that_lacks_its_size_or_price_is_no_level(venue: str, what: str, together: bool) -> None:
    compile_all()
    hand = ByHand(venue, twins(venue, listings((venue,)), 1, pace=1))
    assert hand.begin()
    (key,) = hand.truths
    book = hand.engine.market.books[key]
    done = 0
    while done < 2:
        hand.told.clear()
        hand.move(20 if together else 3)
        for number, link in list(hand.links.items()):
            for place, message in enumerate(link.waiting):
                if message.key == key and (new := edited(hand, message, LACKING[what])) is not None:
                    link.waiting[place] = new
                    hand.hear(number, len(link.waiting), together=together)
                    done += 1
                    assert any(isinstance(event, Gap | Unusable) for event in hand.told), "nobody noticed"
                    assert book.state != LIVE or not hand.wrong(book), hand.wrong(book)
                    break
        hand.move(40)
        assert hand.settle(), (book.state, book.reason)
        assert not hand.wrong(book)


@pytest.mark.parametrize("what", ["price", "size"])
@pytest.mark.parametrize("venue", BOOKS)
def test_a_number_that_is_none_is_refused_by_whoever_reads_it(venue: str, what: str) -> None:
    """Not only by a checksum, a gap or a cross that it would lead to."""
    compile_all()
    forms = [form for form in NONE if venue != "bitfinex" or what == "price" or form != "-1"]  # there a size below zero is an ask's
    few = 2 if venue == "kraken" else len(forms)  # after three wrong checksums a book is left alone for minutes
    for first in range(0, len(forms), few):
        hand = ByHand(venue, twins(venue, listings((venue,)), 1, pace=1))
        assert hand.begin()
        for form in forms[first : first + few]:
            spoil(hand, edits.first_level(edits.put("form"), price=what == "price"), form, together=form[:1].isdigit())
            hand.move(20)
            hand.all_heard()
            assert hand.settle(), [(book.state, book.reason) for _, book, _ in hand.books()]


def spoil(hand: ByHand, edit: Edit, form: str, *, together: bool) -> None:
    """The next message about the book that has a level says this instead of a number; who reads it must say so."""
    (key,) = hand.truths
    while True:
        hand.move(3)
        for number, link in list(hand.links.items()):
            for place, message in enumerate(link.waiting):
                if message.key == key and (new := edited(hand, message, edit, form)) is not None:
                    hand.told.clear()
                    link.waiting[place] = new
                    hand.hear(number, place + 1, together=together)
                    said = [event.reason for event in hand.told if isinstance(event, Unusable)]
                    assert any(reason.startswith(READERS) for reason in said), (form, hand.told)
                    return
        hand.all_heard()


@pytest.mark.parametrize("venue", BOOKS)
def test_a_trade_or_quote_whose_price_is_none_is_refused_by_whoever_reads_it(venue: str) -> None:
    """Nothing else would notice: no checksum covers them, and what they say is nowhere compared."""
    hand = ByHand(venue, twins(venue, listings((venue,)), 1, pace=1))
    assert hand.begin()
    act = suffer(hand, Fault(kind="nonfinite_price", venue=venue, symbol=hand.symbols[0]))
    for _ in range(3_000):
        if act.done:
            break
        hand.move(1)
        hand.told.clear()
        hand.all_heard()
    said = [event.reason for event in hand.told if isinstance(event, Unusable)]
    assert act.done == 1 and any(reason.startswith(READERS) for reason in said), hand.told
    trades = [event for event in hand.told if isinstance(event, Trade)]
    assert all(isfinite(trade.price) for trade in trades)


@pytest.mark.parametrize("kind", ["crossed", "locked"])
@pytest.mark.parametrize("venue", BOOKS)
def test_a_book_that_is_crossed_is_not_live_until_it_is_no_more(venue: str, kind: str) -> None:
    compile_all()
    hand = ByHand(venue, twins(venue, listings((venue,)), 1))
    assert hand.begin()
    (key,) = hand.truths
    book = hand.engine.market.books[key]
    act = suffer(hand, Fault(kind=kind, venue=venue, symbol=key.partition(":")[2]))
    for _ in range(5_000):
        if act.done:
            break
        assert book.state == LIVE, "before anything happened"
        hand.all_heard()
        hand.move(1)
    hand.all_heard()
    assert act.done and book.state != LIVE, "the message that crosses it ends it"
    for _ in range(5_000):
        if act.over:
            break
        hand.move(1)
        hand.all_heard()
    assert act.over and act.sample.now_ms - act.first_ms >= 300
    assert hand.settle(), (book.state, book.reason)
    hand.move(40)
    hand.all_heard()
    assert book.state == LIVE and not hand.wrong(book), hand.wrong(book)
