"""``app.py sim``: the whole program tried out on a market of which everything is known."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.program import command


def test_a_trial_prints_one_json_object_and_ends_well(tmp_path: Path) -> None:
    asked = ("--seed", "5", "--seconds", "2", "--venues", "binance_spot,okx", "--faults", "gap@okx:ETH-USDT:0.5", "--json")
    done = command(tmp_path, "sim", *asked)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] and found["seed"] == 5 and found["venues"] == ["binance_spot", "okx"]
    (gap,) = [row for row in found["kinds"] if row["kind"] == "gap"]
    assert (gap["injected"], gap["due"], gap["detected"], gap["missed"]) == (1, 1, 1, 0) and gap["max_ms"] < 2_000


def test_what_cannot_be_tried_is_refused_with_code_2(tmp_path: Path) -> None:
    for arguments in (("--faults", "flood@okx:1"), ("--venues", "nowhere"), ("--seconds", "0"), ("--scenario", "tulips")):
        done = command(tmp_path, "sim", *arguments)
        assert done.returncode == 2 and done.stderr.strip(), arguments


def test_in_real_time_the_command_plays_as_time_goes_by_and_says_so(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = command(tmp_path, "sim", "--seed", "5", "--seconds", "1", "--venues", "okx", "--scenario", "calm", "--real-time", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1), done.stderr
    assert not found["stepped"] and found["longest_stall_ms"] >= 0 and found["messages"] > 10
    assert time.monotonic() - begun > found["seconds"] + found["ready_s"]
