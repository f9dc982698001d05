"""What worker processes do, called directly: train on a table, backtest over tapes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from dope.detectors.arbitrage import Rules, Terms
from dope.errors import ModelError, TapeError
from dope.model.live import PredictorState
from dope.model.predictor import SpreadPredictor
from dope.settings import Settings
from dope.tape.format import Meta
from dope.tape.segment import write_tape
from dope.types import SET, Frame
from dope.workers import backtest_worker, train_worker
from tests.frames import okx_script, play, spot_script
from tests.test_engine import tape

S = 1_000_000_000


class Progress:
    """Notes what a worker says about its progress."""

    def __init__(self) -> None:
        self.said: list[tuple[float, str]] = []

    def __call__(self, done: float, step: str) -> None:
        self.said.append((done, step))


def fed(seconds: int) -> PredictorState:
    """A predictor that has seen two venues for so long."""
    state = PredictorState()
    for n in range(seconds):
        wave = 0.01 * (n % 7)
        mids = {"okx:BTC-USDT": 100.0 + wave, "binance_spot:BTC-USDT": 100.0}
        legs = {key: (mid, mid - 0.1, mid + 0.1, 1.0) for key, mid in mids.items()}
        state.on_second((1_700_000_000 + n) * S, legs)
    return state


@pytest.mark.parametrize(("source", "kept_as"), [("live", "live"), ("sim", "sim"), ("tape", "sim")])
def test_a_training_says_what_it_does_and_where_its_rows_come_from(source: str, kept_as: str) -> None:
    progress = Progress()
    trained = train_worker(progress, fed(200).table(), SpreadPredictor(), 1, source)
    assert trained.card["source"] == kept_as, "a model never passes for one that was learned from the live market"
    assert progress.said[0][0] == 0.0 and progress.said[-1] == (1.0, "Done")
    assert [done for done, _ in progress.said] == sorted(done for done, _ in progress.said)


def test_too_few_rows_are_refused_in_words() -> None:
    with pytest.raises(ModelError):
        train_worker(Progress(), fed(30).table(), SpreadPredictor(), 1, "sim")


def test_a_backtest_names_its_tapes_and_takes_the_users_figures(tmp_path: Path) -> None:
    paths = []
    for n, (venue, script) in enumerate((("okx", okx_script()), ("binance_spot", spot_script()))):
        path = tmp_path / f"{venue}.dope"
        write_tape(path, Meta("import", 1, venues=(venue,), session=str(n)), play(venue, script))
        paths.append(str(path))
    progress = Progress()
    settings = Settings(_env_file=None).model_dump(mode="json")
    report = backtest_worker(progress, paths, {"latency_ms": 5.0, "order_size": 50.0, "fees": None}, settings)
    assert report["tapes"] == ["okx.dope", "binance_spot.dope"] and report["source"] == ["import"]
    assert progress.said[0] == (0.0, "Open the tape") and progress.said[-1] == (1.0, "Done")
    assert any("of 17 frames" in step for _, step in progress.said)
    json.dumps(report, allow_nan=False)


def test_a_backtest_judges_by_the_rules_chosen_now_not_by_those_in_force_then(tmp_path: Path) -> None:
    frames = tape()
    strict = Frame(frames[0].ts, "", 0, SET, msgspec.json.encode(Terms(Rules(enter=1e6))))
    found = []
    for name, recorded in (("plain", frames), ("strict", [strict, *frames])):
        path = tmp_path / f"{name}.dope"
        write_tape(path, Meta("import", 1, venues=("okx", "binance_spot")), recorded)
        found.append(backtest_worker(Progress(), [str(path)], {}, Settings(_env_file=None, min_net_bps=0.0).model_dump(mode="json")))
    assert found[0]["opportunities"] == found[1]["opportunities"] > 0


def test_a_backtest_without_its_tape_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"gone\.dope"):
        backtest_worker(Progress(), [str(tmp_path / "gone.dope")], {}, Settings(_env_file=None).model_dump(mode="json"))
