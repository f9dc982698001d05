"""Faults as they are written on a command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dope.errors import SettingsError
from dope.settings import Settings
from dope.sim.journal import Fault
from dope.trial.faults import parse
from dope.trial.report import report
from dope.trial.stage import Case, play, ready
from tests.trial.test_recall import played


def test_a_fault_is_a_kind_a_place_and_a_time() -> None:
    assert parse("gap@okx:BTC-USDT:5, freeze@kraken:10:3") == (
        Fault(kind="gap", venue="okx", symbol="BTC-USDT", at_s=5.0), Fault(kind="freeze", venue="kraken", at_s=10.0, duration_s=3.0),
    )  # fmt: skip
    assert parse('[{"kind":"close","venue":"okx","at_s":2,"params":{"code":1006}}]')[0].params == {"code": 1006}
    assert parse("") == ()


def test_what_happens_to_the_market_is_written_alike_with_an_asset_or_a_market() -> None:
    assert parse("jump@BTC:5, burst@ETH:1:3, dislocation@okx:BTC-USDT:2:1, dislocation@okx:ETH-BTC:2:1, crash@SOL:0:4, depeg@USDT:1:2") == (
        Fault(kind="jump", at_s=5.0, params={"asset": "BTC", "bps": 30.0}),
        Fault(kind="burst", at_s=1.0, duration_s=3.0, params={"asset": "ETH", "factor": 150.0, "side": "buy"}),
        Fault(kind="dislocation", venue="okx", symbol="BTC-USDT", at_s=2.0, duration_s=1.0, params={"bps": 40.0}),
        Fault(kind="dislocation", venue="okx", symbol="ETH-BTC", at_s=2.0, duration_s=1.0, params={"bps": 80.0}),
        Fault(kind="crash", duration_s=4.0, params={"asset": "SOL", "bps": 300.0}),
        Fault(kind="depeg", at_s=1.0, duration_s=2.0, params={"asset": "USDT", "bps": 150.0}),
    )


def test_what_happens_to_the_market_happens_in_the_trial_and_is_judged(tmp_path: Path) -> None:
    asked = parse("jump@BTC:0.3, dislocation@okx:BTC-USDT:0.8:0.6, crash@ETH:0.5:1")
    done = played(Case(5, 2.0, ("binance_spot", "okx"), asked, scenario="calm"), tmp_path)
    kinds = [entry.kind for entry in done.world.journal.entries]
    assert {"jump", "dislocation", "crash"} <= set(kinds)
    found = report(done)
    assert found["ok"], found["words"]
    assert any("okx" in (told.buy_venue, told.sell_venue) for told in done.witness.opportunities), "40 bps are more than the fees"


def test_in_real_time_the_same_is_played_as_time_goes_by(tmp_path: Path) -> None:
    chosen = Settings(_env_file=None, data_dir=tmp_path, model_dir=tmp_path)  # type: ignore[call-arg]
    ready()
    done = asyncio.run(play(Case(5, 1.0, ("binance_spot", "okx")), chosen))
    assert not done.stepped and done.end_ms > done.ready_ms
    assert {"arbitrage", "alarm without a cause"} <= {row["kind"] for row in report(done)["kinds"]}
    assert len(done.session.engine.market.books) >= 4 and sum(done.session.heard.values()) > 50


@pytest.mark.parametrize(
    "text",
    ["gap", "gap@okx", "gap@okx:BTC-USDT", "flood@okx:1", "gap@okx:1:2:3", "freeze@okx:-1:3", "[1]", '[{"kind":"gap","x":1}]'],
)
def test_what_is_none_is_refused_with_a_word_why(text: str) -> None:
    with pytest.raises(SettingsError, match="fault"):
        parse(text)
