"""The errors: one tree, drawn as it is; a wrong name brings the nearest right ones."""

from __future__ import annotations

import pickle
import re

import pytest

from dope import errors
from dope.errors import DopeError, UnknownName


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    real = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, DopeError)}
    assert drawn == real - {"DopeError"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [("okz", "did you mean okx?"), ("binance", "did you mean binance_usdm, binance_spot?"), ("nothing like it", "'nothing like it'")],
)
def test_a_wrong_name_brings_the_nearest_right_ones(name: str, hint: str) -> None:
    assert hint in str(UnknownName("venue", name, ["okx", "binance_spot", "binance_usdm"]))


def test_a_name_from_outside_is_shown_escaped_and_cut() -> None:
    text = str(UnknownName("symbol", "<b>\n\x1b[31m" + "x" * 10_000, []))
    assert len(text) < 100 and "\n" not in text and "\x1b" not in text


def test_errors_survive_the_way_from_a_worker_process() -> None:
    for error in (DopeError("a"), errors.TapeError("file 7: cut"), errors.JobError("no")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
