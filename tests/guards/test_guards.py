"""Every guard of the list is there, and is missed by a test when it is off."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guards.inside import NOTICED, run
from tests.guards.listed import GUARDS, Guard
from tests.guards.switching import ROOT, all_noticed, copied, noticed, switched

QUICK = ("numbers that begin anew", "fee in base")  #: those that `make test` switches off


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("project"))


def named(guard: Guard) -> str:
    return guard.keeps_out


@pytest.mark.parametrize("guard", GUARDS, ids=named)
def test_its_words_stand_once_in_the_code_and_its_tests_exist(guard: Guard) -> None:
    assert switched(guard, (ROOT / guard.file).read_text(encoding="utf-8"))
    files = [word for word in guard.tests.split() if word.startswith("tests/")]
    assert files and all((ROOT / file).exists() for file in files)


def test_there_are_enough_of_them() -> None:
    assert len(GUARDS) >= 25 and len({guard.keeps_out for guard in GUARDS}) == len(GUARDS)


@pytest.mark.parametrize("guard", [guard for guard in GUARDS if any(word in guard.keeps_out for word in QUICK)], ids=named)
def test_a_few_are_missed_when_they_are_off(guard: Guard, project: Path) -> None:
    assert noticed(guard, project)


def test_a_guard_that_nobody_misses_is_told(project: Path) -> None:
    idle = Guard("nothing", "dope/feed/pace.py", "the longest ban that", "a long ban that", "tests/feed/test_pace.py")
    assert not noticed(idle, project)


def test_code_that_cannot_even_be_read_is_not_what_a_test_notices(project: Path) -> None:
    whole, half = "from __future__ import annotations", "from __future__ import"
    broken = Guard("nothing", "dope/feed/pace.py", whole, half, "tests/feed/test_pace.py")
    assert not noticed(broken, project)


def test_a_run_that_never_came_to_its_tests_has_noticed_nothing(tmp_path: Path) -> None:
    lost = multiprocessing.get_context("forkserver").Process(target=run, args=(str(tmp_path / "gone"), ["tests"]))
    lost.start()
    lost.join(60)
    assert lost.exitcode not in (None, 0, 1, NOTICED)


@pytest.mark.full
def test_each_is_missed_when_it_is_off(figure: Callable[..., None]) -> None:
    missed = [guard.keeps_out for guard, seen in all_noticed(GUARDS) if not seen]
    figure("guards that a test misses when they are off", len(GUARDS) - len(missed), samples=len(GUARDS))
    assert not missed
