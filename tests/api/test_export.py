"""Exports: what was exported is what is read back, in every form, and no spreadsheet runs it."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.api.context import Refusal, iso
from dope.api.export import CHUNK, COLUMNS, MAX_ROWS, TIME, check_size, csv_parts, harmless, json_parts, parquet_parts
from tests.api.house import House, serving
from tests.api.publisher import T0, Publisher, opportunity

ABOUT = {"what": "opportunities", "rows": 3}
EVIL_TEXT = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "=cmd|' /C calc'!A0",
    "＝1+1",
    'a"b',
    "a,b",
    "a\nb",
    "a;b",
    "Ünïcödé ✓",
    "日本",
    "\u202eabc",
    "'already",
    "-",
    "",
    "null",
]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    publisher = Publisher()
    publisher.history = history()
    with serving(publisher) as running:
        yield running


def history() -> list[dict[str, Any]]:
    """Closed lives with awkward numbers and texts."""
    rng = random.Random(5)
    rows = []
    for i in range(2 * CHUNK + 7):
        closed = T0 + i * 1000 + rng.randrange(1, 5000)
        rows.append(
            opportunity(
                10 + i,
                state="closed",
                reason=EVIL_TEXT[i % len(EVIL_TEXT)],
                closed=closed,
                opened=T0 + i,
                net=rng.uniform(-1, 1) * 10 ** rng.randint(-12, 9),
                net_bps=rng.gauss(0, 40),
                buy_vwap=None if i % 5 == 0 else 1e-12 * rng.random(),
                updates=rng.randrange(10**12),
                z_not_a_column=1,
            )
        )
    return rows


def expected(house: House) -> list[dict[str, Any]]:
    by_id = {row["id"]: row for row in [*house.publisher.history, *house.publisher.board.read().data["opps"]]}
    rows = sorted(by_id.values(), key=lambda row: (row["opened"], row["id"]), reverse=True)
    return [{name: row.get(name) for name in COLUMNS} for row in rows]


def test_csv_reads_back_equal(house: House) -> None:
    answer = house.get("/api/v1/export/opportunities.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    wanted = expected(house)
    assert len(rows) == len(wanted) == int(answer.headers["x-dope-rows"])
    for row, want in zip(rows, wanted, strict=True):
        for name, (kind, _) in COLUMNS.items():
            value: Any = row[name]
            if kind is pa.string():
                assert value == ("" if want[name] is None else harmless(want[name]))
            elif kind is TIME:
                assert value == (iso(want[name]) or "")
            else:
                assert (float(value) if value else None) == want[name]


def test_pandas_reads_the_csv_with_numbers_as_numbers(house: House) -> None:
    frame = pd.read_csv(io.StringIO(house.get("/api/v1/export/opportunities.csv").text), parse_dates=["opened", "closed"])
    wanted = expected(house)
    assert list(frame.columns) == list(COLUMNS)
    assert frame["net_bps"].tolist() == [row["net_bps"] for row in wanted]
    assert frame["opened"].tolist() == [pd.Timestamp(row["opened"], unit="ms", tz="UTC") for row in wanted]


def test_parquet_reads_back_equal_and_knows_its_units(house: House) -> None:
    answer = house.get("/api/v1/export/opportunities.parquet")
    table = pq.read_table(io.BytesIO(answer.content))
    wanted = expected(house)
    for name, (kind, unit) in COLUMNS.items():
        column = table.column(name)
        values = column.cast(pa.int64()).to_pylist() if kind is TIME else column.to_pylist()
        assert values == [row[name] for row in wanted]
        assert table.schema.field(name).metadata == {b"unit": unit.encode()}
    about = json.loads(table.schema.metadata[b"dope"])
    assert about["rows"] == len(wanted) and about["settings"]["order_size"] == 1000.0 and about["columns"]["net_bps"] == "bps"


def test_json_reads_back_equal(house: House) -> None:
    answer = house.get("/api/v1/export/opportunities.json").json()
    wanted = [{name: iso(row[name]) if kind is TIME else row[name] for name, (kind, _) in COLUMNS.items()} for row in expected(house)]
    assert answer["rows"] == wanted
    assert answer["meta"]["rows"] == len(wanted)


def test_the_file_says_what_it_is(house: House) -> None:
    answer = house.get("/api/v1/export/opportunities.csv", min_net=5, asset="BTC", since="2023-11-14T22:13:20Z")
    assert re.fullmatch(r'attachment; filename="dope_opportunities_\d{8}T\d{6}Z\.csv"', answer.headers["content-disposition"])
    about = json.loads(answer.headers["x-dope-meta"])
    assert about["filters"] == {"min_net": 5.0, "asset": "BTC", "since": "2023-11-14T22:13:20.000Z"}
    assert about["settings"] == {"source": "sim", "order_size": 1000.0, "min_net_bps": 0.0}
    assert "\u2212" not in answer.text  # the minus of the screen is no number in a file


def test_csv_with_comments_is_the_same_file_below_them(house: House) -> None:
    plain, told = (house.get("/api/v1/export/opportunities.csv", meta=meta).content for meta in (0, 1))
    lines = told.split(b"\r\n")
    comments = [line for line in lines[:20] if line.startswith(b"# ")]
    assert b"\r\n".join(lines[len(comments) :]) == plain
    assert dict(line[2:].split(b": ", 1) for line in comments)[b"what"] == b'"opportunities"'


def test_filters_hold_for_exports_too(house: House) -> None:
    rows = house.get("/api/v1/export/opportunities.json", state="open").json()["rows"]
    assert [row["id"] for row in rows] == [2]


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_nothing_found_is_an_empty_file_not_an_error(house: House, form: str) -> None:
    answer = house.get(f"/api/v1/export/opportunities.{form}", min_size=1e15)
    assert answer.status_code == 200 and answer.headers["x-dope-rows"] == "0"
    if form == "csv":
        assert answer.text == ",".join(COLUMNS) + "\r\n"
    elif form == "json":
        assert answer.json()["rows"] == []
    else:
        assert pq.read_table(io.BytesIO(answer.content)).num_rows == 0


@pytest.mark.parametrize("form", ["xlsx", "CSV", "csv.exe", "csv\n", ""])
def test_other_forms_are_not_made(house: House, form: str) -> None:
    assert house.client.get("/api/v1/export/opportunities." + quote(form)).status_code in (404, 422)


@pytest.mark.parametrize("text", EVIL_TEXT)
def test_no_text_becomes_a_formula_in_a_spreadsheet(text: str) -> None:
    content = b"".join(csv_parts([opportunity(1, reason=text)], None)).decode()
    row = next(csv.DictReader(io.StringIO(content, newline="")))
    sheet = openpyxl.Workbook().active
    assert sheet is not None
    cell = sheet.cell(1, 1, re.sub(r"[\x00-\x08\x0b-\x1f]", "", row["reason"]))
    assert cell.data_type != "f"
    assert row["reason"].lstrip(" ")[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n", "＝")
    assert row["reason"] in (text, "'" + text)


def test_negative_numbers_stay_numbers() -> None:
    content = b"".join(csv_parts([opportunity(1, net=-1.5, net_bps=-2.25e-7)], None)).decode()
    row = next(csv.DictReader(io.StringIO(content)))
    assert (row["net"], row["net_bps"]) == ("-1.5", "-2.25e-07")


@given(st.lists(st.tuples(st.text(max_size=12), st.none() | st.floats(allow_nan=False, allow_infinity=False)), max_size=5))
def test_any_text_and_any_number_survive_all_forms(values: list[tuple[str, float | None]]) -> None:
    clean = [(text.encode("utf-8", "ignore").decode().replace("\x00", ""), number) for text, number in values]
    rows = [opportunity(i, reason=text, net=number) for i, (text, number) in enumerate(clean)]
    from_csv = list(csv.DictReader(io.StringIO(b"".join(csv_parts(rows, None)).decode(), newline="")))
    assert [(row["reason"], float(row["net"]) if row["net"] else None) for row in from_csv] == [(harmless(t), n) for t, n in clean]
    assert [(row["reason"], row["net"]) for row in json.loads(b"".join(json_parts(rows, ABOUT)))["rows"]] == clean
    table = pq.read_table(io.BytesIO(b"".join(parquet_parts(rows, ABOUT))))
    assert list(zip(table.column("reason").to_pylist(), table.column("net").to_pylist(), strict=True)) == clean


def test_a_file_is_made_in_parts() -> None:
    rows = [opportunity(i) for i in range(3 * CHUNK)]
    assert len(list(csv_parts(rows, None))) == 3
    assert max(len(part) for part in json_parts(rows, ABOUT)) < len(b"".join(json_parts(rows, ABOUT))) / 2


def test_too_many_rows_are_refused_with_a_way_out() -> None:
    check_size(MAX_ROWS)
    with pytest.raises(Refusal) as refused:
        check_size(MAX_ROWS + 1)
    assert refused.value.status == 413 and "narrow" in refused.value.hint
