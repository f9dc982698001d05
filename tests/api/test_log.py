"""The log of commands and past jobs over the web: pages, times, and the trouble of the records at /health."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dope.api import log
from dope.errors import StoreError
from dope.store.records import NAME, Records
from tests.api.house import serving
from tests.api.publisher import T0, Publisher, full

assert log


def test_the_log_is_paged_by_id_and_past_jobs_by_offset_as_the_records_give_them(tmp_path: Path) -> None:
    clock = itertools.count(T0)
    records = Records(tmp_path / NAME, clock_ms=lambda: next(clock))
    for number in range(5):
        records.note("10.0.0.7", "set", {"n": number})
        records.job_asked(number, "train", {"n": number})
    records.job_ended(4, "failed", started=T0, ended=T0 + 9, error="no data", result=None)
    publisher = Publisher()

    def answer(kind: str, _symbol: str, start: int, _end: int, *, limit: int, source: str) -> list[dict[str, Any]]:
        rows = records.audit(limit, before=start) if kind == "log" else records.jobs(limit, leave_out=start)
        return [row._asdict() for row in rows]

    publisher.board.serve(lambda *_: None, answer)
    with serving(publisher) as house:
        first = house.get("/api/v1/audit", limit=3).json()
        assert [row["id"] for row in first["rows"]] == [5, 4, 3] and (first["more"], first["next"]) == (True, 3)
        second = house.get("/api/v1/audit", limit=3, before=first["next"]).json()
        assert [row["id"] for row in second["rows"]] == [2, 1] and (second["more"], second["next"]) == (False, None)
        assert (second["rows"][0]["who"], second["rows"][0]["detail"]) == ("10.0.0.7", {"n": 1}) and second["rows"][0]["at"].endswith("Z")
        past = house.get("/api/v1/jobs/past", limit=2).json()
        told = [(row["id"], row["state"], row["error"]) for row in past["rows"]]
        assert told == [(4, "failed", "no data"), (3, "queued", None)] and past["more"]
        assert past["rows"][0]["ended_ms"] == T0 + 9 and past["rows"][1]["ended"] is None
        assert [row["id"] for row in house.get("/api/v1/jobs/past", limit=9, offset=4).json()["rows"]] == [0]
    records.close()


def test_trouble_with_the_records_is_told_at_health_as_long_as_it_lasts(tmp_path: Path) -> None:
    records = Records(tmp_path / NAME, clock_ms=lambda: T0)
    assert records.troubles() == []
    with sqlite3.connect(tmp_path / NAME, isolation_level=None) as other:
        records._db.execute("pragma busy_timeout = 1")
        other.execute("begin exclusive")
        with pytest.raises(StoreError, match="records cannot be written: database is locked"):
            records.note("a", "b", {})
        publisher = Publisher()
        with serving(publisher) as house:
            publisher.publish({"mode": {**full()["mode"], "notices": records.troubles()}})
            told = house.get("/health")
            assert (told.status_code, told.json()["status"]) == (200, "degraded") and "database is locked" in told.json()["reason"]
            other.execute("rollback")
            records.note("a", "b", {})
            assert records.troubles() == []
            publisher.publish(full())
            assert (house.get("/health").json()["status"], house.get("/health").json()["reason"]) == ("ok", None)
    other.close()
    records.close()
