"""The whole house over loopback: what was seen live is what a replay of its own tape sees, signal for signal."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dope.engine import Engine
from dope.engines import build_engine
from dope.feed.clock import Clock
from dope.replay import replay, summary
from dope.session import Session
from dope.settings import Settings
from dope.sim.world import World
from dope.tape.read import Tape, merge
from dope.types import SET

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the condition, however slow the machine; what it stands for is asserted afterwards."""
    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        await asyncio.sleep(0.05)


async def live(settings: Settings) -> Engine:
    """Run the simulated market, with a kick, two lost messages and an unreadable one on the way."""
    world = World(11, epoch_ms=Clock().now() // 1_000_000)
    session = Session(settings, "sim", await world.start(), Clock())
    task = asyncio.create_task(session.feed.run())
    books = session.engine.market.books

    def all_live() -> bool:
        return len(books) == 12 and all(book.state == "LIVE" for book in books.values())

    await until(all_live)
    world.faults.drop("okx", "BTC-USDT")
    world.faults.drop("binance_usdm", "ETH-USDT-PERP")
    await until(lambda: books["okx:BTC-USDT"].gaps > 0 and books["binance_usdm:ETH-USDT-PERP"].gaps > 0)
    await until(all_live)  # a venue passes over what comes for a book while that is fetched anew
    await world.faults.kick("binance_spot", 1001)
    world.faults.raw("okx", '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["NaN","1"]]}]}')
    await until(lambda: books["binance_spot:BTC-USDT"].snapshots > 1 and all_live())
    await until(lambda: session.arbitrage.closed >= 2)
    session.take_rules(session.changed_rules({"order_size": 250.0, "min_net_bps": 1.5}))  # as a user does in the middle of a run
    seen = session.arbitrage.closed
    await until(lambda: session.arbitrage.closed >= seen + 2)
    await session.stop()
    await asyncio.wait([task], timeout=5)
    await world.stop()
    journal = session.journal
    assert journal is not None
    await until(lambda: journal.status()["state"] == "closed")  # a session does not wait for a slow disk: its tape may not be whole yet
    assert journal.status()["state"] == "closed"
    return session.engine


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, list[Path], Settings]:
    folder = tmp_path_factory.mktemp("house")
    settings = Settings(data_dir=folder / "data", model_dir=folder / "models", _env_file=None)
    engine = asyncio.run(live(settings))
    return engine, sorted((folder / "data").rglob("*.dope")), settings


def test_every_book_was_live_and_the_planted_faults_were_seen(run: tuple[Engine, list[Path], Settings]) -> None:
    engine, _, _ = run
    books = engine.market.books
    assert len(books) == 12
    never = [(b.key, b.state, b.reason, b.snapshots, b.live_ns) for b in books.values() if not b.snapshots or not b.live_ns]
    assert never == []
    assert books["okx:BTC-USDT"].gaps >= 1 and books["binance_usdm:ETH-USDT-PERP"].gaps >= 1
    assert books["binance_spot:BTC-USDT"].snapshots >= 2
    assert engine.faults["okx"] >= 1
    assert engine.counts["Opportunity"] >= 4


def test_the_replay_of_the_tape_gives_the_same_digest(run: tuple[Engine, list[Path], Settings]) -> None:
    engine, tapes, settings = run
    again, opened = asyncio.run(replay(tapes, settings))
    assert again.digest() == engine.digest()
    assert again.counts == engine.counts
    assert summary(again, opened)["lost"] == 0


def test_rules_and_fees_in_force_are_on_the_tape_whatever_the_settings_of_the_replay_are(run: tuple[Engine, list[Path], Settings]) -> None:
    engine, tapes, settings = run
    other = settings.model_copy(update={"order_size": 77.0, "min_net_bps": 3.0, "fees": {"okx": {"spot": 0.5, "perp": 0.5}}})
    again, _ = asyncio.run(replay(tapes, other))
    assert again.digest() == engine.digest()


def test_without_what_the_user_changed_the_replay_would_differ(run: tuple[Engine, list[Path], Settings]) -> None:
    engine, tapes, settings = run
    frames = [frame for path in tapes for frame in Tape(path)]
    assert frames[0].kind == SET and sum(frame.kind == SET for frame in frames) == 2
    again = build_engine(settings, tuple(engine.venues), {})
    again.step_many([frame for frame in frames if frame.kind != SET])
    assert again.digest() != engine.digest()


@pytest.mark.parametrize("speed", [50.0, pytest.param(1.0, marks=pytest.mark.full)])
def test_the_replay_at_any_speed_gives_the_same_digest(run: tuple[Engine, list[Path], Settings], speed: float) -> None:
    engine, tapes, settings = run
    again, _ = asyncio.run(replay(tapes, settings, speed))
    assert again.digest() == engine.digest()


@pytest.mark.parametrize("seed", range(3))
def test_any_grouping_of_the_tape_gives_the_same_digest(run: tuple[Engine, list[Path], Settings], seed: int) -> None:
    engine, tapes, settings = run
    rng = random.Random(seed)
    again = build_engine(settings, tuple(engine.venues), {})
    frames = merge([Tape(path) for path in tapes])
    while batch := list(itertools.islice(frames, rng.randint(1, 700))):
        again.step_many(batch)
        again.drain()
    assert again.digest() == engine.digest()


@pytest.mark.parametrize(("hash_seed", "speed"), [("1", "inf"), ("77", "6")])
def test_the_command_prints_that_digest_at_any_speed_and_hash_seed(
    run: tuple[Engine, list[Path], Settings], hash_seed: str, speed: str
) -> None:
    engine, tapes, _ = run
    command = [sys.executable, "app.py", "replay", *map(str, tapes), "--json", "--speed", speed]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True)
    assert f'"digest": "{engine.digest()}"' in done.stdout
