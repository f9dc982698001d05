"""A replay's time and reel, without a process: speed, pause, step, loop, stretches without anything, and what is marked."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from dope import tables
from dope.errors import DopeError
from dope.player import Player, by_second
from dope.reel import STRETCHES, Reel
from dope.settings import Settings
from dope.tape.format import Meta
from dope.tape.journal import Journal
from dope.tape.segment import write_tape
from dope.types import DATA, TICK, Frame
from tests.frames import okx_script, play

SECOND = 10**9
T0 = 1_795_238_000 * SECOND


def still(tmp_path: Path, *seconds: float) -> Player:
    """A player over messages at these seconds, none of which says anything, with a tick between any two of them."""
    frames = []
    for i, s in enumerate(seconds):
        frames.append(Frame(T0 + round(s * SECOND), "okx", 1, DATA, b"%d" % i))
        frames.append(Frame(T0 + round(s * SECOND) + 1000, "", 0, TICK, b"0"))
    path = tmp_path / "still.dope"
    write_tape(path, Meta("import", 1, venues=("okx",)), frames)
    return Player(Settings(_env_file=None), Reel([path]))


def watched(player: Player, seconds: float, *, begin: float = 0.0) -> float:
    """Turn it for so long, 10 ms at a time; the recorded seconds reached."""
    for step in range(round(begin * 100), round((begin + seconds) * 100) + 1):
        player.turn(step * 10_000_000)
    return (player.position - T0) / SECOND


def test_recorded_time_runs_at_the_speed_asked_for_and_stands_still_when_paused(tmp_path: Path) -> None:
    player = still(tmp_path, *(n / 10 for n in range(300)))
    assert player.state() == "created" and watched(player, 1.0) == 0.0
    player.resume()
    assert watched(player, 1.0) == pytest.approx(1.0, abs=0.11)
    player.set_speed(5)
    assert watched(player, 1.0, begin=1.0) == pytest.approx(6.0, abs=0.11)
    player.pause()
    assert watched(player, 9.0, begin=2.0) == pytest.approx(6.0, abs=0.11) and player.state() == "paused"
    player.resume()
    assert watched(player, 1.0, begin=11.0) == pytest.approx(11.0, abs=0.2)
    with pytest.raises(DopeError, match="replay speed"):
        player.set_speed(0.01)


def test_one_that_cannot_keep_up_does_not_run_ahead_when_it_is_let(tmp_path: Path) -> None:
    player = still(tmp_path, *(n / 1000 for n in range(3000)))
    player.set_speed(2)
    player.resume()
    for step in range(3):  # 512 frames a turn are a quarter of a second, where 20 s were due
        player.turn(step * 10 * SECOND)
    reached = (player.position - T0) / SECOND
    assert reached < 0.8
    player.pause()
    player.resume()
    for _ in range(20):  # no time passes
        player.turn(99 * SECOND)
    assert (player.position - T0) / SECOND < reached + 0.6
    player.set_speed(1)
    reached = (player.position - T0) / SECOND
    assert watched(player, 0.5, begin=100.0) < reached + 0.6


def test_where_nothing_was_recorded_it_passes_over_and_says_so(tmp_path: Path) -> None:
    player = still(tmp_path, 0, 1, 3601, 3602)
    player.resume()
    assert watched(player, 1.5) == pytest.approx(3601, abs=1)
    assert any("passed over" in event["text"] for event in player.sections()["events"])


def test_a_step_is_one_event_forth_or_back(tmp_path: Path) -> None:
    player = still(tmp_path, 0, 1, 2, 3)
    reached = []
    for by in (1, 1, 1, -1, -1, 1):
        player.step(by)
        while player.goal is not None:
            player.turn(0)
        reached.append(round((player.position - T0) / SECOND))
    assert reached == [0, 1, 2, 1, 0, 1] and player.state() == "paused"
    player.step(-1)
    while player.goal is not None:
        player.turn(0)
    with pytest.raises(DopeError, match="no event before"):
        player.step(-1)


def test_it_ends_at_until_goes_round_a_loop_and_begins_anew_at_its_end(tmp_path: Path) -> None:
    still(tmp_path, *(n / 10 for n in range(100)))
    player = Player(Settings(_env_file=None), Reel([tmp_path / "still.dope"]), until=T0 + 2 * SECOND)
    player.resume()
    assert watched(player, 3.0) == pytest.approx(2.0, abs=0.01) and player.state() == "ended"
    player.resume()
    assert watched(player, 1.0, begin=3.0) == pytest.approx(1.0, abs=0.11)
    player.loop = (T0 + SECOND // 2, T0 + SECOND)
    reached = [watched(player, 0.1, begin=4.0 + n / 10) for n in range(20)]
    assert max(reached) < 1.2 and sum(b < a for a, b in itertools.pairwise(reached)) >= 3


def test_frames_are_cut_where_a_second_begins_and_lines_go_on_being_numbered(tmp_path: Path) -> None:
    frames = [Frame(T0 + n * SECOND // 4, "", 0, TICK, b"0") for n in range(10)]
    assert [len(part) for part in by_second(frames)] == [4, 4, 2] and not list(by_second([]))
    player = still(tmp_path, 0, 100, 200)
    player.resume()
    watched(player, 0.5)
    last = player.picture.last_event
    player.seek(T0)
    assert last > 0 and player.picture.last_event == last


def test_marks_are_few_however_much_happened_and_the_strongest_stand(tmp_path: Path) -> None:
    script = play("okx", okx_script())
    write_tape(tmp_path / "a.dope", Meta("import", 1, venues=("okx",), session="a"), script)
    assert Reel([tmp_path / "a.dope"]).marks() == [], "imports have no rows: what is played is marked"
    first, last = script[0].ts, script[0].ts + 1000 * 10**9
    journal = Journal(tmp_path / "b", Meta("sim", 1, venues=("okx",)))
    journal.append([*script, Frame(last, "", 0, TICK, b"0")])
    rows = [{"ts": first + n * 10**8, "symbol": "BTC-USDT", "id": n, "session": "b", "state": "open", "opened": first + n * 10**8,
             "buy_venue": "a", "sell_venue": "b", "peak_bps": float(n % 50)} for n in range(10_000)]  # fmt: skip
    lost = tables.gap(first + 500 * 10**9, None, "book", "checksum", venue="okx", symbol="BTC-USDT")
    journal.append_rows("opportunity", tables.batch("opportunity", rows))
    journal.append_rows("gap", tables.batch("gap", [lost]))
    journal.append_rows("gap", tables.batch("gap", [{**lost, "until": lost["ts"] + 10**9}]))  # told once more when it is over
    journal.close()
    (path,) = (tmp_path / "b").glob("*.dope")
    marks = Reel([path]).marks()
    assert [mark for mark in marks if mark[1] == "book"] == [(lost["ts"] // 1_000_000, "book", "okx BTC-USDT checksum")]
    told = [mark[2] for mark in marks if mark[1] == "opp"]
    assert len(told) == STRETCHES and all("+49.00 bps (and " in text for text in told)
    assert sum(int(text.split("and ")[1].split()[0]) for text in told) + len(told) == len(rows)
