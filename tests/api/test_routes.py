"""The REST routes on a real server: what they answer, in which units, and how they say no."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.errors import DopeError, JobError, UnknownName
from tests.api.house import House, serving
from tests.api.publisher import MARKETS, T0, Publisher, full, instrument, job, opportunity, venue


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(house: House) -> None:
    publisher = house.publisher
    publisher.alive, publisher.refusal, publisher.history = True, None, []
    publisher.commands.clear()
    publisher.publish(full())


def no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_venues_tell_their_state_and_times_in_both_forms(house: House) -> None:
    rows = house.get("/api/v1/venues").json()
    assert [row["id"] for row in rows] == ["binance_spot", "binance_usdm", "okx"]
    assert (rows[0]["since"], rows[0]["since_ms"], rows[0]["next_retry"]) == ("2023-11-14T22:13:20.000Z", T0, None)


def test_only_a_live_book_shows_prices(house: House) -> None:
    rows = [instrument("okx", "BTC-USDT"), instrument("binance_spot", "BTC-USDT", state="GAP", reason="sequence")]
    house.publisher.publish({"instruments": rows})
    live, gap = house.get("/api/v1/symbols").json()
    assert (live["bid"], live["ask"], live["mid"]) == (100.0, 100.5, 100.25)
    assert (gap["state"], gap["reason"]) == ("GAP", "sequence")
    assert [gap[name] for name in ("bid", "bid_size", "ask", "ask_size", "mid")] == [None] * 5
    live, gap = house.get("/api/v1/books/BTC-USDT", levels=3).json()
    assert live["current"] is True and live["bids"] == [[100.0, 1.0], [99.0, 2.0], [98.0, 3.0]] and len(live["asks"]) == 3
    assert gap == gap | {"current": False, "state": "GAP", "reason": "sequence", "bids": [], "asks": []}


def test_opportunities_come_newest_first_with_history_and_what_is_open(house: House) -> None:
    house.publisher.history = [opportunity(i, state="closed", closed=T0 + 1) for i in (0, 1, 2)]
    answer = house.get("/api/v1/opportunities").json()
    assert [row["id"] for row in answer["rows"]] == [2, 1, 0]
    assert answer["rows"][0]["state"] == "open"  # what is open now is told as it is now
    assert (answer["count"], answer["matched"]) == (3, 3)
    row = answer["rows"][0]
    assert (row["opened"], row["opened_ms"], row["closed"]) == ("2023-11-14T22:13:22.000Z", T0 + 2000, None)
    assert row["peak_t"] == "2023-11-14T22:13:22.007Z"


FOUND = [
    ({"state": "open"}, [5, 2]),
    ({"state": "closed"}, [4, 3, 1]),
    ({"asset": "ETH"}, [4]),
    ({"asset": "ETH,BTC", "state": "closed"}, [4, 3, 1]),
    ({"kind": "perp"}, [3]),
    ({"venue": "binance_usdm"}, [3]),
    ({"min_net": 50.1, "max_net": 50.3}, [4, 3]),
    ({"min_size": 2000}, [5]),
    ({"limit": 2}, [5, 4]),
    ({"since": "2023-11-14T22:13:24Z"}, [5, 4]),
    ({"since": str(T0 + 4000), "until": str(T0 + 4000)}, [4]),
    ({"since": "2023-11-14T23:13:24+01:00", "until": "2023-11-14T22:13:24"}, [4]),
    ({"until": "2023-11-14T22:13:21.5"}, [1]),
    ({"state": "open", "min_size": 1e9}, []),
]


@pytest.mark.parametrize(("query", "ids"), FOUND)
def test_each_filter_lets_through_what_it_names(house: House, query: dict[str, Any], ids: list[int]) -> None:
    house.publisher.history = [
        opportunity(3, state="closed", closed=T0, kind="perp", symbol="BTC-USDT-PERP", buy_venue="binance_usdm"),
        opportunity(4, state="closed", closed=T0, base="ETH", symbol="ETH-USDT"),
        opportunity(5, size=5000.0),
    ]
    answer = house.get("/api/v1/opportunities", **query).json()
    assert [row["id"] for row in answer["rows"]] == ids


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"limit": 10_001}, 422),
        ({"limit": 0}, 422),
        ({"min_net": "nan"}, 422),
        ({"min_size": "inf"}, 422),
        ({"since": "yesterday"}, 422),
        ({"since": "9" * 30}, 422),
        ({"until": "\u0661\u0662"}, 422),
        ({"state": "won"}, 422),
        ({"asset": "btc"}, 422),
        ({"asset": "XRP"}, 404),
        ({"asset": "BTC,XRP"}, 404),
        ({"asset": "BTC,"}, 422),
        ({"venue": "okex"}, 404),
    ],
)
def test_a_filter_that_cannot_be_meant_is_told(house: House, query: dict[str, Any], status: int) -> None:
    answer = house.get("/api/v1/opportunities", **query)
    assert answer.status_code == status and set(answer.json()) == {"error", "hint"}


def test_spreads_show_matrix_and_pairs_of_one_symbol(house: House) -> None:
    answer = house.get("/api/v1/spreads/BTC-USDT").json()
    assert answer["matrix"]["net"] == [[None, -19.0], [-21.0, None]]
    assert [pair["b"] for pair in answer["pairs"]] == ["okx:BTC-USDT"]
    assert house.get("/api/v1/spreads/BTC-USDT-PERP").json() == {"symbol": "BTC-USDT-PERP", "matrix": None, "pairs": []}


def test_a_name_typed_wrong_gets_the_nearest_ones(house: House) -> None:
    answer = house.get("/api/v1/books/BTC-USDR")
    assert answer.status_code == 404
    assert answer.json() == {"error": "unknown symbol 'BTC-USDR'", "hint": "did you mean BTC-USDT, BTC-USDT-PERP, ETH-USDT?"}


def test_commands_go_to_the_engine_and_jobs_come_back(house: House) -> None:
    answer = house.client.post("/api/v1/commands", json={"name": "backtest", "args": {"latency_ms": 100, "fees": {"okx": {"spot": 8}}}})
    assert answer.status_code == 202
    number = answer.json()["job"]
    (asked, command), *_ = house.publisher.commands
    assert (asked, command.name, command.args) == (number, "backtest", {"latency_ms": 100.0, "fees": {"okx": {"spot": 8.0}}})
    assert house.get(f"/api/v1/jobs/{number}").json()["state"] == "queued"  # accepted, not yet on the board
    house.publisher.publish({"jobs": [job(number, kind="backtest", progress=0.5)]})
    row = house.get(f"/api/v1/jobs/{number}").json()
    assert (row["state"], row["progress"], row["started_ms"]) == ("running", 0.5, T0)
    assert house.client.post(f"/api/v1/jobs/{number}/cancel", headers={"Origin": house.url}).status_code == 202
    assert (house.publisher.commands[-1][1].name, house.publisher.commands[-1][1].args) == ("cancel", {"job": number})


def test_a_venue_is_muted_by_a_command_and_tells_until_when(house: House) -> None:
    assert {row["muted_until_ns"] for row in house.get("/api/v1/venues").json()} == {None}
    for wish in ({"name": "mute", "args": {"venue": "okx", "seconds": 900}}, {"name": "mute", "args": {"venue": "okx"}}):
        assert house.client.post("/api/v1/commands", json=wish).status_code == 202
    assert [dict(command.args) for _, command in house.publisher.commands] == [
        {"venue": "okx", "seconds": 900.0}, {"venue": "okx"}
    ]  # fmt: skip
    house.publisher.publish({"venues": [venue("okx", muted_until_ns=T0 * 1_000_000)]})
    assert house.get("/api/v1/venues").json()[0]["muted_until_ns"] == T0 * 1_000_000


BAD_WISHES = [
    {"name": "mute", "args": {}},
    {"name": "mute", "args": {"venue": "okx", "seconds": 0}},
    {"name": "mute", "args": {"venue": "okx", "seconds": 604_801}},
    {"name": "unmute", "args": {"venue": "okx", "seconds": 5}},
    {"name": "format_disk"},
    {"name": "train", "args": {"epochs": 5}},
    {"name": "set", "args": {"order_size": -1}},
    {"name": "set", "args": {"order_size": "NaN"}},
    {"name": "set", "args": {"model_dir": "/etc"}},
    {"name": "source", "args": {"to": "mars"}},
    {"name": "cancel", "args": {}},
    {"name": "backtest", "args": {"tape": "../../etc/passwd"}},
    {"name": "backtest", "args": {"tape": "live\n"}},
    {"name": "backtest", "args": {"tape": ".."}},
    {"name": "reconnect", "args": {"venue": "okx\n"}},
    {"args": {}},
    {"name": "train", "now": True},
    [],
]


@pytest.mark.parametrize("wish", BAD_WISHES)
def test_a_wish_that_cannot_be_meant_does_not_reach_the_engine(house: House, wish: Any) -> None:
    answer = house.client.post("/api/v1/commands", json=wish)
    assert answer.status_code == 422 and set(answer.json()) == {"error", "hint"}
    assert house.publisher.commands == []


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (DopeError("not enough data to train: 3 of 50 samples"), 409),
        (JobError("another one waits"), 429),
        (UnknownName("tape", "x", ["y"]), 404),
        (ValueError("order_size cannot be 0"), 422),
    ],
)
def test_what_the_engine_refuses_is_told_in_its_words(house: House, refusal: Exception, status: int) -> None:
    house.publisher.refusal = refusal
    answer = house.client.post("/api/v1/commands", json={"name": "train"})
    assert answer.status_code == status
    assert answer.json()["error"] in str(refusal)


def test_a_third_training_is_told_to_come_back(house: House) -> None:
    house.publisher.publish({"jobs": [job(1), job(2, state="queued"), job(3, state="done")]})
    answer = house.client.post("/api/v1/commands", json={"name": "train"})
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    assert house.client.post("/api/v1/commands", json={"name": "backtest"}).status_code == 202


def test_an_unknown_job_is_not_found(house: House) -> None:
    assert house.get("/api/v1/jobs/99").status_code == 404
    assert house.client.post("/api/v1/jobs/99/cancel", headers={"Origin": house.url}).status_code == 404
    assert house.get("/api/v1/jobs/0").status_code == 422


READS = ["venues", "symbols", "instruments", "books/BTC-USDT", "opportunities", "spreads/BTC-USDT", "jobs", "jobs/1000",
         "export/opportunities.csv"]  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_without_an_engine_nothing_is_told_as_current(house: House, path: str) -> None:
    house.publisher.alive = False
    answer = house.get("/api/v1/" + path)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
    assert answer.json() == {"error": "the engine is not running", "hint": "look at /health"}


def test_before_the_first_publication_the_routes_say_that_it_is_starting() -> None:
    publisher = Publisher({})
    publisher.board.__init__()  # type: ignore[misc]  # as it was before anything was published
    with serving(publisher) as house:
        assert house.get("/api/v1/venues").json()["error"] == "the engine is still starting"
        assert house.client.post("/api/v1/commands", json={"name": "train"}).status_code == 503
        assert house.get("/api/v1/live").json()["data"] == {}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/api/v1/commands", "POST"), ("DELETE", "/api/v1/venues", "GET"), ("PUT", "/api/v1/jobs/1", "GET")],
)
def test_the_wrong_method_is_told_which_one_is_right(house: House, method: str, path: str, allow: str) -> None:
    answer = house.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


def test_every_answer_is_strict_json_even_of_odd_numbers(house: House) -> None:
    house.publisher.publish(
        {"pairs": [{"a": "x", "b": "y", "symbol": "BTC-USDT", "kind": "spot", "mean": float("nan"), "current": float("inf")}]}
    )
    text = house.get("/api/v1/spreads/BTC-USDT").text
    assert json.loads(text, parse_constant=no_constant)["pairs"][0]["mean"] is None


EVIL = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%2e%2e%2f",
    "....//",
    "BTC-USDT%0a",
    "BTC-USDT%00",
    "%00",
    "-rf",
    "CON",
    "NUL.txt",
    "BTC-USDT%20",
    "%20BTC-USDT",
    "btc-usdt",
    "BTC_USDT",
    "BTC/USDT",
    "BTC%2FUSDT",
    "BTC:USDT",
    "BTC\u2010USDT",
    "\u0661\u0662\u0663",
    "ＢＴＣ-USDT",
    "BTC-USDT;ls",
    "BTC-USDT|id",
    "$(id)",
    "`id`",
    "' OR 1=1 --",
    '" OR ""="',
    "'; DROP TABLE x; --",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "{{7*7}}",
    "${7*7}",
    "%s%s%s%n",
    "\\\\host\\share",
    "C:\\x",
    "~root",
    "A" * 33,
    "A" * 10_000,
    "\u202eTDSU-CTB",
    "BTC-USDT\u200b",
    "*",
    "?",
    "#",
    ".",
    "..",
    "BTC-USDT.",
    "BTC--USDT\t",
    "%0d%0aSet-Cookie:x",
    "=1+1",
    "@SUM(A1)",
    "None",
    "null",
    "NaN",
]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("path", ["/api/v1/books/", "/api/v1/spreads/", "/api/v1/jobs/", "/api/v1/export/opportunities."])
def test_no_evil_name_gets_anywhere(house: House, path: str, name: str) -> None:
    quoted = quote(name, safe="%/") if name.strip(".") else name.replace(".", "%2e")  # as it is: a client would tidy up the path
    answer = house.client.get(path + quoted)
    assert answer.status_code in (404, 405, 414, 422) and set(answer.json()) == {"error", "hint"}
    assert len(answer.content) < 2000 and "set-cookie" not in answer.headers


@given(st.text(max_size=40))
def test_no_text_at_all_gets_anywhere(text: str) -> None:
    from dope.api.security import is_name
    from dope.api.wishes import FILE_NAME

    if is_name(text):
        assert text.isascii() and text.replace("-", "").isalnum() and len(text) <= 32
    if FILE_NAME.fullmatch(text):
        assert "/" not in text and "\\" not in text and not text.startswith(".") and ".." not in text and text.isascii()


def test_every_watched_symbol_has_books_and_spreads(house: House) -> None:
    for _, symbol in MARKETS:
        assert house.get(f"/api/v1/books/{symbol}").status_code == 200
        assert house.get(f"/api/v1/spreads/{symbol}").status_code == 200


def test_an_error_inside_tells_no_traceback(house: House) -> None:
    house.publisher.publish({"venues": [{"state": "live"}]})  # a row without its id
    answer = house.get("/api/v1/venues")
    assert answer.status_code == 500
    told = answer.json()
    assert told["error"] == "something went wrong inside"
    assert re.fullmatch("the log of the server tells more: look for error [0-9a-f]{10}", told["hint"])
    assert house.get("/api/v1/venues").json() == told, "the same fault has the same number"
    assert answer.headers["x-frame-options"] == "DENY"
