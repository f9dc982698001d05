"""Another scenario while the market runs: through the process of the simulated market, and refused in words everywhere else."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path

import psutil
import pytest

from dope.board import Board, Command
from dope.errors import DopeError, UnknownName
from dope.runtime import Runtime
from dope.sim.scenarios import SCENARIOS
from dope.tape.format import Meta
from dope.tape.segment import write_tape
from dope.venues.okx import Okx
from dope.worlds import ONLY_SIMULATED, WorldProcess
from tests.frames import play, spot_script
from tests.program import line_of, until
from tests.test_runtime import settings


def sim_process() -> psutil.Process:
    (found,) = [each for each in psutil.Process().children() if "dope.sim" in line_of(each)]
    return found


def test_the_process_of_the_market_plays_another_scenario_or_says_why_not() -> None:
    async def life() -> None:
        world = WorldProcess(seed=3, venues=["okx"], speed=1.0)
        with pytest.raises(DopeError, match="not running"):
            await world.play("calm")
        await world.start()
        first = await world.play("calm")
        assert await world.play("de-peg") >= first > 1_700_000_000_000
        with pytest.raises(DopeError, match=r"unknown scenario 'clam'; did you mean .*calm"):
            await world.play("clam")
        process = sim_process()
        process.send_signal(signal.SIGSTOP)
        asking = asyncio.create_task(world.play("calm"))
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGKILL)  # whoever waits is told
        with pytest.raises(DopeError, match="does not answer"):
            await asking
        await world.stop()

    asyncio.run(life())


def test_a_tape_that_is_played_back_has_no_scenarios(tmp_path: Path) -> None:
    write_tape(tmp_path / "a.dope", Meta("import", 1, venues=("binance_spot",)), play("binance_spot", spot_script()))
    world = WorldProcess(seed=0, speed=1.0, tapes=[tmp_path / "a.dope"])
    with pytest.raises(DopeError, match=ONLY_SIMULATED):
        asyncio.run(world.play("calm"))


def test_a_venue_freezes_when_that_is_asked_for_and_is_well_again_when_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Okx, "IDLE_S", 1.0)  # s; at six times the speed a freeze of 12 s lasts 2 s
    board = Board()
    runtime = Runtime(settings(tmp_path, venues=("okx", "binance_spot"), symbols=("BTC-USDT",), sim_scenario="calm", sim_rate=6.0), board)

    def mode() -> dict[str, object]:
        return dict(board.read().data.get("mode", {}))

    def playing() -> object:
        scenario = mode().get("scenario")
        return scenario["id"] if isinstance(scenario, dict) else None

    def states() -> dict[str, str]:
        return {row["key"]: row["state"] for row in board.read().data.get("instruments", ())}

    def told() -> list[str]:
        return [event["text"] for event in board.read().data.get("events", ())]

    both = {"okx:BTC-USDT", "binance_spot:BTC-USDT"}
    runtime.start()
    try:
        until(lambda: states() == dict.fromkeys(both, "LIVE"), "both books live")
        assert playing() == "calm" == runtime.settings.sim_scenario, "what the command line chose"
        assert [row["id"] for row in board.query("scenarios")] == list(SCENARIOS)
        with pytest.raises(UnknownName, match=r"did you mean .*calm"):
            board.ask(Command("scenario", {"name": "clam"}))
        board.ask(Command("scenario", {"name": "venue-freeze"}))
        until(lambda: playing() == "venue-freeze" and states()["okx:BTC-USDT"] in ("STALE", "DOWN"), "silence, then a closed connection")
        assert states()["binance_spot:BTC-USDT"] == "LIVE", "the other venue goes on"
        board.ask(Command("scenario", {"name": "usual"}))
        until(lambda: playing() == "usual" and states() == dict.fromkeys(both, "LIVE"), "both books live again")
        assert f"the simulated market plays Venue freeze: {SCENARIOS['venue-freeze'].see}" in told()
        assert [row["what"] for row in until(lambda: board.query("log"), "the log")].count("scenario") == 2
        sim_process().kill()
        until(lambda: any("started anew" in text for text in told()), "another process")
        assert playing() == "usual", "not what the command line chose: what was chosen last"
        board.ask(Command("source", {"to": "live"}))
        until(lambda: mode().get("source") == "live", "the live market")
        assert mode()["scenario"] is None
        with pytest.raises(DopeError, match=ONLY_SIMULATED):
            board.ask(Command("scenario", {"name": "calm"}))
    finally:
        runtime.stop()
        gc.unfreeze()
