"""The gap ledger and the state of the recording over the web: units, filters, pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from dope.api import recording
from dope.errors import StoreError
from dope.tables import GAP, History, gap
from tests.api.house import House, serving
from tests.api.publisher import T0 as T0_MS
from tests.api.publisher import Publisher, storage

assert recording
T0 = T0_MS * 1_000_000
S = 10**9
ROWS = [
    gap(T0, T0 + 30 * S, "recording", "killed: a.dope was not closed", lost=7),
    gap(T0 + 10 * S, T0 + 40 * S, "recording", "disk full", lost=5),
    gap(T0 + 50 * S, T0 + 51 * S, "book", "sequence", venue="okx", symbol="BTC-USDT"),
    gap(T0 + 55 * S, None, "connection", "market: cut", venue="okx"),
    gap(T0 + 56 * S, T0 + 57 * S, "book", "sequence", venue="other", symbol="ETH-USDT"),
]


@pytest.fixture
def house() -> Iterator[House]:
    publisher = Publisher()
    table = pa.Table.from_pylist(ROWS, schema=GAP)
    publisher.histories["gaps"] = History(table.slice(0, 0), T0, T0 + 60 * S, False, table, ("x.parquet is not used",), "sim")
    with serving(publisher, clock_ns=lambda: T0 + 60 * S) as running:
        yield running


def rows(house: House, **given: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.get("/api/v1/gaps", **given).json()["rows"]
    return found


def test_gaps_come_newest_first_with_their_length_and_what_is_still_missing_counts_up_to_now(house: House) -> None:
    told = house.get("/api/v1/gaps").json()
    assert [row["seconds"] for row in told["rows"]] == [1.0, 5.0, 1.0, 30.0, 30.0]
    newest = told["rows"][1]
    assert (newest["until"], newest["until_ms"], newest["ts"]) == (None, None, "2023-11-14T22:14:15.000000000Z")
    assert (told["matched"], told["count"], told["more"], told["lost"], told["source"]) == (5, 5, False, 12, "sim")
    assert told["unrecorded_s"] == 40.0, "what two gaps share counts once"
    assert told["problems"] == ["x.parquet is not used"] and told["start"] == "2023-11-14T22:13:20.000000000Z"
    kind, _, since, until, _, source = house.publisher.asked[-1]
    assert (kind, until - since, source) == ("gaps", 86_400 * S, ""), "the last day of what runs now"


def test_a_venue_has_its_own_gaps_and_those_of_all(house: House) -> None:
    assert {row["venue"] for row in rows(house, venue="okx")} == {"", "okx"} and len(rows(house, venue="okx")) == 4
    assert [row["what"] for row in rows(house, what="recording")] == ["recording", "recording"]
    house.get("/api/v1/gaps", symbol="BTC-USDT", source="live", start=str(T0_MS), end=str(T0_MS + 5000))
    assert house.publisher.asked[-1] == ("gaps", "BTC-USDT", T0, T0 + 5 * S, 0, "live")


def test_pages_of_gaps_hold_each_once(house: House) -> None:
    pages = [house.get("/api/v1/gaps", limit=2, offset=offset).json() for offset in (0, 2, 4, 6)]
    assert [(page["count"], page["more"], page["matched"]) for page in pages] == [(2, True, 5), (2, True, 5), (1, False, 5), (0, False, 5)]
    assert [row["ts"] for page in pages for row in page["rows"]] == [row["ts"] for row in rows(house)]


STRANGE = ({"symbol": "b\n"}, {"what": "all"}, {"start": "x"}, {"start": "9", "end": "5"}, {"limit": 0}, {"offset": -1})


@pytest.mark.parametrize("given", STRANGE)
def test_what_cannot_be_meant_is_refused(house: House, given: dict[str, Any]) -> None:
    assert house.get("/api/v1/gaps", **given).status_code == 422


def test_a_recording_that_cannot_be_read_now_is_no_server_error(house: House) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise StoreError("recordings are being sealed just now: try again")

    house.publisher.board.serve(lambda *_: None, busy)
    assert house.get("/api/v1/gaps").status_code == 409


def test_how_it_is_kept_says_times_twice_and_never_for_what_never_was(house: House) -> None:
    told = house.get("/api/v1/storage").json()
    assert (told["sealed_last_ms"], told["verified"], told["verified_ms"], told["free_bytes"]) == (T0_MS + 50_000, None, None, 10**9)
    house.publisher.storage = storage(verified=T0_MS, sound=9, problems=1, told=["x: damaged"])
    told = house.get("/api/v1/storage", source="live").json()
    assert (told["verified"], told["problems"], told["source"]) == ("2023-11-14T22:13:20.000Z", 1, "live")
