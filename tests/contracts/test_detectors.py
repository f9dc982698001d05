"""What every detector promises, run over the registry: bounded words, parameters with units, nothing said of the self-test."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import msgspec
import pytest

from dope.detectors import Rules, default_detectors
from dope.detectors.linker import LinkParameters
from dope.detectors.parameters import changed, checked, in_force, name_of, parametrised, table
from dope.market.market import Market
from dope.types import SENTINEL, BookState, Event, Instrument, Link, Listed, Setting, Signal, Tick, Touch, Trade

T0 = 1_700_000_000_000_000_000
DETECTORS = default_detectors({}, Rules())
NAMES = [type(detector).__name__ for detector in DETECTORS]
WITH_PARAMETERS = parametrised(DETECTORS)


def of(name: str) -> Any:
    return next(detector for detector in default_detectors({}, Rules()) if type(detector).__name__ == name)


def signals() -> list[type[Signal]]:
    found, left = [], list(Signal.__subclasses__())
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.startswith("dope."):
            found.append(kind)
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_ignores_what_it_does_not_know_and_survives_a_market_without_books(name: str) -> None:
    detector, market = of(name), Market()
    for event in (
        Touch(T0, "nobody:X-Y", 1.0, 1.0, 2.0, 1.0), Trade(T0, "nobody:X-Y", 0, 1.0, 1.0, "buy", "1"), Link(T0, "nobody", 1, True, b""),
        Setting(T0, b'{"else": 1}'), Setting(T0, b"{}"), Tick(T0 + 1, 0), Tick(T0 + 10**10, 0),
    ):  # fmt: skip
        assert not [told for told in detector.on(event, market) if isinstance(told, Signal)]


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_goes_on_from_a_pickle_and_tells_nothing_of_the_markets_of_the_self_test(name: str) -> None:
    market, detector = Market(), of(name)
    instrument = Instrument("sentinel_a", "BTC-USDT", "B", "BTC", "USDT", SENTINEL)
    market.open_book(instrument, T0, "", 5.0)
    told: list[Event] = list(detector.on(Listed(T0, instrument), market)) if Listed in detector.KINDS else []
    if BookState in detector.KINDS:
        told += detector.on(BookState(T0, instrument.key, "LIVE", "SYNCING", "", T0), market)
    copy = pickle.loads(pickle.dumps(detector))
    for step in range(1, 40):
        now = T0 + step * 100_000_000
        market.trade(Trade(now, instrument.key, 0, 100.0, 1e6, "buy", str(step)), 1)
        market.tick(now)
        if Tick in detector.KINDS:
            told += detector.on(Tick(now, 0), market)
            copy.on(Tick(now, 0), market)
    assert told == []


def test_every_signal_has_a_kind_of_its_own_and_says_itself_in_a_line() -> None:
    kinds = [kind.KIND for kind in signals()]
    assert {"jump", "burst", "whale", "link"} <= set(kinds)
    assert len(set(kinds)) == len(kinds) and all(re.fullmatch(r"[a-z][a-z-]{2,20}", kind) for kind in kinds)
    assert all("line" in kind.__dict__ and kind.__doc__ for kind in signals())


def test_parameters_have_a_unit_a_range_and_a_meaning_and_are_shipped_within_it() -> None:
    names = [name_of(detector) for detector in WITH_PARAMETERS]
    assert {"jumps", "bursts", "whales", "linker"} <= set(names) and len(set(names)) == len(names)
    for row in table(DETECTORS):
        assert row.unit and row.about, row
        assert row.least <= row.usual <= row.most and row.value == row.usual, row
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,31}", row.name) and re.fullmatch(r"[a-z][a-z0-9_]{2,31}", row.detector)


@pytest.mark.parametrize("row", table(DETECTORS), ids=lambda row: f"{row.detector}-{row.name}")
def test_a_parameter_is_taken_from_a_frame_and_refused_out_of_its_range(row: Any) -> None:
    detectors = default_detectors({}, Rules())
    detector, tuning = next(each for each in parametrised(detectors) if row.detector == name_of(each)), detectors[-1]
    market, other = Market(), row.most if row.usual != row.most else row.least

    def told(value: Any) -> list[Event]:
        return list(tuning.on(Setting(T0, json.dumps({"parameters": {row.detector: {row.name: value}}}).encode()), market))

    assert told(other) == [] and getattr(detector.parameters, row.name) == other
    for value in (row.most * 2 + 1, row.least - 1, "much", None, True):
        (fault,) = told(value)
        assert row.name in fault.reason  # type: ignore[attr-defined]
        assert getattr(detector.parameters, row.name) == other, "what is wrong changes nothing"
    assert told(row.usual) == [] and in_force([detector]) == {row.detector: msgspec.structs.asdict(type(detector.parameters)())}


def test_names_that_nobody_knows_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"no detector 'jump' with parameters; one of .*jumps"):
        checked(DETECTORS, {"jump": {}})
    with pytest.raises(ValueError, match=r"unknown parameter 'size'; one of .*min_bps"):
        checked(DETECTORS, {"jumps": {"size": 1}})
    with pytest.raises(ValueError, match="name → value"):
        checked(DETECTORS, {"jumps": 1})
    with pytest.raises(ValueError, match="from 0"):
        changed(LinkParameters(), {"ratio": float("nan")})
    assert checked(DETECTORS, {"jumps": {"min_bps": 7}})["jumps"]["min_bps"] == 7.0
