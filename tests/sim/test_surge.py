"""Ten messages for each one, at every venue: no gap, no wrong book, no trade counted twice, and numbers go on when it is over."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from dope.market.ready import compile_all
from dope.sim.dialogue import ANSWER, Client, Reply, Said
from dope.sim.effects import Act
from dope.sim.journal import Fault as Planting
from dope.sim.port import Effect
from dope.sim.surge import Ahead
from dope.sim.venue import listings
from dope.sim.wires import following, packed_like, read, unpacked, wire, written
from dope.types import BookState, Event, Fault, Gap, Trade
from dope.venues import VENUES
from tests.sim.by_hand import ByHand, Line, suffer
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


def surging(venue: str) -> tuple[ByHand, str, Act]:
    """A venue with one market in a surge, heard by an engine."""
    compile_all()
    hand = ByHand(venue, twins(venue, listings((venue,)), 1, pace=2))
    assert hand.begin()
    hand.all_heard()
    (key,) = hand.truths
    act = suffer(hand, Planting(kind="surge", venue=venue, symbol=key.partition(":")[2], params={"x": float(TIMES)}))
    hand.told.clear()
    return hand, key, act


def go_on(hand: ByHand, key: str, steps: int) -> None:
    """Everything is heard, step by step, and the book is never wrong."""
    for _ in range(steps):
        hand.move(1)
        hand.all_heard()
        book = hand.engine.market.books[key]
        assert not hand.wrong(book), hand.wrong(book)


def strange(hand: ByHand) -> list[Event]:
    """What would not be told if nothing were wrong."""
    return [event for event in hand.told if isinstance(event, Gap | Fault | BookState)]


@pytest.mark.parametrize("venue", BOOKS)
def test_a_venue_says_ten_times_as_much_and_nothing_is_lost_or_counted_twice(venue: str) -> None:
    hand, key, act = surging(venue)
    surge, *others = hand.server.port.effects
    about = [Counter(lambda said: True), Counter(lambda said: hand.wire.book in said.topic)]
    after = [Counter(lambda said: True), Counter(lambda said: hand.wire.book in said.topic)]
    hand.server.port.effects[:] = [*about, surge, *after, *others]
    go_on(hand, key, STEPS)
    assert act.done == after[0].count - about[0].count > 0
    assert after[0].count == pytest.approx(TIMES * about[0].count, rel=0.1), "but for what is about no market"
    assert after[1].count == TIMES * about[1].count, "changes of the book, too"
    assert about[1].count > 0 or hand.wire.sides == ("levels",), "whole books come each five seconds"
    act.over = True
    go_on(hand, key, STEPS // 3)  # its numbers go on from there
    assert strange(hand) == []
    trades = [event.trade_id for event in hand.told if isinstance(event, Trade)]
    assert len(trades) == len(set(trades))


@pytest.mark.parametrize("venue", BOOKS)
def test_who_comes_while_a_surge_lasts_or_after_it_finds_snapshots_and_changes_that_fit(venue: str) -> None:
    hand, key, act = surging(venue)
    for over in (False, True):
        go_on(hand, key, STEPS // 3)
        act.over = over
        for number in list(hand.links):
            hand.cut(number)
        assert hand.settle()
        hand.told.clear()
        go_on(hand, key, STEPS // 3)
        assert strange(hand) == []


@pytest.mark.parametrize("venue", BOOKS)
def test_two_connections_hear_the_same_numbers(venue: str) -> None:
    hand, key, _ = surging(venue)
    hand.told.clear()
    for number in list(hand.links):
        hand.hand_over(number)
    go_on(hand, key, STEPS // 3)
    hand.mend(now=True)
    go_on(hand, key, STEPS // 3)
    assert [event for event in strange(hand) if not isinstance(event, BookState)] == []
    assert hand.engine.market.books[key].state == "LIVE"


def test_numbers_of_a_difference_that_is_said_again_follow_its_own() -> None:
    def numbered(venue: str, text: str, place: int = 1) -> str:
        value = read(text)
        following(value, wire(venue), place)
        return written(value)

    assert numbered("binance_spot", '{"U":5,"u":9}', 2) == '{"U":11,"u":11}'
    assert numbered("binance_usdm", '{"U":5,"u":9,"pu":3}', 2) == '{"U":11,"u":11,"pu":10}'
    assert numbered("okx", '{"data":[{"seqId":9,"prevSeqId":-1}]}') == '{"data":[{"seqId":10,"prevSeqId":-1}]}'
    assert numbered("gemini", '{"U":5,"u":9}') == '{"U":9,"u":10}', "there each begins where the one before ended"
    assert numbered("kucoin", '{"sequenceStart":"5","sequenceEnd":"9"}') == '{"sequenceStart":"10","sequenceEnd":"10"}'
    assert numbered("bybit", '{"u":9,"seq":70}', 3) == '{"u":12,"seq":73}'


def ahead_of(venue: str) -> tuple[ByHand, Ahead, int]:
    """What moves the numbers of a venue's market on while it is in a surge, and by how much so far."""
    hand, key, act = surging(venue)
    go_on(hand, key, STEPS)
    act.over = True
    ahead = hand.server.port.effects[0]
    assert isinstance(ahead, Ahead)
    (by,) = ahead.by.values()
    assert by > 0 and by % (TIMES - 1) == 0
    return hand, ahead, by


def test_a_snapshot_by_rest_has_the_number_that_the_changes_have_come_to() -> None:
    _, ahead, by = ahead_of("binance_spot")
    reply = ahead.answered("/api/v3/depth?symbol=BTCUSDT&limit=5", Reply(200, '{"lastUpdateId":5,"bids":[]}'))
    assert reply.body == f'{{"lastUpdateId":{5 + by},"bids":[]}}'
    for other in ("/api/v3/depth?symbol=ETHUSDT", "/api/v3/ticker?symbol=BTCUSDT"):
        assert ahead.answered(other, Reply(200, '{"lastUpdateId":5}')).body == '{"lastUpdateId":5}'


def test_so_has_one_that_was_asked_for_over_the_socket() -> None:
    hand, ahead, by = ahead_of("htx")
    answer = packed_like(gzip.compress(b"{}"), '{"id":"1","rep":"market.btcusdt.mbp.150","data":{"seqNum":5}}')
    (said,) = ahead.out(next(iter(hand.server.port.clients)), Said(answer, data=False, binary=True, topic=ANSWER))
    assert f'"seqNum":{5 + by}' in (unpacked(said.payload) or "")


def test_what_goes_to_many_clients_is_numbered_once() -> None:
    hand, key, _ = surging("binance_spot")
    surge = hand.server.port.effects[0]
    one, two = (Client(Line("/"), number, 0.0) for number in (1, 2))  # type: ignore[arg-type]
    native = hand.sample.markets[key].spec.native.lower()
    said = Said('{"stream":"s","data":{"U":5,"u":9}}', topic=f"{native}@depth@100ms")
    first, second = list(surge.out(one, said)), list(surge.out(two, said))
    assert len(first) == TIMES and [each.payload for each in first] == [each.payload for each in second]
    ahead = hand.server.port.effects[0]
    assert isinstance(ahead, Ahead) and list(ahead.by.values()) == [TIMES - 1]
    later = Said('{"stream":"s","data":{"U":10,"u":12}}', topic=said.topic)
    (moved,) = ahead.out(one, later)
    assert read(str(moved.payload))["data"] == {"U": str(10 + TIMES - 1), "u": str(12 + TIMES - 1)}
    list(surge.out(one, moved))
    assert list(ahead.out(two, later)) == [moved], "though its market is farther ahead by now"
