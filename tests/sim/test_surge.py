"""Ten messages for each one, at every venue: no gap, no wrong book, no trade counted twice, and numbers go on when it is over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dope.market.ready import compile_all
from dope.sim.dialogue import Client, Said
from dope.sim.journal import Fault as Planting
from dope.sim.port import Effect
from dope.sim.venue import listings
from dope.types import BookState, Fault, Gap, Trade
from dope.venues import VENUES
from tests.sim.by_hand import ByHand, suffer
from tests.sim.suffering import twins

BOOKS = tuple(venue.ID for venue in VENUES if venue.BOOKS)
TIMES = 10
STEPS = 150  #: of 10 ms


class Counter(Effect):
    """Counts data on their way out."""

    def __init__(self, counts: Callable[[Said], bool]) -> None:
        self.count, self._counts = 0, counts

    def out(self, client: Client, said: Said) -> tuple[Said, ...]:
        self.count += said.data and self._counts(said)
        return (said,)


@pytest.mark.parametrize("venue", BOOKS)
def test_a_venue_says_ten_times_as_much_and_nothing_is_lost_or_counted_twice(venue: str) -> None:
    compile_all()
    hand = ByHand(venue, twins(venue, listings((venue,)), 1, pace=2))
    assert hand.begin()
    hand.all_heard()
    (key,) = hand.truths
    again = {client for client in hand.server.port.clients if any(hand.wire.book not in topic or hand.wire.sides == ("levels",)
                                                                   for topic in client.topics)}  # fmt: skip
    before, after = Counter(lambda said: True), Counter(lambda said: True)
    hand.server.port.effects.insert(0, before)
    act = suffer(hand, Planting(kind="surge", venue=venue, symbol=key.partition(":")[2], params={"x": float(TIMES)}))
    hand.server.port.effects[0], hand.server.port.effects[1] = before, hand.server.port.effects[0]
    hand.server.port.effects.insert(2, after)
    hand.told.clear()
    for _ in range(STEPS):
        hand.move(1)
        hand.all_heard()
        book = hand.engine.market.books[key]
        assert not hand.wrong(book), hand.wrong(book)
    assert after.count > before.count and act.done == after.count - before.count
    if len(again) == len(hand.server.port.clients):  # else one connection has nothing but changes of books
        assert after.count == pytest.approx(TIMES * before.count, rel=0.2), (before.count, after.count)
    act.over = True
    for _ in range(STEPS // 3):  # its numbers go on from there
        hand.move(1)
        hand.all_heard()
    assert [event for event in hand.told if isinstance(event, Gap | Fault | BookState)] == []
    trades = [event.trade_id for event in hand.told if isinstance(event, Trade)]
    assert len(trades) == len(set(trades))
