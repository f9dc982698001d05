"""Parameters of detectors on their way: from the settings, by a user's wish, onto the tape, over a restart, into a replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from dope.detectors.parameters import in_force, parted
from dope.engines import build_engine
from dope.errors import SettingsError
from dope.feed.clock import Clock
from dope.readings.asked import Asked
from dope.readings.parameters import read
from dope.session import Session
from dope.settings import load
from dope.sources import Sources
from dope.types import SET, Frame


def session(folder: Path, **changes: Any) -> tuple[Session, list[Frame]]:
    """A session whose frames are kept and stepped at once; there are no sockets."""
    settings = load({"venues": ("okx",), "symbols": ("BTC-USDT",), "data_dir": folder, "record": False, **changes}, env_file=None)
    made = Session(settings, "live", {}, Clock())
    told: list[Frame] = []

    def tell(kind: int, data: bytes) -> None:
        told.append(Frame(1, "", 0, kind, data))
        made.engine.step(told[-1])

    tell(SET, made._in_force())
    made.feed.tell = tell  # type: ignore[method-assign]
    return made, told


def value(made: Session, detector: str, name: str) -> float:
    rows = read(made, Asked("", 0, 0, 0, {}, 0, lambda ask: ask()))
    return next(row["value"] for row in rows if (row["detector"], row["name"]) == (detector, name))


def test_the_environment_sets_them_and_says_what_is_wrong(tmp_path: Path) -> None:
    made, _ = session(tmp_path, parameters={"jumps": {"min_bps": 7.5}})
    assert value(made, "jumps", "min_bps") == 7.5 and value(made, "jumps", "window_ms") == 1000.0
    with pytest.raises(SettingsError, match=r"DOPE_PARAMETERS: min_bps cannot be -1.0: from 0\.1 to 1000"):
        session(tmp_path, parameters={"jumps": {"min_bps": -1}})
    with pytest.raises(SettingsError, match="DOPE_PARAMETERS: no detector 'leaps'"):
        session(tmp_path, parameters={"leaps": {}})


def test_a_recording_begins_with_those_in_force_and_a_replay_under_other_settings_judges_likewise(tmp_path: Path) -> None:
    made, told = session(tmp_path, parameters={"bursts": {"z": 6.0}})
    made.take_parameters({"jumps": {"k_sigma": 7.0}, "whales": {"notional": 5e5}})
    other = build_engine(load({"symbols": ("BTC-USDT",), "parameters": {"jumps": {"k_sigma": 1.0}}}, env_file=None), ("okx",), {})
    other.step_many(told)
    assert in_force(other.detectors) == in_force(made.engine.detectors)
    assert in_force(other.detectors)["bursts"]["z"] == 6.0 and in_force(other.detectors)["jumps"]["k_sigma"] == 7.0


def test_a_change_is_checked_before_it_is_told_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    made, told = session(tmp_path)
    rules, parameters = parted({"order_size": 250.0, "parameters": {"linker": {"ratio": 0.7}}})
    assert (rules, parameters) == ({"order_size": 250.0}, {"linker": {"ratio": 0.7}})
    assert made.changed_parameters(parameters)["linker"]["ratio"] == 0.7 and value(made, "linker", "ratio") == 0.5
    made.take_parameters(parameters)
    assert value(made, "linker", "ratio") == 0.7 and made.arbitrage.rules.order_size == 1000.0
    assert msgspec.json.decode(told[-1].data) == {"parameters": {"linker": {"ratio": 0.7}}}
    for bad in ({"linker": {"ratio": 2}}, {"linker": 3}, {"nobody": {}}):
        with pytest.raises(ValueError, match=r"ratio|linker|nobody"):
            made.changed_parameters(bad)
    with pytest.raises(ValueError, match="detector → name → value"):
        parted({"parameters": [1]})


def test_what_a_user_changed_before_holds_after_a_restart(tmp_path: Path) -> None:
    made, _ = session(tmp_path)
    kept = {"order_size": 300.0, "parameters": {"jumps": {"min_bps": 9.0}}}
    Sources(made.settings, Clock(), (), lambda _: None, kept)._restore(made)
    assert value(made, "jumps", "min_bps") == 9.0 and made.arbitrage.rules.order_size == 300.0
    assert made.picture.events[-1]["text"] == "rules as they were changed before: order_size 300, jumps.min_bps 9"
    Sources(made.settings, Clock(), (), lambda _: None, {"parameters": {"jumps": {"gone": 1}}})._restore(made)
    assert value(made, "jumps", "min_bps") == 9.0, "what another version kept is not used"
