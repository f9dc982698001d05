"""Coinbase Exchange's own traps: nothing is numbered, sides come with each change, a maker's side, sizes that are none."""

from __future__ import annotations

import json

import pytest

from dope.engine import Engine
from dope.types import DATA, TICK, Ack, BookUpdate, Event, Fault, Fetch, Frame, Notice, Reconnect, Send, Trade
from dope.venues import make
from dope.venues.base import Venue
from tests.frames import MS, T0, closed, data, opened, play, reply
from tests.sim.many import many
from tests.venues import sample
from tests.venues.coinbase_exchange import KEY, changes, match, script, snapshot

VENUE = "coinbase_exchange"


def read(message: tuple[int, bytes], venue: Venue | None = None, conn: int = 1) -> list[Event]:
    return list((venue or make(VENUE, ())).receive(Frame(T0, VENUE, conn, *message)))


def test_a_level_whose_size_is_none_is_left_out_and_told() -> None:
    run = Engine({VENUE: make(VENUE, ())})
    out = run.step_many(play(VENUE, [snapshot([("40533.24", "0.02"), ("40531.19", "0.-10000")], [("40584.89", "0.03")])]))
    book = run.market.books[KEY]
    assert [event.reason for event in out if isinstance(event, Fault)] == ["size 0.-10000 at 40531.19"]
    assert (book.state, book.levels("bid", 9)) == ("LIVE", [(40533.24, 0.02)])


@pytest.mark.parametrize("rows", [[], [["bid", "1", "1"]], [["buy", "1"]], [["buy", "1", "1"], ["", "1", "1"]]])
def test_changes_without_a_side_are_none(rows: list[list[str]]) -> None:
    venue = make(VENUE, ())
    read(snapshot([("99", "1")], [("101", "1")]), venue)
    assert isinstance(read(data({"type": "l2update", "product_id": "BTC-USD", "changes": rows, "time": ""}), venue)[-1], Fault)


def test_times_of_the_year_one_are_none() -> None:
    venue = make(VENUE, ())
    read(snapshot([("99", "1")], [("101", "1")]), venue)
    for time, stamp in (("0001-01-01T00:00:00.000000Z", 0), ("2023-11-14T22:13:20.5Z", T0 + 500 * MS)):
        update = read(changes(("buy", "99", "2"), time=time), venue)[-1]
        assert isinstance(update, BookUpdate) and update.ts_exch == stamp


def test_the_side_of_a_match_is_the_makers_and_the_last_one_is_not_told_twice() -> None:
    sold, bought = read(match(1, "buy"))[-1], read(match(2, "sell"))[-1]
    assert isinstance(sold, Trade) and isinstance(bought, Trade) and (sold.side, bought.side, sold.trade_id) == ("sell", "buy", "1")
    assert read(match(3, "sell", "last_match")) == []
    assert isinstance(read(match(4, "SELL"))[-1], Fault)


def test_only_its_own_messages_prove_a_book() -> None:
    run = Engine({VENUE: make(VENUE, ())})
    run.step_many(play(VENUE, script()))
    beat = {"type": "heartbeat", "last_trade_id": 1, "product_id": "BTC-USD", "sequence": 9, "time": "2023-11-14T22:13:21Z"}
    for second in range(1, 13):
        now = T0 + second * 10**9
        for message in (data(beat), match(second + 100, "buy")):
            run.step(Frame(now, VENUE, 1, *message))
        run.step(Frame(now, "", 0, TICK, b"0"))
        assert run.market.books[KEY].state == ("LIVE" if second <= 10 else "STALE")


def test_a_refused_product_takes_nothing_else_down() -> None:
    three = ["BTC-USD", "NO-USD", "SOL-USD"]
    venue = make(VENUE, (*three, "BTC-USD-PERP"))
    read(opened("feed", tuple(three)), venue)
    sends = [json.loads(action.text) for action in venue.actions if isinstance(action, Send)]
    assert sends == [{"type": "subscribe", "product_ids": three, "channels": [name]} for name in ("level2_batch", "matches")]
    *acks, notice = read(data({"type": "error", "message": "Failed to subscribe", "reason": "NO-USD is not a valid product"}), venue)
    assert [(ack.topic, ack.ok) for ack in acks if isinstance(ack, Ack)] == [("level2_batch:NO-USD", False), ("matches:NO-USD", False)]
    assert isinstance(notice, Notice)
    alone = [json.loads(action.text)["product_ids"] for action in venue.actions[len(sends) :] if isinstance(action, Send)]
    assert alone == [["BTC-USD"], ["SOL-USD"], ["BTC-USD"], ["SOL-USD"]]
    for name, topic in (("level2", "level2_batch:BTC-USD"), ("matches", "matches:BTC-USD")):
        (ack,) = read(data({"type": "subscriptions", "channels": [{"name": name, "product_ids": ["BTC-USD"]}]}), venue)
        assert isinstance(ack, Ack) and (ack.ok, ack.topic) == (True, topic)


def test_a_new_connection_takes_the_book_over_and_the_old_one_no_longer_counts() -> None:
    run = Engine({VENUE: make(VENUE, ())})
    run.step_many(play(VENUE, script()))
    venue = run.venues[VENUE]
    for at in (61, 62):
        venue.reseed("BTC-USD", T0 + at * 10**9)
    assert [action for action in venue.actions if isinstance(action, Reconnect) and action.planned] == venue.actions != []
    assert len(venue.actions) == 1
    late = [changes(("buy", "100.20", "9")), snapshot([("50", "1")], [("51", "1")]), closed()]
    run.step_many(play(VENUE, [snapshot([("99.9", "1")], [("100.4", "1")])], conn=2, start=T0 + 10**9))
    run.step_many(play(VENUE, late, start=T0 + 2 * 10**9))
    assert (run.market.books[KEY].state, run.market.books[KEY].touch()) == ("LIVE", (99.9, 1.0, 100.4, 1.0))


def test_what_is_not_known_is_told() -> None:
    for text in (b'{"type":"dance"}', b'{"type":"snapshot","product_id":"BTC-USD","bids":[]}', b"{}"):
        assert isinstance(read((DATA, text))[-1], Fault)


def best(bids: list[tuple[str, str]], asks: list[tuple[str, str]], status: int = 200) -> tuple[int, bytes]:
    return reply("check:BTC-USD", {"bids": [(*row, 3) for row in bids], "asks": [(*row, 1) for row in asks], "sequence": 9}, status)


@pytest.mark.parametrize(
    ("first", "between", "second", "state"),
    [
        (("99.99", "1"), None, ("99.99", "1"), "GAP"),  # our best bid is a ghost
        (("99.90", "2"), None, ("99.90", "2"), "GAP"),  # the same, where we hold what is the best
        (("100.00", "1.5"), None, ("100.00", "1.5"), "LIVE"),
        (("100.00", "9"), None, ("100.00", "8"), "GAP"),  # of another size, both times
        (("100.00", "9"), None, ("100.00", "1.5"), "LIVE"),  # once is a matter of time
        (("100.00", "9"), ("buy", "100.00", "7"), ("100.00", "8"), "LIVE"),  # ours moved meanwhile
        (("100.10", "2"), None, ("100.10", "2"), "GAP"),  # we lack one
        (("100.10", "2"), None, ("100.20", "2"), "LIVE"),  # never the same place: it may just be faster
    ],
)
def test_what_differs_from_rest_twice_while_ours_stood_still_is_distrusted(
    first: tuple[str, str], between: tuple[str, str, str] | None, second: tuple[str, str], state: str
) -> None:
    run = Engine({VENUE: make(VENUE, ())})
    run.step_many(play(VENUE, script()))
    ask = [("100.50", "0.75")]
    run.step_many(play(VENUE, [best([first], ask)], start=T0 + 10**9))
    run.step_many(play(VENUE, [changes(between or ("buy", "98", "1"))], start=T0 + 3 * 10**9))
    run.drain()
    out = run.step_many(play(VENUE, [best([second], ask)], start=T0 + 6 * 10**9))
    book = run.market.books[KEY]
    assert book.state == state
    if state == "GAP":
        assert book.reason == "differs from what REST says" and [type(event).__name__ for event in out] == ["BookState"]
        assert [json.loads(action.text)["type"] for _, action in run.drain() if isinstance(action, Send)] == ["unsubscribe", "subscribe"]


def test_two_comparisons_far_apart_are_not_two_in_a_row_and_a_refused_one_is_none() -> None:
    run = Engine({VENUE: make(VENUE, ())})
    run.step_many(play(VENUE, script()))
    wrong = best([("100.00", "9")], [("100.50", "9")])
    run.step_many(play(VENUE, [wrong], start=T0 + 10**9))
    for second in range(3, 60, 3):
        run.step_many(play(VENUE, [changes(("buy", "98", "1"), time="")], start=T0 + second * 10**9))
    run.step_many(play(VENUE, [wrong], start=T0 + 61 * 10**9))
    assert run.market.books[KEY].state == "LIVE"
    out = run.step_many(play(VENUE, [best([("100.00", "9")], [], 429)], start=T0 + 62 * 10**9))
    assert [event.reason for event in out if isinstance(event, Fault)] == ["unreadable reply: status 429"]
    run.step_many(play(VENUE, [wrong], conn=2, start=T0 + 63 * 10**9))
    assert run.market.books[KEY].state == "LIVE", "an answer for another connection"


def test_rest_is_asked_twice_in_a_row_each_minute_and_only_for_books_that_nothing_else_proves() -> None:
    for name, expected in ((VENUE, [60, 65, 125, 130]), ("coinbase", [])):
        venue, other = make(name, ("BTC-USD",)), sample(name)
        for frame in play(name, other.script()):
            venue.receive(frame)
        venue.actions.clear()
        found = []
        for second in range(140):
            venue.receive(Frame(T0 + second * 10**9, "", 0, TICK, b"0"))
            found += [second for action in venue.actions if isinstance(action, Fetch)]
            venue.actions.clear()
        assert found == expected


def test_fifty_books_are_compared_with_rest_one_after_the_other_never_more_than_ten_in_a_second() -> None:
    symbols = [spec.symbol for spec in many("coinbase_exchange", 50)]
    venue = make("coinbase_exchange", symbols)
    venue.receive(Frame(T0, venue.ID, 1, *opened("feed", symbols)))
    for known in venue.known.values():
        known.conn, known.last = 1, 1
    asked: list[int] = []
    for tenth in range(1200):
        venue.actions.clear()
        venue.receive(Frame(T0 + tenth * 10**8, "", 0, TICK, b"0"))
        asked += [tenth for action in venue.actions if isinstance(action, Fetch)]
    assert len(asked) > 100 and max(sum(at <= other < at + 10 for other in asked) for at in asked) <= 10
