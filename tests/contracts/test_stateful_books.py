"""Whatever order messages come in, get lost, come twice or from before: a book is LIVE only while it is the market's own, at every venue.

The model is the simulated market itself: plain dicts of ticks and lots for every step. Each venue's server speaks, each message waits
in its line until a rule delivers, loses, repeats, swaps, cuts or spoils it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dope.engine import LATE_S
from dope.market.book import Book
from dope.market.market import STALE_EVERY_NS
from dope.market.ready import compile_all
from dope.market.trade_ids import MOST
from dope.sim.venue import listings
from dope.types import LIVE, BookState
from dope.venues import VENUES
from dope.venues._depth_sync import DepthSync
from dope.venues.base import Venue
from tests.sim.by_hand import PROVED, ByHand, Message, is_first, shortened, spoiled
from tests.sim.suffering import twins

BOOKS = tuple(venue.ID for venue in VENUES if venue.BOOKS)
KEPT = 6  #: messages that were heard and may come again
SPEAKS_STEPS = 60  #: of 10 ms, after which a venue has said something if it ever will
ANY = st.integers(0, 11)
STEPS = 50
EXAMPLES, EXAMPLES_FULL = 4, 60  #: of each venue


class Books(RuleBasedStateMachine):
    """One venue with two markets, from all LIVE on."""

    def __init__(self, venue: str) -> None:
        super().__init__()
        self.hand = ByHand(venue, twins(venue, listings((venue,))))
        self.heard: deque[tuple[int, Message]] = deque(maxlen=KEPT)
        #: books that may be wrong until their next snapshot, because nothing shows a loss → levels that are proved all the same, snapshots
        self.unproved: dict[str, tuple[int, int]] = {}
        self.unwatched = ""
        self.seen = 0  #: events that were looked at

    @initialize()
    def all_is_live(self) -> None:
        assert self.hand.begin(), self.states()

    def states(self) -> dict[str, tuple[str, str]]:
        return {key: (book.state, book.reason) for key, book, _ in self.hand.books()}

    def number(self, choice: int) -> int:
        """One of the connections."""
        numbers = list(self.hand.links)
        return numbers[choice % len(numbers)]

    def next(self, choice: int) -> tuple[int, deque[Message], int]:
        """A connection on which a message about a book waits, all that waits there, and the place of that message."""
        for _ in range(SPEAKS_STEPS):
            lines = [(number, link.waiting) for number, link in self.hand.links.items() if any(message.key for message in link.waiting)]
            if lines:
                number, waiting = lines[choice % len(lines)]
                return number, waiting, next(place for place, message in enumerate(waiting) if message.key)
            self.hand.move(1)
        return 0, deque(), -1

    def lost(self, message: Message, *, later: bool = False) -> None:
        """A message of a book does not come, or ``later``: with a checksum of then it may bring back the book of then."""
        proof, book = self.hand.machine.INTEGRITY, self.hand.engine.market.books.get(message.key)
        if book is not None and proof in ("", "checksum"):
            self.unproved[message.key] = PROVED if proof and not later else 0, book.snapshots

    def comes(self, number: int, count: int, *, together: bool = False) -> None:
        """The next messages of a connection. A first one that came again would be the book until the next message showed that it is not."""
        hand = self.hand
        if number in hand.links:
            coming = [message for message in list(hand.links[number].waiting)[:count] if message.key and not is_first(message, hand.wire)]
            self.heard.extend((number, message) for message in coming)
            hand.hear(number, count, together=together)

    # -- what may happen -----------------------------------------------------------------------------------------------
    @rule(steps=st.sampled_from((1, 4, 10, 30)))
    def the_market_moves(self, steps: int) -> None:
        self.hand.move(steps)

    @rule(rounds=st.integers(1, 12))
    def all_goes_well_for_a_while(self, rounds: int) -> None:
        self.hand.settle(rounds=rounds)

    @rule(choice=ANY)
    def one_message_comes(self, choice: int) -> None:
        self.comes(self.number(choice), 1)

    @rule(choice=ANY, count=st.sampled_from((3, 20)), together=st.booleans())
    def some_messages_come(self, choice: int, count: int, together: bool) -> None:
        self.hand.move(4)
        self.comes(self.number(choice), count, together=together)

    @rule(choice=ANY, then=st.integers(0, 4), together=st.booleans())
    def one_is_lost(self, choice: int, then: int, together: bool) -> None:
        number, waiting, place = self.next(choice)
        if place >= 0:
            self.lost(waiting[place])
            del waiting[place]
            self.comes(number, place + then, together=together)

    @rule(choice=ANY, times=st.integers(1, 7))
    def one_comes_again_and_again(self, choice: int, times: int) -> None:
        number, waiting, place = self.next(choice)
        for _ in range(times if place >= 0 else 0):
            waiting.insert(place, waiting[place])
        self.comes(number, place + times)

    @rule(choice=ANY, behind=st.integers(1, 3), together=st.booleans())
    def one_comes_later(self, choice: int, behind: int, together: bool) -> None:
        """Never the first of a book: until the next one it would be taken for the newest."""
        number, waiting, place = self.next(choice)
        if place >= 0 and not is_first(waiting[place], self.hand.wire):
            message = waiting[place]
            self.lost(message, later=True)
            del waiting[place]
            waiting.insert(place + behind, message)
            self.comes(number, place + behind + 1, together=together)
            self.lost(message, later=True)

    @rule(choice=ANY)
    def one_of_before_comes_again(self, choice: int) -> None:
        if self.heard:
            number, message = self.heard[choice % len(self.heard)]
            if number in self.hand.links and self.hand.links[number].open:
                self.lost(message, later=True)
                self.hand.take(number, message)

    @rule(choice=ANY, whole=st.booleans(), then=st.integers(0, 3))
    def one_is_spoiled(self, choice: int, whole: bool, then: int) -> None:
        """Its checksum is wrong, or it is cut in half."""
        number, waiting, place = self.next(choice)
        if place >= 0:
            self.lost(waiting[place])
            wrong = whole and self.hand.wire.checksum
            waiting[place] = spoiled(waiting[place], self.hand.wire) if wrong else shortened(waiting[place])
            self.comes(number, place + 1 + then)

    @rule(choice=ANY)
    def an_answer_comes(self, choice: int) -> None:
        self.hand.read()
        if ready := self.hand.ready():
            self.hand.answer(ready[choice % len(ready)])

    @rule(choice=ANY, status=st.sampled_from((200, 200, 200, 0, 429, 503)))
    def another_answer_comes(self, choice: int, status: int) -> None:
        """One of before, or a refusal."""
        self.hand.read()
        if ready := self.hand.ready():
            place = ready[choice % len(ready)]
            kept = self.hand.answered[self.hand.requests[place].fetch.key]
            self.hand.answer(place, body=kept[choice % len(kept)] if status == 200 else b"", status=status)

    @rule(choice=ANY, how=st.sampled_from(("cut", "handed over", "mended")))
    def a_connection_is_replaced(self, choice: int, how: str) -> None:
        if how == "cut":
            self.hand.cut(self.number(choice), without=self.unwatched)
        elif how == "handed over" and not self.hand.leaving and not self.unwatched:
            self.hand.hand_over(self.number(choice))
        else:
            self.hand.mend(now=True)

    @rule(watched=st.booleans())
    def a_market_is_watched_or_not(self, watched: bool) -> None:
        before, self.unwatched = self.unwatched, "" if watched else self.hand.symbols[-1]
        self.hand.mend(now=True)
        for number in list(self.hand.links) if before != self.unwatched else ():
            self.hand.cut(number, 1000, without=self.unwatched)

    @rule(ms=st.sampled_from((200, 1_000, 4_000, 20_000, 0)))
    def time_passes(self, ms: int) -> None:
        """Nothing comes; 0 = our own loop stood still."""
        if not ms:
            self.hand.late(LATE_S)
            assert all(book.state != LIVE for _, book, _ in self.hand.books()), "LIVE although our own loop was late"
            return
        self.hand.silence(ms)
        for key, book, _ in self.hand.books():
            limit = self.hand.engine.market.idle_ns[self.hand.venue] + STALE_EVERY_NS
            age = self.hand.engine.market.age(book, self.hand.now)
            assert book.state != LIVE or age <= limit, f"{key} is LIVE and nothing proved it for {age / 1e9:.1f} s"

    # -- what must hold ------------------------------------------------------------------------------------------------
    @invariant()
    def what_is_live_is_the_markets_own(self) -> None:
        hand = self.hand
        for key, book, _ in hand.books():
            if book.state != LIVE:
                continue
            symbol = key.partition(":")[2]
            assert symbol != self.unwatched, f"{key} is LIVE, and nobody watches it"
            assert hand.engine.market.age(book, hand.now) >= 0, f"{key} is younger than now"
            self.whole(key, book)
            depth, snapshots = self.unproved.get(key, (None, -1))
            if depth is not None and book.snapshots > snapshots:
                del self.unproved[key]
                depth = None
            wrong = hand.wrong(book, depth) if depth != 0 else ""
            assert not wrong, f"{key} is LIVE and {wrong}"

    def whole(self, key: str, book: Book) -> None:
        """Ordered, not crossed, of positive sizes, no deeper than it may be."""
        bids, asks = book.levels("bid", 5_000), book.levels("ask", 5_000)
        for levels, order in ((bids, -1.0), (asks, 1.0)):
            assert all(size > 0.0 and price > 0.0 for price, size in levels), f"{key} holds {levels[:3]}"
            prices = [order * price for price, _ in levels]
            assert all(a < b for a, b in pairwise(prices)), f"{key} is not in order"
            assert len(levels) <= (self.hand.machine.DEPTH or 4_104) + 1, f"{key} holds {len(levels)} levels"
        bid, _, ask, _ = book.touch()
        assert not bid or not ask or bid < ask, f"{key} is LIVE and crossed: {bid} {ask}"

    @invariant()
    def nobody_hears_of_what_is_not_live_and_leaves_have_a_reason(self) -> None:
        hand = self.hand
        assert not hand.probe.wrong, hand.probe.wrong
        for event in hand.told[self.seen :]:
            assert not isinstance(event, BookState) or event.was != LIVE or event.reason, f"LIVE was left without a reason: {event}"
        self.seen = len(hand.told)
        assert hand.engine.market.resyncs == [] and hand.machine.actions == []
        assert all(len(ids) <= MOST for ids in hand.engine.market.trade_ids.of.values())
        assert len(hand.engine.connections) == sum(link.open for link in hand.links.values())

    def teardown(self) -> None:
        """All is well again when nothing more goes wrong."""
        hand = self.hand
        if not hand.links:
            return
        hand.mend(now=True)
        self.unwatched = ""
        for number in list(hand.links):
            hand.cut(number)
        hand.requests = deque(request for request in hand.requests if request.fetch.conn in (0, *hand.links))
        self.unproved.clear()
        for _ in range(60):
            if hand.settle(rounds=20) or self.forgiven():
                break
            hand.silence(1_000)
        assert self.forgiven() or hand.settle(), f"not LIVE again: {self.states()}"
        self.what_is_live_is_the_markets_own()

    def forgiven(self) -> bool:
        """A book whose checksums were wrong time and again is left alone for longer than this waits."""
        return any(book.suspended for _, book, _ in self.hand.books())


def explore(venue: str, examples: int, **options: Any) -> None:
    """So many examples of a venue. Raises AssertionError with the shortest way to what does not hold."""
    compile_all()
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example]
    chosen = settings(max_examples=examples, stateful_step_count=STEPS, deadline=None, suppress_health_check=checks, **options)
    run_state_machine_as_test(partial(Books, venue), settings=chosen)


@pytest.mark.parametrize("venue", BOOKS)
def test_a_book_is_live_only_while_it_is_the_markets_own(venue: str) -> None:
    explore(venue, EXAMPLES)


@pytest.mark.full
@pytest.mark.parametrize("venue", BOOKS)
def test_a_book_is_live_only_while_it_is_the_markets_own_many_times(venue: str, figure: Callable[..., None]) -> None:
    explore(venue, EXAMPLES_FULL)
    figure("examples of 50 steps in which every LIVE book was the market's own", EXAMPLES_FULL, target=f"= {EXAMPLES_FULL}")


#: the rule for numbers: where it stands, and what it becomes when it is off
RULES: dict[str, tuple[Any, str, Any]] = {
    "okx": (Venue, "lost", lambda *found: None),
    "bybit": (Venue, "lost", lambda *found: None),
    "gate": (Venue, "lost", lambda *found: None),
    "htx_linear": (Venue, "lost", lambda *found: None),
    "gemini": (Venue, "lost", lambda *found: None),
    "bitfinex": (Venue, "lost", lambda *found: None),
    "binance_spot": (DepthSync, "_broken", lambda self, item, reason: ([item[3]], False)),
    "kucoin": (DepthSync, "_broken", lambda self, item, reason: ([item[3]], False)),
}


@pytest.mark.parametrize("venue", RULES)
def test_without_what_proves_it_a_book_that_is_wrong_is_found(venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*RULES[venue])
    with pytest.raises(AssertionError, match="is LIVE and"):
        explore(venue, 40, phases=(Phase.generate,), report_multiple_bugs=False)
