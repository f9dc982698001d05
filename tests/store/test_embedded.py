"""The store answers as plain Python over the same rows would, whatever is sealed and whatever is still open."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.errors import StoreError, TooMuch, UnknownName
from dope.store import question
from dope.store.cut import JOIN_NS, Unsealed
from dope.store.embedded import Store
from dope.tables import KINDS, History
from tests.store import plain
from tests.store.folders import NS, T0, Row, Tail, bbo, gap, place, put, seal, table, tape, trade

MS = 1_000_000
END = T0 + 20 * NS
VENUES, SYMBOLS = ("a", "b", "c"), ("BTC-USDT", "ETH-USDT")
PRICE = st.integers(990, 1010).map(lambda n: n / 10)
STEPS = st.sampled_from([0, 0, 1, 300 * MS, 900 * MS, NS])  # rows of one time are common


@st.composite
def recordings(draw: st.DrawFn) -> list[dict[str, list[Row]]]:
    """Two to four tapes one after the other, each with rows of three tables; names of venues and symbols repeat."""
    tapes: list[dict[str, list[Row]]] = []
    at = T0
    for _ in range(draw(st.integers(2, 4))):
        rows: dict[str, list[Row]] = {"bbo": [], "trade": [], "gap": []}
        for _ in range(draw(st.integers(1, 12))):
            at += draw(STEPS)
            where = {"venue": draw(st.sampled_from(VENUES)), "symbol": draw(st.sampled_from(SYMBOLS))}
            what = draw(st.sampled_from(["bbo", "bbo", "bbo", "null", "trade", "gap"]))
            if what == "bbo":
                bid = draw(PRICE)
                rows["bbo"].append(bbo(at, bid, bid + 0.5, **where))
            elif what == "null":
                rows["bbo"].append(bbo(at, None, None, **where))
            elif what == "trade":
                rows["trade"].append(trade(at, draw(PRICE), draw(PRICE), **where))
            else:
                rows["gap"].append(gap(at, at + NS, venue=draw(st.sampled_from(("", *VENUES)))))
        tapes.append(rows)
        at += 1
    return tapes


def near(found: list[Row], wanted: list[Row]) -> bool:
    return len(found) == len(wanted) and all(a == pytest.approx(b, nan_ok=True) for a, b in zip(found, wanted, strict=True))


@settings(max_examples=25)
@given(recordings(), st.lists(st.sampled_from(["sealed", "open", "both"]), min_size=4, max_size=4), st.integers(0, 8))
def test_every_answer_is_that_of_plain_python_whatever_is_sealed_and_nothing_counts_twice(
    tapes: list[dict[str, list[Row]]], where: list[str], skipped_s: int
) -> None:
    tail = Tail()
    whole = {"dope.first": str(T0), "dope.last": str(END)}  # recorded without a hole
    with TemporaryDirectory() as name:
        for number, (rows, kept) in enumerate(zip(tapes, where, strict=False)):
            if kept != "open":
                seal(Path(name), tape(number), rows, about=whole)
            if kept != "sealed":
                tail.tapes[tape(number)] = rows
        seal(Path(name), tape(9), {}, about=whole)
        store = Store(Path(name), tail=tail, clock_ns=lambda: END)
        made = {table: [row for rows in tapes for row in rows[table]] for table in ("bbo", "trade", "gap")}
        start = T0 + skipped_s * NS
        for symbol in ("BTC-USDT", ""):
            for kind in ("bbo", "trade"):
                assert store.query(kind, symbol, start, END).table.to_pylist() == plain.rows_of(made[kind], symbol, start, END)
            found = store.query("ohlcv_5m", symbol, start, END).table.to_pylist()
            assert near(found, plain.bars(made["trade"], symbol, T0, T0 + 300 * NS, 300 * NS))
            for kind, length in (("ohlcv_15m", 900), ("ohlcv_4h", 14_400), ("ohlcv_1d", 86_400)):
                begin = T0 // (length * NS) * length * NS
                bars = plain.bars(made["trade"], "BTC-USDT", begin, begin + length * NS, length * NS)
                assert near(store.query(kind, "BTC-USDT", start, END).table.to_pylist(), bars)
            found = store.query("ohlcv_1s", symbol, start, END).table.to_pylist()
            assert near(found, plain.bars(made["trade"], symbol, start, END, NS))
        ends = [(row["ts"], row["venue"]) for row in made["gap"]]
        last, over = plain.spread_1s(made["bbo"], "BTC-USDT", ends, start, END)
        assert near(store.query("spread", "BTC-USDT", start, END).table.to_pylist(), last)
        assert near(store.query("spread_1s", "BTC-USDT", start, END).table.to_pylist(), over)
        for end in (start + NS, END):
            stood = store.moment(SYMBOLS, end)
            assert {symbol: told(answer) for symbol, answer in stood.items()} == {
                symbol: told(store.query("spread", symbol, end - NS, end)) for symbol in SYMBOLS
            }
        noted = sorted((row["ts"], row["venue"]) for row in made["gap"] if row["ts"] >= start)
        assert sorted((row["ts"], row["venue"]) for row in store.query("gap", "", start, END).table.to_pylist()) == noted
        store.close()


def told(answer: History) -> tuple[object, ...]:
    return answer.table.to_pylist(), answer.start, answer.end, answer.gaps.to_pylist(), answer.problems


def two_books(seconds: Sequence[int], *, bid: float = 100.0) -> list[Row]:
    return [bbo(T0 + s * NS, bid + n, bid + n + 0.5, venue=venue) for s in seconds for n, venue in enumerate("ab")]


def seconds_of(store: Store, kind: str = "spread", start: int = T0, end: int = END) -> list[int]:
    rows = store.query(kind, "BTC-USDT", start, end).table
    return sorted({(second - T0) // NS for second in rows["second"].to_pylist()})


def test_long_ranges_are_worked_through_in_slices_with_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [bbo(T0 + n * 70 * MS, 100 + n % 7, 101 + n % 5, venue="abc"[n % 3]) for n in range(250)]
    prints = [trade(row["ts"], row["bid"], 1.0 + n, name=str(n)) for n, row in enumerate(rows)]
    seal(tmp_path, tape(1), {"bbo": rows[:130], "trade": prints[:130]})
    tail = Tail({tape(2): {"bbo": rows[130:], "trade": prints[130:]}})
    store = Store(tmp_path, tail=tail, clock_ns=lambda: END)
    kinds = ("bbo", "trade", "spread", "spread_1s", "ohlcv_1s", "order_book_snapshots", "heatmap_data")
    whole = {kind: store.query(kind, "BTC-USDT", T0, END).table.to_pylist() for kind in kinds}
    monkeypatch.setattr(question, "SLICE_ROWS", 60)
    assert {kind: store.query(kind, "BTC-USDT", T0, END).table.to_pylist() for kind in kinds} == whole
    for kind in kinds:
        cut = store.query(kind, "BTC-USDT", T0, END, limit=7)
        assert cut.table.to_pylist() == whole[kind][:7] and cut.more
        assert not store.query(kind, "BTC-USDT", T0, END, limit=len(whole[kind])).more


def test_a_price_stands_until_its_book_leaves_live_and_never_across_a_hole_in_the_recording(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": [*two_books([0, 2]), bbo(T0 + 5 * NS, None, None)]})
    seal(tmp_path, tape(2), {"bbo": two_books([8, 9])})  # the recorder was away from 5 to 8
    seal(tmp_path, tape(3), {"bbo": [*two_books([10]), bbo(T0 + 14 * NS, 100.0, 100.5)]})
    store = Store(tmp_path, clock_ns=lambda: END)
    assert seconds_of(store) == [0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13]
    assert seconds_of(store, "spread_1s") == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14], "at some moment of it"
    told = store.query("spread", "BTC-USDT", T0, END)
    away = [(row["ts"], row["until"]) for row in told.gaps.to_pylist()]
    assert away == [(T0 + 5 * NS + 1, T0 + 8 * NS), (T0 + 14 * NS + 1, END)]
    assert all(row["why"] == "nothing was recorded" for row in told.gaps.to_pylist())
    assert store.query("bbo", "BTC-USDT", T0 + 3600 * NS, END + 3600 * NS).gaps.num_rows == 0, "the future is no hole"


def test_spreads_between_some_venues_are_those_of_all_that_concern_only_them(tmp_path: Path) -> None:
    rows = [bbo(T0 + n * 170 * MS, 100 + n % 7, 101 + n % 5, venue="abcd"[n % 4]) for n in range(100)]
    seal(tmp_path, tape(1), {"bbo": rows[:50]})
    store = Store(tmp_path, tail=Tail({tape(2): {"bbo": rows[50:]}}), clock_ns=lambda: END)
    for kind in ("spread", "spread_1s"):
        whole = store.query(kind, "BTC-USDT", T0, END).table.to_pylist()
        some = store.query(kind, "BTC-USDT", T0, END, venues=("d", "b", "nobody")).table.to_pylist()
        assert some == [row for row in whole if {row["buy_venue"], row["sell_venue"]} == {"b", "d"}] != []
        assert store.query(kind, "BTC-USDT", T0, END, venues=("nobody",)).table.num_rows == 0


def test_what_stood_before_the_range_still_stands_in_it(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0, 19])})
    store = Store(tmp_path, clock_ns=lambda: END)
    assert seconds_of(store, start=T0 + 5 * NS, end=T0 + 7 * NS) == [5, 6]


def test_lost_rows_end_what_stood_before_and_within_them_a_lost_connection_alone_does_not(tmp_path: Path) -> None:
    whole = {"dope.first": str(T0), "dope.last": str(END)}
    gaps = [gap(T0 + 2 * NS, T0 + 6 * NS, what="rows"), gap(T0 + 14 * NS, T0 + 15 * NS, venue="a", what="connection")]
    seal(tmp_path, tape(1), {"bbo": two_books([0, 4, 10]), "gap": gaps}, about=whole)
    assert seconds_of(Store(tmp_path, clock_ns=lambda: END)) == [0, 1, 4, *range(10, 20)]


def test_a_gap_that_is_told_open_and_then_over_is_one_gap_also_across_tapes(tmp_path: Path) -> None:
    whole = {"dope.first": str(T0), "dope.last": str(END)}
    seal(tmp_path, tape(1), {"gap": [gap(T0 + 5 * NS, None, venue="a", symbol="BTC-USDT")]}, about=whole)
    tail = Tail({tape(2): {"gap": [gap(T0 + 5 * NS, T0 + 9 * NS, venue="a", symbol="BTC-USDT"), gap(T0 + 12 * NS, None)]}})
    store = Store(tmp_path, tail=tail, clock_ns=lambda: END)
    told = store.query("gap", "BTC-USDT", T0, END).table.to_pylist()
    assert [(row["ts"], row["until"]) for row in told] == [(T0 + 5 * NS, T0 + 9 * NS), (T0 + 12 * NS, None)]
    later = store.query("trade", "BTC-USDT", T0 + 10 * NS, END).gaps.to_pylist()
    assert [row["ts"] for row in later] == [T0 + 12 * NS], "the first was over by then"


def test_another_session_right_after_the_last_one_takes_no_price_over(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0, 1])}, about={"dope.session": "x"})
    rows = [bbo(T0 + 2 * NS, 100.0, 100.5, venue="c"), *two_books([6, 8])]
    seal(tmp_path, tape(2), {"bbo": rows}, about={"dope.session": "y"})
    assert JOIN_NS >= NS
    assert seconds_of(Store(tmp_path, clock_ns=lambda: END)) == [0, 6, 7]


def test_a_tape_sealed_between_two_looks_is_counted_once(tmp_path: Path) -> None:
    """The tail forgets a tape at the very moment at which it is sealed: after its names were read, before it is asked."""
    tail = Tail({tape(1): {"bbo": two_books([0, 1, 2])}})

    def seal_first(name: str, symbol: str, start: int, end: int) -> list[Unsealed]:
        if tail.tapes:
            seal(tmp_path, tape(1), tail.tapes.pop(tape(1)))
        return tail(name, symbol, start, end)

    assert Store(tmp_path, tail=seal_first, clock_ns=lambda: END).query("bbo", "", T0, END).table.num_rows == 6


def test_half_sealed_tapes_are_not_read_from_their_files(tmp_path: Path) -> None:
    rows = two_books([0, 1])
    put(tmp_path, "bbo", tape(1), rows)  # no gap file yet
    store = Store(tmp_path, tail=Tail({tape(1): {"bbo": rows}}), clock_ns=lambda: END)
    assert store.query("bbo", "", T0, END).table.num_rows == len(rows)


# -- what is wrong is said, the rest is served -----------------------------------------------------------------------------
def many(count: int) -> list[Row]:
    return [bbo(T0 + n * MS, 100 + n % 17 / 7, 101 + n % 13 / 7) for n in range(count)]


def test_no_flipped_bit_ever_changes_an_answer(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": many(60)})
    seal(tmp_path, tape(2), {"bbo": two_books([10])})
    path = place(tmp_path, "bbo", tape(1), T0)
    sound = path.read_bytes()
    store = Store(tmp_path, clock_ns=lambda: END)
    right, rest = store.query("bbo", "", T0, END).table.to_pylist(), two_books([10])
    apart = 0
    for at in range(5, len(sound), len(sound) // 50):
        body = bytearray(sound)
        body[at] ^= 0x10
        path.write_bytes(body)
        os.utime(path, ns=(at, at))
        told = store.query("bbo", "", T0, END)
        assert told.table.to_pylist() == (rest if told.problems else right), f"byte {at}"
        apart += bool(told.problems)
    assert apart > 30, "the rest were bits that nobody reads"


def test_a_damaged_file_is_named_and_noted_and_the_rest_is_served_until_it_is_made_again(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": many(60)})
    seal(tmp_path, tape(2), {"bbo": two_books([10])})
    path = place(tmp_path, "bbo", tape(1), T0)
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 2] + bytes(200) + sound[len(sound) // 2 + 200 :])
    store = Store(tmp_path, clock_ns=lambda: END)
    told = store.query("bbo", "", T0, END)
    assert told.table.num_rows == 2 and len(told.problems) == 1 and tape(1) in told.problems[0]
    assert [row["what"] for row in told.gaps.to_pylist() if tape(1) in row["why"]] == ["file"]
    assert "file" in store.query("gap", "", T0, END).table["what"].to_pylist(), "it is in the ledger too"
    checked = store.sealed.checked
    store.query("bbo", "", T0, END)
    assert store.sealed.checked == checked, "looked at once"
    path.write_bytes(sound)
    os.utime(path, ns=(1, 1))
    assert store.query("bbo", "", T0, END).table.num_rows == 62, "made again, looked at again"
    assert "file" not in store.query("gap", "", T0, END).table["what"].to_pylist()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda body: body[: len(body) // 2], "damaged"),
        (lambda _: b"", "damaged"),
        (lambda _: b"PAR1" + bytes(100) + b"PAR1", "damaged"),
    ],
)
def test_a_file_that_is_none_is_set_apart(tmp_path: Path, damage: Any, why: str) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0])})
    seal(tmp_path, tape(2), {"bbo": two_books([1])})
    path = place(tmp_path, "bbo", tape(1), T0)
    path.write_bytes(damage(path.read_bytes()))
    told = Store(tmp_path, clock_ns=lambda: END).query("bbo", "", T0, END)
    assert told.table.num_rows == 2 and why in told.problems[0]


def test_versions_newer_files_are_refused_with_the_reason_older_ones_are_read_by_whoever_knows_them(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0])}, about={"dope.schema": "99"})
    seal(tmp_path, tape(2), {"bbo": two_books([1])}, about={"dope.schema": "0"})

    class Seals:
        def check(self, path: Path) -> list[str]:
            return []

        def read(self, path: Path) -> Any:
            return table(path.parts[-4], two_books([1]) if path.parts[-4] == "bbo" else ())

    told = Store(tmp_path, seals=Seals(), clock_ns=lambda: END).query("bbo", "", T0, END)
    assert told.table.num_rows == 2
    assert {"newer version (schema 99" in problem for problem in told.problems} == {True}


def test_a_file_that_was_renamed_is_not_taken_for_another_tape(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0])})
    seal(tmp_path, tape(2), {})
    os.rename(place(tmp_path, "bbo", tape(1), T0), place(tmp_path, "bbo", tape(2), T0))
    told = Store(tmp_path, clock_ns=lambda: END).query("bbo", "", T0, END)
    assert told.table.num_rows == 0 and "another tape" in told.problems[0]


def test_a_file_removed_while_it_is_looked_for_is_no_error(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0])})
    seal(tmp_path, tape(2), {"bbo": two_books([1])})

    class Retention:
        def check(self, path: Path) -> list[str]:
            place(tmp_path, "bbo", tape(1), T0).unlink(missing_ok=True)
            return []

        def read(self, path: Path) -> Any:
            raise AssertionError

    store = Store(tmp_path, seals=Retention(), clock_ns=lambda: END)
    assert store.query("bbo", "", T0, END).table.num_rows == 2


# -- bounds ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["bbo; drop table x", "bbos", "", "../bbo", "BBO", "bbo\n"])
def test_only_kinds_that_exist_are_answered(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownName):
        Store(tmp_path).query(name, "", T0, END)


@pytest.mark.parametrize("name", ["BTC-USDT\n", "' or 1=1 --", "../../etc/passwd", "btc", "A" * 33, "-rf", "BTC\0", "٣"])
def test_only_names_of_the_form_of_a_symbol_come_near_a_question(tmp_path: Path, name: str) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0])})
    with pytest.raises(StoreError, match="form of a symbol"):
        Store(tmp_path).query("bbo", name, T0, END)


def test_what_cannot_be_meant_is_refused_in_words(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="before it begins"):
        store.query("bbo", "", END, T0)
    with pytest.raises(StoreError, match="one symbol"):
        store.query("spread", "", T0, END)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.query("bbo", "", T0, END)


def test_a_question_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books(range(15))})
    store = Store(tmp_path, clock_ns=lambda: END)
    with pytest.raises(TooMuch, match="shorter range"):
        store.query("spread", "BTC-USDT", T0, END, timeout_s=0.0)
    assert store.query("spread", "BTC-USDT", T0, END).table.num_rows, "the next one is answered"


def test_no_more_than_two_questions_run_at_once_and_the_others_wait_their_turn(tmp_path: Path) -> None:
    go, seen = threading.Event(), threading.Semaphore(0)

    def slow(name: str, symbol: str, start: int, end: int) -> list[Unsealed]:
        seen.release()
        assert go.wait(20.0)
        return []

    store = Store(tmp_path, tail=slow, clock_ns=lambda: END)
    threads = [threading.Thread(target=store.query, args=("gap", "", T0, END)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert seen.acquire(timeout=20.0) and seen.acquire(timeout=20.0)
    with pytest.raises(StoreError, match="too many"):
        store.query("gap", "", T0, END, timeout_s=0.01)
    go.set()
    for thread in threads:
        thread.join()
    assert store.query("gap", "", T0, END).gaps.num_rows == 1, "then there is room again"


def test_nothing_stays_open_and_nothing_outside_its_folder_can_be_read(tmp_path: Path) -> None:
    seal(tmp_path / "live", tape(1), {"bbo": two_books([0])})
    other = put(tmp_path / "sim", "bbo", tape(2), two_books([0]))
    store = Store(tmp_path / "live", clock_ns=lambda: END)
    for kind, known in KINDS.items():
        store.query(kind, "BTC-USDT" if known.one_symbol else "", T0, END)
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    assert not [path for path in held if str(tmp_path) in path]
    with store._connection(time.monotonic() + 60) as connection:
        for sentence in ("select * from read_parquet($f)", "select * from read_text($f)"):
            with pytest.raises(Exception, match=r"[Pp]ermission|disabled"):
                connection.sql(sentence, params={"f": str(other)}).fetchall()


def test_every_kind_has_its_columns_also_where_there_is_nothing(tmp_path: Path) -> None:
    seal(tmp_path, tape(1), {"bbo": two_books([0, 1]), "trade": [trade(T0, 100.0, 2.0)]})
    for store in (Store(tmp_path, clock_ns=lambda: END), Store(tmp_path / "absent", clock_ns=lambda: END)):
        for kind, known in KINDS.items():
            found = store.query(kind, "BTC-USDT" if known.one_symbol else "", T0, END).table
            assert found.schema.equals(known.schema), kind


def test_the_tables_of_the_server_schema_hold_what_is_known_and_null_for_what_is_not(tmp_path: Path) -> None:
    rows = [bbo(T0 + 5, 60_001.0, 60_002.0, size=2.0), bbo(T0 + 6, 60_003.0, 60_012.0, venue="b", size=3.0)]
    rows.append(bbo(T0 + 7, None, None, venue="c"))
    prints = [trade(T0, 5.0, 1.0), trade(T0 + 1, 7.0, 2.0, venue="b"), trade(T0 + 2, 6.0, 4.0)]
    seal(tmp_path, tape(1), {"bbo": rows, "trade": prints})
    store = Store(tmp_path, clock_ns=lambda: END)
    first = store.query("order_book_snapshots", "", T0, END).table.to_pylist()
    assert len(first) == 2 and first[0]["bids"] == "[[60001.0,2.0]]" and first[0]["id"] is None
    assert (first[0]["mid_price"], first[0]["spread"], first[0]["ask_volume"]) == (60_001.5, 1.0, 2.0)
    assert first[0]["timestamp"].isoformat() == "2023-11-14T22:00:00+00:00"
    heat = store.query("heatmap_data", "", T0, END).table.to_pylist()
    assert [(row["side"], row["price_bucket"], row["volume"], row["exchange_count"]) for row in heat] == [
        ("ask", 60_000.0, 2.0, 1), ("bid", 60_000.0, 5.0, 2), ("ask", 60_010.0, 3.0, 1)
    ]  # fmt: skip
    assert {row["bucket_size"] for row in heat} == {10.0}
    (bar,) = store.query("ohlcv_data", "", T0, END).table.to_pylist()
    assert (bar["open_price"], bar["high_price"], bar["close_price"], bar["volume"], bar["trade_count"]) == (5.0, 7.0, 6.0, 7.0, 3)
    assert [row["price"] for row in store.query("trade_events", "", T0, END).table.to_pylist()] == [5.0, 7.0, 6.0]


def test_the_four_tables_of_the_server_schema_can_be_selected_from_by_name_over_sealed_and_open_rows(tmp_path: Path) -> None:
    rows = [trade(T0 + n * 30 * NS, 100.0 + n, 1.0, name=str(n)) for n in range(8)]
    tops = [bbo(T0 + n * 30 * NS, 100.0 + n, 100.5 + n) for n in range(8)]
    seal(tmp_path, tape(1), {"bbo": tops[:5], "trade": rows[:5]})
    seal(tmp_path, tape(2), {"trade": [trade(T0 + 5, 1.0, 1.0)]})
    bad = place(tmp_path, "trade", tape(2), T0)
    bad.write_bytes(bad.read_bytes()[:-9])
    store = Store(tmp_path, tail=Tail({tape(3): {"bbo": tops[5:], "trade": rows[5:]}}), clock_ns=lambda: END)
    end = T0 + 3600 * NS

    def ask(sentence: str, until: int = end) -> list[Row]:
        found: list[Row] = store.select(sentence, T0, until).to_pylist()
        return found

    bars = ask("select timeframe, count(*) as n, sum(volume) as v from ohlcv_data group by timeframe order by n desc, timeframe")
    assert [(bar["timeframe"], bar["n"]) for bar in bars] == [("1s", 8), ("1m", 4), ("15m", 1), ("1d", 1), ("1h", 1), ("4h", 1), ("5m", 1)]
    assert {bar["v"] for bar in bars} == {8.0}, "each trade once in every length, none of the damaged file"
    (first, *_) = ask("select * from ohlcv_data where timeframe = '1m' order by timestamp")
    assert {**first, "timestamp": None} == {**store.query("ohlcv_data", "", T0, end).table.to_pylist()[0], "timestamp": None}
    assert ask("select count(*) as n from trade_events") == [{"n": 8}] and ask("select count(*) as n from heatmap_data") == [{"n": 16}]
    assert ask("select max(mid_price) as m from order_book_snapshots") == [{"m": 107.25}]
    assert ask("select count(*) as n from trade_events", T0 + 60 * NS) == [{"n": 2}], "only what lies in the range"
    for forbidden in ("select * from read_csv('/etc/passwd')", "select * from nothing"):
        with pytest.raises(StoreError, match="history cannot be read"):
            ask(forbidden)
    store.close()
