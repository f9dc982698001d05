"""The recipe of differences and snapshots: what its contract over recorded messages does not reach."""

from __future__ import annotations

from dope.types import DATA, BookUpdate, Event, Frame, Gap, Instrument, ReplyInfo
from dope.venues._depth_sync import OLD_IN_A_ROW, DepthSync
from dope.venues._differences import Differences
from dope.venues.base import Known

KEY = "here:BTC-USDT"


def update(number: int, *, snapshot: bool = False, bids: bytes = b"[]") -> BookUpdate:
    return BookUpdate(number, KEY, 0, snapshot, number, bids, b"[]", None)


def test_one_old_difference_is_a_duplicate_and_several_in_a_row_are_numbers_that_began_anew() -> None:
    sync = DepthSync(KEY, chained=False)
    sync.diff((100, 100, -1, update(100)))
    events, _ = sync.snapshot(100, update(100, snapshot=True))
    assert sync.synced and events
    assert sync.diff((101, 101, -1, update(101))) == ([update(101)], False)
    assert sync.diff((101, 101, -1, update(101))) == ([], False), "the same one twice"
    for number in range(1, OLD_IN_A_ROW - 1):
        assert sync.diff((number, number, -1, update(number))) == ([], False)
    told, ask = sync.diff((OLD_IN_A_ROW, OLD_IN_A_ROW, -1, update(OLD_IN_A_ROW)))
    assert told == [Gap(OLD_IN_A_ROW, KEY, "reset")] and ask, "a book that moves no more would look current for ever"


def test_a_snapshot_that_a_dead_connection_asked_for_does_not_meet_the_numbers_of_the_new_one() -> None:
    asked: list[tuple[int, str, float]] = []
    chains = Differences("here", lambda *question: asked.append(question))
    known = Known(Instrument("here", "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot", 1.0))
    events: list[Event] = []
    chains.take(Frame(1, "here", 1, DATA, b""), known, (50, 50, -1), update(50), events)
    chains.closed(known)
    for number in (51, 52, 53):  # the venue restarted meanwhile: the same numbers, other levels
        chains.take(Frame(number, "here", 2, DATA, b""), known, (number, number, -1), update(number), events)
    late = update(52, snapshot=True, bids=b'[["1","1"]]')
    info = ReplyInfo(key="depth:BTCUSDT", status=200, url="", retry_after_s=0.0)
    chains.answer(Frame(60, "here", 1, DATA, b""), known, info, lambda: (52, late), events)
    assert not [event for event in events if isinstance(event, BookUpdate)]
    assert [conn for conn, _, _ in asked] == [1, 2], "each connection asks for a snapshot of its own"
