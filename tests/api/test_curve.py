"""The curve of an opportunity and of any pair, over HTTP, from a real session: books, rules, ledger, what blocks."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from dope.readings import READINGS, Asked
from dope.types import TICK
from tests.api.house import House, serving
from tests.api.market_desk import Desk, live
from tests.frames import okx_book

BUY, SELL = "binance_spot:BTC-USDT", "okx:BTC-USDT"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return live(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def house(desk: Desk) -> Iterator[House]:
    def curve(args: Any) -> Any:
        assert desk.session is not None
        return READINGS["curve"](desk.session, Asked("", 0, 0, 0, args, desk.session.engine.market.now, lambda read: read()))

    desk.publisher.readings["curve"] = curve
    with serving(desk.publisher) as running:
        yield running


def adds_up(ledger: list[dict[str, Any]]) -> bool:
    amounts = {line["term"]: Decimal(line["amount"]) for line in ledger}
    return sum(amount for term, amount in amounts.items() if term != "net") == amounts["net"]


def test_a_pair_that_does_not_pay_tells_its_curve_at_a_loss_and_what_blocks(house: House) -> None:
    told = house.get("/api/v1/curve", buy=BUY, sell=SELL).json()
    assert (told["id"], told["best"], told["ledger"]) == (None, None, [])
    assert told["blocks"]["term"] == "prices" and told["blocks"]["amount"] > 0
    assert told["points"][0]["net"] < 0 and told["order_size"] == 1000.0
    assert adds_up(told["order_ledger"]) and Decimal(told["order_ledger"][-1]["amount"]) < 0
    assert [(fee["leg"], fee["role"], fee["bps"]) for fee in told["fees"]] == [("buy", "taker", 10.0), ("sell", "taker", 10.0)]
    assert all(fee["source"] and fee["as_of"] and fee["confidence"] for fee in told["fees"])


def test_an_opportunity_tells_its_curve_while_it_is_open_and_after_it_has_closed(house: House, desk: Desk) -> None:
    assert desk.session is not None
    book = desk.session.engine.market.books[SELL]
    asks = [(price, "0") for price in ("100.5", "100.6", "100.7", "100.9")]
    desk.step("okx", okx_book("update", book.seq + 1, book.seq, [("101.4", "1"), ("101.3", "2")], [*asks, ("101.5", "1")]), conn=2)
    (row,) = desk.session.arbitrage.rows()
    told = house.get(f"/api/v1/opportunities/{row.id}/curve").json()
    assert (told["state"], told["blocks"], told["recorded"]) == ("open", None, False)
    assert told["best"]["net"] == pytest.approx(row.net) and told["best"]["qty"] == pytest.approx(row.qty)
    assert told["slack_bps"] == pytest.approx(row.fee_slack_bps)
    assert adds_up(told["ledger"]) and Decimal(told["ledger"][-1]["amount"]) == round(Decimal(row.net), 8)
    assert max(point["net"] for point in told["points"]) <= told["best"]["net"] + 1e-9
    assert told["widest"]["qty"] >= told["best"]["qty"]
    back = okx_book("update", book.seq + 1, book.seq, [("101.4", "0"), ("101.3", "0")], [("101.5", "0"), ("100.5", "1")])
    desk.step("okx", back, conn=2)
    desk.step("", *[(TICK, b"0")] * 12)
    assert desk.session.arbitrage.rows() == []
    after = house.get(f"/api/v1/opportunities/{row.id}/curve").json()
    assert (after["state"], after["recorded"]) == ("closed", True)
    assert after["best"]["net"] == pytest.approx(row.net) and after["ledger"] == told["ledger"]


def test_what_is_no_pair_and_no_opportunity_is_not_found(house: House) -> None:
    for path in ("/api/v1/opportunities/77/curve", "/api/v1/curve?buy=okx:BTC-USDT&sell=okx:BTC-USDT", "/api/v1/curve?buy=a&sell=b"):
        answer = house.get(path)
        assert answer.status_code == 404 and answer.json()["error"].startswith("unknown ")
    assert house.get("/api/v1/curve", buy="x" * 81, sell="y").status_code == 422
