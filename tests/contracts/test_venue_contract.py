"""What every venue promises, run over the registry: right books or none, and no message that can break it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.engine import Engine
from dope.types import DATA, OPEN, REPLY, TICK, BookUpdate, Fault, Fetch, Frame, Gap, Listed, Send
from dope.venues import VENUES, make
from tests.examples import some
from tests.frames import KEYS, MS, SCRIPTS, T0, closed, opened, play
from tests.sim.many import many
from tests.venues import IDS, sample

EVIL = [
    b"", b"{", b"[]", b"null", b"true", b"1e400", b'"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"data":' * 50_000,
    b'{"stream":"btcusdt@depth@100ms","data":null}', b'{"stream":5,"data":{"e":"depthUpdate"}}', b'{"arg":{"channel":"books"},"data":[[]]}',
    b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":{},"bids":[],"ts":"x"}]}',
    b'{"stream":"x","data":{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":' + b"9" * 5000 + b',"b":[],"a":[]}}',
    b'{"stream":"x","data":{"e":"trade","s":"BTCUSDT","p":"NaN","q":"1","t":1,"T":1,"m":true}}',
    b'{"stream":"x","data":{"e":"trade","s":"BTCUSDT","p":"-5","q":"1","t":1,"T":1,"m":true}}',
    b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"px":"Infinity","sz":"1","side":"buy","ts":"1","tradeId":"1"}]}',
    b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["1e400","1"]],"bids":[["1","1"]],"ts":"1","seqId":1}]}',
]  # fmt: skip


def engine(venue: str) -> Engine:
    return Engine({venue: make(venue, sample(venue).SYMBOLS)})


@pytest.mark.parametrize("venue", IDS)
def test_a_clean_session_ends_live_at_the_known_touch(venue: str) -> None:
    run = engine(venue)
    out = run.step_many(play(venue, sample(venue).script()))
    book = run.market.books[sample(venue).KEY]
    assert (book.state, book.touch()) == ("LIVE", (100.0, 1.5, 100.5, 0.75))
    assert not [e for e in out if isinstance(e, Gap | Fault)]
    assert (book.gaps, book.crossed) == (0, 0)
    assert book.snapshots == (book.book_updates if make(venue, ()).INTEGRITY == "snapshot" else 1)


@pytest.mark.parametrize("venue", IDS)
def test_the_first_book_event_is_a_snapshot(venue: str) -> None:
    machine = make(venue, ())
    events = [e for frame in play(venue, sample(venue).script()) for e in machine.receive(frame)]
    updates = [e for e in events if isinstance(e, BookUpdate)]
    assert updates[0].snapshot
    assert next(e for e in events if isinstance(e, Listed | BookUpdate)) == next(e for e in events if isinstance(e, Listed))


@pytest.mark.parametrize("venue", [venue.ID for venue in VENUES if venue.INTEGRITY])
def test_dropping_any_one_message_never_leaves_a_wrong_live_book(venue: str) -> None:
    frames = play(venue, sample(venue).script())
    truth: dict[int, tuple[float, float, float, float]] = {}
    whole = engine(venue)
    for i, frame in enumerate(frames):
        whole.step(frame)
        book = whole.market.books.get(sample(venue).KEY)
        if book is not None and book.state == "LIVE":
            truth[i] = (*book.touch(), tuple(book.levels("bid", 9)), tuple(book.levels("ask", 9)))  # type: ignore[assignment]
    noticed = 0
    for missing in range(1, len(frames)):
        run = engine(venue)
        for i, frame in enumerate(frames):
            if i == missing:
                continue
            run.step(frame)
            book = run.market.books.get(sample(venue).KEY)
            if i > missing and book is not None and book.state == "LIVE" and i in truth:
                have = (*book.touch(), tuple(book.levels("bid", 9)), tuple(book.levels("ask", 9)))
                assert have == truth[i], f"without message {missing} the book is wrong at {i}"
        noticed += run.market.books[sample(venue).KEY].gaps if sample(venue).KEY in run.market.books else 0
    seen = make(venue, ()).INTEGRITY != "snapshot"
    assert noticed >= 3 or not seen, "missing messages in the middle must be seen as gaps"


@pytest.mark.parametrize("venue", IDS)
@pytest.mark.parametrize("at", [2, 5])
def test_junk_becomes_a_counted_fault_and_the_book_goes_on(venue: str, at: int) -> None:
    script = sample(venue).script()
    run = engine(venue)
    frames = play(venue, [*script[:at], *((DATA, junk) for junk in EVIL), *script[at:]])
    out = run.step_many(frames)
    faults = [e for e in out if isinstance(e, Fault)]
    assert len(faults) >= len(EVIL) // 2
    assert all(len(f.sample) <= 200 for f in faults)
    book = run.market.books[sample(venue).KEY]
    assert (book.state, book.touch()) == ("LIVE", (100.0, 1.5, 100.5, 0.75))


@pytest.mark.parametrize("venue", IDS)
@settings(max_examples=some(150), deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_cut_and_shuffled_bytes_never_raise_and_never_leave_bad_numbers(venue: str, chance: random.Random) -> None:
    run = engine(venue)
    for frame in play(venue, sample(venue).script()):
        text = bytearray(frame.data)
        if frame.kind in (DATA, REPLY) and text and chance.random() < 0.5:
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(text))
                match chance.randrange(4):
                    case 0:
                        del text[at:]
                    case 1:
                        text[at] = chance.randrange(256)
                    case 2:
                        text[at:at] = chance.choice([b"-", b"e9", b"NaN", b"[", b'"', b"0", b"\x00"])
                    case _:
                        del text[at : at + chance.randint(1, 8)]
                if not text:
                    break
        run.step(Frame(frame.ts, frame.venue, frame.conn, frame.kind, bytes(text)))
        for book in run.market.books.values():
            for side in ("bid", "ask"):
                levels = book.levels(side, 99)
                assert all(0.0 < p < 1e12 and 0.0 < s < 1e15 for p, s in levels)
                prices = [p for p, _ in levels]
                assert prices == sorted(set(prices), reverse=side == "bid")
            if book.state == "LIVE":
                bid, _, ask, _ = book.touch()
                assert not bid or not ask or bid < ask


@pytest.mark.parametrize("venue", IDS)
def test_a_new_connection_with_other_levels_leaves_no_ghost(venue: str) -> None:
    script = sample(venue).script()
    run = engine(venue)
    run.step_many(play(venue, [*script, closed()]))
    assert run.market.books[sample(venue).KEY].state == "DOWN"
    run.step_many(play(venue, sample(venue).script("99.2", "100.8"), conn=2, start=T0 + 10**9))
    book = run.market.books[sample(venue).KEY]
    prices = [p for p, _ in book.levels("bid", 99)] + [p for p, _ in book.levels("ask", 99)]
    assert book.state == "LIVE"
    assert 99.8 not in prices and 100.7 not in prices and 99.2 in prices


@pytest.mark.parametrize("venue", [venue for venue in IDS if any(kind == REPLY for kind, _ in sample(venue).script())])
def test_a_late_snapshot_of_a_dead_connection_is_ignored(venue: str) -> None:
    script = sample(venue).script()
    replies = [item for item in script if item[0] == REPLY]
    run = engine(venue)
    run.step_many(play(venue, [item for item in script if item[0] != REPLY]))
    run.step_many(play(venue, [closed()], start=T0 + 10**9))
    run.step_many(play(venue, script[:2], conn=2, start=T0 + 2 * 10**9))
    run.step_many(play(venue, replies, conn=1, start=T0 + 3 * 10**9))
    assert run.market.books[sample(venue).KEY].state != "LIVE"


@pytest.mark.parametrize("venue", IDS)
def test_a_foreign_symbol_is_a_fault_and_opens_no_book(venue: str) -> None:
    run = engine(venue)
    script = sample(venue).script()
    run.step_many(play(venue, [opened(script and json.loads(script[0][1])["plan"], sample(venue).FOREIGN), *script[1:]]))
    assert sample(venue).KEY not in run.market.books
    assert run.counts["Fault"] >= 5


@pytest.mark.parametrize("venue", IDS)
def test_an_open_connection_asks_for_its_topics_and_asks_again_when_nobody_confirms(venue: str) -> None:
    machine = make(venue, sample(venue).SYMBOLS)
    plans = machine.plan()
    assert plans
    for conn, plan in enumerate(plans, 1):
        assert plan.url.startswith("wss://") or plan.fetch is not None
        machine.receive(Frame(T0, venue, conn, *opened(plan.name, plan.symbols)))
    asked = [a for a in machine.actions if isinstance(a, Send)]
    assert {a.conn for a in asked} == set(range(1, len(plans) + 1))
    assert all(a.topics and json.loads(a.text) for a in asked)
    machine.actions.clear()
    machine.receive(Frame(T0 + 11 * 10**9, "", 0, TICK, b"0"))
    assert {a.conn for a in machine.actions if isinstance(a, Send)} == {a.conn for a in asked}


@pytest.mark.parametrize("venue", IDS)
def test_what_still_waits_for_its_turn_to_be_sent_is_not_asked_for_again(venue: str) -> None:
    machine = make(venue, [spec.symbol for spec in many(venue, 50)])
    plan, second = machine.plan()[0], 10**9
    machine.receive(Frame(T0, venue, 1, *opened(plan.name, plan.symbols)))
    asked = [topic for action in machine.actions if isinstance(action, Send) for topic in action.topics]
    sends = sum(isinstance(action, Send) for action in machine.actions)
    machine.actions.clear()
    last_leaves = T0 + int((sends - 1) * second / machine.LIMITS.messages_per_s)
    for at in range(T0, last_leaves + 10 * second, second):
        machine.receive(Frame(at, "", 0, TICK, b"0"))
        waiting = set(machine.waiting(1))
        machine.acked(Frame(at, venue, 1, DATA, b""), [topic for topic in asked[: len(asked) // 2] if topic in waiting], [])
    assert not [a for a in machine.actions if isinstance(a, Send) and asked[-1] in a.topics], "it left less than ten seconds ago"
    machine.receive(Frame(last_leaves + 11 * second, "", 0, TICK, b"0"))
    assert [a for a in machine.actions if isinstance(a, Send) and asked[-1] in a.topics]


@pytest.mark.parametrize("venue", IDS)
def test_books_are_asked_for_before_everything_else_of_any_market(venue: str) -> None:
    machine = make(venue, [spec.symbol for spec in many(venue, 5)])
    for conn, plan in enumerate(machine.plan(), 1):
        machine.actions.clear()
        machine.receive(Frame(T0, venue, conn, *opened(plan.name, plan.symbols)))
        asked = [topic for action in machine.actions if isinstance(action, Send) for topic in action.topics]
        firsts = [machine.topics(plan.name, machine.name_of(symbol) or "")[0] for symbol in plan.symbols]
        if venue != "gemini":  # there a request is about one market: a refused one takes nothing else down
            assert [topic for topic in asked if topic != "conf"][: len(firsts)] == firsts


@pytest.mark.parametrize("venue", IDS)
def test_a_wrong_book_is_asked_for_anew(venue: str) -> None:
    run = engine(venue)
    run.step_many(play(venue, sample(venue).script()))
    run.drain()
    machine = run.venues[venue]
    machine.resync(sample(venue).KEY.partition(":")[2], T0 + 10**9)
    assert [a for a in machine.actions if isinstance(a, Fetch | Send)]


def test_every_file_of_the_room_is_registered() -> None:
    folder = Path(__file__).parents[2] / "dope" / "venues"
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_") and path.stem != "base"}
    assert files == {venue.ID for venue in VENUES} | {"sentinel"}  # those of the self-test are no venues of a user
    for venue in IDS:
        assert callable(sample(venue).script), "every venue needs a sample session"


def test_every_fee_is_dated_and_sourced() -> None:
    for venue in VENUES:
        assert bool(venue.FEES) == venue.BOOKS, "what is never traded costs nothing"
        for fee in venue.FEES:
            assert fee.source and fee.as_of >= "2026-01-01" and fee.confidence in ("high", "medium", "low")
            assert 0.0 <= fee.taker_bps < 200.0 and fee.currency in ("base", "quote")


def test_ticks_and_pongs_confirm_nothing() -> None:
    run = engine("okx")
    run.step_many(play("okx", okx := SCRIPTS["okx"]()))
    last = T0 + len(okx) * 10 * MS
    for i in range(60):
        run.step(Frame(last + i * 10**8, "okx", 1, DATA, b"pong"))
        run.step(Frame(last + i * 10**8, "", 0, TICK, b"0"))
    assert run.market.books[KEYS["okx"]].state == "STALE"


def test_open_frames_are_needed_for_nothing_but_subscriptions() -> None:
    frames = [f for f in play("okx", SCRIPTS["okx"]()) if f.kind != OPEN]
    run = engine("okx")
    run.step_many(frames)
    assert run.market.books[KEYS["okx"]].state == "LIVE"


def test_a_book_without_sides_is_a_fault_also_while_a_snapshot_is_awaited() -> None:
    run = engine("okx")
    run.step_many(play("okx", SCRIPTS["okx"]()[:3]))
    run.venues["okx"].resync("BTC-USDT", T0)
    junk = b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"ts":"1"}]}'
    out = run.step(Frame(T0 + 10**9, "okx", 1, DATA, junk))
    assert [type(e) for e in out] == [Fault]


ON_REST = [venue for venue in IDS if any(kind == REPLY for kind, _ in sample(venue).script())]  #: differences on a snapshot by REST


@pytest.mark.parametrize("venue", ON_REST)
def test_what_an_old_connection_brings_late_and_all_at_once_is_no_reset_of_numbers(venue: str) -> None:
    """While a new connection takes over both carry the same chain; the old one's share may come in one heap."""
    run = engine(venue)
    frames = play(venue, sample(venue).script())
    run.step_many(frames)
    heap, end = [frame for frame in frames if frame.kind == DATA], frames[-1].ts
    run.step(Frame(end + MS, venue, 2, *opened(symbols=sample(venue).SYMBOLS)))
    run.step(Frame(end + 2 * MS, venue, 2, DATA, heap[-1].data))
    late = [Frame(end + (3 + i) * MS, venue, 1, DATA, frame.data) for i, frame in enumerate(heap[-3:] * 6)]
    told = [event for frame in late for event in run.step(frame)]
    book = run.market.books[sample(venue).KEY]
    assert (book.state, book.touch(), book.gaps) == ("LIVE", (100.0, 1.5, 100.5, 0.75), 0)
    assert not [event for event in told if isinstance(event, Gap | Fault)]
