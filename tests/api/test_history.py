"""History over the web: the same rows in every form, and never without what is missing among them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dope.api import history, views
from dope.api.history import CHUNK, HOUR_NS
from dope.errors import StoreError, TooMuch
from dope.tables import KINDS, TABLES, History, gap
from tests.api.house import House, serving
from tests.api.publisher import Publisher

assert history and views
T0 = 1_700_000_000_123_456_789
FORMS = ("json", "csv", "parquet", "arrow")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    publisher = Publisher()
    with serving(publisher, reads_per_s=10_000, costly_per_min=60_000) as running:
        yield running


def trades(count: int) -> list[dict[str, Any]]:
    return [
        {"ts": T0 + n, "symbol": "BTC-USDT", "venue": "okx", "venue_ts": None if n % 3 else T0 - n, "trade_id": f"=1+{n}",
         "price": 100.0 + n / 7, "size": None if n % 5 == 4 else n * 1e-9, "side": "buy"}
        for n in range(count)
    ]  # fmt: skip


def given(house: House, rows: list[dict[str, Any]], *, kind: str = "trade", more: bool = False, gaps: int = 1) -> History:
    told = [gap(T0 + n, T0 + n + 5, "book", "sequence", venue="okx", symbol="BTC-USDT") for n in range(gaps)]
    answer = History(
        pa.Table.from_pylist(rows, schema=KINDS[kind].schema), T0, T0 + HOUR_NS, more, pa.Table.from_pylist(told, schema=TABLES["gap"]),
        ("x.parquet (trade) is not used: damaged",), "live",
    )  # fmt: skip
    house.publisher.histories = {kind: answer}
    return answer


@pytest.mark.parametrize("count", [0, 3, CHUNK + 3])
def test_the_same_rows_come_in_every_form(house: House, count: int) -> None:
    rows = trades(count)
    given(house, rows)
    got = {form: house.get("/api/v1/history/trade", symbol="BTC-USDT", format=form) for form in FORMS}
    assert {answer.status_code for answer in got.values()} == {200}
    parquet, arrow = pq.read_table(io.BytesIO(got["parquet"].content)), pa.ipc.open_stream(got["arrow"].content).read_all()
    assert parquet.to_pylist() == arrow.to_pylist() == rows
    assert parquet.schema.field("price").metadata == TABLES["trade"].field("price").metadata, "units go with the file"
    plain = got["json"].json()["rows"]
    assert [(row["trade_id"], row["price"], row["size"], row["ts_ms"]) for row in plain] == [
        (row["trade_id"], row["price"], row["size"], row["ts"] // 1_000_000) for row in rows
    ]
    lines = list(csv.DictReader(io.StringIO(got["csv"].text, newline="")))
    assert [line["trade_id"] for line in lines] == ["'" + row["trade_id"] for row in rows], "no spreadsheet runs it"
    assert [float(line["price"]) for line in lines] == [row["price"] for row in rows]
    assert [line["ts"] for line in lines] == [row["ts"] for row in plain]
    if rows:
        assert plain[0]["ts"] == "2023-11-14T22:13:20.123456789Z" and plain[1]["venue_ts"] is None
        assert got["csv"].headers["content-disposition"] == 'attachment; filename="dope_trade_BTC-USDT_20231114T221320Z.csv"'


def test_what_is_missing_goes_with_every_form(house: House) -> None:
    given(house, trades(2), more=True, gaps=1200)
    about = house.get("/api/v1/history/trade").json()
    assert about["gaps_total"] == 1200 and len(about["gaps"]) == 1000 and not about["complete"]
    assert about["gaps"][0] | {"why": ""} == {
        "ts": "2023-11-14T22:13:20.123456789Z", "ts_ms": 1_700_000_000_123, "until": "2023-11-14T22:13:20.123456794Z",
        "until_ms": 1_700_000_000_123, "symbol": "BTC-USDT", "venue": "okx", "what": "book", "why": "", "lost": None,
    }  # fmt: skip
    assert about["problems"] == ["x.parquet (trade) is not used: damaged"]
    assert about["more"] and about["next"] == "2023-11-14T22:13:20.123456790Z"
    for form in ("csv", "parquet", "arrow"):
        answer = house.get("/api/v1/history/trade", format=form)
        meta = json.loads(answer.headers["x-dope-meta"])
        assert meta["gaps_total"] == 1200 and meta["problems"] and meta["more"] and answer.headers["x-dope-rows"] == "2"
    inside = json.loads(pq.read_schema(io.BytesIO(house.get("/api/v1/history/trade", format="parquet").content)).metadata[b"dope"])
    assert inside["gaps_total"] == 1200
    house.publisher.histories = {}
    assert house.get("/api/v1/history/trade").json()["complete"], "nothing missing, nothing wrong"


def test_the_range_is_asked_for_to_the_nanosecond_and_the_last_hour_without_one(house: House) -> None:
    ask = house.publisher.asked
    house.get("/api/v1/history/bbo", symbol="BTC-USDT", start="2023-11-14T22:13:20.123456789Z", end=str(1_700_000_001_000))
    assert ask[-1] == ("bbo", "BTC-USDT", T0, 1_700_000_001_000 * 1_000_000, 10_000, "")
    house.get("/api/v1/history/bbo", start="2023-11-14T23:13:20.5+01:00", end="2023-11-14T22:13:21", limit=5, source="sim", format="csv")
    assert ask[-1] == ("bbo", "", 1_700_000_000_500 * 1_000_000, 1_700_000_001 * 10**9, 5, "sim")
    house.get("/api/v1/history/spread", symbol="BTC-USDT", format="arrow")
    assert ask[-1][3] - ask[-1][2] == HOUR_NS and ask[-1][4] == 1_000_000


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("bbos", {}, 404, "unknown history 'bbos'"),
        ("bbo%0A", {}, 404, "unknown history"),
        ("..%2Fbbo", {}, 404, ""),
        ("spread", {}, 422, "one symbol"),
        ("bbo", {"symbol": "btc'--"}, 422, "form of a symbol"),
        ("bbo", {"symbol": "BTC\n"}, 422, "form of a symbol"),
        ("bbo", {"start": "yesterday"}, 422, "start is no time"),
        ("bbo", {"start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:13:20Z"}, 422, "before it begins"),
        ("bbo", {"limit": "0"}, 422, "limit"),
        ("bbo", {"limit": "1000001"}, 422, "limit"),
        ("bbo", {"format": "xlsx"}, 422, "format"),
        ("bbo", {"source": "../live"}, 422, "source"),
    ],
)
def test_what_cannot_be_meant_is_answered_in_words(house: House, path: str, query: dict[str, str], status: int, words: str) -> None:
    answer = house.get(f"/api/v1/history/{path}", **query)
    assert answer.status_code == status and words in answer.json()["error"], answer.text


@pytest.mark.parametrize(
    ("error", "status"), [(TooMuch("this takes longer than 20 s; ask for a shorter range"), 413), (StoreError("cannot be read"), 409)]
)
def test_a_store_that_gives_up_says_what_to_do(house: House, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(house.publisher.board, "_query", refuse)
    answer = house.get("/api/v1/history/bbo")
    assert answer.status_code == status and answer.json()["error"] == str(error).partition("; ")[0]
    assert (answer.json()["hint"] == "ask for a shorter range") == (status == 413)


def test_all_kinds_are_described_with_their_units(house: House) -> None:
    described = {row["kind"]: row for row in house.get("/api/v1/history/kinds").json()}
    assert list(described) == list(KINDS)
    for name, row in described.items():
        assert row["about"] and [column["name"] for column in row["columns"]] == KINDS[name].schema.names
        assert all(column["help"] for column in row["columns"]), name
    assert described["spread"]["one_symbol"] and described["ohlcv_5m"]["step_s"] == 300.0
    assert described["bbo"]["columns"][0] == {"name": "ts", "type": "time", "help": "ns UTC, received"}


def test_views_are_saved_listed_replaced_and_deleted(house: House) -> None:
    ask = house.client
    saved = ask.put("/api/v1/views/live/my view", json={"state": {"q": "BTC", "assets": ["BTC", "ETH"]}})
    assert saved.status_code == 200 and saved.json()["state"]["assets"] == ["BTC", "ETH"]
    assert house.publisher.commands[-1][1].who == "127.0.0.1"
    ask.put("/api/v1/views/live/my view", json={"state": {"q": "ETH"}})
    assert [(view["name"], view["state"]) for view in house.get("/api/v1/views").json()] == [("my view", {"q": "ETH"})]
    assert ask.delete("/api/v1/views/live/my view").status_code == 204
    again = ask.delete("/api/v1/views/live/my view")
    assert again.status_code == 404 and "unknown view" in again.json()["error"]
    assert house.get("/api/v1/views").json() == []


def test_the_name_of_a_view_may_be_any_text_that_can_be_seen(house: House) -> None:
    for name in ("a/b", "50% & <b>", "../x", "?q=1#f", "日本 ✓"):
        assert house.client.put(f"/api/v1/views/live/{quote(name, safe='')}", json={"state": {}}).json()["name"] == name
        assert house.client.delete(f"/api/v1/views/live/{quote(name, safe='')}").status_code == 204


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("live/" + "x" * 65, {"state": {}}),
        ("Live/x", {"state": {}}),
        ("live%0A/x", {"state": {}}),
        ("live/a%00b", {"state": {}}),
        ("live/%20a", {"state": {}}),
        ("live/x", {"state": []}),
        ("live/x", {"state": {}, "more": 1}),
        ("live/x", {}),
    ],
)
def test_views_that_cannot_be_meant_are_refused(house: House, path: str, body: dict[str, Any]) -> None:
    before = len(house.publisher.commands)
    assert house.client.put(f"/api/v1/views/{path}", json=body).status_code in (404, 422)
    assert len(house.publisher.commands) == before
