"""Faults as they are written on a command line."""

from __future__ import annotations

import pytest

from dope.errors import SettingsError
from dope.sim.journal import Fault
from dope.trial.faults import parse


def test_a_fault_is_a_kind_a_place_and_a_time() -> None:
    assert parse("gap@okx:BTC-USDT:5, freeze@kraken:10:3") == (
        Fault(kind="gap", venue="okx", symbol="BTC-USDT", at_s=5.0), Fault(kind="freeze", venue="kraken", at_s=10.0, duration_s=3.0),
    )  # fmt: skip
    assert parse('[{"kind":"close","venue":"okx","at_s":2,"params":{"code":1006}}]')[0].params == {"code": 1006}
    assert parse("") == ()


@pytest.mark.parametrize(
    "text",
    ["gap", "gap@okx", "gap@okx:BTC-USDT", "flood@okx:1", "gap@okx:1:2:3", "freeze@okx:-1:3", "[1]", '[{"kind":"gap","x":1}]'],
)
def test_what_is_none_is_refused_with_a_word_why(text: str) -> None:
    with pytest.raises(SettingsError, match="fault"):
        parse(text)
