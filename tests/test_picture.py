"""What a screen needs, made from the engine: totals agree with rows, tables with the market, and nothing is told without end."""

from __future__ import annotations

import json
import math
from collections import deque
from typing import Any

import msgspec
import pytest

from dope.detectors.arbitrage import Arbitrage, Opportunity
from dope.detectors.bursts import Burst
from dope.detectors.jumps import Jump
from dope.detectors.spreads import Spreads
from dope.engine import Engine
from dope.engines import build_engine, detector_of
from dope.feed.health import VenueHealth
from dope.findings import KEPT
from dope.picture import FAULT_LINES_PER_MIN, Picture
from dope.settings import Settings
from dope.shown import book_row, finite, opportunity_row, stopped
from dope.types import CLOSED, TICK, Ack, BookState, Fault, Frame
from tests.frames import MS, T0, okx_book, okx_script, opened, play, spot_diff, spot_script

S = 1000 * MS


def watching(frames: list[Frame]) -> tuple[Engine, Picture]:
    """An engine and its picture after these frames."""
    settings = Settings(_env_file=None, order_size=50, fees={"okx": {"spot": 1}, "binance_spot": {"spot": 1}})
    engine = build_engine(settings, ("binance_spot", "okx"), {})
    picture = Picture(engine, detector_of(engine, Arbitrage), detector_of(engine, Spreads), started_ns=T0, alert_pct=0.5)
    step(engine, picture, frames)
    return engine, picture


def step(engine: Engine, picture: Picture, frames: list[Frame]) -> None:
    for event in engine.step_many(frames):
        picture.note(event)


def both() -> list[Frame]:
    """Two books at 100.0 … 100.5."""
    return sorted([*play("binance_spot", spot_script(), conn=1), *play("okx", okx_script(), conn=2)], key=lambda frame: frame.ts)


def ticks(first: float, last: float) -> list[Frame]:
    """The clock, ten times a second."""
    return [Frame(T0 + int(n * 100 * MS), "", 0, TICK, b"0") for n in range(int(first * 10), int(last * 10))]


def dear() -> list[Frame]:
    """OKX is bid at 101 from now on: buying at Binance for 100.5 pays."""
    gone = [(price, "0") for price in ("100.5", "100.6", "100.7", "100.9")]
    return play("okx", [okx_book("update", 130, 120, [("101", "2")], [*gone, ("101.5", "3")])], conn=2, start=T0 + 100 * MS)


def cheap() -> list[Frame]:
    """A moment later it is over, for longer than the debounce."""
    script = [okx_book("update", 140, 130, [("101", "0")], []), okx_book("update", 141, 140, [("99.6", "1")], [])]
    back = play("okx", script, conn=2, start=T0 + 140 * MS)
    return [*back, *ticks(0.2, 0.3)]


def test_an_opportunity_is_counted_shown_and_told_from_open_to_close() -> None:
    engine, picture = watching(both())
    assert picture.fast(engine.market.now)["opps"] == []
    step(engine, picture, dear())
    now = engine.market.now
    shown = picture.fast(now)
    (row,) = shown["opps"]
    assert (row["buy"], row["sell"], row["state"]) == ("binance_spot:BTC-USDT", "okx:BTC-USDT", "open")
    cards = shown["cards"]
    assert (cards["total"], cards["open"], cards["recent_5m"], cards["closed_n"]) == (1, 1, 1, 0)
    assert cards["best"] == row and cards["max_pct"] == pytest.approx(row["peak_bps"] / 100)
    assert row["gross"] - row["fees"] == pytest.approx(row["net"]) and row["sell_proceeds"] - row["buy_cost"] == pytest.approx(row["net"])
    assert cards["alert"] is None and row["net_bps"] / 100 < 0.5

    step(engine, picture, cheap())
    shown = picture.fast(engine.market.now)
    assert shown["cards"]["open"] == 0 and shown["cards"]["closed_n"] == 1 and shown["cards"]["total"] == 1
    assert [each["state"] for each in shown["opps"]] == ["closed"], "the last lives stay on screen"
    told = [event["text"] for event in picture.events if event["kind"] == "opp"]
    assert told[0] == "BTC Binance → OKX opened" and told[1].startswith("BTC Binance → OKX closed after ")


def test_the_market_may_go_on_between_two_slices_of_a_drawing_and_every_slice_is_right_as_of_its_own_moment() -> None:
    engine, picture = watching(both())
    drawing = picture.drawing(lambda: engine.market.now)
    before = next(part["matrix"] for part in drawing if "matrix" in part)[0]
    step(engine, picture, dear())
    after: dict[str, Any] = {}
    for part in drawing:
        after |= part
    assert before["net"][0][1] < 0, "drawn before the price rose"
    bids = {row["key"]: row["bid"] for row in after["instruments"]}
    assert bids == {"binance_spot:BTC-USDT": 100.0, "okx:BTC-USDT": 101.0}
    assert after["cards"]["open"] == 1 and after["opps"][0] == after["cards"]["best"], "what is urgent is drawn last"


def test_matrices_are_drawn_a_few_at_a_time_beside_the_publications_and_shown_when_they_are_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dope.matrices.CELLS", 1)
    two = opened(symbols=("BTC-USDT", "ETH-USDT"))
    script = [*play("binance_spot", [two, *spot_script()[1:]], conn=1), *play("okx", [two, *okx_script()[1:]], conn=2)]
    engine, picture = watching(sorted(script, key=lambda frame: frame.ts))
    at = [engine.market.now]

    def published() -> bool:
        return any("matrix" in part for part in picture.drawing(lambda: at[0]))

    assert published(), "the first publication of an engine has them: nothing of an earlier one stays beside it"
    assert not picture.draw_more(lambda: at[0]), "too early for others"
    at[0] += 250 * MS
    assert picture.draw_more(lambda: at[0]) and not published(), "one of two"
    at[0] += 150 * MS
    assert picture.draw_more(lambda: at[0]) and published() and not published()
    at[0] += 400 * MS
    assert not picture.draw_more(lambda: at[0]), "they took 150 ms: the next ones begin 600 ms after these did"
    at[0] += 50 * MS
    assert picture.draw_more(lambda: at[0])
    picture.hide((), ["okx:ETH-USDT"])
    assert picture.draw_more(lambda: at[0]), "other markets are shown: they are drawn anew at once"
    (section,) = [part["matrix"] for part in picture.drawing(lambda: at[0]) if "matrix" in part]
    assert [matrix["id"] for matrix in section] == ["BTC-USDT-spot"], "and what was half drawn is given up"


def test_a_drawing_is_cut_into_slices_of_a_few_books(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dope.picture.SLICE", 1)
    engine, picture = watching(both())
    sizes = [len(part["instruments"]) for part in picture.drawing(lambda: engine.market.now) if set(part) == {"instruments"}]
    assert sizes == [1, 2] and len(picture.fast(engine.market.now)["instruments"]) == 2


def test_how_long_lives_last_is_told_of_those_that_are_kept_and_of_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dope.picture.CLOSED_KEPT", 3)
    engine, picture = watching(both())
    picture.closed = deque(maxlen=3)
    step(engine, picture, dear())
    (o,) = picture.arbitrage.rows()
    for seconds in (9.0, 1.0, 5.0, 3.0, 7.0):
        closed = o.opened + int(seconds * S)
        picture.note(msgspec.structs.replace(o, ts=closed, state="closed", reason="faded", closed=closed))
    cards = picture.fast(engine.market.now)["cards"]
    assert (cards["closed_n"], cards["median_life_s"], cards["p90_life_s"]) == (3, 5.0, 7.0)


def test_the_matrix_says_for_every_ordered_pair_what_the_order_size_brings() -> None:
    engine, picture = watching([*both(), *dear()])
    (matrix,) = picture.fast(engine.market.now)["matrix"]
    assert matrix["id"] == "BTC-USDT-spot" and matrix["venues"] == ["binance_spot", "okx"]
    assert [matrix["state"][n][n] for n in range(2)] == ["self", "self"] and matrix["net"][0][0] is None
    assert matrix["net"][0][1] > 0 > matrix["net"][1][0]
    assert matrix["gross"][0][1] - matrix["net"][0][1] == pytest.approx(matrix["wall"][0][1], abs=0.05)
    engine.step(Frame(engine.market.now + 60 * S, "", 0, TICK, b"0"))
    (matrix,) = picture.fast(engine.market.now)["matrix"]
    assert matrix["state"][0][1] == "stale" and matrix["net"][0][1] is None, "an old book has no figure"


def second(n: int) -> list[Frame]:
    """Both books in second ``n``, by the venues' clocks too; the middle of OKX lies now higher, now lower."""
    spot = spot_diff(115 + n, 115 + n, [["99.70000000", f"{n}.5"]], [])
    okx = okx_book("update", 120 + n, 119 + n, [("100.1", "1" if n % 2 else "0")], [])
    frames = [*play("binance_spot", [spot], conn=1, start=T0 + n * S), *play("okx", [okx], conn=2, start=T0 + n * S + MS)]
    stamp = str((T0 + n * S) // MS).encode()
    then = [Frame(each.ts, each.venue, each.conn, each.kind, each.data.replace(b"1700000000000", stamp)) for each in frames]
    return [*then, Frame(T0 + n * S + 20 * MS, "", 0, TICK, b"0")]


def test_z_of_a_cell_is_above_zero_where_who_sells_is_dearer_than_usual() -> None:
    engine, picture = watching([*both(), *(frame for n in range(1, 42) for frame in second(n))])
    (matrix,) = picture.fast(engine.market.now)["matrix"]
    assert matrix["state"][0][1] == "ok" and matrix["z"][0][0] is None
    assert matrix["z"][0][1] == -matrix["z"][1][0] and 0.5 < matrix["z"][0][1] < 2.0, "the bid of OKX is up"
    step(engine, picture, second(42))
    (matrix,) = picture.fast(engine.market.now)["matrix"]
    assert -2.0 < matrix["z"][0][1] < -0.5, "and down again"


def test_depth_is_told_as_finely_as_anybody_can_read_it() -> None:
    update = okx_book("update", 130, 120, [("100.1", "1.23456789"), ("100.2", "1234.56789")], [])
    engine, picture = watching([*both(), *play("okx", [update], conn=2, start=T0 + 100 * MS)])
    row = next(row for row in picture.fast(engine.market.now)["instruments"] if row["key"] == "okx:BTC-USDT")
    assert row["depth"]["25"][0] == 1235.8


def test_instruments_and_books_show_prices_only_while_they_are_known_to_be_right() -> None:
    engine, picture = watching(both())
    now = engine.market.now
    rows = {row["key"]: row for row in picture.fast(now)["instruments"]}
    for row in rows.values():
        assert (row["state"], row["bid"], row["ask"], row["mid"]) == ("LIVE", 100.0, 100.5, 100.25)
        assert row["age_ms"] >= 0 and set(row["depth"]) == {"5", "10", "25", "50"}
    book = engine.market.books["okx:BTC-USDT"]
    shown = book_row(engine.market, book, now)
    assert shown["bids"][0] == (100.0, 1.5) and shown["asks"][0] == (100.5, 0.75)
    step(engine, picture, [Frame(now + 60 * S, "", 0, TICK, b"0")])
    row = next(row for row in picture.fast(engine.market.now)["instruments"] if row["key"] == "okx:BTC-USDT")
    assert row["state"] == "STALE" and row["bid"] is row["ask"] is row["mid"] is None and row["depth"] == {}
    assert book_row(engine.market, book, engine.market.now)["bids"] == []


def test_a_book_that_waits_tells_what_the_venue_refused() -> None:
    engine, picture = watching(play("okx", [opened("public", ("BTC-USDT",))], conn=2))
    now = engine.market.now

    def why() -> dict[str, str]:
        return {row["key"]: row["reason"] for row in picture.fast(now)["instruments"]}

    (key,) = why()
    before = why()[key]
    picture.note(Ack(now, "okx", 2, "books:OTHER-USDT", False, "no such market"))
    picture.note(Ack(now, "okx", 2, f"trades:{key.partition(':')[2]}", True, ""))
    assert why() == {key: before}
    picture.note(Ack(now, "okx", 2, f"books:{key.partition(':')[2]}", False, "no such market"))
    assert why() == {key: f"books:{key.partition(':')[2]} refused: no such market"}


def test_matrices_are_drawn_four_times_a_second_and_rows_each_time() -> None:
    engine, picture = watching(both())
    now = engine.market.now
    drawn = [picture.fast(now + tenth * 100 * MS) for tenth in range(10)]
    assert ["matrix" in sections for sections in drawn].count(True) == 4
    assert all("instruments" in sections for sections in drawn)


def test_how_old_a_market_may_be_is_the_least_of_its_pairs() -> None:
    engine, picture = watching([*both(), *ticks(0.2, 20)])
    arbitrage, market = detector_of(engine, Arbitrage), engine.market
    market.books["okx:BTC-USDT"].sigma = 9.0
    limits = picture.standing.limits_ms()
    assert set(limits) == {key for key, pairs in arbitrage.of.items() if pairs} != set()
    for key, limit in limits.items():
        assert limit == min(arbitrage.limit_ns(pair, market) for pair in arbitrage.of[key]) / MS < 5000
    assert {row["limit_ms"] for row in picture.fast(market.now)["instruments"]} == set(limits.values())


def test_a_venue_keeps_its_states_of_the_last_hour() -> None:
    engine, picture = watching(both())
    now = engine.market.now

    def past(at: int, state: str) -> list[list[Any]]:
        health = VenueHealth("okx", state=state, since=at)
        rows: list[list[Any]] = next(row["past"] for row in picture.venue_rows(at, {"okx": health}) if row["id"] == "okx")
        return rows

    assert past(now, "live") == past(now + S, "live") == [[now // MS, "live"]]
    assert [state for _, state in past(now + 2 * S, "down")] == ["live", "down"]
    assert [state for _, state in past(now + 1800 * S, "live")] == ["live", "down", "live"]
    assert [state for _, state in past(now + 3700 * S, "live")] == ["down", "live"]


def test_a_venue_whose_books_come_by_rest_says_so_once_they_do() -> None:
    engine, picture = watching(both())
    (okx,) = [row for row in picture.venue_rows(engine.market.now, {"okx": VenueHealth("okx", state="rest")}) if row["id"] == "okx"]
    assert (okx["state"], okx["books_live"]) == ("rest", 1)
    engine.step(Frame(engine.market.now + S, "okx", 2, CLOSED, b'{"code":1006,"reason":"cut"}'))
    (okx,) = [row for row in picture.venue_rows(engine.market.now, {"okx": VenueHealth("okx", state="rest")}) if row["id"] == "okx"]
    assert (okx["state"], okx["books_live"]) == ("connecting", 0), "not while no book is there"


def test_venues_without_health_are_down_and_their_counters_are_those_of_their_books() -> None:
    engine, picture = watching(both())
    spot, okx = picture.venue_rows(engine.market.now, {})
    assert (spot["state"], spot["label"], spot["books_live"], spot["books_total"]) == ("down", "Binance", 1, 1)
    assert okx["acks_ok"] == 1 and okx["gaps"] == 0


def test_series_grow_by_one_point_per_second_with_holes_where_nothing_was_known() -> None:
    engine, picture = watching(both())
    picture.second(engine.market.now)
    step(engine, picture, [Frame(engine.market.now + 60 * S, "", 0, TICK, b"0")])
    picture.second(engine.market.now)
    series = picture.slow()["series"]
    assert len(series["t"]) == 2 and series["mid"]["okx:BTC-USDT"] == [100.25, None]


def jump(n: int) -> Jump:
    """Down by 6.5 bps within 200 ms; told 400 ms after its peak at ``n`` s."""
    at = T0 + n * S
    times = at - 200 * MS, at - 50 * MS, at, at + 300 * MS
    return Jump(at + 400 * MS, "okx:BTC-USDT", "okx", "BTC-USDT", "BTC", *times, 0, -1, 6.5, 7.25, 3.0)


def test_jumps_and_bursts_are_marked_at_their_moment_under_the_number_of_their_line_and_bounded_kind_by_kind() -> None:
    _, picture = watching([])
    before = picture.slow()["findings"]
    assert before == [] and picture.slow()["findings"] is before, "the same object until something was found"
    picture.note(jump(1))
    picture.note(Burst(T0 + 3 * S, "okx:BTC-USDT", "okx", "BTC-USDT", "BTC", "sell", T0 + 2 * S, T0 + 2500 * MS, 9, 5.5, 1.25))
    first, second = picture.slow()["findings"]
    assert first == {"id": picture.events[-2]["id"], "kind": "jump", "key": "okx:BTC-USDT", "t": (T0 + S) // MS, "way": -1, "size": 6.5,
                     "z": 7.25, "took_ms": 200}  # fmt: skip
    assert second == {"id": picture.events[-1]["id"], "kind": "burst", "key": "okx:BTC-USDT", "t": (T0 + 2 * S) // MS, "way": -1,
                      "size": 1.25, "z": 5.5, "took_ms": 500}  # fmt: skip
    for n in range(KEPT + 20):
        picture.note(jump(10 + n))
    rows = picture.slow()["findings"]
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids)) and ids[-1] == picture.last_event
    assert [row["kind"] for row in rows].count("jump") == KEPT and second in rows, "many of one kind do not push out the other"
    assert before == [], "what was published is left as it was"


def test_a_venue_that_sends_rubbish_without_end_is_told_of_a_few_times_a_minute() -> None:
    _, picture = watching([])
    for n in range(1000):
        picture.note(Fault(T0 + n * MS, "okx", "", "unreadable"))
    assert len(picture.events) == FAULT_LINES_PER_MIN
    picture.note(Fault(T0 + 120 * S, "okx", "", "unreadable"))
    assert len(picture.events) == FAULT_LINES_PER_MIN + 1
    picture.note(BookState(T0 + 121 * S, "okx:BTC-USDT", "LIVE", "GAP", "", T0 + 120 * S))
    assert picture.events[-1]["text"] == "OKX BTC-USDT live again after 1.0 s"


def test_every_section_is_json_and_a_stopped_engine_shows_nothing_as_current() -> None:
    engine, picture = watching([*both(), *dear()])
    picture.second(engine.market.now)
    now = engine.market.now
    data = {**picture.fast(now), **picture.slow(), "venues": picture.venue_rows(now, {}), "mode": {"source": "sim"}}
    json.dumps(data, allow_nan=False)
    end = stopped(data)
    assert end["opps"] == end["matrix"] == [] and end["cards"]["open"] == 0 and end["cards"]["total"] == data["cards"]["total"]
    assert all(row["bid"] is None and row["state"] == "DOWN" for row in end["instruments"])
    assert data["opps"], "what was published before is left as it was"


def test_values_that_json_does_not_know_become_none() -> None:
    assert finite({"a": [math.nan, (1.0, math.inf)], "b": "x"}) == {"a": [None, [1.0, None]], "b": "x"}


def test_a_row_holds_every_field_of_the_opportunity_with_times_in_ms() -> None:
    _, picture = watching([*both(), *dear()])
    life = picture.arbitrage.rows()[0]
    row = opportunity_row(life)
    assert set(row) == {field.name for field in msgspec.structs.fields(Opportunity)} | {"life_s", "comparable", "clock_step"}
    assert row["opened"] == life.opened // MS and row["closed"] is None
