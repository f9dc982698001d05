"""Whatever changes between snapshots, a browser that applies the deltas believes exactly what was published."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.api.delta import KEYED, LOGS, Differ, Discontinuity, whole
from dope.api.live import encode
from tests.api.house import Browser, believed
from tests.api.publisher import MARKETS, T0, full, instrument, job, opportunity

FLOATS = st.none() | st.floats(-1e6, 1e6)
ROWS = {
    "opps": st.dictionaries(st.integers(1, 6), FLOATS).map(lambda found: [opportunity(i, net_bps=x) for i, x in found.items()]),
    "jobs": st.dictionaries(st.integers(1, 4), st.floats(0, 1)).map(lambda found: [job(i, progress=x) for i, x in found.items()]),
    "instruments": st.dictionaries(st.sampled_from(MARKETS), FLOATS).map(lambda found: [instrument(*m, bid=x) for m, x in found.items()]),
    "misses": st.lists(st.fixed_dictionaries({"symbol": st.sampled_from(["A", "B"]), "net_bps": FLOATS}), max_size=3),
    "cards": st.fixed_dictionaries({"open": st.integers(0, 3), "best": st.none() | st.just({"id": 1})}),
}
GROWING = st.tuples(st.sampled_from([*LOGS, "series"]), st.integers(0, 4))
CHANGES = st.one_of(*[st.tuples(st.just(name), rows) for name, rows in ROWS.items()], GROWING)


def append(data: dict[str, Any], name: str, count: int) -> Any:
    """The section with ``count`` further entries; the series is bounded, as the publisher keeps it."""
    if name in LOGS:
        last = data[name][-1]["id"] if data[name] else 0
        return data[name] + [{"id": last + i, "t": T0, "kind": "opp", "text": f"no {i}"} for i in range(1, count + 1)]
    series = data["series"]
    t = series["t"] + [(series["t"][-1] if series["t"] else T0) + 1000 * i for i in range(1, count + 1)]
    mid = {key: (values + [100.0 + i if i % 2 else None for i in range(count)])[-7:] for key, values in series["mid"].items()}
    return {"t": t[-7:], "mid": mid}


@given(st.lists(st.lists(CHANGES, max_size=4), max_size=12))
def test_deltas_rebuild_every_published_state(steps: list[list[tuple[str, Any]]]) -> None:
    data = full()
    differ, browser = Differ(data), Browser()
    browser.receive(encode("snapshot", 1, 0, whole(data), event_ns=0, age_ms=0))
    for seq, changes in enumerate(steps, start=2):
        data = dict(data)
        for name, value in changes:
            data[name] = append(data, name, value) if isinstance(value, int) else value
        before = copy.deepcopy(data)
        browser.receive(encode("delta", seq, 0, differ.step(data), event_ns=0, age_ms=0))
        assert browser.state == believed(data)
        assert data == before  # nothing of what was published is touched
    assert browser.holes == 0


def test_nothing_is_sent_for_a_section_that_is_equal_though_a_new_object() -> None:
    data = full()
    assert Differ(data).step(copy.deepcopy(data)) == {}


def test_only_rows_that_changed_are_in_a_delta() -> None:
    data = full()
    rows = list(data["instruments"])
    rows[2] = rows[2] | {"bid": 99.0}
    del rows[4]
    change = Differ(data).step(data | {"instruments": rows})["instruments"]
    assert [values[0] for values in change["set"]] == ["binance_usdm:BTC-USDT-PERP"]
    assert change["del"] == ["okx:ETH-USDT"] and change["all"] is False


def test_of_rows_that_were_told_only_the_columns_in_which_any_differs_are_sent() -> None:
    data = full()
    rows = list(data["instruments"])
    rows[1], rows[2] = rows[1] | {"ask": 7.0}, rows[2] | {"bid": 99.0}
    change = Differ(data).step(data | {"instruments": rows})["instruments"]
    assert change["cols"] == ("key", "bid", "ask") and not change["all"]
    assert change["set"] == [[row["key"], row["bid"], row["ask"]] for row in rows[1:3]]
    new = instrument("okx", "NEW-USDT")
    change = Differ(data).step(data | {"instruments": [*rows, new]})["instruments"]
    assert change["cols"] == tuple(new) and len(change["set"]) == 3, "of a new row all columns, so of all rows of that message"
    del rows[1]["ask"]
    change = Differ(data).step(data | {"instruments": rows})["instruments"]
    assert dict(zip(change["cols"], change["set"][0], strict=True))["ask"] is None, "and of one that lost a column"


def test_of_the_mode_only_what_changed_is_sent_and_what_vanishes_asks_for_a_snapshot() -> None:
    data = full()
    before = dict(data["mode"])
    assert Differ(data).step(data | {"mode": before | {"paused": True}})["mode"] == {"paused": True}
    before.pop("version")
    with pytest.raises(Discontinuity):
        Differ(data).step(data | {"mode": before})


def test_a_row_without_some_column_shows_null_there() -> None:
    data = {"jobs": [{"id": 1, "kind": "train"}, {"id": 2, "step": "Fit"}]}
    assert whole(data)["jobs"] == {"cols": ("id", "kind", "step"), "all": True, "set": [[1, "train", None], [2, None, "Fit"]], "del": []}


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("rows", [[], [{"id": 7, "t": T0, "kind": "system", "text": "another source"}]])
def test_a_log_that_does_not_continue_asks_for_a_snapshot(log: str, rows: list[dict[str, Any]]) -> None:
    data = full()
    differ = Differ(data)
    moved = data | {log: rows, "opps": [opportunity(9)]}
    with pytest.raises(Discontinuity):
        differ.step(moved)
    assert differ.step(dict(moved)) == {}  # it has moved on: the snapshot tells the rest


@pytest.mark.parametrize(
    "series",
    [
        {"t": [T0, T0 + 1000], "mid": {"okx:BTC-USDT": [100.0, None], "okx:ETH-USDT": [None, 1.0]}},  # another key
        {"t": [T0, T0 + 1000], "mid": {"okx:BTC-USDT": [100.0, 101.0]}},  # its last point was filled in
        {"t": [T0 + 9000], "mid": {"okx:BTC-USDT": [5.0]}},  # a hole longer than the memory
        {"t": [T0 + 1000], "mid": {"okx:BTC-USDT": [None]}},  # shorter
        {"t": [], "mid": {}},
    ],
)
def test_a_series_that_was_rewritten_is_sent_whole(series: dict[str, Any]) -> None:
    data = full()
    change = Differ(data).step(data | {"series": series})["series"]
    assert change == {"all": True, "keep": len(series["t"]), **series}


def test_values_that_json_does_not_know_become_null() -> None:
    sent = orjson.loads(encode("delta", 1, 2, {"cards": {"a": float("nan"), "b": float("inf")}}, event_ns=3, age_ms=4))
    assert sent["data"] == {"cards": {"a": None, "b": None}}


def test_every_keyed_section_of_the_board_is_columnar() -> None:
    sections = whole(full())
    for name in KEYED:
        assert set(sections[name]) == {"cols", "all", "set", "del"}
